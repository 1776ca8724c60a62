"""One replay sample: what one agent saw, did and got, tick by tick, as NPZ + JSON (docs/data.md, Sample)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from townlet_core import io
from townlet_core.errors import InputError, MissingFileError, SampleError, shown
from townlet_core.replay.checks import check_sample
from townlet_core.replay.format import ARRAYS, TRAINING_ARRAYS, Finding, problems, warnings
from townlet_core.replay.limits import DEFAULT_LIMITS, ReadLimits
from townlet_core.replay.metadata import canonical_metadata, reward_terms_of
from townlet_core.replay.npz import RESTORE, list_members, pack_npz, read_array

_FOREIGN = {"timeouts": "truncations", "terminals": "terminations"}  # names of others, and ours
_STEM_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclass(frozen=True, eq=False)
class ReplaySample:
    """T ticks of one agent, time-major. Arrays that were loaded are read-only."""

    map: np.ndarray  # (T, C, H, W) float32
    features: np.ndarray  # (T, F) float32
    actions: np.ndarray  # (T,) int64
    old_log_probs: np.ndarray  # (T,) float32, under the policy that acted
    value_preds: np.ndarray  # (T + 1,) float32, the last one bootstraps
    rewards: np.ndarray  # (T,) float32
    dones: np.ndarray  # (T,) bool, terminated or truncated
    optional: dict[str, np.ndarray] = field(default_factory=dict)  # those of checks.OPTIONAL_ARRAYS it has
    metadata: dict[str, Any] = field(default_factory=dict)  # the JSON, see sample_metadata

    @property
    def timesteps(self) -> int:
        """The number of ticks in the sample."""
        return len(self.actions)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the feature columns, in order."""
        return tuple(self.metadata["feature_names"])

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the columns of the optional array `reward_terms`; empty without it."""
        return reward_terms_of(self.metadata) if "reward_terms" in self.optional else ()

    @property
    def agent_id(self) -> str:
        """The agent's name; samples of the older generation may have only a `sample_id`, or neither."""
        return self.metadata.get("agent_id") or self.metadata.get("sample_id") or "unknown"

    @property
    def action_dim(self) -> int:
        """The size of the sample's own vocabulary."""
        return self.metadata.get("action_dim") or int(self.actions.max()) + 1

    @property
    def is_older(self) -> bool:
        """Whether it has no schema version, so that its action ids are its own."""
        return "schema_version" not in self.metadata

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every array it has by name, in the order of the file."""
        training = {name: getattr(self, name) for name in TRAINING_ARRAYS}
        return training | {name: self.optional[name] for name in ARRAYS if name in self.optional}


def save_sample(sample: ReplaySample, folder: Path, stem: str, compress: bool = False) -> dict[str, Any]:
    """Write `stem.json`, then `stem.npz`, and return the sample's manifest entry.

    The JSON says whose the arrays are, so they never stand without it, also where the writer is killed.
    Equal samples give equal bytes (compressed ones with the same zlib). Raises SampleError, and writes
    nothing, if the sample breaks a rule of docs/data.md.
    """
    if not _STEM_PATTERN.fullmatch(stem):
        raise InputError(f"sample name {shown(stem)}: expected 1 to 200 letters, digits, '_', '.' or '-'")
    sample_file, meta_file = f"{stem}.npz", f"{stem}.json"
    raise_first(check_sample(sample.arrays(), sample.metadata, sample_file, meta_file))
    data = pack_npz(sample.arrays(), compress)
    meta_data = io.dump_json(canonical_metadata(sample.metadata))
    io.write_file(Path(folder) / meta_file, meta_data)
    io.write_file(Path(folder) / sample_file, data)
    return {
        "sample": sample_file,
        "meta": meta_file,
        "agent_id": sample.agent_id,
        "frame_count": sample.timesteps,
        "sha256": io.sha256(data),
        "bytes": len(data),
        "meta_sha256": io.sha256(meta_data),
        "meta_bytes": len(meta_data),
    }


def load_sample(
    path: Path, meta: Path | None = None, limits: ReadLimits = DEFAULT_LIMITS, sha256: str | None = None
) -> tuple[ReplaySample, list[str]]:
    """Read a sample and hold it to every rule; return it with the warnings about what is weak in it.

    meta: the JSON, otherwise the same stem. sha256: the digest the manifest recorded.
    Raises SampleError with one sentence for the first rule broken, MissingError, or DiskError.
    """
    sample, found = examine_sample(path, meta, limits, sha256)
    raise_first(found)
    assert sample is not None  # there is no sample only where there is a problem
    return sample, [str(finding) for finding in warnings(found)]


def raise_first(found: list[Finding]) -> None:
    """Raise SampleError for the first problem among the findings, if there is any."""
    broken = problems(found)
    if broken:
        more = f" (and {len(broken) - 1} more, see `townlet replay validate`)" if len(broken) > 1 else ""
        raise SampleError(f"{broken[0]}{more}", broken[0].hint)


def examine_sample(
    path: Path, meta: Path | None = None, limits: ReadLimits = DEFAULT_LIMITS, sha256: str | None = None
) -> tuple[ReplaySample | None, list[Finding]]:
    """Read a sample and collect every problem and warning; without a sample where a problem prevents one.

    Raises TownletError only where there is nothing to look into: no file, no zip, wrong digest.
    """
    path = Path(path)
    data = _read_bytes(path, limits)
    if sha256 is not None and io.sha256(data) != sha256:
        raise SampleError(f"{path}: its sha256 is not the one in the manifest; the file has changed", RESTORE)
    verify = sha256 is None  # the digest says more than the zip checksums, and has been compared
    arrays, found = _read_arrays(data, str(path), limits, verify)
    missing = [name for name in TRAINING_ARRAYS if name not in arrays]
    if missing and not problems(found):
        sentence = f"has no {', '.join(missing)}; expected {', '.join(TRAINING_ARRAYS)}"
        found.append(Finding("problem", str(path), "", sentence, "capture it with `townlet capture`"))
    if missing:
        return None, found
    meta = Path(meta) if meta else path.with_suffix(".json")
    metadata = io.read_json(meta, limits.max_metadata_bytes)
    found += check_sample(arrays, metadata, str(path), str(meta), limits)
    if problems(found):
        return None, found
    return _assemble(arrays, metadata), found


def reload_sample(path: Path, metadata: dict[str, Any], limits: ReadLimits = DEFAULT_LIMITS) -> ReplaySample:
    """Read again a sample that load_sample has accepted, without checking its values once more."""
    data = _read_bytes(Path(path), limits)
    members = list_members(data, str(path), limits)
    arrays = {
        name: read_array(data, members[name], str(path), verify=False) for name in ARRAYS if name in members
    }
    return _assemble(arrays, metadata)


def _read_bytes(path: Path, limits: ReadLimits) -> bytes:
    if io.kind_of(path) not in ("file", None):
        raise InputError(f"{path}: is not a file, expected an NPZ sample")
    return io.read_file(path, limits.max_sample_bytes)


def _read_arrays(
    data: bytes, file: str, limits: ReadLimits, verify: bool
) -> tuple[dict[str, np.ndarray], list[Finding]]:
    """Read the arrays we know; a damaged one becomes a finding, an unknown one a warning."""
    arrays: dict[str, np.ndarray] = {}
    found: list[Finding] = []
    members = list_members(data, file, limits)
    for member in members.values():
        ours = _FOREIGN.get(member.name)
        if (
            ours and ours not in members
        ):  # ignoring it would join episodes that have nothing to do with each other
            message = f"is called {ours} here, and says where episodes end"
            hint = f"rename it to {ours}, and let dones be true where either terminations or truncations are"
            found.append(Finding("problem", file, member.name, message, hint))
        elif member.name not in ARRAYS:
            found.append(Finding("warning", file, member.name, "is not an array of ours; ignored"))
        else:
            try:
                arrays[member.name] = read_array(data, member, file, verify)
            except SampleError as error:
                sentence = str(error).removeprefix(f"{file}: {member.name} ")
                found.append(Finding("problem", file, member.name, sentence, error.hint))
    return arrays, found


def _assemble(arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> ReplaySample:
    training = {name: arrays[name] for name in TRAINING_ARRAYS}
    optional = {name: array for name, array in arrays.items() if name not in TRAINING_ARRAYS}
    return ReplaySample(**training, optional=optional, metadata=metadata)


def file_identity(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is replaced or written: inode, size, modification time."""
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such file") from error
    except OSError as error:
        raise io.disk_error(error, path) from error
    return status.st_ino, status.st_size, status.st_mtime_ns
