"""A setting comes from flag, variable, file or default, and each says which."""

import inspect
from pathlib import Path

from townlet_cli.train import train
from townlet_core.ppo.options import options_of
from townlet_core.training.options import TrainingOptions
from townlet_core.training.settings import (
    TrainingSettings,
    config_yaml,
    resolve_settings,
    with_absolute_paths,
    within,
)


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


def test_the_written_configuration_reads_back_as_the_same_settings(tmp_path):
    from ruamel.yaml import YAML

    settings, _ = resolve_settings({"cycles": 7, "value_clip": None, "replay_manifest": ["a.json", "b.json"]})
    with open(tmp_path / "config.yaml", "w") as file:
        YAML(typ="safe").dump(config_yaml(settings), file)
    assert resolve_settings({}, tmp_path / "config.yaml")[0] == settings


def test_every_setting_is_a_flag_with_the_same_help():
    flags = {name: p.annotation for name, p in inspect.signature(train, eval_str=True).parameters.items()}
    for name, option in options_of(TrainingOptions).items():
        help_text = flags[name].__metadata__[0].help
        assert help_text == option.__metadata__[0].help, name


def test_paths_in_a_folder_are_told_from_there_and_others_stay_absolute(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(tmp_path)
    given = {
        "ppo_log": tmp_path / "link" / "run" / "logs" / "ppo.jsonl",
        "capture_dir": tmp_path / "run",
        "replay_sample": (tmp_path / "run" / "a.npz", tmp_path / "running" / "b.npz"),
    }
    own = within(TrainingSettings(**given), tmp_path / "run")
    assert (str(own.ppo_log), str(own.capture_dir)) == ("logs/ppo.jsonl", ".")
    assert own.replay_sample == (Path("a.npz"), tmp_path / "running" / "b.npz")
    monkeypatch.chdir(tmp_path)
    moved = with_absolute_paths(own, Path("moved"))
    assert moved.ppo_log == tmp_path / "moved" / "logs" / "ppo.jsonl"
    assert moved.replay_sample[1] == tmp_path / "running" / "b.npz"
