"""docs/data.md has the features that vocab.py has, and observation.py writes each where the table says."""

import inspect
import re

import pytest
from feature_reference import PAGE, with_features

from townlet_core.simulation import observation
from townlet_core.vocab import features_of

ROWS = features_of(kinds=("shower",), has_price_spikes=True, has_meetings=True)
# The first of these stands for all: the others follow it, in the order of states and actions.
GROUPS = {"shift": "pre", "last_action": "wait"}


def test_the_page_has_the_features_of_the_table():
    page = PAGE.read_text("utf-8")
    assert with_features(page) == page, "renew it with: make docs"


def test_a_row_that_changes_makes_the_page_outdated():
    page = PAGE.read_text("utf-8").replace("| `wallet` | 0…1 | w / (w + 10) |", "| `wallet` | 0…1 | w |")
    assert with_features(page) == PAGE.read_text("utf-8") != page


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_feature_is_written_by_the_function_in_its_row(row):
    name = re.sub(r"^(shower|neighbour\d)_", "", row.name)
    group = next((group for group in GROUPS if name.startswith(f"{group}_")), None)
    name = f"{group}_{GROUPS[group]}" if group and name != "last_action_success" else name
    name = "NEEDS_AT" if name.startswith("need_") else f"[A-Z]+.{name}"
    writer = getattr(observation, row.written_by)
    source = inspect.getsource(getattr(writer, "py_func", writer))
    assert re.search(rf"\b{name}\b", source)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_scale_is_part_of_the_meaning(row):
    assert ("{scale" in row.meaning) == (row.scale is not None)
