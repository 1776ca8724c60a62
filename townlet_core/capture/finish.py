"""The last step of a capture: number the samples of all blocks, and write metrics, events and manifest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from townlet_core import io
from townlet_core.bulk import move_files
from townlet_core.capture.settings import blocks_of
from townlet_core.capture.unfinished import EVENTS_FILE, Unfinished
from townlet_core.errors import InputError, MissingError
from townlet_core.replay.limits import DEFAULT_LIMITS
from townlet_core.replay.manifest import save_manifest
from townlet_core.replay.metrics import TOTAL, load_metrics, stream_metrics
from townlet_core.replay.totals import add_tallies

MARK_ENDING = "_shard.json"  # of the file that makes a folder a shard of a capture


class Capture(NamedTuple):
    """A capture that was written."""

    manifest: Path
    entries: list[dict[str, Any]]  # of the manifest: samples, or Arrow shards
    rewards: list[float]  # sum per sample; empty for Arrow shards
    totals: dict[str, float]


def finish_capture(unfinished: Unfinished, scenario: bytes) -> Capture:
    """Move the files of all blocks to the output folder, and write the others. scenario: YAML.

    Every step can be repeated after a kill. Memory holds one block, and the manifest's entries. The manifest
    is written last, so that it only lists files that exist.
    """
    output, plan = unfinished.output, unfinished.plan
    prefix = plan["prefix"]
    moved = _move_blocks(unfinished)
    totals = add_tallies([facts["tally"] for facts in moved.blocks])
    files = [
        stream_metrics(output, prefix, _metrics(unfinished, moved, totals)),
        _join_events(unfinished),
        output / f"{prefix}_scenario.yaml",
    ]
    io.write_file(files[-1], scenario)
    origin = plan["origin"]
    about = {**origin, "capture": {**origin["capture"], "towns": plan["towns"]}}
    about["events"] = sum(facts["events"] for facts in moved.blocks)
    if plan["shard"]:
        about["shard"] = "{}/{}".format(*plan["shard"])
        files.append(output / f"{prefix}{MARK_ENDING}")
        io.write_json(files[-1], {"plan": plan, "blocks": moved.blocks})
    manifest = save_manifest(output, prefix, moved.samples, about, files, moved.shards)
    io.remove(unfinished.folder)
    return Capture(manifest, moved.samples or moved.shards, moved.rewards, totals)


def load_finished(output: Path, plan: dict[str, Any]) -> Capture | None:
    """Return the shard of this plan if it is finished in this folder, as finish_capture returned it.

    Its samples are not compared with their digests; join_shards does that.
    """
    prefix, limit = plan["prefix"], DEFAULT_LIMITS.max_manifest_bytes
    manifest = output / f"{prefix}_manifest.json"
    try:
        mark = io.read_json(output / f"{prefix}{MARK_ENDING}", limit)
        listed = io.read_json(manifest, limit)
        if mark["plan"] != plan:
            return None
        metrics = load_metrics(output / f"{prefix}_metrics.json")
        samples = listed.get("samples", [])
        shards = [
            {name: value for name, value in shard.items() if name != "first_sample"}
            for shard in listed.get("shards", ())
        ]
        rewards = [metrics[entry["sample"]]["reward_sum"] for entry in samples]
        return Capture(manifest, samples or shards, rewards, metrics[TOTAL])
    except (InputError, MissingError, KeyError, TypeError, AttributeError):
        return None


class _Moved(NamedTuple):
    """What is known of a capture whose samples have their final names."""

    samples: list[dict[str, Any]]  # entries of the manifest
    shards: list[dict[str, Any]]  # the same, of Arrow shards
    rewards: list[float]
    blocks: list[dict[str, Any]]  # of each block: its number, its samples, events and tally


def _move_blocks(unfinished: Unfinished) -> _Moved:
    """Give the files of each block their names in the output folder; metadata before arrays."""
    moved = _Moved([], [], [], [])
    for block in blocks_of(unfinished.plan):
        record = unfinished.load(block)
        folder, moves = unfinished.files(block), []
        for entry in record.get("samples", ()):
            number = len(moved.samples) + 1
            stem = f"{unfinished.plan['prefix']}_{entry['agent_id']}_{number:03d}"
            moves += [(folder / entry["meta"], f"{stem}.json"), (folder / entry["sample"], f"{stem}.npz")]
            moved.samples.append({**entry, "sample": f"{stem}.npz", "meta": f"{stem}.json"})
        for shard in record.get("shards", ()):
            moves += [(folder / shard[name], shard[name]) for name in ("samples", "shard")]
            moved.shards.append(shard)
        move_files(moves, unfinished.output)
        moved.rewards.extend(metrics["reward_sum"] for metrics in record.get("metrics", ()))
        facts = {name: record[name] for name in ("sample_count", "events", "event_bytes", "tally")}
        moved.blocks.append({"block": block, **facts})
    return moved


def _metrics(
    unfinished: Unfinished, moved: _Moved, totals: dict[str, float]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Iterate over the metrics file: those of each NPZ file, then the totals. Shards hold their own."""
    names = (entry["sample"] for entry in moved.samples)
    if moved.samples:
        for block in blocks_of(unfinished.plan):
            for metrics in unfinished.load(block)["metrics"]:
                yield next(names), metrics
    yield TOTAL, totals


def _join_events(unfinished: Unfinished) -> Path:
    path = unfinished.output / f"{unfinished.plan['prefix']}_events.jsonl"
    with io.AtomicFile(path) as file:
        for block in blocks_of(unfinished.plan):
            size = unfinished.load(block)["event_bytes"]
            file.write(io.read_file(unfinished.files(block) / EVENTS_FILE, size))
    return path
