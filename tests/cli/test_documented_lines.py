"""Every command line of the documentation is one that the parser takes."""

import re
import shlex

import pytest
from cli.command_line import ROOT, parse

from townlet_cli.main import GLOBAL_FLAGS

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
STOPS = {"|", ">", ">>", "<", "&&", "||", ";", "&", "2>&1", "then", "fi"}
REFUSED = {"--where 'reward_sun"}  # shown with the error that it gives


def lines_of(page):
    """Return the command lines of a page's blocks, up to the first pipe, redirection or comment."""
    for block in BLOCK.findall(page.read_text("utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            match = re.match(r"\s*(?:\$ )?townlet (?!.*[…(])(.*)", line)
            if match and not any(text in line for text in REFUSED):
                words = shlex.split(re.sub(r"\$\w+", "1", match[1]), comments=True)
                stop = next((n for n, word in enumerate(words) if word.strip(";") in STOPS), len(words))
                yield line.strip(), [word for word in words[:stop] if word not in GLOBAL_FLAGS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_line_is_accepted(page):
    for line, words in lines_of(page):
        if {"--help", "-h", "--help-all", "--version"} & {*words}:
            continue
        try:
            parse(words)
        except Exception as error:
            pytest.fail(f"{page.name}: {line}: {error}")


def test_there_are_lines_to_check():
    assert sum(len(list(lines_of(page))) for page in PAGES) > 100
