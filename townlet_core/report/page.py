"""A report as one page: no network, and whole without its script, which only shows values sooner."""

from __future__ import annotations

import re
from html import escape
from importlib.resources import files

from townlet_core.errors import count, printable
from townlet_core.pages import page_head
from townlet_core.report.chart import Chart
from townlet_core.report.facts import (
    Table,
    alert_table,
    difference_table,
    log_problems,
    origin_table,
    run_table,
    runs_of,
    sentence_of,
    settings_table,
    tiles_of,
    title_of,
)
from townlet_core.report.figures import LEARNING
from townlet_core.report.layout import Reading, lay_out
from townlet_core.report.look import DARK, LIGHT, Theme
from townlet_core.report.player import Player
from townlet_core.report.report import Report
from townlet_core.report.scale import format_value
from townlet_core.report.svg import chart_svg, text

MAX_SENTENCES = 4  # of runs; the table has all
TABLE_ROWS = 12  # of a chart's values


def report_page(report: Report) -> bytes:
    """Return the page. What came from outside is escaped, and no script but the page's own can run."""
    parts = {title: _charts(title, charts) for title, charts in report.sections.items()}
    parts["Alerts"] = _alerts(report)
    parts["Runs and settings"] = _settings(report)
    if report.player:
        parts["Replay"] = _player(report.player)
    contents = {
        "title": text(title_of(report)),
        "script": _part("page.js"),
        "sentences": _sentences(report),
        "tiles": "".join(f"<div><b>{text(value)}</b>{text(name)}</div>" for value, name in tiles_of(report)),
        "contents": "".join(f'<a href="#{_anchor(title)}">{text(title)}</a>' for title in parts),
        "parts": "\n".join(
            f'<section id="{_anchor(title)}"><h2>{text(title)}</h2>\n{part}\n</section>'
            for title, part in parts.items()
        ),
    }
    page = _head(report, contents["script"]) + _fill(_part("page.html"), contents)
    return page.encode("utf-8", "backslashreplace")


def _head(report: Report, script: str) -> str:
    """Return the head, which allows this page's style and script and the player's, and nothing else."""
    colours = "\n".join(
        f".c{i} {{ stroke: var(--c{i}) }}\npolygon.c{i} {{ fill: var(--c{i}) }}"
        for i in range(len(LIGHT.series))
    )
    variables = {"light": _variables(LIGHT), "dark": _variables(DARK), "colours": colours}
    framed = report.player.page if report.player else ""
    return page_head(
        f"{printable(title_of(report))} · Townlet",
        _fill(_part("page.css"), variables),
        [script, *_inside("script", framed)],
        framed_styles=_inside("style", framed),
    )


def _part(name: str) -> str:
    return (files("townlet_core.report") / name).read_text("utf-8")


def _fill(template: str, contents: dict[str, str]) -> str:
    """Put each text in its place, once: what is put in is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: contents.get(match[1], match[0]), template)


def _variables(theme: Theme) -> str:
    return "; ".join(f"--c{i}: {colour}" for i, colour in enumerate(theme.series))


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _sentences(report: Report) -> str:
    runs = runs_of(report)
    said = [sentence_of(run) for run in runs[:MAX_SENTENCES]]
    said += (
        [f"and {count(len(runs) - MAX_SENTENCES, 'more run')}, listed below."]
        if len(runs) > MAX_SENTENCES
        else []
    )
    return "\n".join(f'<p class="soft">{text(sentence)}</p>' for sentence in said)


def _charts(title: str, charts: list[Chart]) -> str:
    is_lead = title == LEARNING.title
    figures = "\n".join(_figure(chart, is_lead and n == 0) for n, chart in enumerate(charts))
    return f'<div class="charts{" lead" if is_lead else ""}">\n{figures}\n</div>'


def _figure(chart: Chart, is_lead: bool) -> str:
    """Draw a chart with its caption and a table of values; a lead one also in a wide form."""
    svg = f'<div class="narrow">{chart_svg(chart)}</div>'
    wide = f'<div class="wide">{chart_svg(chart, 1180, 320)}</div>' if is_lead else ""
    return (
        f"<figure>\n<figcaption>{text(chart.title)}<span>{text(chart.about)}</span></figcaption>\n"
        f"{wide}{svg}\n{_values(chart)}\n</figure>"
    )


def _values(chart: Chart) -> str:
    """Table some of the values, evenly spread, the first and the last among them."""
    readings = lay_out(chart).readings
    if not readings:
        return ""
    places = sorted({round(i * (len(readings) - 1) / (TABLE_ROWS - 1)) for i in range(TABLE_ROWS)})
    labels = tuple(dict.fromkeys(value[0] for reading in readings for value in reading.values))
    rows = [(format_value(readings[i].x), *_cells(readings[i], labels)) for i in places]
    table = _table(Table("", (chart.x_label, *labels), rows, numbers=True), chart.title)
    return f"<details><summary>Values</summary>{table}</details>"


def _cells(reading: Reading, labels: tuple[str, ...]) -> list[str]:
    values = {label: mean for label, mean, _, _ in reading.values}
    return [format_value(values[label]) if label in values else "" for label in labels]


def _table(table: Table, name: str = "") -> str:
    """Write a table that scrolls sideways where the window is narrow, also by keyboard."""
    head = "".join(f'<th scope="col">{text(column)}</th>' for column in table.columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in table.rows)
    kind = ' class="numbers"' if table.numbers else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(name or table.title)}">'
        f"<table{kind}><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _alerts(report: Report) -> str:
    table, problems = alert_table(report), log_problems(report)
    parts = [_table(table)] if table.rows else []
    if not table.rows:
        tried = (
            f"No rule tripped, of {count(len(report.rules), 'rule')} tried."
            if report.rules
            else "No rules were given."
        )
        parts.append(f"<p>{text(tried)}</p>")
    if report.rules:
        listed = "".join(f"<li>{text(rule)}</li>" for rule in report.rules)
        parts.append(f"<details><summary>Rules</summary><ul>{listed}</ul></details>")
    if problems:
        parts.append("<ul>" + "".join(f"<li>{text(problem)}</li>" for problem in problems) + "</ul>")
    return "\n".join(parts)


def _settings(report: Report) -> str:
    parts = [_table(run_table(report))]
    differences = difference_table(report)
    if differences.rows:
        parts.append(f"<h3>Settings that differ</h3>{_table(differences)}")
    for table in (settings_table(report.groups), origin_table(report)):
        if table.rows:
            parts.append(f"<details><summary>{text(table.title)}</summary>{_table(table)}</details>")
    return "\n".join(parts)


def _player(player: Player) -> str:
    """Embed the player's page, kept apart from this one: it may run its own script and nothing else."""
    ticks = count(player.ticks, "tick")
    about = f"{player.title}, {ticks}, policy {player.policy}, from {player.capture.parent.name}"
    return (
        f'<p class="soft">{text(about)}</p>\n<iframe class="player" sandbox="allow-scripts" loading="lazy" '
        f'title="Replay of {text(player.title)}" srcdoc="{escape(player.page)}"></iframe>'
    )


def _inside(tag: str, page: str) -> list[str]:
    """Return the content of each such element without attributes; what is in an attribute is escaped."""
    return re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
