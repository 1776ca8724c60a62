"""`townlet scenario`: list the bundled scenarios, show one, validate files, begin a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import count, next_step, out, print_json, safe, table, warn
from townlet_cli.scenario_new import new, schema
from townlet_core.errors import MissingFileError, ScenarioError, TownletError

if TYPE_CHECKING:
    from townlet_core.scenario.model import Meeting, Scenario

scenario_app = typer.Typer(help="List, show, validate and create scenarios.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@scenario_app.command("list")
def list_scenarios(json: Json = False) -> None:
    """List the scenarios that come with Townlet."""
    from townlet_core.scenario.catalogue import bundled_scenarios
    from townlet_core.scenario.load import load_scenario

    loaded = []
    for path in bundled_scenarios().values():
        try:
            loaded.append(load_scenario(path))
        except ScenarioError as error:  # one that somebody is editing must not hide the others
            for line in str(error).splitlines():
                warn(line)
    if json:
        print_json({"scenarios": [_summary(scenario) for scenario in loaded]})
        return
    overview = table("", "scenario", "ticks", "agents", "objects")
    overview.add_column("description")
    for scenario in loaded:
        row = _summary(scenario)
        overview.add_row(*(safe(row[key]) for key in ("name", "ticks", "agents", "objects", "description")))
    out.print(overview)
    next_step("townlet scenario show queue_conflict")


@scenario_app.command("show")
def show_scenario(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A bundled scenario, or a YAML file.")],
    json: Json = False,
) -> None:
    """Draw the town of a scenario and list its agents."""
    from townlet_core.render.scene import opening_scene
    from townlet_core.render.text import agent_marks, draw_text, object_marks
    from townlet_core.scenario.load import load_scenario, scenario_sha256

    scenario = load_scenario(name)
    if json:
        print_json({"sha256": scenario_sha256(scenario), "scenario": scenario.model_dump(mode="json")})
        return
    width, height = scenario.size
    out.print(f"[bold]{safe(scenario.name)}[/bold]  {safe(_summary(scenario)['description'])}".rstrip())
    out.print(f"{count(scenario.ticks, 'tick')}, {width} × {count(height, 'tile')}, seed {scenario.seed}\n")
    scene = opening_scene(scenario)
    for row in draw_text(scene):
        out.print(safe(row))
    for kind, mark in object_marks(scene).items():
        ids = ", ".join(thing.id for thing in scenario.objects if thing.kind == kind)
        out.print(f"  {safe(mark)}  {safe(kind)}: {safe(ids)}")
    _print_agents(scenario, agent_marks(scene))
    _print_jobs(scenario)
    _print_perturbations(scenario)
    _print_expectations(scenario)


@scenario_app.command("validate")
def validate_scenarios(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="YAML files, or bundled names.")],
    json: Json = False,
) -> None:
    """Check scenario files and print every mistake of every file; exits 2 if there are any."""
    reports, missing = [], 0
    for file in files:
        try:
            reports.append(_validate(file))
        except TownletError as error:  # this file cannot be opened; the others are still checked
            missing += isinstance(error, MissingFileError)
            reports.append({"file": file, "valid": False, "mistakes": [_whole_file(error)]})
    bad = sum(not report["valid"] for report in reports)
    if json:
        print_json({"valid": bad == 0, "files": reports})
    else:
        _print_reports(reports)
    if bad:
        mistakes = sum(len(report["mistakes"]) for report in reports)
        message = (
            f"{bad} of {count(len(files), 'scenario file')} not usable, {count(mistakes, 'mistake')} in all"
        )
        hint = "the keys and their ranges: townlet docs scenarios#every-key"
        raise (MissingFileError if bad == missing else ScenarioError)(message, hint)


scenario_app.command()(new)
scenario_app.command()(schema)


def _summary(scenario: Scenario) -> dict[str, Any]:
    return {
        "name": scenario.name,
        "ticks": scenario.ticks,
        "agents": len(scenario.agents),
        "objects": len(scenario.objects),
        "description": " ".join(scenario.description.split()),
    }


def _print_agents(scenario: Scenario, marks: dict[str, str]) -> None:
    from townlet_core.scenario.once_per_need import per_need
    from townlet_core.vocab import NEEDS

    if not scenario.agents:
        return
    agents = table("\nAgents", "", "id", "at", *NEEDS, "wallet", "job", "lives by")
    for agent in scenario.agents:
        figures = (f"{n:g}" for n in (*per_need(agent.needs), agent.wallet))
        way = f"a schedule of {len(agent.schedule)}" if agent.schedule else "its needs"
        at = "{},{}".format(*agent.position)
        agents.add_row(marks[agent.id], safe(agent.id), at, *figures, safe(agent.job or "–"), way)
    out.print(agents)


def _print_jobs(scenario: Scenario) -> None:
    if not scenario.jobs:
        return
    jobs = table("\nJobs", "job", "workplace", "from tick", "to tick", "wage per tick", "lateness penalty")
    for name, job in scenario.jobs.items():
        figures = (f"{n:g}" for n in (job.start_tick, job.end_tick, job.wage_rate, job.lateness_penalty))
        jobs.add_row(safe(name), safe(job.workplace), *figures)
    out.print(jobs)


def _print_perturbations(scenario: Scenario) -> None:
    rows = [
        *(("outage", outage.kind or f"all {outage.utility}", outage) for outage in scenario.outages),
        *(("price spike", f"{spike.kind} × {spike.factor:g}", spike) for spike in scenario.price_spikes),
        *(("meeting", _meeting_words(meeting), meeting) for meeting in scenario.meetings),
    ]
    if not rows:
        return
    perturbations = table("\nPerturbations", "what", "of", "from tick", "for ticks", "probability")
    for kind, target, row in rows:
        start = " to ".join(str(end) for end in dict.fromkeys(row.start_range))
        perturbations.add_row(kind, safe(target), start, str(row.duration_ticks), f"{row.probability:g}")
    out.print(perturbations)


def _meeting_words(meeting: Meeting) -> str:
    where = meeting.place if isinstance(meeting.place, str) else "{},{}".format(*meeting.place)
    return f"{', '.join(meeting.agents) or 'everybody'} at {where}"


def _print_expectations(scenario: Scenario) -> None:
    if not scenario.expect:
        return
    expectations = table("\nExpected of a capture", "metric", "least", "most")
    for metric, ends in scenario.expect.items():
        expectations.add_row(safe(metric), *("–" if end is None else f"{end:g}" for end in ends))
    out.print(expectations)


def _validate(file: str) -> dict[str, Any]:
    """Check one file and report its content, or its mistakes."""
    from townlet_core.scenario.catalogue import find_scenario
    from townlet_core.scenario.load import read_scenario, scenario_sha256

    path = find_scenario(file)
    scenario, mistakes = read_scenario(path)
    report: dict[str, Any] = {"file": str(path), "valid": scenario is not None}
    if scenario is not None:
        report |= _summary(scenario) | {"sha256": scenario_sha256(scenario)}
    return report | {"mistakes": [m._asdict() | {"text": m.text(str(path))} for m in mistakes]}


def _whole_file(error: TownletError) -> dict[str, Any]:
    """Report a file that cannot be opened as one mistake without a line."""
    return {"line": 0, "column": 0, "path": "", "message": str(error), "text": str(error)}


def _print_reports(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        for mistake in report["mistakes"]:
            out.print(safe(mistake["text"]))
        if report["valid"]:
            counts = f"ticks {report['ticks']}, agents {report['agents']}, objects {report['objects']}"
            out.print(f"{safe(report['file'])}: [green]valid[/green], {counts}")
