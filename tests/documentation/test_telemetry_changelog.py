"""The telemetry changelog names every field, under the version that brought it."""

import re

import pytest
from generate import DOCS

from townlet_core.telemetry.fields import FIELDS

SECTIONS = re.split(r"^## ", (DOCS / "telemetry-changelog.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
NAMED = {section.partition("\n")[0]: re.findall(r"`([a-z_.]+)`", section) for section in SECTIONS}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_section_lists_the_required_fields_of_its_version(version):
    expected = {field.name for field in FIELDS if field.since == version}
    assert expected - set(NAMED[f"Telemetry {version}"]) == set()


def test_each_optional_field_is_named_where_it_came():
    expected = {field.name for field in FIELDS if field.since == "ours"}
    assert expected - {*NAMED["Townlet 0.1.0"], *NAMED["After 0.1.0"]} == set()
