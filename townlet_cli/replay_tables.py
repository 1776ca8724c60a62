"""Tables of the statistics of replay data."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from townlet_cli.console import count, out, safe, table

BAR_WIDTH = 30
_WIDE = 72  # characters, from which on a terminal has room for all figures
_NAME, _FIGURE = 24, 11  # characters of a name, and of a figure with the space before it
_HEIGHTS = "▁▂▃▄▅▆▇█"


def print_counts(statistics: dict[str, Any]) -> None:
    """Print how many samples, episodes, transitions and agents there are, and how the episodes ended."""
    counts = statistics["counts"]
    sizes = ", ".join(count(counts[f"{noun}s"], noun) for noun in ("sample", "episode", "transition"))
    ends = ", ".join(f"{counts[end]:,} {end}" for end in ("terminated", "truncated", "unfinished"))
    out.print(f"{sizes}, {count(len(statistics['agents']), 'agent')}; episodes: {ends}")


def print_origin(origin: dict[str, dict[str, int]]) -> None:
    """Print where the samples come from, by fact."""
    rows = table("Origin", "fact", "value")
    rows.columns[1].justify = "left"
    for fact, values in origin.items():
        shown = [
            f"{value} ({count(n, 'sample')})" if len(values) > 1 else value for value, n in values.items()
        ]
        more = f", … and {len(shown) - 4} more" if len(shown) > 4 else ""
        rows.add_row(fact, safe(", ".join(shown[:4]) + more))
    if origin:
        out.print(rows)


def summary_table(title: str, columns: dict[str, dict[str, Any]]) -> Table:
    """Tabulate mean, deviation, range and histogram of columns; on a narrow terminal, mean and histogram."""
    figures = ("mean", "std", "min", "max") if out.width >= _WIDE else ("mean",)
    room = out.width - _NAME - _FIGURE * len(figures)
    rows = table(title, "name", *figures, "histogram")
    rows.columns[-1].justify, rows.columns[-1].no_wrap = "left", True
    for name, found in columns.items():
        shown = (f"{found[key]:.4g}" for key in figures)
        rows.add_row(safe(name), *shown, bars(found["histogram"]["counts"], room))
    return rows


def histogram_table(title: str, columns: dict[str, dict[str, Any]]) -> Table:
    """Tabulate range and histogram of columns."""
    rows = table(title, "name", "min", "max", "histogram")
    rows.columns[-1].justify, rows.columns[-1].no_wrap = "left", True
    for name, found in columns.items():
        extremes = (f"{found[key]:.3g}" for key in ("min", "max"))
        counts = bars(found["histogram"]["counts"], out.width - _NAME - 2 * _FIGURE + 4)
        rows.add_row(safe(name), *extremes, counts)
    return rows


def action_table(statistics: dict[str, Any]) -> Table:
    """Tabulate how often each action was taken, in all, and by agent if there are few of them."""
    agents = statistics["agents"]
    room = out.width - 2 * _FIGURE - (_FIGURE * len(agents) if len(agents) > 1 else 0)
    if len(agents) == 1 or room < 0:
        agents, room = {}, out.width - 2 * _FIGURE
    rows = table("Actions", "name", "count", *map(safe, agents), "")
    rows.columns[-1].justify, rows.columns[-1].no_wrap = "left", True
    most = max(statistics["actions"].values(), default=0)
    for name, number in statistics["actions"].items():
        own = (f"{agent['actions'].get(name, 0):,}" for agent in agents.values())
        rows.add_row(safe(name), f"{number:,}", *own, bar(number, most, min(room, BAR_WIDTH)))
    return rows


def bar(number: int, most: int, width: int = BAR_WIDTH) -> str:
    """Draw a number as a bar; the longest stands for `most`. Every number above 0 can be seen."""
    return "█" * max(1, round(width * number / most)) if number else ""


def bars(counts: list[int], room: int) -> str:
    """Draw the counts of a histogram, one character each; a dot is an empty bin.

    Neighbours are drawn together until there is room, at least for 8.
    """
    while len(counts) > max(room, 8):
        counts = [a + b for a, b in zip(counts[::2], [*counts[1::2], 0], strict=False)]
    most = max(counts)
    return "".join(_HEIGHTS[round(7 * number / most)] if number else "·" for number in counts)
