"""A setting comes from flag, variable, file or default, and each says which."""

import inspect

import pytest

from townlet_cli.train import train
from townlet_core.errors import InputError
from townlet_core.training.settings import TrainingSettings, config_yaml, resolve_settings


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(tmp_path, monkeypatch):
    config = tmp_path / "c.yaml"
    config.write_text(
        "training: {cycles: 3, num_towns: 5, source: replay}\nppo: {gamma: 0.5, clip_param: 1e-1}\n"
    )
    monkeypatch.setenv("TOWNLET_CYCLES", "4")
    monkeypatch.setenv("TOWNLET_GAMMA", "0.6")
    settings, sources = resolve_settings({"gamma": 0.7}, config)
    assert (settings.gamma, settings.cycles, settings.num_towns) == (0.7, 4, 5)
    assert (settings.clip_param, settings.learning_rate, settings.source) == (0.1, 3e-4, "replay")
    wanted = {"gamma": "flag", "cycles": "environment", "num_towns": str(config), "learning_rate": "default"}
    assert {name: sources[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("training: {cycels: 3}", r"training\.cycels: unknown key \(did you mean 'cycles'\?\)"),
        ("traning: {cycles: 3}", r"traning: unknown section \(did you mean 'training'\?\)"),
        ("training: {cycles: none}", "cycles: found 'none', expected"),
        ("ppo: [1]", "ppo: expected a mapping"),
        ("- 1", "expected a mapping"),
        ("training: {", "not YAML"),
        ("ppo: {cycles: 3}", r"ppo\.cycles: unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(tmp_path, text, message):
    config = tmp_path / "c.yaml"
    config.write_text(text)
    with pytest.raises(InputError, match=message):
        resolve_settings({}, config)


def test_a_variable_that_means_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("TOWNLET_LERNING_RATE", "1")
    with pytest.raises(InputError, match=r"TOWNLET_LERNING_RATE: no such setting .*TOWNLET_LEARNING_RATE"):
        resolve_settings({})


def test_a_value_out_of_range_names_the_flag():
    with pytest.raises(InputError, match="--clip-param: found -1"):
        resolve_settings({"clip_param": -1.0})


def test_the_written_configuration_reads_back_as_the_same_settings(tmp_path):
    from ruamel.yaml import YAML

    settings, _ = resolve_settings({"cycles": 7, "value_clip": None, "replay_manifest": ["a.json", "b.json"]})
    with open(tmp_path / "config.yaml", "w") as file:
        YAML(typ="safe").dump(config_yaml(settings), file)
    assert resolve_settings({}, tmp_path / "config.yaml")[0] == settings


def test_every_setting_is_a_flag_with_the_same_help():
    flags = {name: p.annotation for name, p in inspect.signature(train, eval_str=True).parameters.items()}
    for name, field in TrainingSettings.model_fields.items():
        help_text = flags[name].__metadata__[0].help
        assert help_text == field.description, name
