"""Write the table of telemetry fields, from the fields themselves, for docs/telemetry.md."""

import re

from townlet_core.telemetry.fields import fields_table

# The table that follows the page's heading "Fields", after some words.
TABLE = re.compile(r"(?<=\n## Fields\n)(?P<words>[^#|]*\n)(?P<table>(?:\|.*\n)+)")


def with_fields(page):
    """Return docs/telemetry.md with its table of fields as it is now."""
    return TABLE.sub(lambda found: found["words"] + fields_table() + "\n", page)
