"""The visiting card of a dataset as one HTML page: it needs no network and runs no script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from townlet_core.errors import count, printable
from townlet_core.pages import page_head
from townlet_core.replay.statistics import headline_columns

_MOST_AGENTS = 100  # rows of the table of agents
_BAR, _HEIGHT = 10, 72  # width of a bar and height of a histogram, in units of the drawing

_STYLE = """:root { --bar: #2f6fde; --down: #d2622a }
@media (prefers-color-scheme: dark) { :root { --bar: #78a6ff; --down: #ff9a62 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 1.2rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.05rem; margin: 2rem 0 .7rem }
p { margin: .3rem 0 }
.soft, figcaption span, .axis { color: var(--soft) }
.tiles, .charts { display: grid; gap: .7rem }
.tiles { grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); margin-top: 1rem }
.charts { grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)) }
.tiles div, figure { margin: 0; padding: .6rem .8rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px }
.tiles b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums }
figcaption { overflow-wrap: anywhere; font-weight: 600; font-size: .9rem }
figcaption span { display: block; font-weight: 400; font-size: .8rem }
svg { display: block; width: 100%; height: 4.5rem; margin-top: .4rem; border-bottom: 1px solid var(--soft) }
.many svg { height: 2.6rem }
rect { fill: var(--bar) }
.axis { display: flex; justify-content: space-between; font-size: .75rem }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px }
table { border-collapse: collapse; width: 100% }
th, td { text-align: right; padding: .3rem .7rem; font-variant-numeric: tabular-nums }
th { font-weight: 600; color: var(--soft); font-size: .85rem }
tbody tr { border-top: 1px solid var(--line) }
.text, th:first-child, td:first-child { text-align: left }
.bar { width: 40%; min-width: 6rem }
.bar i { display: block; height: .8rem; border-radius: 2px; background: var(--bar) }
.bar .down { background: var(--down) }
a { color: var(--bar) }
code { overflow-wrap: anywhere }
"""


def dataset_page(
    found: dict[str, Any],
    player: Callable[[dict[str, Any]], str | None] = lambda quarrel: None,
    commands: Sequence[str] = (),
) -> bytes:
    """Return the page, with untrusted text escaped.

    found: of inspect.describe_dataset. player: the address of the page that plays a quarrel again, or None.
    commands: what renders the pages that are missing.
    """
    statistics = found["statistics"]
    titles = list(statistics["origin"].get("scenario", ())) or ["Replay data"]
    parts = [
        _tiles(found),
        _section("Origin", _origin(statistics)),
        _section("Rewards, conflicts and rivalry", _charts(headline_columns(statistics))),
        _section("Strongest conflicts", _quarrels(found["quarrels"], player, commands)),
        _section("Reward by term", _terms(statistics["reward_terms"])),
        _section("Episodes", _charts(statistics["episodes"])),
        _section("Actions", _actions(statistics["actions"])),
        _section("Agents", _agents(statistics["agents"])),
        _section("Features", _charts(statistics["features"], "charts many")),
    ]
    head = page_head(printable(", ".join(titles[:4])), _STYLE, inline_styles=True)
    title, subtitle = _text(", ".join(titles[:4])), _text(Path(found["file"]).name)
    top = f'<header><h1>{title}</h1><p class="soft">{subtitle}</p></header>'
    body = "\n".join([top, *(part for part in parts if part)])
    return f"{head}<body>\n{body}\n</body>\n</html>\n".encode("utf-8", "backslashreplace")


def _text(text: object) -> str:
    return escape(printable(str(text)))


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n{content}\n</section>" if content else ""


def _tiles(found: dict[str, Any]) -> str:
    statistics = found["statistics"]
    counts = statistics["counts"]
    figures = {
        "agents": f"{len(statistics['agents']):,}",
        "episodes": f"{counts['episodes']:,}",
        "transitions": f"{counts['transitions']:,}",
        "MB": f"{found['bytes'] / 1e6:,.1f}",
        "map": "×".join(map(str, found["map_shape"])),
        "features": f"{found['feature_count']:,}",
        "actions": f"{found['action_dim']:,}",
    }
    tiles = "".join(f"<div><b>{figure}</b>{name}</div>" for name, figure in figures.items())
    ends = ", ".join(f"{counts[end]:,} {end}" for end in ("terminated", "truncated", "unfinished"))
    return f'<div class="tiles">{tiles}</div><p class="soft">Episodes: {ends}.</p>'


def _origin(statistics: dict[str, Any]) -> str:
    """Say where the samples come from, by fact; how many of them, where there is more than one origin."""
    rows = []
    for fact, values in statistics["origin"].items():
        said = [
            f"{value} ({count(n, 'sample')})" if len(values) > 1 else value for value, n in values.items()
        ]
        rows.append([_text(fact), _text(", ".join(said))])
    rows.append(["sha256 of the samples", f"<code>{statistics['samples_sha256']}</code>"])
    return _table((), rows, (1,))


def _charts(columns: dict[str, dict[str, Any]], kind: str = "charts") -> str:
    figures = "\n".join(_figure(name, found) for name, found in columns.items())
    return f'<div class="{kind}">\n{figures}\n</div>' if columns else ""


def _figure(name: str, found: dict[str, Any]) -> str:
    """Draw one histogram, with what each bar stands for as its tooltip."""
    start, width, counts = (found["histogram"][key] for key in ("start", "width", "counts"))
    most = max(counts)
    bars = []
    for i, number in enumerate(counts):
        if number:
            height = max(2.0, _HEIGHT * number / most)
            low, high = start + i * width, start + (i + 1) * width
            place = f'x="{i * _BAR}" y="{_HEIGHT - height:.1f}" width="{_BAR - 1}" height="{height:.1f}"'
            bars.append(f"<rect {place}><title>{low:g} to {high:g}: {number:,}</title></rect>")
    said = f"mean {found['mean']:.4g}, std {found['std']:.3g}"
    box = f"0 0 {max(len(counts), 8) * _BAR} {_HEIGHT}"
    return (
        f"<figure><figcaption>{_text(name)} <span>{said}</span></figcaption>"
        f'<svg viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{_text(name)}: {said}">'
        f"{''.join(bars)}</svg>"
        f'<div class="axis"><span>{found["min"]:.4g}</span><span>{found["max"]:.4g}</span></div></figure>'
    )


def _quarrels(
    quarrels: list[dict[str, Any]],
    player: Callable[[dict[str, Any]], str | None],
    commands: Sequence[str],
) -> str:
    """Tabulate the moments, each with a link to its tick in the player, which shows the state after it."""
    rows = []
    for quarrel in quarrels:
        place = ", ".join(
            f"{key} {quarrel[key]}" for key in ("town", "episode", "tick") if quarrel[key] is not None
        )
        if page := player(quarrel):
            tick = "" if quarrel["tick"] is None else f"#tick={quarrel['tick'] + 1}"
            place = f'<a href="{escape(page + tick)}">{place}</a>'
        rows.append([place or "–", _text(quarrel["text"]), f"{quarrel['intensity']:.3g}"])
    if not rows:
        return ""
    lines = "<br>".join(f"<code>{_text(line)}</code>" for line in commands)
    hint = (
        f'<p class="soft">To watch them, run in this folder, and write this page again:<br>{lines}</p>'
        if commands
        else ""
    )
    return _table(("where", "who", "intensity"), rows, (1,)) + hint


def _terms(terms: dict[str, dict[str, Any]]) -> str:
    """Draw the mean of each term, negative ones in another colour."""
    most = max((abs(found["mean"]) for found in terms.values()), default=0)
    rows = [
        [_text(name), *(f"{found[key]:.3g}" for key in ("mean", "min", "max")), _bar(found["mean"], most)]
        for name, found in terms.items()
    ]
    return _table(("term", "mean per transition", "min", "max", ""), rows) if rows else ""


def _actions(actions: dict[str, int]) -> str:
    total, most = sum(actions.values()), max(actions.values(), default=0)
    rows = [
        [_text(name), f"{number:,}", f"{number / total:.1%}", _bar(number, most)]
        for name, number in actions.items()
        if total
    ]
    return _table(("action", "count", "share", ""), rows) if rows else ""


def _agents(agents: dict[str, dict[str, Any]]) -> str:
    actions = list(dict.fromkeys(name for agent in agents.values() for name in agent["actions"]))
    rows = []
    for name, agent in list(agents.items())[:_MOST_AGENTS]:
        total = max(1, sum(agent["actions"].values()))
        shares = (f"{agent['actions'].get(action, 0) / total:.1%}" for action in actions)
        sizes = (f"{agent[key]:,}" for key in ("samples", "transitions"))
        rows.append([_text(name), *sizes, f"{agent['reward_sum']:.4g}", *shares])
    more = len(agents) - len(rows)
    hint = f'<p class="soft">… and {count(more, "more agent")}</p>' if more else ""
    return _table(("agent", "samples", "transitions", "reward", *map(_text, actions)), rows) + hint


def _bar(value: float, most: float) -> str:
    side = ' class="down"' if value < 0 else ""
    return f'<i{side} style="width: {100 * abs(value) / most:.1f}%"></i>' if value else ""


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int] = ()) -> str:
    """Return a table of cells that are HTML. text: the columns that are text, besides the first."""

    def cell(i: int, content: str) -> str:
        kind = "text" if i in text else "bar" if content.startswith("<i") else ""
        return f'<td class="{kind}">{content}</td>' if kind else f"<td>{content}</td>"

    heads = (
        f'<th class="text">{name}</th>' if i in text else f"<th>{name}</th>" for i, name in enumerate(columns)
    )
    head = f"<thead><tr>{''.join(heads)}</tr></thead>" if columns else ""
    body = "\n".join(f"<tr>{''.join(cell(i, content) for i, content in enumerate(row))}</tr>" for row in rows)
    return f'<div class="scroll"><table>{head}\n<tbody>\n{body}\n</tbody></table></div>'
