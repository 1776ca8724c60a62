"""Write into README.md where the source is, from pyproject.toml, the only file with the public address."""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
BEGIN, END = "<!-- from [project.urls] of pyproject.toml, by `make docs` -->\n", "<!-- end -->\n"


def with_source(page, project=PROJECT):
    """Return README.md with the way to the source as it is now."""
    urls = tomllib.loads(project.read_text("utf-8"))["project"].get("urls", {})
    before, rest = page.split(BEGIN)
    return before + BEGIN + way_to_source(urls.get("Source")) + END + rest.split(END, 1)[1]


def way_to_source(address):
    """Write how to get the source from its public address, if it has one."""
    if address is None:
        return "Clone this repository, or unpack an archive of it, and run in its folder:\n"
    return f"`git clone {address} townlet`, and run in that folder:\n"
