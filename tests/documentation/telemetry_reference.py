"""Write the table of telemetry fields, from the fields themselves, for docs/telemetry.md."""

import json
import re

from townlet_core.telemetry.fields import FIELDS
from townlet_core.telemetry.schema import telemetry_schema

# The table that follows the page's heading "Fields", after some words.
TABLE = re.compile(r"(?<=\n## Fields\n)(?P<words>[^#|]*\n)(?P<table>(?:\|.*\n)+)")


def with_fields(page):
    """Return docs/telemetry.md with its table of fields as it is now."""
    return TABLE.sub(lambda found: found["words"] + fields_table() + "\n", page)


def schema_text(page):
    """Return docs/telemetry.schema.json, all of which is generated."""
    return json.dumps(telemetry_schema(), indent=2, ensure_ascii=False) + "\n"


def fields_table():
    """Return the table as Markdown, one row per field, for docs/telemetry.md."""
    head = ("field", "type", "unit", "of", "since", "required", "meaning")
    rows = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for field in FIELDS:
        required = "yes" if field.required else ""
        rows.append(
            f"| `{field.name}` | {field.type} | {field.unit} | {field.of} | {field.since} | {required} "
            f"| {field.meaning} |"
        )
    return "\n".join(rows)
