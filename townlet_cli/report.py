"""`townlet report`: what runs learned and how, on one page or in pictures for slides."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from townlet_cli.alert_options import AlertOption, RulesOption, choose_rules
from townlet_cli.capture import note_first_compilation
from townlet_cli.console import count, next_step, out, safe, warn, write_output
from townlet_cli.training_settings import project_folder

if TYPE_CHECKING:
    from townlet_core.report.log import Rules
    from townlet_core.report.report import Report

STDOUT = Path("-")


def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="Runs, folders of runs, or telemetry logs.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="File to write: a page, or a picture if it ends in .png; - is stdout."
        ),
    ] = Path("report.html"),
    png: Annotated[Path | None, typer.Option(help="Folder to write every chart to, as a picture.")] = None,
    capture: Annotated[
        Path | None, typer.Option(help="Capture to play on the page; by default the last in its scenario.")
    ] = None,
    no_player: Annotated[bool, typer.Option("--no-player", help="Leave the replay player out.")] = False,
    baseline_episodes: Annotated[
        int, typer.Option(min=0, max=100_000, help="Episodes of the scripted baseline; 0 leaves it out.")
    ] = 32,
    alert: AlertOption = None,
    rules: RulesOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Write a page on runs: curves, baseline, alerts, settings, replay; runs of other seeds are averaged."""
    from townlet_core.errors import InputError
    from townlet_core.io import refuse_existing
    from townlet_core.report.report import Reports, make_report

    is_picture = output.suffix.lower() == ".png"
    if capture and (no_player or is_picture):
        raise InputError("--capture is played on a page, and there is no player here", "leave it out")
    if baseline_episodes == 1:
        raise InputError("--baseline-episodes 1: expected at least 2, for an interval", "0 leaves it out")
    for target in (output, png):
        if target is not None and target != STDOUT:
            refuse_existing(target, force)
    made = make_report(
        runs,
        rules=_rules(alert, rules),
        capture=capture,
        captures=project_folder("captures"),
        episodes=baseline_episodes,
        has_player=not (no_player or is_picture),
        reports=Reports(warn, note_first_compilation),
    )
    _write(made, output, is_picture)
    if png is not None:
        _write_charts(made, png)


def _rules(alert: list[str] | None, rules: str | None) -> Rules:
    """Return the rules to try in a scenario, chosen as `telemetry watch` chooses them."""
    from townlet_core.telemetry.bundled import bundled_rules

    own, bundled = choose_rules(alert, rules)
    return lambda scenario: [*own, *bundled_rules(scenario)] if bundled else own


def _write(made: Report, output: Path, is_picture: bool) -> None:
    from townlet_core.report.facts import title_of
    from townlet_core.report.page import report_page
    from townlet_core.report.png import overview
    from townlet_core.report.png import png as to_png

    data = to_png(overview(made.charts)) if is_picture else report_page(made)
    played = f", playing {made.player.capture}" if made.player else ""
    about = f"{title_of(made)}, {count(len(made.charts), 'chart')}{played}, {len(data):,} bytes"
    write_output(output, data, f"{safe(output)}: {safe(about)}")
    if output != STDOUT:
        next_step(f"open {shlex.quote(str(output))}" + ("" if is_picture else " in a browser"))


def _write_charts(made: Report, folder: Path) -> None:
    from townlet_core.io import write_file
    from townlet_core.report.png import chart_image
    from townlet_core.report.png import png as to_png

    for chart in made.charts:
        write_file(folder / f"{chart.name}.png", to_png(chart_image(chart)))
    if made.charts:
        out.print(f"{safe(folder)}: {count(len(made.charts), 'picture')}")
