"""`townlet replay validate --golden`: compare metrics with a golden file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from townlet_cli.console import count, out, progress, safe, table

if TYPE_CHECKING:
    from townlet_core.replay.golden import Moved
    from townlet_core.replay.limits import ReadLimits

_MOST_ROWS = 40


def compare(path: Path, golden: Path, limits: ReadLimits) -> tuple[int, list[Moved]]:
    """Measure a dataset and compare it with a golden file, as golden.compare_golden does."""
    from townlet_core.replay.find import find_entries
    from townlet_core.replay.golden import compare_golden, measure

    entries = find_entries(path, limits)
    with progress(f"measuring {safe(path)}", len(entries)) as advance:
        metrics, _ = measure(path, entries, limits, advance)
    return compare_golden(golden, metrics, limits)


def print_moved(golden: Path, compared: int, moved: list[Moved]) -> None:
    """Print what moved as a table, and the verdict."""
    if moved:
        rows = table("Moved", "metric", "was", "is", "change")
        for row in moved[:_MOST_ROWS]:
            change = "–" if row.now is None or not row.was else f"{(row.now - row.was) / abs(row.was):+.1%}"
            now = "gone" if row.now is None else f"{row.now:.6g}"
            rows.add_row(safe(row.metric), f"{row.was:.6g}", now, change)
        out.print(rows)
        if len(moved) > _MOST_ROWS:
            out.print(f"… and {len(moved) - _MOST_ROWS:,} more")
    verdict = f"[red]{len(moved):,} moved[/red]" if moved else "none moved"
    out.print(f"{safe(golden)}: {count(compared, 'metric')}, {verdict}")
