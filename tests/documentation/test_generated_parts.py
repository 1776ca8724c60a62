"""The generated parts of the documentation are up to date, and `make docs` renews them."""

import shutil
import tomllib

import pytest
import yaml
from generate import DOCS, PAGES, file_of, main
from source_address import BEGIN, END, with_citation, with_site_url, with_source

# In each page, words of its generated part.
GENERATED = {
    "CITATION.cff": "# there is no public address yet",
    "README.md": "Clone this repository",
    "cli.md": "| `--towns` |",
    "data.md": "| `wallet` | 0…1 | w / (w + 10) |",
    "python.md": "| `load_scenario(name_or_path)` |",
    "scenarios.md": "| `duration_ticks` |",
    "telemetry.md": "| `kl_divergence` | float |",
    "telemetry.schema.json": '"title": "Townlet telemetry record"',
    "zensical.toml": "# there is no public address yet",
}


def test_no_page_is_out_of_date(capsys):
    assert main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES)
def test_an_edited_table_is_named_by_the_check_and_restored_by_make_docs(page, tmp_path, capsys):
    for name in PAGES:
        shutil.copy(file_of(name, DOCS), tmp_path)
    text = (tmp_path / page).read_text("utf-8")
    assert GENERATED[page] in text
    (tmp_path / page).write_text(text.replace(GENERATED[page], "| `old` |", 1), "utf-8")
    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == f"{page} is out of date; run: make docs\n"
    assert main([], tmp_path) == 0
    assert (tmp_path / page).read_text("utf-8") == text


@pytest.fixture
def published(tmp_path):
    """A pyproject.toml with public addresses."""
    project = tmp_path / "pyproject.toml"
    urls = 'Source = "https://example.org/town.git"\nDocumentation = "https://example.org/docs/"\n'
    project.write_text(f"[project.urls]\n{urls}")
    return project


def test_the_site_and_the_citation_follow_the_addresses(published):
    site = tomllib.loads(with_site_url(file_of("zensical.toml", DOCS).read_text("utf-8"), published))
    assert site["project"]["site_url"] == "https://example.org/docs/"
    citation = yaml.safe_load(with_citation(file_of("CITATION.cff", DOCS).read_text("utf-8"), published))
    assert citation["url"] == "https://example.org/docs/"
    assert citation["repository-code"] == "https://example.org/town.git"


def test_publishing_changes_one_line_and_the_readme_follows(published):
    page = with_source(f"# Townlet\n{BEGIN}old\n{END}rest\n", published)
    assert "`git clone https://example.org/town.git townlet`" in page
    assert (page.startswith("# Townlet\n"), page.endswith(f"{END}rest\n")) == (True, True)
