"""`python -m benchmarks.costs [SCENARIO…]`: print what a capture costs, the tables of docs/data.md."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.figures import Measure, in_turn, rate
from townlet_core.capture.capture import write_capture
from townlet_core.capture.settings import CaptureSettings
from townlet_core.policy.scripted import ScriptedPolicy
from townlet_core.replay.dataset import ReplayDataset, ReplayDatasetConfig
from townlet_core.replay.manifest import load_manifest, read_entry, save_manifest
from townlet_core.replay.packed.pack import ShardSeries, pack
from townlet_core.replay.packed.writer import COMPRESSIONS
from townlet_core.replay.sample import ReplaySample, save_sample
from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.load import load_scenario

TOWNS = 16  # of a capture; a shard's schema and manifest are shared by all of them
RATED = "town_day"  # the scenario whose rates are measured
ROUNDS = 5
NPZ = {"NPZ, stored": False, "NPZ, deflated": True}
FORMS = (*NPZ, *(f"Arrow, {compression}" for compression in COMPRESSIONS))
Table = list[tuple[str, ...]]


class Capture(NamedTuple):
    """One capture in every form."""

    scenario: str
    transitions: int  # per town
    manifests: dict[str, Path]  # by form

    def files(self, form: str) -> list[Path]:
        """List all files of a form."""
        return list(self.manifests[form].parent.iterdir())

    def town_bytes(self, form: str) -> float:
        """Return the bytes of all files, per town."""
        return sum(file.stat().st_size for file in self.files(form)) / TOWNS


def main() -> None:
    """Print the tables: sizes of all scenarios or those named, and the rates of one if none is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="by default all, and rates")
    names = parser.parse_args().scenarios
    print(*size_tables(names or list(bundled_scenarios())), sep="\n")
    if not names:
        print(rate_table(RATED))


def size_tables(scenarios: Sequence[str]) -> Iterator[str]:
    """Capture each scenario in every form; yield the tables of sizes. Equal versions give equal tables."""
    rows: tuple[Table, Table] = ([], [])
    for name in scenarios:
        with tempfile.TemporaryDirectory() as folder:
            found = capture(name, Path(folder))
            sizes = [found.town_bytes(form) for form in FORMS]
            counts = [f"{found.transitions:,}", *(f"{len(found.files(form))}" for form in FORMS[1:3])]
        rows[0].append((name, *counts, *(f"{size / 1e3:,.1f}" for size in sizes)))
        rows[1].append((name, *(f"{size / found.transitions:,.0f}" for size in sizes)))
    yield table(("kB per town", "transitions", "NPZ files", "Arrow files", *FORMS), rows[0])
    yield table(("MB per million transitions", *FORMS), rows[1])


def capture(scenario_name: str, folder: Path) -> Capture:
    """Capture TOWNS towns with the scripted policy, as `townlet capture --towns` does."""
    scenario = load_scenario(scenario_name)
    manifests = {}
    for form, compress in NPZ.items():
        settings = CaptureSettings(
            scenario.ticks, TOWNS, scenario.seed, epsilon=scenario.rules.epsilon, compress=compress
        )
        manifests[form] = write_capture(scenario, ScriptedPolicy(scenario), settings, folder / form).manifest
    for compression in COMPRESSIONS:
        form = f"Arrow, {compression}"
        manifests[form] = pack(load_manifest(manifests[FORMS[0]]), folder / form, compression).manifest
    ticks = sum(entry.frame_count or 0 for entry in load_manifest(manifests[FORMS[0]]).entries)
    return Capture(scenario.name, ticks // TOWNS, manifests)


def rate_table(scenario: str) -> str:
    """Measure writing, opening and reading one capture in every form, in turn; return the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = capture(scenario, Path(folder))
        samples = [read_entry(entry) for entry in load_manifest(found.manifests[FORMS[0]]).entries]
        work: dict[str, list[Callable[[], object]]] = {"write": [], "open": [], "read an epoch": []}
        for form in FORMS:
            manifest = found.manifests[form]
            work["write"].append(partial(write, samples, form, Path(folder) / "written"))
            work["open"].append(partial(open_dataset, manifest))
            work["read an epoch"].append(partial(read, open_dataset(manifest)))
        rows: Table = []
        for what, steps in work.items():
            measures: dict[str, Measure] = {
                form: partial(rate, step, found.transitions * TOWNS, 0)
                for form, step in zip(FORMS, steps, strict=True)
            }
            medians = in_turn(ROUNDS, measures)
            rows.append((what, *(f"{medians[form] / 1e6:,.2f}" for form in FORMS)))
    return table((f"{scenario}, million transitions/s", *FORMS), rows)


def write(samples: Sequence[ReplaySample], form: str, folder: Path) -> None:
    """Write samples durably, with their digests."""
    if form in NPZ:
        entries = [save_sample(one, folder, f"x_{n}", NPZ[form]) for n, one in enumerate(samples)]
        save_manifest(folder, "x", entries, {})
        return
    series = ShardSeries(folder, "x", form.removeprefix("Arrow, "))
    for sample in samples:
        series.add(sample)
    save_manifest(folder, "x", [], {}, shards=series.close())


def open_dataset(manifest: Path) -> ReplayDataset:
    return ReplayDataset(ReplayDatasetConfig(manifests=(manifest,), streaming=True))


def read(dataset: ReplayDataset) -> None:
    for _batch in dataset:
        pass


def table(head: Sequence[str], rows: Table) -> str:
    """Return a Markdown table whose columns of numbers are flush right."""
    lines = [head, ("---", *("---:" for _ in head[1:])), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
