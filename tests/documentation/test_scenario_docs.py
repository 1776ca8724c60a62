"""docs/scenarios.md has a table for every block, and describes the kinds and scenarios there are."""

import re
from pathlib import Path

import pytest
from scenario_reference import SECTION, blocks_of

from townlet_core.scenario.catalogue import bundled_scenarios
from townlet_core.scenario.load import read_scenario
from townlet_core.scenario.model import BUILT_IN_KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"
TEXT = DOCS.read_text()


@pytest.mark.parametrize(("heading", "model"), list(blocks_of()))
def test_every_key_has_a_meaning(heading, model):
    assert [key for key, field in model.model_fields.items() if not field.description] == []


def test_every_block_of_the_model_has_a_table_and_no_other_has_one():
    tables = [found["heading"] for found in SECTION.finditer(TEXT)]
    assert sorted(tables) == sorted(heading for heading, _ in blocks_of())


def test_the_example_in_the_docs_loads_without_a_mistake(tmp_path):
    (tmp_path / "example.yaml").write_text(re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL).group(1))
    scenario, mistakes = read_scenario(tmp_path / "example.yaml")
    assert mistakes == []
    assert scenario.rules.queues.patience_ticks == 12


@pytest.mark.parametrize("name", list(BUILT_IN_KINDS))
def test_the_docs_list_every_built_in_kind_with_its_numbers(name):
    kind = BUILT_IN_KINDS[name]
    cells = [
        cell.strip() for cell in re.search(rf"^\| `{name}` \|(.*)\|$", TEXT, re.MULTILINE).group(1).split("|")
    ]
    effects = ", ".join(f"{need} {change:+g}" for need, change in kind.effects if change) or "–"
    ticks = "the shift" if kind.is_work else str(kind.duration_ticks)
    stock = "–" if kind.stock is None else str(kind.stock)
    assert cells == [f"`{kind.affordance}`", ticks, effects, f"{kind.cost:g}", stock, kind.utility or "–"]


@pytest.mark.parametrize("name", bundled_scenarios())
def test_every_bundled_scenario_has_a_small_picture_on_the_page(name):
    picture = DOCS.parent / "pictures" / f"{name}.png"
    assert picture.is_file(), "paint it with: make pictures"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert 2_000 < picture.stat().st_size < 60_000
    assert f"](pictures/{name}.png)" in TEXT
