"""The formats: what is mutated, and what must hold for a mutant that a reader accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import yaml
from fuzz_arrow import ROWS, TABLE, mutate_shard, mutate_shard_bytes
from fuzz_bytes import Files, mutate_bytes
from fuzz_npz import mutate_npz
from fuzz_oracles import check_rules, compare_arrays, npz_arrays, read_json, same, shard_arrays
from fuzz_text import mutate_events, mutate_yaml
from fuzz_values import mutate_json

from townlet_core import io
from townlet_core.replay.events import load_events
from townlet_core.replay.find import find_entries
from townlet_core.replay.manifest import entry_metadata, load_manifest, read_entry
from townlet_core.replay.metrics import load_metrics
from townlet_core.replay.sample import ReplaySample, load_sample, reload_sample
from townlet_core.scenario.dump import dump_scenario
from townlet_core.scenario.load import load_scenario, parse_scenario
from townlet_core.vocab import CONFLICT_REASONS, EVENTS
from townlet_core.yaml.reader import read_yaml


class Format(NamedTuple):
    """A format of files."""

    mutate: Callable[[Files, Random], Files]  # one mutation of a sound input
    again: Callable[[Files, Random], Files]  # one more mutation
    check: Callable[[Path], Any]  # read a folder: raises TownletError, or AssertionError for a wrong answer


def check_sample(folder: Path) -> None:
    """Read a sample; what is read is what numpy and json see, and keeps the rules."""
    if (folder / "a_metrics.json").exists():
        return check_metrics(folder)
    path = folder / "a.npz"
    sample, warnings = load_sample(path)
    assert all(isinstance(text, str) for text in warnings)
    _compare_sample(sample, path, path.with_suffix(".json"))
    again = reload_sample(path, sample.metadata)
    compare_arrays(sample.arrays(), again.arrays())
    (entry,) = find_entries(path)
    assert same(entry_metadata(entry), sample.metadata)
    return None


def _compare_sample(sample: ReplaySample, path: Path, meta: Path) -> None:
    check_rules(sample)
    compare_arrays(sample.arrays(), npz_arrays(path))
    assert same(sample.metadata, read_json(meta.read_bytes())), "other metadata than json sees"


def check_metrics(folder: Path) -> None:
    """Read a metrics file: finite numbers by name by sample."""
    path = folder / "a_metrics.json"
    metrics = load_metrics(path)
    assert same(metrics, read_json(path.read_bytes()))
    for numbers in metrics.values():
        assert all(type(n) in (int, float) and abs(n) < float("inf") for n in numbers.values()), numbers


def check_manifest(folder: Path) -> None:
    """Read a manifest and its samples: the files that it names, inside its folder, of the right digest."""
    (path,) = (path for path in folder.iterdir() if path.name.endswith("_manifest.json"))
    manifest = load_manifest(path)
    content = read_json(path.read_bytes())
    listed = content if isinstance(content, list) else content["samples"]
    assert len(listed) == len(manifest.samples)
    for said, entry in list(zip(listed, manifest.samples, strict=True))[:8]:
        said = {"sample": said} if isinstance(said, str) else said
        assert entry.sample == folder / said["sample"]
        assert entry.sample.resolve().is_relative_to(folder.resolve())
        assert entry.meta.resolve().is_relative_to(folder.resolve())
        sample = read_entry(entry)
        _compare_sample(sample, entry.sample, entry.meta)
        assert same(entry_metadata(entry), sample.metadata)
        assert said.get("sha256") in (None, io.sha256(entry.sample.read_bytes()))
        assert said.get("meta_sha256") in (None, io.sha256(entry.meta.read_bytes()))
        assert said.get("frame_count") in (None, sample.timesteps)
        assert said.get("agent_id") in (None, sample.agent_id)
    assert len(find_entries(path)) == len(manifest.samples)


def check_events(folder: Path) -> None:
    """Read an event log: the objects that json sees, each with the fields of its type."""
    path = folder / "a_events.jsonl"
    events = list(load_events(path))
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert same(events, [read_json(line) for line in lines if line.strip()])
    for event in events:
        assert event["type"] in EVENTS
        assert type(event["tick"]) is type(event["town"]) is int
        assert min(event["tick"], event["town"]) >= 0
        if event["type"] == "queue_conflict":
            assert event["reason"] in CONFLICT_REASONS
            assert 0.1 <= event["intensity"] <= 5


def check_yaml(folder: Path) -> None:
    """Read a scenario or a manifest in YAML: it says what another parser reads."""
    manifest, path = folder / "a_manifest.yaml", folder / "scenario.yaml"
    if manifest.exists():
        content = read_yaml(manifest)
        _compare_yaml(content, manifest.read_bytes())
        load_manifest(manifest)
        return
    scenario = load_scenario(path)
    back, mistakes = parse_scenario(dump_scenario(scenario))
    assert back == scenario, f"written and read again it is another scenario: {mistakes[:1]}"
    _compare_yaml(read_yaml(path), path.read_bytes())


def _compare_yaml(ours: Any, data: bytes) -> None:
    """Compare with what PyYAML reads, every scalar as text, where it can parse the file."""
    try:
        theirs = yaml.load(data, yaml.CBaseLoader)
    except (yaml.YAMLError, ValueError):  # YAML 1.1 allows less
        return
    assert _is_text_of(theirs, ours), "other values than another YAML parser sees"


def _is_text_of(text: Any, value: Any) -> bool:
    """Whether a value is what these texts say."""
    if isinstance(text, dict):
        return (
            isinstance(value, dict)
            and list(text) == list(value)
            and all(map(_is_text_of, text.values(), value.values()))
        )
    if isinstance(text, list):
        return isinstance(value, list) and len(text) == len(value) and all(map(_is_text_of, text, value))
    if isinstance(value, str):
        return value == text
    if value is None or isinstance(value, bool):
        return text.lower() in {None: ("", "~", "null"), True: ("true",), False: ("false",)}[value]
    if type(value) is int:
        return value == int(text, 0 if text[:2] in ("0x", "0o") else 10)
    return type(value) is float and value == float(text)


def check_shard(folder: Path) -> None:
    """Read a shard, by its manifest if there is one, whole and by rows: what pyarrow sees, by the rules."""
    manifest = folder / "x_manifest.json"
    entries = find_entries(manifest if manifest.exists() else folder / ROWS)
    theirs = None
    for entry in entries:
        sample = read_entry(entry)
        theirs = theirs or shard_arrays(folder / ROWS, folder / TABLE)
        check_rules(sample)
        compare_arrays(sample.arrays(), theirs[entry.number])
        assert same(entry_metadata(entry), sample.metadata)
        assert entry.shard is not None
        part = entry.shard.part(entry.number, entry.shard.read_rows(entry.shard.batch_of(entry.number)))
        streamed = {name: array[part.ticks] for name, array in part.arrays.items()}
        streamed["value_preds"] = np.append(streamed["value_preds"], part.last_value)
        compare_arrays(sample.arrays(), {**streamed, "map": streamed["map"].astype(np.float32)})
        json.loads(entry.shard.original(entry.number)[1])


def _of_file(ending: str, mutate: Callable[[bytes, Random], bytes]) -> Callable[[Files, Random], Files]:
    """Mutate the files of an input that have this ending, one at a time."""

    def mutate_one(files: Files, chance: Random) -> Files:
        name = chance.choice([name for name in files if name.endswith(ending)])
        return {**files, name: mutate(files[name], chance)}

    return mutate_one


_PATHS: tuple[Any, ...] = (
    *("a.npz", "../a.npz", "/etc/passwd", "a/../a.npz", "./a.npz", "x\0.npz", "a" * 300 + ".npz"),
    *("\x1b[1m.npz", "", ".", ".npz"),
    *("https://a/b.npz", "a_manifest.json", "a_manifest.npz", "rollout_sample_anna_001.npz"),
    "rollout_sample_anna_001.json",
    *("rollout_sample_dawn_001.npz", "rollout_sample_erin_002.npz", "rollout_sample_erin_002.json"),
    *(None, True, 0, -1, 5, 2**63, 2**64, 1.0, [], {}, [[]], {"sample": "a.npz"}, "f" * 64),
    ["rollout_sample_anna_001.npz"] * 9,
)  # fmt: skip


def _mutate_manifest(files: Files, chance: Random) -> Files:
    """Mutate the manifest, or what it lists."""
    kind, names = chance.random(), sorted(files)
    if kind < 0.85:
        return _of_file("_manifest.json", lambda data, chance: mutate_json(data, chance, _PATHS))(
            files, chance
        )
    name, other = chance.choice(names), chance.choice(names)
    if name.endswith("_manifest.json"):
        return {**files, name: mutate_bytes(files[name], chance)}
    if kind < 0.9:
        return {key: data for key, data in files.items() if key != name}
    if kind < 0.95 and not other.endswith("_manifest.json"):
        return {**files, name: files[other], other: files[name]}
    return {**files, name: mutate_bytes(files[name], chance)}


_npz, _json = _of_file(".npz", mutate_npz), _of_file(".json", mutate_json)
_yaml, _events = _of_file(".yaml", mutate_yaml), _of_file(".jsonl", mutate_events)
FORMATS = {
    "npz": Format(_npz, _npz, check_sample),
    "json": Format(_json, _json, check_sample),
    "manifest": Format(_mutate_manifest, _mutate_manifest, check_manifest),
    "arrow": Format(mutate_shard, mutate_shard_bytes, check_shard),
    "yaml": Format(_yaml, _yaml, check_yaml),
    "events": Format(_events, _events, check_events),
}
