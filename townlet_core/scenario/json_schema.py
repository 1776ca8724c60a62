"""A JSON Schema of scenario files for editors, generated from the model.

It has keys, types, ranges and descriptions. Constraints between values, such as known ids, are checked by
`townlet scenario validate` only.
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
    """Pydantic's generator, adapted to YAML and without titles that repeat names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def dict_schema(self, schema: Any) -> dict[str, Any]:
        """Refuse keys that are not names."""
        made = super().dict_schema(schema)
        return made | ({"additionalProperties": False} if "patternProperties" in made else {})

    def tuple_schema(self, schema: Any) -> dict[str, Any]:
        """Write a pair as a list of two, which editors limited to older drafts also check."""
        made = super().tuple_schema(schema)
        first, *others = made["prefixItems"]
        if all(other == first for other in others):
            made["items"] = made.pop("prefixItems")[0]
        return made

    def default_schema(self, schema: Any) -> dict[str, Any]:
        """Omit the default of a block; its keys have their own."""
        made = super().default_schema(schema)
        if made.get("default") and isinstance(made["default"], dict):
            del made["default"]
        return made


def _exactly_one_of(*keys: str) -> list[dict[str, Any]]:
    """Require exactly one of these keys to be present and not null."""
    return [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in keys]
