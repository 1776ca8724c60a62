"""The sound files that are mutated: of a small capture made now, the last release, and the reference."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fuzz_bytes import Files

from townlet_core import io
from townlet_core.capture.capture import CaptureSettings, write_capture
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.manifest import load_manifest, read_entry, save_manifest
from townlet_core.replay.packed import writer
from townlet_core.replay.packed.writer import COMPRESSIONS, ShardWriter
from townlet_core.scenario.load import load_scenario

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
REFERENCE = DATA / "reference" / "captures"
CAPTURES = ("employment_punctuality", "observation_baseline", "queue_conflict", "rivalry_decay")
OLD = DATA / "version_0_1_0" / "capture"
TICKS = 5


def build_corpus(folder: Path) -> None:
    """Write the corpus: below `folder`, a folder of each format, and in it a folder for each input."""
    scenario = load_scenario(DATA / "version_0_1_0" / "small_queue.yaml")
    fresh, packed_away = folder / "capture", folder / "compressed"
    for output, compress in ((fresh, False), (packed_away, True)):
        settings = CaptureSettings(ticks=TICKS, num_towns=2, compress=compress)
        write_capture(scenario, ScriptedPolicy(scenario), settings, output)
    for name, files in (*_npz(fresh, packed_away), *_texts(fresh), *_manifests(fresh)):
        for file, data in files.items():
            io.write_file(folder / name / file, data)
    _shards(folder / "arrow", fresh)


def read_corpus(folder: Path, form: str) -> list[Files]:
    """Read the inputs of a format."""
    return [
        {path.name: path.read_bytes() for path in sorted(inputs.iterdir())}
        for inputs in sorted((folder / form).iterdir())
    ]


def _npz(fresh: Path, compressed: Path) -> Iterator[tuple[str, Files]]:
    """Samples, for their arrays and for their JSON."""
    references = [path for name in CAPTURES for path in sorted((REFERENCE / name).glob("*.npz"))][::2]
    for i, path in enumerate(
        (*list(fresh.glob("*_00[12].npz")), next(compressed.glob("*.npz")), *references)
    ):
        files = {"a.npz": path.read_bytes(), "a.json": path.with_suffix(".json").read_bytes()}
        yield f"npz/{i}", files
        yield f"json/{i}", files
    for i, path in enumerate((*fresh.glob("*_metrics.json"), *REFERENCE.glob("*/*_metrics.json"))):
        yield f"json/metrics{i}", {"a_metrics.json": path.read_bytes()}


def _texts(fresh: Path) -> Iterator[tuple[str, Files]]:
    for name in ("observation_baseline", "rivalry_decay", "kitchen_breakfast"):
        yield f"yaml/{name}", {"scenario.yaml": (ROOT / "scenarios" / f"{name}.yaml").read_bytes()}
    small = b"name: a\nticks: 9\ngrid:\n  layout: |\n    ###\n    #.#\nagents:\n- {id: x, position: [1, 1]}\n"
    yield "yaml/small", {"scenario.yaml": small}
    for i, text in enumerate(
        (b"- a.npz\n- {sample: b.npz, frame_count: 3}\n", b"samples:\n- sample: a.npz\n")
    ):
        yield f"yaml/manifest{i}", {"a_manifest.yaml": text}
    events = next(fresh.glob("*_events.jsonl")).read_bytes()
    yield "events/fresh", {"a_events.jsonl": b"".join(events.splitlines(keepends=True)[:12])}
    yield "events/old", {"a_events.jsonl": next(OLD.glob("*_events.jsonl")).read_bytes()}


def _manifests(fresh: Path) -> Iterator[tuple[str, Files]]:
    """Datasets of two samples each, with and without digests."""
    old = {path.name: path.read_bytes() for path in REFERENCE.glob("employment_punctuality/*.*")}
    yield "manifest/reference", old
    manifest = io.read_json(next(fresh.glob("*_manifest.json")))
    manifest["samples"] = manifest["samples"][:2]
    names = [entry[key] for entry in manifest["samples"] for key in ("sample", "meta")]
    files = {name: (fresh / name).read_bytes() for name in (*names, *manifest["files"])}
    yield "manifest/fresh", {**files, "a_manifest.json": io.dump_json(manifest)}


def _shards(folder: Path, fresh: Path) -> None:
    """Shards of every compression, of one and of several record batches, and of the older generation."""
    samples = [read_entry(entry) for entry in load_manifest(next(fresh.glob("*_manifest.json"))).entries]
    older = load_manifest(REFERENCE / "queue_conflict" / "rollout_sample_manifest.json")
    with _record_batches_of(30_000):
        for compression in COMPRESSIONS:
            output = folder / compression
            shard = ShardWriter(output, "x_00001", compression)
            for sample in samples[: 2 if compression == "none" else 4]:
                shard.add(sample)
            save_manifest(output, "x", [], {}, [], [shard.close()])
    shard = ShardWriter(folder / "older", "x_00001")
    entry = older.entries[0]
    shard.add(read_entry(entry), entry.sample.name, (entry.sample.read_bytes(), entry.meta.read_bytes()))
    save_manifest(folder / "older", "x", [], {}, [], [shard.close()])


@contextmanager
def _record_batches_of(size: int) -> Iterator[None]:
    usual = writer.BATCH_BYTES
    writer.BATCH_BYTES = size
    try:
        yield
    finally:
        writer.BATCH_BYTES = usual


if __name__ == "__main__":
    build_corpus(Path(sys.argv[1]))
