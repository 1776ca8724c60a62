"""Sign a release off: sick runs are noticed, healthy runs are quiet, and an operator's day goes well.

PYTHONPATH=tests python -m acceptance.sign_off [--long] [--only sick|healthy|operator] [--runs N]

Short: a few sicknesses, one healthy run, two scenarios played over two cycles. Long: all of them, 100 healthy
runs, every scenario over ten cycles. Logs of healthy runs are kept, so that an interrupted command continues.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from acceptance.operator_play import Played, play
from acceptance.runs import KINDS, log_of
from acceptance.sickness import SCENARIO, SICKNESSES
from acceptance.verdicts import Verdict, damaged_logs, dying_trainers, fall_sick, stay_healthy

from townlet_core import io

ROOT = Path(__file__).resolve().parents[2]

QUICK = (
    "learning_rate_x100",
    "dead_reward",
    "frozen_network",
    "stale_log_probs",
)  # noticed within two cycles
SHORT_TOWNS = tuple(name for name in KINDS if name != "town_day")


def main() -> int:
    """Run the parts asked for; return how many verdicts were wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", choices=("sick", "healthy", "operator"))
    parser.add_argument("--runs", type=int, default=100, help="healthy runs, with --long")
    parser.add_argument("--output", type=Path, default=ROOT / "artifacts")
    options = parser.parse_args()
    wrong = 0
    if options.only in (None, "sick"):
        wrong += tell(sick(options.long), "sick", expects_alert=True)
    if options.only in (None, "healthy"):
        wrong += tell(
            healthy(options.runs if options.long else 1, options.output), "healthy", expects_alert=False
        )
    if options.only in (None, "operator"):
        wrong += tell_played(operator(options.long, options.output), options.output)
    return wrong


def sick(long: bool) -> Iterator[Verdict]:
    """Yield the verdict on every sickness."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for sickness in SICKNESSES:
            if long or sickness.name in QUICK:
                yield fall_sick(sickness, folder / f"{sickness.name}.jsonl", 5 if long else 3)
        yield from damaged_logs(log_of(folder, SCENARIO, KINDS[SCENARIO][0]._replace(cycles=2), 0), folder)
        if long:
            yield from dying_trainers(folder)


def healthy(runs: int, output: Path) -> Iterator[Verdict]:
    """Yield the verdicts on healthy runs, one scenario after the other."""
    for number in range(runs):
        scenario = SHORT_TOWNS[number % len(SHORT_TOWNS)]
        yield stay_healthy(scenario, number // len(SHORT_TOWNS), output / "healthy")


def operator(long: bool, output: Path) -> Iterator[Played]:
    """Play every scenario, or two of them over two cycles."""
    for scenario in KINDS if long else ("kitchen_breakfast", SCENARIO):
        yield play(scenario, 10 if long else 2, output / scenario)


def tell(verdicts: Iterator[Verdict], state: str, expects_alert: bool) -> int:
    """Print verdicts as they come; return how many are wrong."""
    total = wrong = 0
    for verdict in verdicts:
        is_right = bool(verdict.said) == expects_alert
        total, wrong = total + 1, wrong + (not is_right)
        said = verdict.said or "quiet"
        print(f"{'ok   ' if is_right else 'WRONG'}  {verdict.name:32}  {verdict.what:60}  {said}", flush=True)
    print(f"{state}: {total} runs, {total - wrong} judged right, {wrong} wrong\n", flush=True)
    return wrong + (total == 0)


def tell_played(played: Iterator[Played], output: Path) -> int:
    """Print the table of the operator's play, and keep it; return in how many scenarios something failed."""
    rows = []
    for row in played:
        counts = f"{row.steps:,} | {row.reward:.4f} | {row.alerts} | {row.problems}"
        rows.append(f"| {row.scenario} | {counts} | {row.drift} | {row.failed or 'nothing'} |")
    head = "| scenario | environment steps | reward | alerts | problems | largest drift | failed |"
    text = "\n".join([head, "| --- | ---: | ---: | ---: | ---: | --- | --- |", *rows]) + "\n"
    io.write_file(output / "acceptance.md", text.encode())
    print(text)
    return sum(not row.endswith("| nothing |") for row in rows)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
