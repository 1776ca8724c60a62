"""What docs/environments.md shows runs, and says what the code says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_core.envs import TownVectorEnv, parallel_env

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "environments.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["pettingzoo", "supersuit", "gymnasium", "stable_baselines3"])
def test_every_block_of_code_runs(block, capsys):
    exec(block, {})
    assert ("print(" in block) == bool(capsys.readouterr().out)


def test_every_key_of_the_infos_is_on_the_page():
    env = parallel_env("queue_conflict", flat=True, events=True)
    _, told = env.reset()
    envs = TownVectorEnv("observation_baseline")
    envs.reset()
    for _ in range(envs.scenario.ticks):
        *_, infos = envs.step([0] * envs.num_envs)
    assert set(re.findall(r'^\| `infos\[name\]\["(\w+)"\]`', PAGE, re.M)) == set(told["anna"])
    assert set(re.findall(r'^\| `infos\["(\w+)"\]`', PAGE, re.M)) == {k for k in infos if k[0] != "_"}


def test_every_number_of_the_state_is_on_the_page():
    env = parallel_env("queue_conflict")
    (table,) = re.findall(r"### State\n.*?(\| for each.*?)\n\n", PAGE, re.DOTALL)
    said = set(re.findall(r"`(\w+)`", table)) | set(env.feature_names)
    assert {name.rsplit("/", 1)[1] for name in env.state_names} == said


def test_the_example_explains_its_options(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (command,) = re.findall(r"^python (examples/\S+)$", PAGE, re.M)
    shown = subprocess.run(
        [sys.executable, command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert all(option in shown for option in ("--scenario", "--steps", "--seed"))


def test_the_extra_installs_what_the_environments_import():
    extras = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1]
    (extra,) = re.findall(r"^pettingzoo = (.*)$", extras, re.M)
    assert "pip install '.[pettingzoo]'" in PAGE
    assert all(f'"{library}>=' in extra for library in ("gymnasium", "pettingzoo"))
