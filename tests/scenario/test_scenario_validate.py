"""What types cannot say about a scenario is said by check_scenario."""

# ruff: noqa: E501  (a message is easier to compare with its cause on one line)

import pytest

from townlet_core.scenario.load import read_scenario
from townlet_core.scenario.model import Scenario
from townlet_core.scenario.validate import check_scenario
from townlet_core.yaml.tree import path_text


def town(**changes):
    """A 6 × 5 town with a shower, a till, a clerk and a visitor; `changes` replace top-level keys."""
    base = {
        "name": "demo",
        "ticks": 10,
        "grid": {"size": (6, 5), "walls": [(0, 2)]},
        "objects": [
            {"id": "wash", "kind": "shower", "position": (1, 1)},
            {"id": "till", "kind": "checkout", "position": (4, 1)},
        ],
        "agents": [
            {"id": "anna", "position": (0, 0), "job": "clerk"},
            {"id": "ben", "position": (5, 4)},
        ],
        "jobs": {"clerk": {"workplace": "till", "start_tick": 1, "end_tick": 9}},
    }
    return Scenario.model_validate({**base, **changes})


def found(**changes):
    return [f"{path_text(path)}: {message}" for path, message in check_scenario(town(**changes))]


def scheduled(*entries):
    return {
        "agents": [
            {"id": "anna", "position": (0, 0), "schedule": list(entries)},
            {"id": "ben", "position": (5, 4)},
        ]
    }


def test_a_town_without_mistakes_has_none():
    assert found() == []
    assert found(grid={"layout": "......\n......\n#.....\n......\n......\n"}) == []


@pytest.mark.parametrize(
    ("grid", "line"),
    [
        ({}, "grid: found neither size nor layout, expected one of them"),
        ({"size": (6, 5), "layout": "......"}, "grid: found both size and layout, expected one of them"),
        ({"layout": "......\n.....\n"}, "grid.layout[1]: row 2 has 5 tiles, row 1 has 6; expected all rows to be equally long"),
        ({"layout": ""}, "grid.layout: found an empty drawing, expected rows of tiles, indented below 'layout: |'"),
        ({"layout": "\n\n"}, "grid.layout: found an empty drawing, expected rows of tiles, indented below 'layout: |'"),
        ({"layout": None}, "grid.layout: found nothing, expected a drawing: its rows, indented below 'layout: |'"),
        ({"layout": "." * 100_000}, "grid.layout: found a drawing of 100,000 × 1 tiles, expected 1 to 128 along each edge"),
        ({"layout": ".\n" * 129}, "grid.layout: found a drawing of 1 × 129 tiles, expected 1 to 128 along each edge"),
    ],
)  # fmt: skip
def test_a_floor_plan_is_one_rectangle_of_bounded_size(grid, line):
    assert found(grid=grid) == [line]


@pytest.mark.parametrize(
    ("grid", "lines"),
    [
        ({"size": (6, 4)}, ["agents[1].position: tile [5, 4] is outside the grid, expected x from 0 to 5 and y from 0 to 3"]),
        ({"size": (6, 5), "walls": [(6, 0)]}, ["grid.walls[0]: tile [6, 0] is outside the grid, expected x from 0 to 5 and y from 0 to 4"]),
        ({"size": (6, 5), "walls": [(1, 1)]}, ["objects[0].position: tile [1, 1] is a wall, expected floor"]),
        ({"layout": "#.....\n" + "......\n" * 4}, ["agents[0].position: tile [0, 0] is a wall, expected floor"]),
    ],
)  # fmt: skip
def test_everything_stands_on_floor_inside_the_grid(grid, lines):
    assert found(grid=grid) == lines


def test_two_things_on_one_tile_are_a_mistake_of_the_second():
    objects = [{"id": i, "kind": "bench", "position": (1, 1)} for i in ("a", "b")]
    agents = [
        {"id": "anna", "position": (1, 1)},
        {"id": "ben", "position": (2, 2)},
        {"id": "cy", "position": (2, 2)},
    ]
    assert found(objects=objects, agents=agents, jobs={}) == [
        "objects[1].position: tile [1, 1] is already taken by object 'a'",
        "agents[0].position: tile [1, 1] is already taken by object 'a'",
        "agents[2].position: tile [2, 2] is already taken by agent 'ben'",
    ]


def test_ids_repeat_only_between_objects_and_agents():
    objects = [{"id": i, "kind": "bench", "position": (n, 3)} for n, i in enumerate("aba")]
    agents = [{"id": i, "position": (n, 0)} for n, i in enumerate("bcc")]
    assert found(objects=objects, agents=agents, jobs={}) == [
        "objects[2].id: 'a' is already the id of objects[0]",
        "agents[2].id: 'c' is already the id of agents[1]",
    ]


def test_an_object_closed_in_on_all_four_sides_cannot_be_reached():
    objects = [
        {"id": "a", "kind": "bench", "position": (0, 0)},
        {"id": "b", "kind": "bench", "position": (1, 0)},
    ]
    line = "objects[0].position: nobody can reach object 'a': walls, objects or the edge on all four sides"
    assert found(grid={"size": (6, 5), "walls": [(0, 1)]}, objects=objects, agents=[], jobs={}) == [line]
    assert found(grid={"size": (6, 5)}, objects=objects, agents=[], jobs={}) == []


def test_kinds_exist_wherever_they_are_named():
    oven = {"affordance": "bake", "duration_ticks": 5, "supplies": "frige"}
    objects = [
        {"id": "till", "kind": "checkout", "position": (4, 1)},
        {"id": "o", "kind": "ovenn", "position": (1, 1)},
    ]
    outages = [
        {"kind": "oven", "start_tick": 1, "duration_ticks": 1},
        {"kind": "zz", "start_tick": 1, "duration_ticks": 1},
    ]
    assert found(kinds={"oven": oven}, objects=objects, outages=outages) == [
        "objects[1].kind: unknown kind 'ovenn' (did you mean 'oven'?)",
        "kinds.oven.supplies: unknown kind 'frige' (did you mean 'fridge'?)",
        "outages[1].kind: unknown kind 'zz'",
    ]


@pytest.mark.parametrize(
    ("job", "line"),
    [
        ({"workplace": "til"}, "jobs.clerk.workplace: unknown object 'til' (did you mean 'till'?)"),
        (
            {"workplace": "wash"},
            "jobs.clerk.workplace: object 'wash' is a shower, expected a kind with is_work",
        ),
        ({"end_tick": 1}, "jobs.clerk.end_tick: found 1, expected more than start_tick (1)"),
        ({"end_tick": 1441}, "jobs.clerk.end_tick: found 1441, expected at most ticks_per_day (1440)"),
    ],
)
def test_a_job_is_at_a_workplace_within_the_day(job, line):
    assert found(jobs={"clerk": {"workplace": "till", "start_tick": 1, "end_tick": 9, **job}}) == [line]


def test_a_shift_may_end_with_the_day():
    assert found(jobs={"clerk": {"workplace": "till", "start_tick": 1, "end_tick": 1440}}) == []


def test_an_agent_has_a_job_that_exists():
    agents = [{"id": "anna", "position": (0, 0), "job": "clark"}]
    assert found(agents=agents) == ["agents[0].job: unknown job 'clark' (did you mean 'clerk'?)"]


def test_the_shifts_at_one_workplace_do_not_overlap():
    agents = [{"id": n, "position": (x, 0), "job": n} for x, n in enumerate(("early", "late", "noon"))]
    hours = {"early": (1, 9), "late": (9, 20), "noon": (8, 12)}
    jobs = {n: {"workplace": "till", "start_tick": a, "end_tick": z} for n, (a, z) in hours.items()}
    line = "agents[2].job: works at 'till' from 8 to 12, as 'early' does from 1 to 9; expected one at a time"
    assert found(agents=agents, jobs=jobs) == [line]
    assert found(agents=agents[:2], jobs=jobs) == []


def test_what_plays_no_part_at_a_workplace_is_a_mistake():
    desk = {
        "affordance": "work",
        "duration_ticks": 5,
        "is_work": True,
        "cost": 1,
        "effects": {"energy": -0.1},
    }
    objects = [{"id": "till", "kind": "checkout", "position": (4, 1), "stock": 3}]
    why = "plays no part where is_work is true: work goes on for as long as the shift lasts"
    assert found(kinds={"desk": desk}, objects=objects) == [
        f"kinds.desk.effects: {why}",
        f"kinds.desk.cost: {why}",
        "objects[0].stock: 'till' is a workplace, which has no stock",
    ]


WHEN = {"start_tick": 1, "duration_ticks": 1}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"outages": [WHEN]}, "outages[0]: found neither kind nor utility, expected one of them"),
        ({"outages": [{**WHEN, "kind": "bed", "utility": "water"}]}, "outages[0]: found both kind and utility, expected one of them"),
        ({"outages": [{**WHEN, "utility": "power"}]}, "outages[0].utility: nothing in town needs power: give its kind utility: power"),
        ({"outages": [{**WHEN, "kind": "bed", "start_tick": (5, 4)}]}, "outages[0].start_tick: found [5, 4], expected the earliest first, then the latest"),
        ({"price_spikes": [{**WHEN, "kind": "showr", "factor": 2}]}, "price_spikes[0].kind: unknown kind 'showr' (did you mean 'shower'?)"),
        ({"price_spikes": [{**WHEN, "kind": "bed", "factor": 2}]}, "price_spikes[0].kind: a bed costs nothing, so it has no price to change"),
        ({"meetings": [{**WHEN, "place": "wish"}]}, "meetings[0].place: unknown object 'wish' (did you mean 'wash'?)"),
        ({"meetings": [{**WHEN, "place": (0, 2)}]}, "meetings[0].place: tile [0, 2] is a wall, expected floor"),
        ({"meetings": [{**WHEN, "place": (1, 1)}]}, "meetings[0].place: tile [1, 1] is taken by object 'wash'; to go beside it: place: wash"),
        ({"meetings": [{**WHEN, "place": "wash", "agents": ["anna", "bem"]}]}, "meetings[0].agents[1]: unknown agent 'bem' (did you mean 'ben'?)"),
        ({"meetings": [{**WHEN, "place": "wash", "agents": ["anna", "anna"]}]}, "meetings[0].agents[1]: 'anna' is invited twice"),
        ({"meetings": [{**WHEN, "place": "wash", "agents": ["anna"]}]}, "meetings[0].agents: found one agent, expected at least two, or none to invite everybody"),
    ],
)  # fmt: skip
def test_a_perturbation_finds_what_it_is_about(changes, line):
    assert found(**changes) == [line]


def test_perturbations_that_make_sense_are_accepted():
    outages = [{**WHEN, "utility": "water", "probability": 0.5}, {**WHEN, "kind": "stove"}]
    spikes = [{**WHEN, "kind": "shower", "factor": 3, "start_tick": (2, 2)}]
    meetings = [{**WHEN, "place": "wash"}, {**WHEN, "place": (3, 3), "agents": ["anna", "ben"]}]
    assert found(outages=outages, price_spikes=spikes, meetings=meetings) == []


VERBS = "expected exactly one of move, request, start, release, chat, wait"


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({}, f": found none, {VERBS}"),
        ({"max_ticks": 3}, f": found none, {VERBS}"),
        ({"wait": 1, "release": True}, f": found release and wait, {VERBS}"),
        ({"request": "wish"}, ".request: unknown object 'wish' (did you mean 'wash'?)"),
        ({"start": "anna"}, ".start: unknown object 'anna'"),
        ({"move": "tilt"}, ".move: unknown object 'tilt' (did you mean 'till'?)"),
        ({"chat": "bem"}, ".chat: unknown agent 'bem' (did you mean 'ben'?)"),
        ({"chat": "anna"}, ".chat: 'anna' would chat with itself, expected another agent"),
        ({"move": (0, 2)}, ".move: tile [0, 2] is a wall, expected floor"),
        ({"move": (6, 0)}, ".move: tile [6, 0] is outside the grid, expected x from 0 to 5 and y from 0 to 4"),
        ({"move": (4, 1)}, ".move: tile [4, 1] is taken by object 'till'; to go beside it: move: till"),
    ],
)  # fmt: skip
def test_a_schedule_entry_has_one_verb_with_a_target_that_exists(entry, line):
    assert found(**scheduled({"wait": 1}, entry)) == [f"agents[0].schedule[1]{line}"]


@pytest.mark.parametrize(
    "entry",
    [{"move": (5, 4)}, {"move": "wash"}, {"chat": "ben"}, {"release": True}, {"wait": 3, "max_ticks": 2}],
)
def test_a_sensible_schedule_entry_is_accepted(entry):
    assert found(**scheduled(entry)) == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"expect": {"reward_max": (None, 1), "reward_sum": (2, 1.5)}}, "expect.reward_sum: found [2, 1.5], expected the least first, then the most"),
        ({"rules": {"ticks_per_day": 60, "day_start_tick": 60}}, "rules.day_start_tick: found 60, expected less than ticks_per_day (60)"),
        ({"rules": {"conflict": {"intensity_min": 6}}}, "rules.conflict.intensity_min: found 6, expected at most intensity_max (5)"),
        ({"rules": {"employment": {"grace_ticks": 31}}}, "rules.employment.absent_cutoff: found 30, expected at least grace_ticks (31)"),
    ],
)  # fmt: skip
def test_the_lower_end_of_a_range_is_not_above_the_upper(changes, line):
    assert found(**changes) == [line]


@pytest.mark.parametrize(
    ("metric", "line"),
    [
        ("fant_events", "unknown metric 'fant_events' (did you mean 'faint_events'?)"),
        ("anna.fant_events", "unknown metric 'anna.fant_events' (did you mean 'faint_events'?)"),
        ("ana.faint_events", "unknown agent 'ana' (did you mean 'anna'?)"),
        ("hunger_last", "unknown metric 'hunger_last', expected the agent before it, as in 'ID.hunger_last'"),
        (
            "anna.rivalry_peak",
            "unknown metric 'anna.rivalry_peak', expected 'rivalry_peak': it belongs to the town",
        ),
    ],
)
def test_what_is_expected_is_a_total_of_a_capture(metric, line):
    assert found(expect={metric: (1, 1), "faint_events": (0, 0), "anna.hunger_last": (0, 1)}) == [
        f"expect.{metric}: {line}"
    ]


def test_an_agent_whose_name_has_dots_has_metrics_like_any_other():
    agents = [{"id": "a.b", "position": (0, 0)}]
    assert found(agents=agents, expect={"a.b.reward_sum": (0, 1)}) == []


def test_a_name_of_dots_alone_would_be_another_folder():
    assert found(name="..") == ["name: found '..', expected more than dots: folders are called by it"]


@pytest.mark.parametrize("name", ["work", "meeting"])
def test_a_kind_whose_features_would_have_the_names_of_others_is_refused(name):
    kind = {"affordance": "look", "duration_ticks": 3}
    meetings = [{"place": (2, 3), "start_tick": 1, "duration_ticks": 2}]
    said = found(kinds={name: kind, "pond": kind}, meetings=meetings)
    assert said == [f"kinds.{name}: '{name}' is what features of the town begin with, expected another name"]


def test_an_object_that_every_request_beside_it_passes_over_is_refused():
    stove, fridge = (
        {"id": f"the_{kind}", "kind": kind, "position": at}
        for kind, at in (("stove", (0, 0)), ("fridge", (2, 0)))
    )
    lane = {"grid": {"size": (3, 1)}, "agents": [{"id": "anna", "position": (1, 0)}], "jobs": {}}
    assert found(**lane, objects=[stove, fridge]) == [
        "objects[1].position: 'the_stove' takes the requests for 'the_fridge': it is beside as well, and listed before"
    ]
    wider = {**lane, "grid": {"size": (4, 1)}}
    assert found(**wider, objects=[stove, {**fridge, "position": (3, 0)}]) == []
    assert found(**lane, objects=[stove, {**fridge, "kind": "stove"}]) == []  # one is as good as the other
    till = {"id": "till", "kind": "checkout", "position": (0, 0)}  # asked for only by those who work there
    assert found(**lane, objects=[till, fridge]) == []


def test_a_metric_that_is_unknown_is_told_on_one_line(tmp_path):
    (tmp_path / "s.yaml").write_text('name: x\nticks: 5\ngrid: {size: [2, 2]}\nexpect: {"\\n": [0, 1]}\n')
    _, [mistake] = read_scenario(tmp_path / "s.yaml")
    assert mistake.text("s.yaml") == "s.yaml:4:10: expect.'\\n': unknown metric '\\n'"
