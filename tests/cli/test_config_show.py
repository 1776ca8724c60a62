"""Where settings come from: --set, flags, variables, files, defaults; and mistakes with their line."""

import json
from pathlib import Path

import pytest

from townlet_core.training import project
from townlet_core.training.project import parse_toml

PROJECT = """\
# defaults
[paths]
runs = "experiments"

[training]
cycles = 3
replay_manifest = [
  "a.json",
]
[ppo]
gamma = 0.5
clip_param = 0.1
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("townlet.toml").write_text(PROJECT)
    return tmp_path


def test_every_value_says_where_it_comes_from(townlet, here, monkeypatch):
    Path("c.yaml").write_text("ppo:\n  clip_param: 0.3\n  gae_lambda: 0.8\n")
    monkeypatch.setenv("TOWNLET_GAE_LAMBDA", "0.7")
    given = ("town_day", "--num-towns", 4, "--set", "training.num_towns=5", "--set", "ppo.value_clip=null")
    _, stdout, _ = townlet("config", "show", *given, "--config", "c.yaml", "--origin", "--json")
    found = json.loads(stdout)
    wanted = {
        "scenario": ("town_day", "--scenario"),
        "num_towns": (5, "--set training.num_towns"),
        "value_clip": (None, "--set ppo.value_clip"),
        "gae_lambda": (0.7, "TOWNLET_GAE_LAMBDA"),
        "clip_param": (0.3, "c.yaml:2"),
        "gamma": (0.5, "townlet.toml:11"),
        "replay_manifest": (["a.json"], "townlet.toml:7"),
        "cycles": (3, "townlet.toml:6"),
        "seed": (0, "default"),
    }
    values = found["settings"]["training"] | found["settings"]["ppo"]
    assert {name: (values[name], found["origin"][name]) for name in wanted} == wanted
    assert (found["paths"]["runs"], found["origin"]["runs"]) == ("experiments", "townlet.toml:3")
    assert found["origin"]["captures"] == "default"


def test_what_is_shown_is_a_config_file_that_gives_the_same(townlet, here):
    _, shown, _ = townlet("config", "show", "--origin", "--learning-rate", "1e-5")
    assert "  cycles: 3 " in shown
    assert "# townlet.toml:6" in shown
    Path("own.yaml").write_text(shown)
    Path("townlet.toml").unlink()
    _, plain, _ = townlet("config", "show", "--config", "own.yaml")
    assert plain.splitlines()[3:] == [line.partition("  # ")[0].rstrip() for line in shown.splitlines()[3:]]


def test_a_run_takes_the_defaults_of_the_project(townlet, here):
    Path("townlet.toml").write_text('paths.runs = "experiments"\ntraining = {cycles = 1, num_towns = 2}\n')
    small = ("--mode", "rollout", "--rollout-ticks", 5, "--hidden-size", 8, "--epochs", 1)
    assert townlet("train", *small, "--set", "training.seed=7", "-q")[0] == 0
    run = Path("experiments/queue_conflict-s7-1")
    sources = json.loads((run / "config.sources.json").read_text())
    assert (sources["cycles"], sources["seed"], sources["gamma"]) == ("townlet.toml", "--set", "default")


def test_captures_go_where_the_project_says(townlet, here):
    Path("townlet.toml").write_text('[paths]\ncaptures = "data/towns"\n')
    assert townlet("capture", "observation_baseline", "-q")[0] == 0
    assert Path("data/towns/observation_baseline/rollout_sample_manifest.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[training\n", "townlet.toml:1:10: not TOML: Expected ']' at the end of a table declaration"),
        ("a = 1\nb = '''\n", "townlet.toml:"),
        (
            "[training]\n\n  cycles = 0\n",
            "townlet.toml:3:3: training.cycles: found 0, expected a whole number",
        ),
        ("[ppo]\ngama = 1\n", "townlet.toml:2:1: ppo.gama: unknown key 'gama' (did you mean 'gamma'?)"),
        ("[trainig]\n", "townlet.toml:1:1: trainig: unknown section 'trainig' (did you mean 'training'?)"),
        ("[paths]\nrun = 'x'\n", "townlet.toml:2:1: paths.run: unknown key 'run' (did you mean 'runs'?)"),
        ("[paths]\nruns = ''\n", "townlet.toml:2:1: paths.runs: found '', expected the path of a folder"),
        ("paths = 1\n", "townlet.toml:1:1: paths: found 1, expected a table of folders"),
        ("[training]\nseed = 2026-01-02\n", "townlet.toml:2:1: training.seed: found '2026-01-02', expected"),
        ("[training]\nscenario = '\x01'\n", "townlet.toml:2:"),
        ("a = " + "[" * 5000, "townlet.toml"),
    ],
)
def test_a_mistake_in_the_project_file_has_its_line(townlet, here, text, message):
    Path("townlet.toml").write_text(text)
    for command in (("config", "show"), ("train",)):
        code, stdout, stderr = townlet(*command)
        assert (code, stdout) == (2, "")
        assert stderr.startswith(f"error: {message}"), stderr
    assert list(here.iterdir()) == [here / "townlet.toml"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "cycles=3",
            "--set: found 'cycles=3', expected SECTION.KEY=VALUE, such as --set ppo.learning_rate=0.001",
        ),
        ("ppo.gamma=", "--set: found 'ppo.gamma=', expected SECTION.KEY=VALUE"),
        ("ppo.gama=0.5", "--set: ppo.gama: unknown key 'gama' (did you mean 'gamma'?)"),
        ("training.gamma=0.5", "--set: training.gamma: belongs under ppo:"),
        ("ppo.gamma=1.5", "--set: ppo.gamma: found 1.5, expected a number from 0 to 1"),
        ("training.source=mixd", "--set: training.source: unknown source 'mixd' (did you mean 'mixed'?)"),
        ("ppo.gamma=[", "--set: ppo.gamma: "),
        ("trainig.cycles=1", "--set: trainig: unknown section 'trainig' (did you mean 'training'?)"),
    ],
)
def test_a_mistake_in_set_is_told(townlet, tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = townlet("config", "show", "--set", text)
    assert code == 2
    assert stderr.startswith(f"error: {message}"), stderr


def test_lines_of_keys_are_found_in_every_form_of_toml():
    text = 'ppo.gamma = 1 # [no]\r\n\r\n# x\r\n"training" = { cycles = 2, "seed" = 3 }\n'
    text += '[other."a b"]\nx = """\n[y]\nz = 1\n"""\n'
    root, mistakes = parse_toml(text.encode())
    assert mistakes == []
    inside = {name: root.value[name].keys for name in root.value}
    assert inside["ppo"] == {"gamma": (1, 1)}
    assert inside["training"] == {"cycles": (4, 1), "seed": (4, 1)}
    assert root.value["other"].keys == {"a b": (5, 1)}
    assert root.value["other"].value["a b"].keys == {"x": (6, 1)}


def test_a_large_project_file_is_refused(townlet, here):
    Path("townlet.toml").write_text("#" * (project.MAX_PROJECT_BYTES + 1))
    code, _, stderr = townlet("config", "show")
    assert code == 2
    assert "townlet.toml" in stderr


def test_python_reads_no_project_file(here):
    from townlet_core.training.settings import TrainingSettings, resolve_settings

    assert TrainingSettings().cycles == resolve_settings({})[0].cycles == 10
