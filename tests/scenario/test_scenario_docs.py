"""docs/scenarios.md says of every key what the model says."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from townlet_core.scenario.load import read_scenario
from townlet_core.scenario.model import BUILT_IN_KINDS, Scenario
from townlet_core.scenario.words import NAME_WORDS, annotation_at, expected

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"
TEXT = DOCS.read_text()
TABLES = dict(re.findall(r"^### (.+)\n[^#]*?\n\| key .*\n\| ---.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE))


def blocks_of(model=Scenario, heading="The file"):
    """Yield (heading in the docs, model) for every block that a scenario file can hold."""
    yield heading, model
    for key, field in model.model_fields.items():
        inner = field.rebuild_annotation()
        found = re.search(r"model\.(\w+)", str(inner))
        name = key if heading == "The file" else f"{heading.strip('`')}.{key}"
        suffix = "[]" if "list[" in str(inner) else ".NAME" if "dict[" in str(inner) else ""
        step = {"[]": (0,), ".NAME": ("x",)}.get(suffix, ())
        if found:
            path = name.replace("[]", ".0").replace("NAME", "x").split(".")
            path = tuple(int(part) if part == "0" else part for part in path)
            yield from blocks_of(annotation_at((*path, *step))[0], f"`{name}{suffix}`")


def default_words(field):
    if field.is_required():
        return "required"
    return "see below" if isinstance(field.default, BaseModel) else f"`{json.dumps(field.default)}`"


@pytest.mark.parametrize(("heading", "model"), list(blocks_of()))
def test_the_docs_list_every_key_with_its_values_and_default(heading, model):
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLES[heading].splitlines()]
    assert [row[:3] for row in rows] == [
        [f"`{key}`", expected(field.rebuild_annotation()).replace(NAME_WORDS, "a name"), default_words(field)]
        for key, field in model.model_fields.items()
    ]
    assert all(row[3] for row in rows)


def test_the_docs_describe_no_block_that_the_model_lacks():
    assert set(TABLES) == {heading for heading, _ in blocks_of()}


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
