"""The files that GitHub, citation tools and contributors read are in form and up to date."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from townlet_core import __version__

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted(
    path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
)
# Citation File Format 1.2.0: the keys of a file, and those that it must have.
CITATION_REQUIRED = {"cff-version", "message", "title", "authors"}
CITATION_KEYS = CITATION_REQUIRED | {
    "abstract",
    "commit",
    "contact",
    "date-released",
    "doi",
    "identifiers",
    "keywords",
    "license",
    "license-url",
    "preferred-citation",
    "references",
    "repository",
    "repository-artifact",
    "repository-code",
    "type",
    "url",
    "version",
}
# GitHub's issue forms: the attributes that an element of each type must have.
FORM_ELEMENTS = {
    "checkboxes": {"label", "options"},
    "dropdown": {"label", "options"},
    "input": {"label"},
    "markdown": {"value"},
    "textarea": {"label"},
}


def load(path):
    return YAML(typ="safe", pure=True).load(path.read_text("utf-8"))


def test_the_citation_file_has_the_keys_of_its_format_and_this_version():
    citation = load(ROOT / "CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert set(citation) >= CITATION_REQUIRED
    assert set(citation) <= CITATION_KEYS
    assert all("name" in author or "family-names" in author for author in citation["authors"])
    assert len(citation["keywords"]) == len(set(citation["keywords"]))
    assert (citation["version"], citation["license"]) == (__version__, "MIT")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_every_issue_form_is_one_that_github_shows(path):
    form = load(path)
    assert set(form) == {"name", "description", "labels", "body"}
    assert any(element["type"] != "markdown" for element in form["body"])
    ids = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    for element in form["body"]:
        assert set(element["attributes"]) >= FORM_ELEMENTS[element["type"]]
        assert set(element) <= {"type", "id", "attributes", "validations"}


def test_the_contributing_guide_names_only_files_and_make_targets_that_exist():
    guide = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z-]+)", guide)) <= set(targets)
    named = re.findall(
        r"`((?:\.github|benchmarks|docs|scenarios|tests|townlet_cli|townlet_core)/[\w./]*)`", guide
    )
    assert len(named) > 3
    assert [path for path in named if not (ROOT / path).exists()] == []
