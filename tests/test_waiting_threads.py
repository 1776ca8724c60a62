"""Threads that wait for work sleep, unless the user chose otherwise."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LOAD_BOTH = """
import townlet_core, numpy, torch
from townlet_core.simulation.towns import MANY_TOWNS, Towns
towns = Towns("observation_baseline", MANY_TOWNS)
towns.step(numpy.zeros(towns.state.agents.shape, int))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="GNU OpenMP tells its settings")
@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({}, ("PASSIVE", "0")),
        ({"OMP_WAIT_POLICY": "active"}, ("ACTIVE", None)),
        ({"GOMP_SPINCOUNT": "77"}, (None, "77")),
    ],
)
def test_every_openmp_waits_without_spinning_unless_the_user_chose(chosen, said):
    free = {name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment = {**free, "OMP_DISPLAY_ENV": "verbose", "PYTHONPATH": str(ROOT), **chosen}
    ended = subprocess.run(
        [sys.executable, "-c", LOAD_BOTH], env=environment, capture_output=True, text=True, check=True
    )
    policies = re.findall(r"OMP_WAIT_POLICY = '(\w+)'\n(?:.*\n)*?.*GOMP_SPINCOUNT = '(\d+)'", ended.stderr)
    assert policies, "torch and numba load no GNU OpenMP"
    for policy, spins in policies:
        assert (said[0] or policy, said[1] or spins) == (policy, spins)
