"""A user's type checker knows the fields of settings, their types and which have defaults."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """\
from townlet_core.ppo.config import NetworkConfig, PPOConfig
from townlet_core.training.settings import TrainingSettings

TrainingSettings(cycles=3, source="rollout", gamma=PPOConfig(gamma=0.9, value_clip=None).gamma)
NetworkConfig(map_shape=(4, 11, 11), feature_count=90, action_count=9)
PPOConfig(gama=0.9)
TrainingSettings(cycles="3")
NetworkConfig(map_shape=(4, 11, 11), feature_count=90)
"""


def test_a_type_checker_takes_what_fits_and_names_what_does_not(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    settings = ["--config-file", "tests/strict_mypy.ini", "--cache-dir", tmp_path / "cache"]
    command = [sys.executable, "-m", "mypy", *settings]
    ran = subprocess.run([*command, tmp_path / "program.py"], capture_output=True, text=True, cwd=ROOT)
    *errors, _ = ran.stdout.splitlines()
    assert [error.partition("error: ")[2].partition(";")[0] for error in errors] == [
        'Unexpected keyword argument "gama" for "PPOConfig"',
        'Argument "cycles" to "TrainingSettings" has incompatible type "str"',
        'Missing named argument "action_count" for "NetworkConfig"  [call-arg]',
    ], ran.stdout
