"""Write every key of a scenario as a table, from the model itself, for docs/scenarios.md."""

import json
import re

from pydantic import BaseModel

from townlet_core.scenario.model import Scenario
from townlet_core.scenario.type_text import NAME_WORDS, annotation_at, expected

# A heading, perhaps some words without another heading, and the rows of a table of keys.
SECTION = re.compile(
    r"^(### (?P<heading>.+)\n[^#]*?\n\| key .*\n\| ---.*\n)(?P<rows>(?:\|.*\n)+)", re.MULTILINE
)


def with_keys(page):
    """Return docs/scenarios.md with the rows of its tables of keys as the model has them now."""
    models = dict(blocks_of())
    return SECTION.sub(lambda found: found[1] + rows_of(models[found["heading"]]), page)


def blocks_of(model=Scenario, heading="The file"):
    """Yield (heading in the docs, model) for every block that a scenario file can hold."""
    yield heading, model
    for key, field in model.model_fields.items():
        inner = field.rebuild_annotation()
        found = re.search(r"scenario\.(?:model|rules)\.(\w+)", str(inner))
        name = key if heading == "The file" else f"{heading.strip('`')}.{key}"
        suffix = "[]" if "list[" in str(inner) else ".NAME" if "dict[" in str(inner) else ""
        step = {"[]": (0,), ".NAME": ("x",)}.get(suffix, ())
        if found:
            path = name.replace("[]", ".0").replace("NAME", "x").split(".")
            path = tuple(int(part) if part == "0" else part for part in path)
            yield from blocks_of(annotation_at((*path, *step))[0], f"`{name}{suffix}`")


def rows_of(model):
    """Return the rows of a block's table: key, value, default, meaning."""
    return "".join(
        f"| `{key}` | {_value(field)} | {_default(field)} | {field.description} |\n"
        for key, field in model.model_fields.items()
    )


def _value(field):
    return expected(field.rebuild_annotation()).replace(NAME_WORDS, "a name")


def _default(field):
    if field.is_required():
        return "required"
    return "see below" if isinstance(field.default, BaseModel) else f"`{json.dumps(field.default)}`"
