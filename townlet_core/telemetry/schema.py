"""The JSON Schema of a telemetry record, from FIELDS: what a schema can say of one record alone.

That offsets increase, that no key comes twice and that records belong to one run is left to `validate`.
"""

from __future__ import annotations

from typing import Any

from townlet_core.telemetry.fields import FIELDS, HISTOGRAM_BINS, VERSIONS, Field, required_fields
from townlet_core.vocab import DATA_MODES

_COUNT = {"type": "integer", "minimum": 0}
_TYPES: dict[str, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "str": {"type": "string"},
    "histogram": {
        "type": "array",
        "items": _COUNT,
        "minItems": HISTOGRAM_BINS,
        "maxItems": HISTOGRAM_BINS,
    },
}
_ALLOWED: dict[str, dict[str, Any]] = {
    "data_mode": {"enum": list(DATA_MODES)},
    "telemetry_version": {"enum": list(VERSIONS)},
}


def telemetry_schema() -> dict[str, Any]:
    """Return the schema of a record, JSON Schema draft 2020-12; its annotations have units and versions."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Townlet telemetry record",
        "description": "One line of a telemetry log. Unknown fields are allowed if they are not objects.",
        "type": "object",
        "properties": {field.name: _property(field) for field in FIELDS},
        "additionalProperties": {"not": {"type": "object"}},
        "required": list(required_fields(VERSIONS[0])),
        "allOf": [*map(_of_version, VERSIONS[1:]), _of_replay()],
    }


def _property(field: Field) -> dict[str, Any]:
    described = {"description": field.meaning, "x-unit": field.unit, "x-since": field.since}
    return {**_TYPES[field.type], **_ALLOWED.get(field.name, {}), **described}


def _of_version(version: float) -> dict[str, Any]:
    added = [name for name in required_fields(version) if name not in required_fields(VERSIONS[0])]
    said = {"properties": {"telemetry_version": {"const": version}}, "required": ["telemetry_version"]}
    return {"if": said, "then": {"required": added}}


def _of_replay() -> dict[str, Any]:
    said = {"properties": {"data_mode": {"const": "replay"}}, "required": ["data_mode"]}
    return {"if": said, "then": {"properties": {"rollout_ticks": {"const": 0}}}}
