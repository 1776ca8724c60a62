"""The documentation site has every page, and the pages lead to each other there as well."""

import re

import pytest
from site_pages import ROOT, SITE, api_page, listed, main, text_of

NAV = list(listed(SITE["nav"]))
ROOMS = sorted(path.parent.name for path in (ROOT / "townlet_core").glob("*/__init__.py"))


def test_the_navigation_lists_every_page_and_every_room_once():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert pages | {f"api/{room}.md" for room in ROOMS} <= set(NAV)
    assert len(NAV) == len(set(NAV))


def test_every_link_of_a_staged_page_leads_to_a_staged_page(tmp_path):
    main(tmp_path)
    for page in NAV:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", (tmp_path / page).read_text("utf-8")):
            assert (tmp_path / page).parent.joinpath(target).is_file(), f"{page}: {target}"


def anchors_of(page):
    """Return the anchors that a page's headings make, as GitHub and the site spell them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [page for page in NAV if not page.startswith("api/")])
def test_every_link_into_a_page_leads_to_a_heading(page):
    links = re.findall(r"\]\(([\w/.-]+\.md|)#([^)]+)\)", text_of(page))
    broken = [
        f"{target}#{anchor}"
        for target, anchor in links
        if not target.startswith("api/") and anchor not in anchors_of(target or page)
    ]
    assert broken == []


def test_the_page_of_a_room_has_its_modules_without_the_private_ones():
    names = re.findall(r"^::: (\S+)$", api_page("replay"), re.MULTILINE)
    assert names[0] == "townlet_core.replay"
    assert "townlet_core.replay.sample" in names
    assert [name for name in names if "._" in name] == []


@pytest.mark.parametrize("page", [page for page in NAV if not page.startswith("api/")])
def test_nested_lists_are_indented_by_four_spaces(page):
    """With fewer, Python-Markdown, unlike GitHub, takes a nested item for one of the outer list."""
    prose = re.sub(r"^ *```.*?^ *```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    items = re.findall(r"^( +)(?:[-*]|\d+\.) ", prose, re.MULTILINE)
    assert [item for item in items if len(item) % 4] == []
