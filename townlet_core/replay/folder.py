"""The files below a folder; unreadable ones and links to the outside become findings."""

from __future__ import annotations

import os
import re
from pathlib import Path

from townlet_core import io
from townlet_core.errors import TownletError
from townlet_core.replay.format import Finding

MANIFEST_ENDINGS = ("manifest.json", "manifest.yaml", "manifest.yml")
METRICS_ENDING, EVENTS_ENDING = "_metrics.json", "_events.jsonl"
RUN_FILE, RUN_SAMPLES = "run.json", "samples"  # in the folder of a run
_CHECKPOINT = re.compile(r"checkpoints/\.?g[0-9]{6,18}(\.tmp)?/towns\.npz")
FOLLOW = "if you trust where it comes from, read it with --follow-links"


def find_files(folder: Path, follow_links: bool) -> tuple[list[Path], list[Finding]]:
    """List every file below a folder, sorted; with findings for entries that cannot be read.

    Arrays of a run that are not samples are left out: checkpoints and NaN dumps. A link to a folder inside is
    not followed, because its files are listed under their own names. A link to the outside is followed with
    `follow_links`, each folder once; otherwise it is a finding.
    """
    files: list[Path] = []
    findings: list[Finding] = []
    waiting, seen = [Path(folder)], {os.path.realpath(folder)}
    roots = set(seen)
    while waiting:
        try:
            paths = [Path(entry.path) for entry in os.scandir(waiting.pop())]
        except OSError as error:
            findings.append(Finding("problem", str(error.filename), "", f"cannot be read: {error.strerror}"))
            continue
        for path in paths:
            try:
                kind = io.kind_of(path)
            except TownletError as error:
                findings.append(
                    Finding("problem", str(path), "", str(error).removeprefix(f"{path}: "), error.hint)
                )
                continue
            real = os.path.realpath(path)
            leads_out = os.path.islink(path) and not any(_is_inside(real, root) for root in roots)
            if kind is None:
                severity = "warning" if path.name.startswith(".") else "problem"  # editors hide such links
                findings.append(Finding(severity, str(path), "", f"is a link to {real}, where nothing is"))
            elif leads_out and not follow_links and (kind == "folder" or _is_read(path)):
                findings.append(
                    Finding("problem", str(path), "", f"{describe_outside_link(real)}; not read", FOLLOW)
                )
            elif kind == "file" and not _is_of_run(path):
                files.append(path)
            elif kind == "other" and _is_read(path):
                findings.append(Finding("problem", str(path), "", "is not a file"))
            elif kind == "folder" and real not in seen and (leads_out or not os.path.islink(path)):
                seen.add(real)
                waiting.append(path)
                roots |= {real} if leads_out else set()
    return sorted(files), sorted(findings)


def target_outside(path: Path, folder: Path) -> str | None:
    """Return the target of a path if links lead outside the folder; None if it is inside."""
    real = os.path.realpath(path)
    return None if _is_inside(real, os.path.realpath(folder)) else real


def describe_outside_link(real: str) -> str:
    """Describe a link to the outside of its folder."""
    return f"is a link that leads out of the folder, to {real}"


def _is_inside(real: str, root: str) -> bool:
    return os.path.commonpath([real, root]) == root


def _is_of_run(path: Path) -> bool:
    """Whether an NPZ file belongs to a run and is not a sample."""
    if path.name == "not_finite.npz":
        return io.kind_of(path.with_name(RUN_FILE)) == "file"
    return _CHECKPOINT.fullmatch("/".join(path.absolute().parts[-3:])) is not None


def _is_read(path: Path) -> bool:
    """Whether a file of this name is validated."""
    is_metadata = path.suffix == ".json" and io.kind_of(path.with_suffix(".npz")) is not None
    return is_metadata or path.name.endswith(
        (".npz", ".arrow", *MANIFEST_ENDINGS, METRICS_ENDING, EVENTS_ENDING)
    )
