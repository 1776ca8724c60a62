"""YAML is read within one set of bounds, whatever it is for; what is wrong with it is said in few words."""

from pathlib import Path

import pytest

from townlet_core.errors import InputError, TownletError
from townlet_core.replay.manifest import load_manifest
from townlet_core.scenario.load import load_scenario
from townlet_core.telemetry.alerts import load_alert_rules
from townlet_core.telemetry.segments import find_log
from townlet_core.training.settings import resolve_settings
from townlet_core.yaml.reader import MAX_YAML_BYTES, read_yaml

NESTED_ALIASES = "".join(f"- &a{i + 1} [{', '.join([f'*a{i}'] * 9)}]\n" for i in range(9))
HOSTILE = {
    "aliases in aliases": ("- &a0 [x, x]\n" + NESTED_ALIASES, "more than 10,000 values, aliases counted"),
    "long texts in aliases": (f"- &a {'x' * 9_000}\n" + "- *a\n" * 200, "more than 1,048,576 characters"),
    "an alias of itself": ("- &a [*a]\n", "alias 'a' has no anchor before it"),
    "brackets": ("[" * 20_000, "nested more than 16 deep"),
    "braces": ("{a: " * 6_000, "nested more than 16 deep"),
    "dashes": ("- " * 5_000, "nested more than 16 deep"),
    "a tag": ("- !!python/object/apply:os.system [x]\n", "is not used here, expected a plain value"),
    "a key that is there twice": ("- {k: 1}\n- {k: [x], k: [x]}\n", "2:12: [1].k: key 'k' is here twice"),
    "a merge key": ("- &a {k: 1}\n- {<<: *a}\n", "2:4: [1]: merge keys (<<) are not used here"),
    "a list as a key": ("- {[x]: 1}\n", "a key is a list, a block or an alias, expected text"),
    "numbers that are none": ("- .nan\n- -.inf\n", "1:3: [0]: found .nan, expected a finite number"),
    "a number of 5,000 digits": ("- 0x" + "f" * 5_000, "a number of 5002 characters, too many"),
    "two documents": ("- a\n---\n- b\n", "2:1: a second document begins"),
    "a directive": ("%YAML 1.1\n---\n- a\n", "directives (lines that begin with %) are not used here"),
    "an open bracket": ("\ufeff- [a\n", "syntax: "),
    "nothing": ("", "the file is empty"),
    "bytes of another encoding": (b"- a\n- caf\xd8", "2:6: byte 0xd8 is not UTF-8 text"),
    "bytes of no text": (bytes(range(128)), "character \\x00 is not allowed in YAML"),
    "a line end of Unicode": ("- a\u2028b\n", "YAML readers disagree about character \\u2028"),
    "a mark within the text": ("a:\n\ufeff- b\n", "YAML readers disagree about character \\ufeff"),
    "an escape beyond Unicode": ('- "\\U00110000"\n', "is beyond Unicode"),
}


def read_run(path):
    """Read the configuration of a run that began before run.json held the settings."""
    (path.parent / "config.yaml").write_bytes(path.read_bytes())
    find_log(path.parent)


DOORS = {
    "scenario": load_scenario,
    "configuration": lambda path: resolve_settings({}, path, environment=False),
    "rules": load_alert_rules,
    "manifest": load_manifest,
    "run": read_run,
}


def refusal_of(door, path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TownletError) as caught:
        DOORS[door](path)
    assert caught.value.exit_code == 2
    return str(caught.value).replace(str(path.parent), "")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_yaml_is_refused_in_the_same_few_words_at_every_door(tmp_path, kind, door):
    content, sentence = HOSTILE[kind]
    message = refusal_of(door, tmp_path / "a.yaml", content)
    assert sentence in message
    assert len(message) < 600
    assert message.replace("\n", "").isprintable()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("content", ["- a\n" * 1_300_000, "- " + "x" * 5_000_000], ids=["lines", "one line"])
def test_five_megabytes_are_refused_before_they_are_parsed(tmp_path, door, content):
    message = refusal_of(door, tmp_path / "a.yaml", content)
    assert "bytes" in message
    assert len(message) < 600


def test_yaml_is_read_as_json_has_it(tmp_path):
    text = "a: [1, 2.5, null, true]\nb: &b {made: 2026-01-01, 7: x}\nc: *b\n"
    (tmp_path / "a.yaml").write_text(f"\ufeff{text}")
    b = {"made": "2026-01-01", "7": "x"}
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1, 2.5, None, True], "b": b, "c": b}


def test_a_long_list_is_sent_to_json_before_it_is_parsed(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("- a\n" * (MAX_YAML_BYTES // 4 + 1))
    with pytest.raises(InputError, match=r"24,580 bytes of YAML, .* expected at most 24,576") as caught:
        read_yaml(tmp_path / "a.yaml")
    assert caught.value.hint == "write it as JSON, with a name that ends in .json"
