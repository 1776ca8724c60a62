"""The conventions of docs/cli-conventions.md about help, each on every command."""

import re
import shlex

import pytest
from cli.command_line import COMMANDS, EVERYTHING, GROUPS, QUICK, call, options_of, parse

from townlet_cli.examples import PAGES
from townlet_cli.parameters import facts_of, is_switch


@pytest.mark.parametrize("words", EVERYTHING)
def test_help_is_there_for_everything(words):
    for flag in ("-h", "--help", "--help-all"):
        code, out, err = call(f"{words} {flag}")
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: townlet {words}".rstrip())


@pytest.mark.parametrize("words", GROUPS)
def test_a_group_alone_shows_its_help(words):
    code, out, err = call(words)
    assert (code, err) == (2, "")
    assert out == call(f"{words} --help")[1]


@pytest.mark.parametrize("words", EVERYTHING)
def test_help_begins_with_usage_and_a_sentence(words):
    usage, sentence, *_ = call(f"{words} --help", COLUMNS="100")[1].split("\n\n")
    assert re.match(rf"Usage: townlet {words} ?.*\[OPTIONS\]", usage)
    assert re.match(r"[A-Z].*\.$", " ".join(sentence.split()))


@pytest.mark.parametrize("words", EVERYTHING)
def test_examples_are_accepted_as_they_stand(words, here, tmp_path):
    shown = call(f"{words} --help")[1]
    lines = PAGES[words].examples
    assert len(lines) >= 2
    for line in lines:
        assert f"\n  {line}\n" in shown
        assert line.startswith(f"townlet {words}".rstrip())
        example = shlex.split(line)[1:]
        context = parse(example)
        assert context.command.name in line
        if QUICK.match(line):
            if "-o" in example:
                example[example.index("-o") + 1] = str(tmp_path / "out")
            if example[:2] == ["scenario", "new"] and "-o" not in example:
                example += ["-o", str(tmp_path / "new.yaml")]
            example = [word.replace("*", "a") for word in example]  # as the shell would
            code, _, said = call([word for word in example if word != "--yes"])
            assert code in ((0, 1, 3) if "doctor" in line else (0,)), f"{line}: {said}"


@pytest.mark.parametrize("words", COMMANDS)
def test_essentials_come_first(words):
    page, options = PAGES[words], options_of(COMMANDS[words])
    names = {option.opts[0] for option in options}
    assert {*(page.essential or ()), *(name for group in page.groups.values() for name in group)} <= names
    short, long = (call(f"{words} {flag}")[1] for flag in ("--help", "--help-all"))
    shown = {
        option.opts[0] for option in options if re.search(rf"(^|[ ,]){option.opts[0]}\b(?!-)", short, re.M)
    }
    assert len(shown) <= 14
    assert all(option.opts[0] in long for option in options)
    hidden = len(options) - len(
        [o for o in options if page.essential is None or o.opts[0] in page.essential or o.required]
    )
    assert (f"{hidden} more options: townlet {words} --help-all" in short) == bool(hidden)


@pytest.mark.parametrize("words", COMMANDS)
def test_help_names_defaults_ranges_and_variables(words):
    text = " ".join(call(f"{words} --help-all")[1].split())
    for option in options_of(COMMANDS[words]):
        facts = facts_of(option, COMMANDS[words])
        about = text[text.index(" ".join(option.help.split())) :]
        about = about[: about.find("] --") + 1] if about.find("] --") >= 0 else about
        if not is_switch(option) or option.secondary_opts:
            assert re.search("y default|default: |required", about), option.name
        if facts.bounds:
            assert "range: " in about, option.name
        for choice in facts.choices:
            assert choice in text
        assert not facts.variable or f"env: {facts.variable}" in text


def test_train_says_them_of_every_setting():
    command = COMMANDS["train"]
    settings = [p for p in command.params if facts_of(p, command).is_setting]
    text = call("train --help-all")[1]
    assert len(settings) > 40
    assert all(f"TOWNLET_{p.name.upper()}" in text for p in settings)
    assert "[default: 0.0003; range: above 0, at most 1; env: TOWNLET_LEARNING_RATE]" in " ".join(
        text.split()
    )


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize("words", EVERYTHING)
def test_no_name_is_cut_in_a_narrow_terminal(words, columns):
    text = call(f"{words} --help-all", COLUMNS=str(columns))[1]
    for option in options_of(EVERYTHING[words]):
        assert all(name in text for name in (*option.opts, *option.secondary_opts))
    lines = [line for line in text.splitlines() if not line.startswith("  townlet ")]
    assert max(map(len, lines)) <= columns
    assert "…" not in text


@pytest.mark.parametrize("words", EVERYTHING)
def test_help_in_a_pipe_is_plain(words):
    forced = {"FORCE_COLOR": "1", "GITHUB_ACTIONS": "true", "PY_COLORS": "1", "CI": "1"}
    assert call(f"{words} --help", **forced)[1] == call(f"{words} --help")[1]
    assert "\x1b" not in call(f"{words} --help", **forced)[1]


@pytest.mark.parametrize("words", EVERYTHING)
def test_help_leads_to_the_rest(words):
    text = call(f"{words} --help")[1]
    wanted = f"townlet {words} COMMAND --help".replace("  ", " ") if words in GROUPS else "townlet --help"
    assert wanted in text
