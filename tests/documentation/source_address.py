"""Write the public addresses into other files, from pyproject.toml, the only file that a release changes."""

import json
import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
BEGIN, END = "<!-- from [project.urls] of pyproject.toml, by `make docs` -->\n", "<!-- end -->\n"
BEGIN_LINES, END_LINES = "# from [project.urls] of pyproject.toml, by `make docs`\n", "# end\n"
NO_ADDRESS = "# there is no public address yet\n"


def with_source(page, project=PROJECT):
    """Return README.md with the way to the source as it is now."""
    return _between(page, BEGIN, way_to_source(_urls(project).get("Source")), END)


def with_site_url(settings, project=PROJECT):
    """Return zensical.toml with the address of the documentation as it is now."""
    return _between(settings, BEGIN_LINES, _lines(project, "{} = {}\n", site_url="Documentation"), END_LINES)


def with_citation(citation, project=PROJECT):
    """Return CITATION.cff with the addresses of the documentation and the source as they are now."""
    names = {"url": "Documentation", "repository-code": "Source"}
    return _between(citation, BEGIN_LINES, _lines(project, "{}: {}\n", **names), END_LINES)


def way_to_source(address):
    """Write how to get the source from its public address, if it has one."""
    if address is None:
        return "Clone this repository, or unpack an archive of it, and run in its folder:\n"
    return f"`git clone {address} townlet`, and run in that folder:\n"


def _urls(project):
    return tomllib.loads(project.read_text("utf-8"))["project"].get("urls", {})


def _lines(project, form, **names):
    """Write a line per address that is known, under its name in another file."""
    urls = _urls(project)
    lines = [form.format(name, json.dumps(urls[of])) for name, of in names.items() if of in urls]
    return "".join(lines) or NO_ADDRESS


def _between(text, begin, part, end):
    before, rest = text.split(begin)
    return before + begin + part + end + rest.split(end, 1)[1]
