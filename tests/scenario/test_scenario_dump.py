"""A scenario that is written out is read back as the very same."""

import json

import pytest
from reference.scenarios import random_scenario

from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.dump import dump_scenario
from townlet_core.scenario.load import (
    load_scenario,
    load_with_text,
    parse_scenario,
    scenario_sha256,
    with_placeholder_agents,
)
from townlet_core.scenario.model import Grid, Scenario
from townlet_core.yaml.tree import parse_document


def read_back(scenario):
    """Dump, parse and compare; returns the text."""
    text = dump_scenario(scenario)
    again, mistakes = parse_scenario(text)
    assert mistakes == []
    assert scenario_sha256(again) == scenario_sha256(scenario)
    return text


@pytest.mark.parametrize("name", bundled_scenarios())
def test_every_bundled_scenario_survives(name):
    read_back(load_scenario(name))


@pytest.mark.parametrize("seed", range(40))
def test_random_scenarios_survive(seed):
    scenario = random_scenario(seed)  # built in Python, some say what a file may not say
    root, mistakes = parse_document(dump_scenario(scenario).decode())
    again = Scenario.model_validate_json(json.dumps(root.plain()), strict=True)
    assert (mistakes, scenario_sha256(again)) == ([], scenario_sha256(scenario))


def test_placeholder_agents_are_in_what_is_written(tmp_path):
    empty = Scenario(name="empty", ticks=5, grid=Grid(size=(4, 2)))
    assert b'"alice"' in read_back(with_placeholder_agents(empty))


@pytest.mark.parametrize(
    "text", ['a "quoted" \\ text', "two\n  lines\n", "\u2028é\x85\x7f", "😀: - #", "null", ""]
)
def test_any_text_survives(text):
    read_back(Scenario(name="7", description=text, ticks=5, grid=Grid(layout=".. \n .#\n...")))


def test_the_text_of_a_file_comes_with_its_scenario(tmp_path):
    data = b"\xef\xbb\xbfname: corner # a comment\nticks: 5\ngrid: {size: [4, 2]}\n"
    (tmp_path / "corner.yaml").write_bytes(data)
    scenario, text = load_with_text(tmp_path / "corner.yaml")
    assert (scenario.name, text) == ("corner", data)
