"""An address where a path is expected is refused, by every argument of the API and every setting."""

import inspect
import typing
from dataclasses import fields
from pathlib import Path

import pytest

import townlet_core as townlet
from townlet_core.addresses import refuse_address
from townlet_core.errors import InputError, SettingsError
from townlet_core.ppo.options import options_of
from townlet_core.training.options import TrainingOptions
from townlet_core.training.project import read_project
from townlet_core.training.settings import TrainingSettings, resolve_settings

ADDRESS = "gs://bucket/x"
NEW = {"cycles": 1, "source": "rollout", "num_towns": 1, "rollout_ticks": 2, "warm_start": "none"}
CALLS = {
    "load_scenario name_or_path": lambda: townlet.load_scenario(ADDRESS),
    "Towns scenario": lambda: townlet.Towns(ADDRESS),
    "ScriptedPolicy scenario": lambda: townlet.ScriptedPolicy(ADDRESS),
    "load_policy path": lambda: townlet.load_policy(ADDRESS, "queue_conflict"),
    "load_policy scenario": lambda: townlet.load_policy("run", ADDRESS),
    "capture scenario": lambda: townlet.capture(ADDRESS, "c"),
    "capture output": lambda: townlet.capture("observation_baseline", ADDRESS, ticks=1),
    "validate_replay path": lambda: townlet.validate_replay(ADDRESS),
    "ReplayDatasetConfig manifests": lambda: townlet.ReplayDatasetConfig(manifests=(ADDRESS,)),
    "ReplayDatasetConfig samples": lambda: townlet.ReplayDatasetConfig(samples=(ADDRESS,)),
    "ReplayDatasetConfig events": lambda: townlet.ReplayDatasetConfig(events=(ADDRESS,)),
    "export_parquet path": lambda: townlet.export_parquet(ADDRESS, "o"),
    "export_parquet output": lambda: townlet.export_parquet("c", ADDRESS),
    "export_huggingface path": lambda: townlet.export_huggingface(ADDRESS, "o"),
    "export_huggingface output": lambda: townlet.export_huggingface("c", ADDRESS),
    "export_minari path": lambda: townlet.export_minari(ADDRESS, "o"),
    "export_minari output": lambda: townlet.export_minari("c", ADDRESS),
    "import_npz path": lambda: townlet.import_npz(ADDRESS, "mapping.yaml", "o"),
    "import_npz mapping": lambda: townlet.import_npz("c", ADDRESS, "o"),
    "import_npz output": lambda: townlet.import_npz("c", "mapping.yaml", ADDRESS),
    "import_minari path": lambda: townlet.import_minari(ADDRESS, "mapping.yaml", "o"),
    "import_minari mapping": lambda: townlet.import_minari("c", ADDRESS, "o"),
    "import_minari output": lambda: townlet.import_minari("c", "mapping.yaml", ADDRESS),
    "train output": lambda: townlet.train(TrainingSettings(**NEW), ADDRESS),
    "train runs": lambda: townlet.train(TrainingSettings(**NEW), runs=ADDRESS),
    "train_seeds output": lambda: townlet.train_seeds(TrainingSettings(**NEW), (0, 1), ADDRESS),
    "train_seeds runs": lambda: townlet.train_seeds(TrainingSettings(**NEW), (0, 1), runs=ADDRESS),
    "resume folder": lambda: townlet.resume(ADDRESS),
    "evaluate scenario": lambda: townlet.evaluate(ADDRESS, "scripted", 2),
    "read_telemetry path": lambda: list(townlet.read_telemetry(ADDRESS)),
    "make_env scenario": lambda: townlet.make_env(ADDRESS),
    "make_vec_env scenario": lambda: townlet.make_vec_env(ADDRESS, 2),
}
SETTINGS = [name for name, kind in options_of(TrainingOptions).items() if "Path" in str(kind)]


def takes_a_path(hint):
    return hint is Path or any(map(takes_a_path, typing.get_args(hint)))


def path_arguments():
    """Yield every argument of the public API that takes a path; those of TrainingSettings are settings."""
    for name in townlet.PUBLIC.keys() - {"TrainingSettings"}:
        entry = getattr(townlet, name)
        hints = typing.get_type_hints(entry.__init__ if inspect.isclass(entry) else entry)
        yield from (f"{name} {key}" for key, hint in hints.items() if key != "return" and takes_a_path(hint))


def test_the_list_of_calls_has_every_path_argument_of_the_public_api():
    assert set(path_arguments()) == CALLS.keys()


@pytest.mark.parametrize("call", CALLS)
def test_every_path_argument_refuses_an_address(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    townlet.capture("observation_baseline", "c", ticks=1)
    with pytest.raises(InputError, match=f"^{ADDRESS}.*: is an address, expected a path on this machine$"):
        CALLS[call]()
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_refuses_an_address_wherever_it_is_written(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kind = next(field.type for field in fields(TrainingOptions) if field.name == name)
    value = f"['{ADDRESS}']" if "tuple" in str(kind) else f"'{ADDRESS}'"
    said = f"{ADDRESS}: is an address, expected a path on this machine"
    Path("c.yaml").write_text(f"training:\n  {name}: {value}\n")
    with pytest.raises(SettingsError, match=f"^c.yaml:2:.*: {said}$"):
        resolve_settings({}, Path("c.yaml"))
    with pytest.raises(SettingsError, match=f"^--set: .*: {said}$"):
        resolve_settings({}, sets=[f"training.{name}={value}"])
    Path("townlet.toml").write_text(f"[training]\n{name} = {value}\n")
    with pytest.raises(SettingsError, match=f"^townlet.toml:2:.*: {said}$"):
        resolve_settings({}, project=read_project())
    monkeypatch.setenv(f"TOWNLET_{name.upper()}", ADDRESS)
    with pytest.raises(SettingsError, match=f"TOWNLET_{name.upper()}: .*is an address"):
        resolve_settings({})


@pytest.mark.parametrize("name", ["runs", "captures"])
def test_every_folder_of_a_project_refuses_an_address(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("townlet.toml").write_text(f'[paths]\n{name} = "{ADDRESS}"\n')
    [mistake] = read_project().mistakes
    assert mistake.text("townlet.toml") == (
        f"townlet.toml:2:1: paths.{name}: found '{ADDRESS}', an address, expected a path on this machine"
    )


@pytest.mark.parametrize("name", ["a:b", "run-2026-11-28T10:30:00", "x:/y", "a:b/c:d"])
def test_a_path_with_a_colon_is_a_path(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    townlet.capture("observation_baseline", name, ticks=1)
    assert townlet.validate_replay(name).problems == []


@pytest.mark.parametrize("name", ["validate_replay path", "ReplayDatasetConfig manifests", "train output"])
def test_an_s3_address_is_refused_with_the_page_about_it(name, monkeypatch):
    monkeypatch.setitem(globals(), "ADDRESS", "s3://bucket/x")
    with pytest.raises(InputError, match=r"^s3://bucket/x.*: is an address, expected a path") as refused:
        CALLS[name]()
    assert "townlet docs object-storage" in refused.value.hint


def test_the_hint_for_a_file_address_is_its_path():
    with pytest.raises(InputError) as refused:
        refuse_address("file:///data/x")
    assert str(refused.value).startswith("file:///data/x: is an address")
    assert refused.value.hint == "leave file:// out: /data/x"
