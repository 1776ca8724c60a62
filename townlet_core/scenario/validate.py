"""What must hold between the values of a scenario, beyond the type and range of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from townlet_core.errors import count, did_you_mean
from townlet_core.scenario.metrics import AGENT_METRICS, TOWN_METRICS
from townlet_core.scenario.model import VERBS, Job, Kind, ObjectSpec, Scenario
from townlet_core.scenario.values import MAX_SIDE
from townlet_core.vocab import KIND_FEATURES
from townlet_core.yaml.tree import MAX_MISTAKES, Path, quoted

NOT_AT_WORK = ("effects", "cost", "stock", "supplies", "is_meal", "completion_event")

Found = Iterator[tuple[Path, str]]
Tile = tuple[int, int]


class Floor(NamedTuple):
    """The floor plan, worked out once."""

    width: int
    height: int
    walls: frozenset[Tile]

    def refusal(self, tile: Tile) -> str:
        """Say why nothing can stand on `tile`; empty if something can."""
        if not (0 <= tile[0] < self.width and 0 <= tile[1] < self.height):
            inside = f"x from 0 to {self.width - 1} and y from 0 to {self.height - 1}"
            return f"tile {list(tile)} is outside the grid, expected {inside}"
        return f"tile {list(tile)} is a wall, expected floor" if tile in self.walls else ""


def check_scenario(scenario: Scenario) -> list[tuple[Path, str]]:
    """Return (path, message) for every mistake between the values of `scenario`, at most MAX_MISTAKES."""
    return list(islice(_check_all(scenario), MAX_MISTAKES))


def _check_all(scenario: Scenario) -> Found:
    grid = list(_check_grid(scenario))
    yield from grid
    yield from _check_ids(scenario)
    yield from _check_tiles(scenario)
    yield from _check_kinds(scenario)
    yield from _check_workplaces(scenario)
    yield from _check_jobs(scenario)
    yield from _check_shifts(scenario)
    yield from _check_perturbations(scenario)
    yield from _check_schedules(scenario)
    yield from _check_ranges(scenario)
    if not grid:  # places can be judged only on a floor plan that makes sense
        floor = Floor(*scenario.size, scenario.walls)
        yield from _check_places(scenario, floor)
        yield from _check_access(scenario, floor)
        yield from _check_goals(scenario, floor)


def _check_grid(scenario: Scenario) -> Found:
    """Exactly one of size and layout; a layout is a rectangle of at most MAX_SIDE × MAX_SIDE."""
    size, layout = scenario.grid.size, scenario.grid.layout
    if size is not None and layout is not None:
        yield ("grid",), "found both size and layout, expected one of them"
    elif layout is not None:
        yield from _check_layout(layout)
    elif size is None:
        is_empty = (
            "layout" in scenario.grid.model_fields_set
        )  # such as `layout:` without `|`: # is a comment then
        yield (
            ("grid", "layout") if is_empty else ("grid",),
            "found nothing, expected a drawing: its rows, indented below 'layout: |'"
            if is_empty
            else "found neither size nor layout, expected one of them",
        )


def _check_layout(layout: str) -> Found:
    rows = layout.splitlines()
    width = max((len(row) for row in rows), default=0)
    if not width:
        yield ("grid", "layout"), "found an empty drawing, expected rows of tiles, indented below 'layout: |'"
        return
    if not 1 <= len(rows) <= MAX_SIDE or not 1 <= width <= MAX_SIDE:
        drawn = f"{width:,} × {len(rows):,}"
        yield (
            ("grid", "layout"),
            f"found a drawing of {drawn} tiles, expected 1 to {MAX_SIDE} along each edge",
        )
        return
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            found = f"row {number} has {count(len(row), 'tile')}, row 1 has {len(rows[0])}"
            yield ("grid", "layout", number - 1), f"{found}; expected all rows to be equally long"


def _check_ids(scenario: Scenario) -> Found:
    """An object and an agent may share an id; two of the same sort may not."""
    if not scenario.name.strip("."):
        yield ("name",), f"found '{scenario.name}', expected more than dots: folders are called by it"
    groups = {"objects": [o.id for o in scenario.objects], "agents": [a.id for a in scenario.agents]}
    for group, ids in groups.items():
        first: dict[str, int] = {}
        for index, name in enumerate(ids):
            if name in first:
                yield (group, index, "id"), f"'{name}' is already the id of {group}[{first[name]}]"
            first.setdefault(name, index)


def _check_tiles(scenario: Scenario) -> Found:
    """Objects and agents each need a tile of their own."""
    taken: dict[Tile, str] = {}
    for path, position, who in _placed(scenario):
        if position in taken:
            yield path, f"tile {list(position)} is already taken by {taken[position]}"
        taken.setdefault(position, who)


def _check_kinds(scenario: Scenario) -> Found:
    """Every kind that is named exists."""
    named: list[tuple[Path, str]] = [
        *((("objects", i, "kind"), thing.kind) for i, thing in enumerate(scenario.objects)),
        *(
            (("kinds", name, "supplies"), kind.supplies)
            for name, kind in scenario.kinds.items()
            if kind.supplies
        ),
        *((("outages", i, "kind"), outage.kind) for i, outage in enumerate(scenario.outages) if outage.kind),
        *((("price_spikes", i, "kind"), spike.kind) for i, spike in enumerate(scenario.price_spikes)),
    ]
    known = list(scenario.all_kinds)
    for path, kind in named:
        if kind not in known:
            yield path, f"unknown kind '{kind}'{did_you_mean(kind, known)}"
    columns = Counter(scenario.feature_names)
    for kind in scenario.kinds:
        if any(columns[f"{kind}_{word}"] > 1 for word in KIND_FEATURES):
            yield ("kinds", kind), f"'{kind}' is what features of the town begin with, expected another name"


def _check_workplaces(scenario: Scenario) -> Found:
    """What plays no part at a workplace is not said of one."""
    for name, kind in scenario.kinds.items():
        for word in NOT_AT_WORK if kind.is_work else ():
            if getattr(kind, word) != Kind.model_fields[word].default:
                message = "plays no part where is_work is true: work goes on for as long as the shift lasts"
                yield ("kinds", name, word), message
    for index, thing in enumerate(scenario.objects):
        at_work = thing.kind in scenario.all_kinds and scenario.all_kinds[thing.kind].is_work
        if at_work and thing.stock is not None:
            yield ("objects", index, "stock"), f"'{thing.id}' is a workplace, which has no stock"


def _check_perturbations(scenario: Scenario) -> Found:
    """What befalls the town starts in order and finds what it is about."""
    kinds = scenario.all_kinds
    for sort in ("outages", "price_spikes", "meetings"):
        for index, perturbation in enumerate(getattr(scenario, sort)):
            earliest, latest = perturbation.start_range
            if earliest > latest:
                message = f"found [{earliest}, {latest}], expected the earliest first, then the latest"
                yield (sort, index, "start_tick"), message
    in_town = {kinds[thing.kind].utility for thing in scenario.objects if thing.kind in kinds}
    for index, outage in enumerate(scenario.outages):
        if (outage.kind is None) == (outage.utility is None):
            found = "neither kind nor utility" if outage.kind is None else "both kind and utility"
            yield ("outages", index), f"found {found}, expected one of them"
        elif outage.utility and outage.utility not in in_town:
            message = f"nothing in town needs {outage.utility}: give its kind utility: {outage.utility}"
            yield ("outages", index, "utility"), message
    for index, spike in enumerate(scenario.price_spikes):
        if spike.kind in kinds and kinds[spike.kind].cost == 0:
            yield (
                ("price_spikes", index, "kind"),
                f"a {spike.kind} costs nothing, so it has no price to change",
            )
    yield from _check_invitations(scenario)


def _check_invitations(scenario: Scenario) -> Found:
    objects = [thing.id for thing in scenario.objects]
    agents = [agent.id for agent in scenario.agents]
    for index, meeting in enumerate(scenario.meetings):
        path: Path = ("meetings", index)
        if isinstance(meeting.place, str) and meeting.place not in objects:
            message = f"unknown object '{meeting.place}'{did_you_mean(meeting.place, objects)}"
            yield (*path, "place"), message
        for place, name in enumerate(meeting.agents):
            if name not in agents:
                message = f"unknown agent '{name}'{did_you_mean(name, agents)}"
                yield (*path, "agents", place), message
            elif name in meeting.agents[:place]:
                yield (*path, "agents", place), f"'{name}' is invited twice"
        if len(meeting.agents) == 1:
            yield (*path, "agents"), "found one agent, expected at least two, or none to invite everybody"


def _check_jobs(scenario: Scenario) -> Found:
    """Jobs are at an object one can work at, within a day; agents have jobs that exist."""
    kinds = {thing.id: thing.kind for thing in scenario.objects}
    day = scenario.rules.ticks_per_day
    for name, job in scenario.jobs.items():
        if job.workplace not in kinds:
            message = f"unknown object '{job.workplace}'{did_you_mean(job.workplace, list(kinds))}"
            yield ("jobs", name, "workplace"), message
        elif (kind := scenario.all_kinds.get(kinds[job.workplace])) and not kind.is_work:
            message = f"object '{job.workplace}' is a {kinds[job.workplace]}, expected a kind with is_work"
            yield ("jobs", name, "workplace"), message
        if job.end_tick <= job.start_tick:
            message = f"found {job.end_tick}, expected more than start_tick ({job.start_tick})"
            yield ("jobs", name, "end_tick"), message
        if job.end_tick > day:
            yield ("jobs", name, "end_tick"), f"found {job.end_tick}, expected at most ticks_per_day ({day})"
    for index, agent in enumerate(scenario.agents):
        if agent.job is not None and agent.job not in scenario.jobs:
            message = f"unknown job '{agent.job}'{did_you_mean(agent.job, list(scenario.jobs))}"
            yield ("agents", index, "job"), message


def _check_shifts(scenario: Scenario) -> Found:
    """One at a time works at a workplace: a second agent there would be absent, day after day."""
    hired: list[tuple[str, Job]] = []
    for index, agent in enumerate(scenario.agents):
        job = scenario.jobs.get(agent.job or "")
        if job is None:
            continue
        for name, other in hired:
            is_apart = job.end_tick <= other.start_tick or other.end_tick <= job.start_tick
            if other.workplace == job.workplace and not is_apart:
                found = f"works at '{job.workplace}' from {job.start_tick} to {job.end_tick}"
                taken = f"as '{name}' does from {other.start_tick} to {other.end_tick}"
                yield ("agents", index, "job"), f"{found}, {taken}; expected one at a time"
                break
        hired.append((agent.id, job))


def _check_schedules(scenario: Scenario) -> Found:
    """Every entry has one verb, and that verb a target that exists."""
    objects = {thing.id: "object" for thing in scenario.objects}
    agents = {agent.id: "agent" for agent in scenario.agents}
    for index, agent in enumerate(scenario.agents):
        for step, entry in enumerate(agent.schedule):
            path: Path = ("agents", index, "schedule", step)
            said = {verb: target for verb, target in entry if verb in VERBS and target is not None}
            if len(said) != 1:
                found = " and ".join(said) or "none"
                yield path, f"found {found}, expected exactly one of {', '.join(VERBS)}"
            for verb, target in said.items():
                sort, known = ("agent", agents) if verb == "chat" else ("object", objects)
                if isinstance(target, str) and target not in known:
                    yield (*path, verb), f"unknown {sort} '{target}'{did_you_mean(target, list(known))}"
            if entry.chat == agent.id:
                yield (*path, "chat"), f"'{agent.id}' would chat with itself, expected another agent"


def _check_places(scenario: Scenario, floor: Floor) -> Found:
    """Everything stands inside the grid, and nothing in a wall."""
    bare = floor._replace(walls=frozenset())  # a wall may be both drawn and listed
    for index, tile in enumerate(scenario.grid.walls):
        if refusal := bare.refusal(tile):
            yield ("grid", "walls", index), refusal
    for path, position, _ in _placed(scenario):
        if refusal := floor.refusal(position):
            yield path, refusal


def _check_access(scenario: Scenario, floor: Floor) -> Found:
    """Every object has a free tile beside it, at which no request is meant for one that is listed before."""
    taken = {thing.position for thing in scenario.objects}
    earlier: dict[Tile, ObjectSpec] = {}  # what everybody may ask for, by the tiles beside it
    for index, thing in enumerate(scenario.objects):
        x, y = thing.position
        beside = ((x, y - 1), (x + 1, y), (x, y + 1), (x - 1, y))
        free = [tile for tile in beside if tile not in taken and not floor.refusal(tile)]
        message = ""
        if not free:
            message = f"nobody can reach object '{thing.id}': walls, objects or the edge on all four sides"
        elif all(tile in earlier and earlier[tile].kind != thing.kind for tile in free):
            first = earlier[free[0]].id
            message = (
                f"'{first}' takes the requests for '{thing.id}': it is beside as well, and listed before"
            )
        if message:
            yield ("objects", index, "position"), message
        kind = scenario.all_kinds.get(thing.kind)
        if kind and not kind.is_work:
            for tile in free:
                earlier.setdefault(tile, thing)


def _check_goals(scenario: Scenario, floor: Floor) -> Found:
    """A tile to move to, or to meet at, is one that an agent can stand on."""
    objects = {thing.position: thing.id for thing in scenario.objects}
    goals: list[tuple[Path, Tile | str | None]] = [
        (("agents", index, "schedule", step, "move"), entry.move)
        for index, agent in enumerate(scenario.agents)
        for step, entry in enumerate(agent.schedule)
    ]
    goals += [
        (("meetings", index, "place"), meeting.place) for index, meeting in enumerate(scenario.meetings)
    ]
    for path, tile in goals:
        if not isinstance(tile, tuple):
            continue
        message = floor.refusal(tile)
        if not message and tile in objects:
            beside = f"to go beside it: {path[-1]}: {objects[tile]}"
            message = f"tile {list(tile)} is taken by object '{objects[tile]}'; {beside}"
        if message:
            yield path, message


def _check_ranges(scenario: Scenario) -> Found:
    """The lower end of a range is not above the upper, and what is expected is something a capture counts."""
    agents = {agent.id for agent in scenario.agents}
    for metric, (least, most) in scenario.expect.items():
        if unknown := _unknown_metric(metric, agents):
            yield ("expect", metric), unknown
        if least is not None and most is not None and least > most:
            yield ("expect", metric), f"found [{least:g}, {most:g}], expected the least first, then the most"
    rules = scenario.rules
    if rules.day_start_tick >= rules.ticks_per_day:
        message = f"found {rules.day_start_tick}, expected less than ticks_per_day ({rules.ticks_per_day})"
        yield ("rules", "day_start_tick"), message
    low, high = rules.conflict.intensity_min, rules.conflict.intensity_max
    if low > high:
        yield (
            ("rules", "conflict", "intensity_min"),
            f"found {low:g}, expected at most intensity_max ({high:g})",
        )
    grace, cutoff = rules.employment.grace_ticks, rules.employment.absent_cutoff
    if cutoff < grace:
        yield (
            ("rules", "employment", "absent_cutoff"),
            f"found {cutoff}, expected at least grace_ticks ({grace})",
        )


def _unknown_metric(metric: str, agents: set[str]) -> str:
    """Say that a capture has no such total; empty if it has. An agent's id may hold dots itself."""
    name, dot, own = metric.rpartition(".")
    if metric in TOWN_METRICS or (name in agents and own in AGENT_METRICS):
        return ""
    if dot and name not in agents:
        return f"unknown agent '{name}'{did_you_mean(name, sorted(agents))}"
    if metric in AGENT_METRICS:
        return f"unknown metric '{metric}', expected the agent before it, as in 'ID.{metric}'"
    if own in TOWN_METRICS:
        return f"unknown metric '{metric}', expected '{own}': it belongs to the town"
    return f"unknown metric {quoted(metric)}{did_you_mean(own, AGENT_METRICS if dot else TOWN_METRICS)}"


def _placed(scenario: Scenario) -> Iterator[tuple[Path, Tile, str]]:
    """Yield path, tile and description of every object, then of every agent."""
    for index, thing in enumerate(scenario.objects):
        yield ("objects", index, "position"), thing.position, f"object '{thing.id}'"
    for index, agent in enumerate(scenario.agents):
        yield ("agents", index, "position"), agent.position, f"agent '{agent.id}'"
