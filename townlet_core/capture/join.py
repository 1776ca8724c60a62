"""Join the shards of a capture, played on any machines, to the bytes that one machine would have written."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.bulk import flush_files, write_scratch
from townlet_core.capture.capture import begin_capture, refuse_existing_plan
from townlet_core.capture.finish import MARK_ENDING, Capture, finish_capture
from townlet_core.capture.settings import FORMATS, blocks_of
from townlet_core.capture.unfinished import EVENTS_FILE, Unfinished
from townlet_core.errors import InputError, SampleError, name_list
from townlet_core.locks import lock_folder
from townlet_core.replay.limits import DEFAULT_LIMITS
from townlet_core.replay.manifest import Manifest, load_manifest
from townlet_core.replay.metrics import load_metrics
from townlet_core.replay.npz import RESTORE
from townlet_core.replay.totals import add_tallies
from townlet_core.shards import check_shards
from townlet_core.vocab import NAME_PATTERN

_CHANGED = "its sha256 is not the one in the manifest; the file has changed"
_FACTS = {"block": int, "sample_count": int, "events": int, "event_bytes": int, "tally": dict}


class Shard(NamedTuple):
    """A folder that `capture --shard I/N` has written."""

    folder: Path
    plan: dict[str, Any]  # of capture.settings.plan_capture
    blocks: list[dict[str, Any]]  # as in finish.finish_capture
    manifest: Manifest

    def file(self, ending: str) -> Path:
        """Return the path of one of the shard's files."""
        return self.folder / f"{self.plan['prefix']}_{ending}"


def is_capture_shard(folder: Path) -> bool:
    """Whether a folder holds a shard of a capture."""
    return any(name.endswith(MARK_ENDING) for name in io.list_folder(Path(folder)))


def join_shards(folders: Sequence[Path], output: Path, *, force: bool = False) -> Capture:
    """Write the capture whose shards are in these folders, in any order, to the folder `output`.

    Every file is compared with its digest. A call that was killed continues. force: as in write_capture.
    Raises InputError if shards are missing, given twice, or of different captures, and if anything else is in
    `output`; SampleError for a damaged shard; MissingError or DiskError.
    """
    shards = sorted((_open_shard(Path(folder)) for folder in folders), key=lambda one: one.plan["shard"])
    _check_complete(shards)
    output = Path(output)
    if os.path.realpath(output) in [os.path.realpath(shard.folder) for shard in shards]:
        raise InputError(f"{output}: is one of the shards", "choose another --output")
    plan = {**shards[0].plan, "shard": None}
    refuse_existing_plan(plan, output, force)
    with lock_folder(output):
        unfinished = begin_capture(plan, output, force)
        missing = set(unfinished.missing())
        for shard in shards:
            if missing & set(blocks_of(shard.plan)):
                for facts, record in _copy_blocks(shard, unfinished, missing):
                    unfinished.save(facts["block"], record)
        return finish_capture(unfinished, io.read_file(shards[0].file("scenario.yaml")))


def _open_shard(folder: Path) -> Shard:
    marks = [name for name in io.list_folder(folder) if name.endswith(MARK_ENDING)]
    if len(marks) != 1:
        found = f"{len(marks)} shards ({name_list(marks)})" if marks else "no shard"
        raise InputError(f"{folder}: holds {found} of a capture, expected one")
    path = folder / marks[0]
    content = io.read_json(path, DEFAULT_LIMITS.max_manifest_bytes)
    if not _is_mark(content) or marks[0] != f"{content['plan']['prefix']}{MARK_ENDING}":
        raise SampleError(f"{path}: does not describe a shard of a capture", RESTORE)
    shard = Shard(folder, content["plan"], content["blocks"], load_manifest(folder / _manifest_of(marks[0])))
    for listed in shard.manifest.files or ():
        if io.file_digest(listed.path)["sha256"] != listed.sha256:
            raise SampleError(f"{listed.path}: {_CHANGED}", RESTORE)
    return shard


def _manifest_of(mark: str) -> str:
    return f"{mark.removesuffix(MARK_ENDING)}_manifest.json"


def _is_mark(content: Any) -> bool:
    """Whether the content of a shard's JSON is what finish_capture writes."""
    try:
        plan, blocks = content["plan"], content["blocks"]
        number, shards = plan["shard"]
        numbers = (plan["towns"], plan["block_towns"], number, shards)
        is_plan = (
            all(type(value) is int and 0 < value < 2**31 for value in numbers)
            and number <= shards
            and NAME_PATTERN.fullmatch(plan["prefix"]) is not None
            and plan["format"] in FORMATS
            and isinstance(plan["origin"]["capture"], dict)
        )
        if not is_plan or len(blocks) != len(blocks_of(plan)):
            return False
        are_facts = all(isinstance(one[name], kind) for one in blocks for name, kind in _FACTS.items())
        add_tallies([one["tally"] for one in blocks])
        return are_facts and [one["block"] for one in blocks] == list(blocks_of(plan))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError):
        return False


def _check_complete(shards: Sequence[Shard]) -> None:
    """Raise InputError unless these are all the shards of one capture, each once."""
    if not shards:
        raise InputError("no shards to join", "name the folders that capture --shard has written")
    hint = "capture them with the same settings and --shard I/N"
    check_shards("capture", [(shard.folder, shard.plan) for shard in shards], hint)
    first, *others = shards
    for other in others:
        if io.read_file(other.file("scenario.yaml")) != io.read_file(first.file("scenario.yaml")):
            raise InputError(f"{first.folder} and {other.folder} have different scenario files")


def _copy_blocks(
    shard: Shard, unfinished: Unfinished, missing: set[int]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Copy the files of the missing blocks of a shard, and yield what is known of each, and its record."""
    is_packed = shard.plan["format"] == "arrow"
    metrics = {} if is_packed else load_metrics(shard.file("metrics.json"))
    sample = byte = 0
    for facts in shard.blocks:
        folder = unfinished.files(facts["block"])
        if facts["block"] in missing:
            write_scratch(
                folder / EVENTS_FILE, io.read_range(shard.file("events.jsonl"), byte, facts["event_bytes"])
            )
            if is_packed:
                copied = [_copy_shard(shard, facts["block"], folder)] if facts["sample_count"] else []
                record: dict[str, Any] = {"shards": copied}
            else:
                entries = _copy_samples(shard, sample, facts["sample_count"], folder)
                record = {"samples": entries, "metrics": _metrics_of(shard, entries, metrics)}
            flush_files(folder)
            yield facts, {**record, **{name: facts[name] for name in _FACTS if name != "block"}}
        sample += facts["sample_count"]
        byte += facts["event_bytes"]


def _metrics_of(
    shard: Shard, entries: Sequence[dict[str, Any]], metrics: dict[str, dict[str, float]]
) -> list[dict[str, float]]:
    for entry in entries:
        if "reward_sum" not in metrics.get(entry["sample"], {}):
            raise SampleError(f"{shard.file('metrics.json')}: {entry['sample']} is missing", RESTORE)
    return [metrics[entry["sample"]] for entry in entries]


def _copy_samples(shard: Shard, first: int, count: int, folder: Path) -> list[dict[str, Any]]:
    """Copy NPZ and JSON files, and return their entries as save_sample makes them."""
    listed = shard.manifest.samples[first : first + count]
    if len(listed) != count:
        raise SampleError(f"{shard.manifest.path}: lists fewer samples than the shard has", RESTORE)
    entries = []
    for entry in listed:
        if not NAME_PATTERN.fullmatch(entry.agent_id or "") or "/" in entry.name:
            raise SampleError(f"{shard.manifest.path}: lists a sample that no capture has written", RESTORE)
        _copy(entry.meta, folder / entry.meta.name, entry.meta_sha256)
        _copy(entry.sample, folder / entry.sample.name, entry.sha256)
        entries.append(
            {
                "sample": entry.sample.name,
                "meta": entry.meta.name,
                "agent_id": entry.agent_id,
                "frame_count": entry.frame_count,
                "sha256": entry.sha256,
                "bytes": entry.bytes,
                "meta_sha256": entry.meta_sha256,
                "meta_bytes": entry.meta_bytes,
            }
        )
    return entries


def _copy_shard(shard: Shard, block: int, folder: Path) -> dict[str, Any]:
    """Copy the two Arrow files of a block, and return their entry as ShardWriter.close makes it."""
    name = f"{shard.plan['prefix']}_{block + 1:05d}.arrow"
    for ref in shard.manifest.shards:
        if ref.name == name:
            _copy(ref.samples, folder / ref.samples.name, ref.samples_sha256)
            _copy(ref.path, folder / ref.path.name, ref.sha256)
            return {
                "shard": ref.path.name,
                "samples": ref.samples.name,
                "sample_count": ref.sample_count,
                "transitions": ref.transitions,
                "sha256": ref.sha256,
                "bytes": ref.bytes,
                "samples_sha256": ref.samples_sha256,
                "samples_bytes": ref.samples_bytes,
            }
    raise SampleError(f"{shard.manifest.path}: does not list {name}", RESTORE)


def _copy(path: Path, copy: Path, sha256: str | None) -> None:
    data = io.read_file(path, DEFAULT_LIMITS.max_sample_bytes)
    if io.sha256(data) != sha256:
        raise SampleError(f"{path}: {_CHANGED}", RESTORE)
    write_scratch(copy, data)
