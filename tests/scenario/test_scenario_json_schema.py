"""The schema for editors accepts what loads, and refuses what has a mistake of form."""

import json

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.json_schema import scenario_schema
from townlet_core.scenario.load import load_scenario
from townlet_core.scenario.model import VERBS, Scenario
from townlet_core.scenario.template import TEMPLATE

SCHEMA = scenario_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
FILES = [*bundled_scenarios().values(), TEMPLATE]


def small(**changes):
    """A scenario of few keys, as YAML is read; `changes` replace top-level keys."""
    return {
        "name": "demo",
        "ticks": 10,
        "grid": {"size": [6, 5]},
        "objects": [{"id": "wash", "kind": "shower", "position": [1, 1]}],
        "agents": [{"id": "anna", "position": [0, 0], "schedule": [{"request": "wash"}]}],
        **changes,
    }


def agent(**changes):
    return {"agents": [{"id": "anna", "position": [0, 0], **changes}]}


def test_the_schema_is_one_and_names_its_draft():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_scenario_that_comes_with_townlet_fits_the_schema(file):
    VALIDATOR.validate(YAML(typ="safe").load(file.read_text()))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_a_scenario_with_all_its_defaults_written_out_fits_the_schema(file):
    VALIDATOR.validate(json.loads(load_scenario(file).model_dump_json()))


def test_every_block_refuses_unknown_keys_and_describes_its_known_ones():
    for name, block in {"": SCHEMA, **SCHEMA["$defs"]}.items():
        assert block["additionalProperties"] is False, name
        assert all(key["description"] for key in block["properties"].values()), name
    assert SCHEMA["required"] == [key for key, field in Scenario.model_fields.items() if field.is_required()]


def test_an_editor_can_offer_the_built_in_kinds_and_the_events():
    assert "shower" in SCHEMA["$defs"]["ObjectSpec"]["properties"]["kind"]["examples"]
    assert "sleep_complete" in SCHEMA["$defs"]["Kind"]["properties"]["completion_event"]["enum"]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_alone_makes_a_schedule_entry(verb):
    target = {"wait": 3, "release": True}.get(verb, "anna")
    VALIDATOR.validate(small(**agent(schedule=[{verb: target, "max_ticks": 9}])))


@pytest.mark.parametrize(
    "wrong",
    [
        {"tiks": 10},
        {"name": "de mo"},
        {"name": "x" * 65},
        {"ticks": "10"},
        {"ticks": 0},
        {"ticks": 1.5},
        {"ticks": True},
        {"seed": 2**63},
        {"grid": {}},
        {"grid": {"size": [6, 5], "layout": "......"}},
        {"grid": {"size": None}},
        {"grid": {"size": [6]}},
        {"grid": {"size": [6, 5, 4]}},
        {"grid": {"size": [6, 129]}},
        {"objects": {}},
        {"objects": [{"id": "wash", "kind": "shower"}]},
        {"objects": [{"id": "wash", "kind": "shower", "position": [0, 128]}]},
        {"objects": [{"id": f"o{i}", "kind": "bed", "position": [0, 0]} for i in range(129)]},
        agent(wallet=-1),
        agent(needs={"hunger": 1.1}),
        agent(needs={"hungr": 1}),
        agent(schedule=[{}]),
        agent(schedule=[{"max_ticks": 3}]),
        agent(schedule=[{"wait": 3, "release": True}]),
        agent(schedule=[{"release": False}]),
        {"kinds": {"a b": {"affordance": "x", "duration_ticks": 3}}},
        {"kinds": {"oven": {"affordance": "x"}}},
        {"kinds": {"oven": {"affordance": "x", "duration_ticks": 3, "completion_event": "done"}}},
        {"jobs": {"clerk": {"workplace": "wash", "start_tick": 3}}},
        {"outages": [{"kind": "bed", "start_tick": -1, "duration_ticks": 3}]},
        {"rules": {"epsilon": 2}},
        {"rules": {"queues": {"patience": 3}}},
        {"rewards": {"clip_per_tick": 0}},
        {"expect": {"faint_events": [1]}},
    ],
    ids=str,
)
def test_a_mistake_of_form_does_not_fit_the_schema(wrong):
    assert VALIDATOR.is_valid(small())
    assert not VALIDATOR.is_valid(small(**wrong))
