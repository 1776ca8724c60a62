"""Measure healthy runs; write docs/baselines.md and the bundled alert rules.

PYTHONPATH=tests python -m acceptance.baselines [SCENARIO ...] [--seeds 10] [--runs build/baselines] [--measured-only]

Each run is trained once and its log kept in --runs, so that an interrupted command continues. A run has one
thread. Scenarios that are not named keep their rules.
"""

# Tables and prose, one row per line.
# ruff: noqa: E501
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from acceptance.limits import FALLING_MARGIN, MARGIN, SPREADS, TEMPLATES, Limit, Template, limit_of
from acceptance.runs import KINDS, log_of, records_of

from townlet_core import io
from townlet_core.errors import count
from townlet_core.telemetry.bundled import ANY, RULES
from townlet_core.telemetry.drift import DRIFTING

ROOT = Path(__file__).resolve().parents[2]

PAGE = ROOT / "docs" / "baselines.md"
BASELINES = Path(__file__).parent / "baselines"
KEPT = ("telemetry_version", "scenario", "data_mode")  # of the last record, beside the means
Runs = dict[str, list[list[dict[str, Any]]]]  # records by kind of run and seed


def main() -> None:
    """Measure, derive, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*", default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--runs", type=Path, default=ROOT / "build" / "baselines")
    parser.add_argument("--measured-only", action="store_true", help="use the runs there are, train none")
    options = parser.parse_args()
    measured = {
        name: measure(name, options.seeds, options.runs, options.measured_only) for name in options.scenarios
    }
    limits = {name: limits_of(runs) for name, runs in measured.items()}
    for name, found in limits.items():
        io.write_file(RULES / f"{name}.yaml", rules_text(name, found).encode())
        io.write_file(BASELINES / f"{name}.jsonl", mean_records(measured[name]["default"]))
    anywhere = widest(limits)
    io.write_file(RULES / f"{ANY}.yaml", rules_text(ANY, anywhere).encode())
    io.write_file(PAGE, page_text(measured, limits, options.seeds).encode())


def measure(scenario: str, seeds: int, folder: Path, measured_only: bool) -> Runs:
    """Return the records of all runs of a scenario."""
    runs: Runs = {}
    for kind in KINDS[scenario]:
        for seed in range(kind.seeds or seeds):
            if measured_only and not (folder / f"{scenario}-{kind.name}-s{seed}.jsonl").exists():
                continue
            print(f"{scenario} {kind.name} seed {seed}", file=sys.stderr, flush=True)
            runs.setdefault(kind.name, []).append(list(records_of(log_of(folder, scenario, kind, seed))))
    return runs


def limits_of(runs: Runs) -> list[Limit]:
    """Return the rules of a scenario."""
    found = []
    for template in TEMPLATES:
        for mode in template.modes:
            values = {kind: [values_of(run, template, mode) for run in seeds] for kind, seeds in runs.items()}
            limit = limit_of(template, mode, values)
            found += [limit] if limit else []
    return found


def values_of(records: list[dict[str, Any]], template: Template, mode: str) -> np.ndarray:
    """Return the values that a rule of a mode sees in a run."""
    return np.array([r[template.field] for r in records if r["data_mode"] == mode and template.field in r])


def widest(limits: dict[str, list[Limit]]) -> list[Limit]:
    """Return the rules that hold in every scenario, each with the limit that allows the most."""
    by_rule: dict[tuple[Template, str], list[Limit]] = {}
    for found in limits.values():
        for limit in found:
            if limit.template.anywhere:
                by_rule.setdefault((limit.template, limit.mode), []).append(limit)
    return [
        (max if template.side == ">" else min)(found, key=lambda limit: limit.number)
        for (template, _), found in by_rule.items()
        if len(found) == len(limits)
    ]


def mean_records(runs: list[list[dict[str, Any]]]) -> bytes:
    """Return a log of one record per data mode: the means of runs, to compare other runs with."""
    lines = []
    for mode in ("replay", "rollout"):
        records = [record for run in runs for record in run if record["data_mode"] == mode]
        last = records[-1]
        means = {
            name: float(f"{np.mean([r[name] for r in records]):.6g}") for name in last if name in DRIFTING
        }
        kept = {name: value for name, value in last.items() if name in KEPT}
        lines.append(orjson.dumps(kept | means))
    return b"\n".join(lines) + b"\n"


def rules_text(name: str, limits: list[Limit]) -> str:
    """Return a rule file."""
    where = "any scenario" if name == ANY else name
    lines = [
        f"# Alert rules for {where}. Written by make baselines from the runs in docs/baselines.md.",
        f"# Copy them to change them: townlet telemetry rules {name} > my-rules.yaml",
    ]
    for limit in limits:
        lines += [
            f"- alert: {limit.rule}",
            f"  data_mode: {limit.mode}",
            f"  why: {quoted(limit.template.why)}",
        ]
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Quote text for YAML."""
    return f'"{text}"'


def page_text(measured: dict[str, Runs], limits: dict[str, list[Limit]], seeds: int) -> str:
    """Return docs/baselines.md."""
    parts = [HEAD.format(spreads=f"{SPREADS:g}", margin=f"{MARGIN:g}", falling=f"{FALLING_MARGIN:g}")]
    for name, runs in measured.items():
        cycles = {kind.name: kind.cycles for kind in KINDS[name]}
        counted = ", ".join(
            f"{count(len(found), 'seed')} of *{kind}* ({count(cycles[kind], 'cycle')})"
            for kind, found in runs.items()
        )
        rows = [row(limit) for limit in limits[name]]
        parts.append(f"## {name}\n\nRuns: {counted}.\n\n{TABLE}\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def row(limit: Limit) -> str:
    """Return a row of the page: a rule, and the extremes of the runs that it was derived from."""
    found = np.array(limit.extremes)
    spread = f"{found.std(ddof=1):.3g}" if len(found) > 1 else "–"
    cells = [
        f"`{limit.rule}`",
        limit.mode,
        f"{found.min():.3g}",
        f"{found.mean():.3g}",
        f"{found.max():.3g}",
        spread,
    ]
    return f"| {' | '.join(cells)} |"


TABLE = (
    "| rule | mode | least extreme | mean extreme | largest extreme | standard deviation |\n"
    "| --- | --- | ---: | ---: | ---: | ---: |"
)
HEAD = """# Baselines

What healthy training looks like, and the limits of the [bundled alert rules](telemetry.md#bundled-rules) that follow
from it. `make baselines` trains the runs and writes this page and the rules; the runs are trained once and kept under
`build/baselines`.

The runs are `--mode mixed` runs of the kinds that the documentation recommends: *default* has the default settings,
*tuned* those of [results.md](results.md), *long* the same over more cycles. Below each scenario stands how many seeds
of a kind were trained. What was not trained has not shaped the limits: run `make baselines` for more.

A rule `FIELD > LIMIT for N` trips where N records in a row lie above the limit. The *extreme* of a run is the limit
from which on the rule would not have tripped on it. The limit lies {spreads} standard deviations over the seeds beyond
the mean extreme of every kind of run. It also lies beyond the most extreme run: by a factor of {margin} where only
positive values are possible (logarithms are compared there), by a factor of {falling} where they fall for as long as a
run learns, otherwise by half the range of all values or a quarter of the largest, whichever is more. A rule is left out
where healthy runs leave no room for it."""

if __name__ == "__main__":
    main()
