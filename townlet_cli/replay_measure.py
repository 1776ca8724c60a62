"""`townlet replay measure`: the measures of recorded episodes, and who yielded to whom."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import command, count, next_step, note, out, print_json, safe, table
from townlet_cli.replay_options import FollowLinks, Json

if TYPE_CHECKING:
    from townlet_core.measures.recorded import Recorded


def measure(
    path: Annotated[Path, typer.Argument(help="A capture: its manifest, or its folder.")],
    follow_links: FollowLinks = False,
    json: Json = False,
) -> None:
    """Compute the measures of `evaluate` for recorded episodes, and show who yielded to whom."""
    from townlet_core.measures.recorded import measure_recording
    from townlet_core.replay.limits import ReadLimits

    found = measure_recording(path, ReadLimits(follow_links=follow_links))
    if found.unfinished:
        note(f"{count(found.unfinished, 'episode')} not recorded to the end, and left out")
    if json:
        print_json(_as_json(found))
        return
    _print(found)
    next_step(command("replay", "inspect", path))


def _as_json(found: Recorded) -> dict[str, Any]:
    from townlet_core.estimates import LEVEL, METHOD
    from townlet_core.measures.table import estimate_measures

    return {
        "episodes": len(found.values),
        "unfinished": found.unfinished,
        "interval": {"level": LEVEL, "method": METHOD, "over": "episodes"},
        "measures": {name: one._asdict() for name, one in estimate_measures(found.values).items()},
        "agents": list(found.agents),
        "contests": found.contests.astype(int).tolist(),
    }


def _print(found: Recorded) -> None:
    from townlet_core.measures.table import estimate_measures

    episodes = count(len(found.values), "recorded episode")
    rows = table(f"{episodes}, mean over episodes", "", "mean", "95 % interval")
    for name, estimate in estimate_measures(found.values).items():
        mean = "–" if math.isnan(estimate.mean) else f"{estimate.mean:.4g}"
        interval = "" if math.isnan(estimate.low) else f"{estimate.low:.4g} … {estimate.high:.4g}"
        rows.add_row(name, mean, interval)
    out.print(rows)
    if found.contests.any():
        lost = table(
            "Contests lost by the agent of the row to that of the column", "", *map(safe, found.agents)
        )
        for name, row in zip(found.agents, found.contests, strict=True):
            lost.add_row(safe(name), *(f"{number:.0f}" for number in row))
        out.print()
        out.print(lost)
