"""docs/cli.md says what the commands do."""

import re
from pathlib import Path

from townlet_core import errors
from townlet_core.training.settings import resolve_settings

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "cli.md").read_text()


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_exit_codes_are_those_of_the_errors():
    families = [error for error in errors.TownletError.__subclasses__() if error is not errors.Interrupted]
    section = TEXT[TEXT.index("## Exit codes") : TEXT.index("## Settings")]
    documented = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", section, re.M) for code in row.split(",")
    }
    raised_elsewhere = {0, errors.TownletError.exit_code, 129, 130, 141, 143}
    assert documented == {error.exit_code for error in families} | raised_elsewhere


def test_every_environment_variable_that_is_read_is_documented():
    sources = [
        path.read_text() for room in ("townlet_core", "townlet_cli") for path in (ROOT / room).rglob("*.py")
    ]
    read = {name for text in sources for name in re.findall(r'environ(?:\.get\(|\[)"(\w+)"', text)}
    assert "XDG_CACHE_HOME" in read
    assert {name for name in read if f"`{name}`" not in TEXT} == set()


def test_the_configuration_file_shown_is_read_as_it_says(tmp_path: Path):
    [example] = blocks("yaml")
    (tmp_path / "config.yaml").write_text(example)
    settings, sources = resolve_settings({}, tmp_path / "config.yaml", environment=False)
    assert (settings.source, settings.cycles) == ("mixed", 20)
    assert (settings.learning_rate, settings.target_kl) == (0.001, 0.05)
    assert sources["cycles"] == str(tmp_path / "config.yaml")


def test_the_error_shown_is_the_one_that_comes(townlet):
    [example] = blocks("text")
    assert townlet("capture", "queue_conflct") == (2, "", example)
