"""docs/data.md names what the code names, in the same order."""

import ast
import dataclasses
import re
from pathlib import Path

from replay_samples import make_sample

from townlet_core.replay.format import ARRAYS
from townlet_core.replay.limits import ReadLimits
from townlet_core.replay.metadata import REQUIRED_KEYS
from townlet_core.vocab import (
    ACTION_LOOKUP,
    ACTIONS,
    KIND_FEATURES,
    MAP_CHANNELS,
    NEIGHBOUR_FEATURES,
    NEIGHBOURS,
    OBJECT_KINDS,
    REWARD_TERMS,
    feature_names,
)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text()


def rows(heading):
    """Return the tables' rows, as lists of cells, of one section (to the next heading of its level)."""
    level = heading.split(" ")[0]
    section = PAGE.split(f"\n{heading}\n")[1].split(f"\n{level} ")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line[:2] == "| "
    ]
    return [row for row in cells if row[0].startswith("`")]


def test_every_array_is_listed_with_dtype_and_axes():
    documented = {
        row[0].strip("`"): (row[1], tuple(row[2].split(", "))) for row in rows("## Sample") if len(row) == 4
    }
    assert documented == ARRAYS
    assert list(documented) == list(ARRAYS)


def test_every_metadata_key_is_listed():
    documented = {key for row in rows("## Sample") if len(row) == 2 for key in re.findall(r"`(\w+)`", row[0])}
    assert documented == {"schema_version", "reward_terms", "value_source", *REQUIRED_KEYS}


def test_actions_and_reward_terms_are_listed_in_order():
    sentence = PAGE.split("The actions are ")[1].split(", in every sample")[0]
    assert {name: int(i) for name, i in re.findall(r"`(\w+)` (\d)", sentence)} == ACTION_LOOKUP
    sentence = PAGE.split("This version records ")[1].split(";")[0]
    assert tuple(re.findall(r"`(\w+)`", sentence)) == REWARD_TERMS


def test_every_metric_is_listed():
    documented = {name for row in rows("## Metrics") for name in re.findall(r"`([\w<>]+)`", row[0])}
    expected = set()
    for name in make_sample().metadata["metrics"]:
        name = re.sub(rf"^action_({'|'.join(ACTIONS)})_count$", "action_<name>_count", name)
        expected.add(re.sub(rf"^reward_({'|'.join(REWARD_TERMS)})_sum$", "reward_<term>_sum", name))
    assert documented == expected


def test_every_channel_and_every_feature_is_listed_in_order():
    names = [row[0].strip("`") for row in rows("## Observations")]
    assert tuple(names[: len(MAP_CHANNELS)]) == MAP_CHANNELS
    expanded = []
    for name in names[len(MAP_CHANNELS) :]:
        if name == f"KIND_{KIND_FEATURES[0].name}":
            kind_rows = [n.removeprefix("KIND") for n in names if n.startswith("KIND_")]
            expanded += [f"{kind}{row}" for kind in OBJECT_KINDS for row in kind_rows]
        elif name == f"neighbourN_{NEIGHBOUR_FEATURES[0].name}":
            agent_rows = [n.removeprefix("neighbourN") for n in names if n.startswith("neighbourN_")]
            expanded += [f"neighbour{n}{row}" for n in range(NEIGHBOURS) for row in agent_rows]
        elif not name.startswith(("KIND_", "neighbourN_")):
            expanded.append(name)
    assert tuple(expanded) == feature_names()


def test_the_features_of_perturbed_towns_are_listed_in_order():
    price, *meeting = [row[0].strip("`") for row in rows("## Features of prices and meetings")]
    added = feature_names(has_price_spikes=True, has_meetings=True)[len(feature_names()) :]
    assert added == (*(price.replace("KIND", kind) for kind in OBJECT_KINDS), *meeting)


def test_every_limit_is_listed_with_its_default():
    documented = {row[0].strip("`"): ast.literal_eval(row[1].replace(",", "")) for row in rows("## Limits")}
    assert documented == dataclasses.asdict(ReadLimits())
