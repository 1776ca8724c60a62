"""Every mistake in a flag, a variable or a key is told at once, with its place, in the words of scenarios."""

from dataclasses import fields

import pytest

from townlet_core.errors import SettingsError
from townlet_core.training.config_file import MAX_CONFIG_BYTES
from townlet_core.training.settings import MAX_MISTAKES, SECTIONS, TrainingSettings, resolve_settings

# setting, what was given: as text of a variable, as a value in YAML; what is said of it.
WRONG_VALUES = [
    ("source", "rolout", "rolout", "unknown source 'rolout' (did you mean 'rollout'?), expected 'replay', "),
    ("lr_schedule", "lin", "lin", "unknown lr_schedule 'lin' (did you mean 'linear'?), expected 'constant' "),
    ("precision", "fp16", "fp16", "unknown precision 'fp16' (did you mean "),
    ("cycles", "0", "0", "found {}, expected a whole number from 1 to 1,000,000"),
    ("cycles", "ten", "ten", "found 'ten', expected a whole number from 1 to 1,000,000"),
    ("cycles", "1.5", "1.5", "found {}, expected a whole number from 1 to 1,000,000"),
    ("cycles", "[3]", "[3]", "found {}, expected a whole number from 1 to 1,000,000"),
    ("log_every", "0", "0", "found {}, expected a whole number of at least 1"),
    ("seed", "-1", "-1", "found {}, expected a whole number from 0 to 9,223,372,036,854,775,807"),
    ("gamma", "1.5", "1.5", "found {}, expected a number from 0 to 1"),
    ("clip_param", "0", "0", "found {}, expected a number above 0, up to 10"),
    ("max_grad_norm", "-1", "-1", "found {}, expected a number above 0"),
    ("value_clip", "off", "off", "found 'off', expected a number above 0 or null"),
    ("micro_batch", "0", "0", "found {}, expected a whole number of at least 1 or null"),
    ("streaming", "maybe", "maybe", "found 'maybe', expected true or false"),
    ("cycles", "null", "null", "found nothing, expected a whole number from 1 to 1,000,000"),
]


def mistakes_of(**given):
    with pytest.raises(SettingsError) as refused:
        resolve_settings(**{"flags": {}, **given})
    return str(refused.value).split("\n")


def section_of(name):
    return next(section for section, names in SECTIONS.items() if name in names)


@pytest.mark.parametrize(("name", "text", "value", "said"), WRONG_VALUES)
def test_a_wrong_value_is_told_alike_wherever_it_stands(tmp_path, monkeypatch, name, text, value, said):
    flag = "--mode" if name == "source" else f"--{name.replace('_', '-')}"
    given = None if text == "null" else text
    [line] = mistakes_of(flags={name: given})
    assert line.startswith(f"{flag}: {said.format(repr(text))}"), line
    monkeypatch.setenv(f"TOWNLET_{name.upper()}", text)
    [line] = mistakes_of()
    assert line.startswith(f"TOWNLET_{name.upper()}: {said.format(repr(text))}"), line
    monkeypatch.undo()
    config, section = tmp_path / "c.yaml", section_of(name)
    config.write_text(f"{section}:\n  {name}: {value}\n")
    [line] = mistakes_of(config=config)
    assert line.startswith(f"{config}:2:{len(name) + 5}: {section}.{name}: "), line
    assert said.format(value) in line


WRONG_FILES = [
    ("ppo:\n  cycles: 3\n", ":2:3: ppo.cycles: belongs under training:"),
    ("training:\n  gamma: .9\n", ":2:3: training.gamma: belongs under ppo:"),
    ("cycles: 3\n", ":1:1: cycles: belongs under training:"),
    ("training:\n  cycels: 3\n", ":2:3: training.cycels: unknown key 'cycels' (did you mean 'cycles'?)"),
    ("training:\n  gama: .9\n", ":2:3: training.gama: unknown key 'gama' (did you mean 'ppo.gamma'?)"),
    ("ppo:\n  lr-schedule: linear\n", ":2:3: ppo.lr-schedule: unknown key 'lr-schedule' (did you mean "),
    ("training:\n  mode: replay\n", ":2:3: training.mode: unknown key 'mode', it is called source"),
    ("training:\n  epochs: 2\n", "unknown key 'epochs', it is called num_epochs; belongs under ppo:"),
    ("traning:\n  cycles: 3\n", ":1:1: traning: unknown section 'traning' (did you mean 'training'?)"),
    ("training:\n  cycles: 3\n  cycles: 4\n", ":3:3: training.cycles: key 'cycles' is here twice, first on "),
    ("training: {cycles: '5'}\n", ":1:20: training.cycles: found '5', expected a whole number from 1 "),
    ("training:\n  replay_sample: a.npz\n", "found 'a.npz', expected a list, each a path"),
    (
        "training:\n  replay_sample: [a.npz, 3]\n",
        ":2:26: training.replay_sample[1]: found 3, expected a path",
    ),
    ("ppo: [1]\n", ":1:6: ppo: found [1], expected a block of keys"),
    ("- 1\n", ":1:1: found [1], expected a block with training: and ppo:"),
    ("ppo: {gamma: .nan}\n", ":1:14: ppo.gamma: found .nan, expected a finite number"),
    ("training: {", ":1:12: syntax: "),
    ("", "the file is empty"),
    ("training: !!python/none {}\n", "is not used here, expected a plain value"),
]


@pytest.mark.parametrize(("text", "said"), WRONG_FILES)
def test_a_mistake_in_a_file_has_its_place(tmp_path, text, said):
    config = tmp_path / "c.yaml"
    config.write_text(text)
    [line] = mistakes_of(config=config)
    assert line.startswith(str(config))
    assert said in line


def test_all_mistakes_are_told_at_once(tmp_path, monkeypatch):
    config = tmp_path / "c.yaml"
    config.write_text("training:\n  cycles: 0\n  sead: -1\nppo:\n  gamma: 2\nextra: 1\n")
    monkeypatch.setenv("TOWNLET_LERNING_RATE", "1")
    monkeypatch.setenv("TOWNLET_MODE", "replay")
    monkeypatch.setenv("TOWNLET_NUM_TOWNS", "0")
    lines = mistakes_of(flags={"clip_param": -1.0, "cycles": 3}, config=config)
    assert [line.partition(": ")[0] for line in lines] == [
        "--clip-param",
        "environment variable TOWNLET_LERNING_RATE",
        "environment variable TOWNLET_MODE",
        "TOWNLET_NUM_TOWNS",
        f"{config}:2:11",
        f"{config}:3:3",
        f"{config}:3:9",
        f"{config}:5:10",
        f"{config}:6:1",
    ]
    assert "did you mean 'TOWNLET_LEARNING_RATE'?" in lines[1]
    assert "did you mean 'TOWNLET_SOURCE'?" in lines[2]


def test_every_setting_can_be_told_what_it_takes(tmp_path):
    config = tmp_path / "c.yaml"
    for section, names in SECTIONS.items():
        for name in names:
            config.write_text(f"{section}:\n  {name}: {{odd: 1}}\n")
            [line] = mistakes_of(config=config)
            assert "found a block of keys, expected " in line
    assert {name for names in SECTIONS.values() for name in names} == {
        field.name for field in fields(TrainingSettings)
    }


def test_a_byte_order_mark_and_an_empty_section_are_read(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_bytes(b"\xef\xbb\xbftraining:\n  # cycles: 3\nppo:\n  gamma: 0.5\n")
    assert resolve_settings({}, config)[0].gamma == 0.5


def test_bytes_that_are_no_text_and_files_that_are_too_large_are_refused(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_bytes(b"ppo:\n  gamma: \xff\n")
    assert mistakes_of(config=config) == [f"{config}:2:10: byte 0xff is not UTF-8 text"]
    config.write_bytes(b"#" * (MAX_CONFIG_BYTES + 1))
    with pytest.raises(Exception, match="more than 524,288 bytes"):
        resolve_settings({}, config)


def test_a_message_stays_short_whatever_aliases_stand_for(tmp_path):
    text = "training:\n  a: &a [x, x, x, x, x, x, x, x, x]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True):
        text += f"  {name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    (tmp_path / "c.yaml").write_text(text + "  cycles: *g\n")
    assert len("\n".join(mistakes_of(config=tmp_path / "c.yaml"))) < 5000


def test_a_mistake_in_an_alias_is_told_once(tmp_path):
    text = "training:\n  replay_manifest: &a [1, 2]\n  replay_sample: [*a, *a, *a]\n  capture_dir: *a\n"
    (tmp_path / "c.yaml").write_text(text)
    places = [line.replace(str(tmp_path), "") for line in mistakes_of(config=tmp_path / "c.yaml")]
    assert places == [
        "/c.yaml:2:20: training.capture_dir: found [1, 2], expected a path or null",
        "/c.yaml:2:20: training.replay_sample[0]: found [1, 2], expected a path",
        "/c.yaml:2:24: training.replay_manifest[0]: found 1, expected a path",
        "/c.yaml:2:27: training.replay_manifest[1]: found 2, expected a path",
    ]


def test_of_many_mistakes_the_first_are_shown_and_the_others_counted(tmp_path):
    (tmp_path / "c.yaml").write_text("".join(f"k{number}: 1\n" for number in range(1000)))
    lines = mistakes_of(config=tmp_path / "c.yaml")
    assert (len(lines), lines[-1]) == (MAX_MISTAKES + 1, "and 980 more mistakes")
