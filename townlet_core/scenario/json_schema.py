"""A JSON Schema of scenario files, for editors: made from the model, so that it cannot say anything else.

It knows keys, types, ranges and meanings. What holds between values, such as which ids there are, only
`townlet scenario validate` can say.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from townlet_core.scenario.model import BUILT_IN_KINDS, VERBS, Scenario

SCHEMA_FILE = "townlet-scenario.schema.json"  # what `townlet scenario new` calls it


def scenario_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) as plain data."""
    schema = Scenario.model_json_schema(schema_generator=_Generator)
    blocks = schema.pop("$defs")
    blocks["Grid"]["oneOf"] = _exactly_one_of("size", "layout")
    blocks["ScheduleEntry"]["oneOf"] = _exactly_one_of(*VERBS)
    blocks["ObjectSpec"]["properties"]["kind"]["examples"] = list(BUILT_IN_KINDS)
    return {"$schema": _Generator.schema_dialect, **schema, "title": "Townlet scenario", "$defs": blocks}


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, with what a reader of YAML needs and without what only repeats names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        """Refuse keys that are not names."""
        made = super().dict_schema(schema)
        return made | ({"additionalProperties": False} if "patternProperties" in made else {})

    def tuple_schema(self, schema: Any) -> dict[str, Any]:
        """Write a pair as a list of two, which editors that know only older drafts check as well."""
        made = super().tuple_schema(schema)
        first, *others = made["prefixItems"]
        if all(other == first for other in others):
            made["items"] = made.pop("prefixItems")[0]
        return made

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Leave the defaults of a block to the keys in it."""
        made = super().default_schema(schema)
        if made.get("default") and isinstance(made["default"], dict):
            del made["default"]
        return made


def _exactly_one_of(*keys: str) -> list[dict[str, Any]]:
    """Ask for one key that is not null, and no more than one."""
    return [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in keys]
