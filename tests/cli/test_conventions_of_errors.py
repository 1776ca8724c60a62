"""The conventions of docs/cli-conventions.md about mistakes and errors, each on every command."""

import json
import re

import pytest
from cli.command_line import CAPTURE, CLI_PAGE, COMMANDS, EVERYTHING, ROOT, RUN, call, options_of

from townlet_cli import doctor
from townlet_cli.parameters import facts_of


@pytest.mark.parametrize("words", EVERYTHING)
def test_a_misspelt_command_is_answered(words):
    if not words:
        assert "Did you mean 'replay inspect'?" in call("inspect x")[2]
        return
    *above, name = words.split()
    wrong = name[:-1] + ("q" if name[-1] != "q" else "x") if len(name) > 3 else name + "s"
    code, out, err = call([*above, wrong])
    assert (code, out) == (2, "")
    assert re.search(rf"Did you mean .*'{name}'", err)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_misspelt_option_is_answered(words):
    for option in options_of(COMMANDS[words]):
        code, _, err = call([*words.split(), f"{option.opts[0]}q"])
        assert code == 2
        assert f"No such option: {option.opts[0]}q (did you mean '{option.opts[0]}'?)" in err


@pytest.mark.parametrize("words", COMMANDS)
def test_a_misspelt_value_is_answered(words):
    for option in options_of(COMMANDS[words]):
        for choice in facts_of(option, COMMANDS[words]).choices:
            code, _, err = call([*words.split(), *["x"] * 2, option.opts[0], f"{choice}q"])
            assert code == 2
            assert "did you mean '" in err or "Got unexpected" in err or len(choice) < 3


@pytest.mark.parametrize(
    ("line", "nearest"),
    [
        ("capture queue_conflct", "queue_conflict"),
        ("capture queue_conflict --format nzp", "npz"),
        ("capture queue_conflict --policy scriptd", "scripted"),
        ("capture queue_conflict --score frsh", "fresh"),
        ("capture queue_conflict --agent ana", "anna"),
        ("evaluate randm", "random"),
        (f"replay pack {CAPTURE} --compression zsdt", "zstd"),
        (f"replay recompress {CAPTURE} --compression defalted", "deflated"),
        (f"replay filter {CAPTURE} --copy -o x --format arow", "arrow"),
        (f"replay slice {CAPTURE} -o x --format arrow --compression zsdt", "zstd"),
        (f"replay filter {CAPTURE} --agent ana", "anna"),
        (f"replay filter {CAPTURE} --where 'reward_smu > 0'", "reward_sum"),
        (f"telemetry watch {RUN} --alert 'kl_divergense > 1'", "kl_divergence"),
        ("--color alway scenario list", "always"),
        ("docs telemtry", "telemetry"),
        ("docs cli#exit-code", "exit-codes"),
    ],
)
def test_a_misspelt_word_is_answered_where_the_words_are_not_listed_in_help(here, line, nearest):
    code, out, err = call(line)
    assert code in (2, 3)
    assert (out, f"did you mean '{nearest}'?" in err) == ("", True), err


@pytest.mark.parametrize("words", COMMANDS)
def test_an_error_is_a_line_and_a_hint(words):
    code, out, err = call([*words.split(), "--no-such"])
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"error: [^\n]+\nhint: townlet {words} --help\n", err)


def test_hints_lead_to_what_an_installation_has():
    texts = [
        path.read_text() for room in ("townlet_core", "townlet_cli") for path in (ROOT / room).rglob("*.py")
    ]
    named = {found for text in texts for found in re.findall(r"townlet docs ([a-z-]+(?:#[a-z-]+)?)", text)}
    assert len(named) >= 4
    for topic in named:
        assert call(f"docs {topic}")[0] == 0, topic
    strings = [
        found for text in texts for found in re.findall(r'^[^#\n]*"[^"\n]*docs/\w+\.md[^"\n]*"', text, re.M)
    ]
    assert [found for found in strings if '"""' not in found] == []


def test_exit_codes_are_documented():
    section = CLI_PAGE[CLI_PAGE.index("## Exit codes") :]
    documented = {
        int(code) for row in re.findall(r"^\| ([\d, ]+) \|", section, re.M) for code in row.split(",")
    }
    seen = {
        call(line)[0]
        for line in ("scenario list", "nothing", "replay inspect nowhere", "scenario show s3://x")
    }
    assert seen == {0, 2, 3}
    assert documented >= seen | {1, 4, 5, 70, 130, 141}


@pytest.mark.parametrize(
    ("part", "change", "code", "said"),
    [
        ("_version", lambda name: None, 3, " is not installed (and "),
        ("_is_writable", lambda folder: False, 1, "cannot be written"),
        ("_gpu", lambda: {"driver": "550", "usable": False, "names": []}, 1, "torch finds no GPU"),
        (
            "_gpu",
            lambda: {"driver": None, "usable": None, "names": [], "error": "libx"},
            3,
            "torch cannot be loaded",
        ),
    ],
)
def test_doctor_says_by_its_exit_code_what_is_wrong(monkeypatch, part, change, code, said):
    monkeypatch.setattr(doctor, part, change)
    found, out, err = call("doctor --json")
    assert (found, said in err) == (code, True), err
    assert json.loads(out)["problems"]
