"""The generated parts of the documentation are up to date, and `make docs` renews them."""

import shutil

import pytest
from generate import DOCS, PAGES, main

# In each page, words of its generated part.
GENERATED = {
    "cli.md": "| `--towns` |",
    "data.md": "| `wallet` | 0…1 | w / (w + 10) |",
    "python.md": "| `load_scenario(name_or_path)` |",
    "scenarios.md": "| `duration_ticks` |",
    "telemetry.md": "| `kl_divergence` | float |",
}


def test_no_page_is_out_of_date(capsys):
    assert main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", PAGES)
def test_an_edited_table_is_named_by_the_check_and_restored_by_make_docs(page, tmp_path, capsys):
    for name in PAGES:
        shutil.copy(DOCS / name, tmp_path)
    text = (DOCS / page).read_text("utf-8")
    assert GENERATED[page] in text
    (tmp_path / page).write_text(text.replace(GENERATED[page], "| `old` |", 1), "utf-8")
    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == f"docs/{page} is out of date; run: make docs\n"
    assert main([], tmp_path) == 0
    assert (tmp_path / page).read_text("utf-8") == text
