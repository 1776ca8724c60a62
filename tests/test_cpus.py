"""The CPUs of this process are those of the least bound."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_core import cpus
from townlet_core.cpus import CpuBound, available_cpus, cpu_bound


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """Simulate sixteen CPUs without Slurm; returns a function that writes the files of control groups."""
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(cpus, "GROUPS", tmp_path / "mounted")
    monkeypatch.setattr(cpus, "OWN_GROUP", tmp_path / "own")
    for name in (cpus.TASK, cpus.NODE):
        monkeypatch.delenv(name, raising=False)

    def write(own, files):
        (tmp_path / "own").write_text(own)
        for name, text in files.items():
            file = tmp_path / "mounted" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    return write


def test_a_machine_without_bounds_is_used_whole():
    assert cpu_bound() == CpuBound(16, "machine")


def test_affinity_bounds(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5}, raising=False)
    assert cpu_bound() == CpuBound(2, "affinity")


@pytest.mark.parametrize(
    ("own", "files", "count"),
    [
        ("0::/job/step\n", {"job/step/cpu.max": "400000 100000\n"}, 4),
        ("0::/job/step\n", {"job/step/cpu.max": "max 100000\n", "job/cpu.max": "250000 100000\n"}, 3),
        ("0::/job/step\n", {"job/step/cpu.max": "400000 100000\n", "cpu.max": "800000 100000\n"}, 4),
        ("0::/docker/abc\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/../sibling\n", {"cpu.max": "200000 100000\n"}, 2),
        ("1:name=systemd:/\n0::/a:b\n", {"unified/a:b/cpu.max": "200000 100000\n"}, 2),
        (
            "4:cpu,cpuacct:/job\n0::/\n",
            {"cpu,cpuacct/job/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/job/cpu.cfs_period_us": "100000\n"},
            3,
        ),
        ("1:cpu:/job\n", {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 16),
        ("0::/\n", {"cpu.max": "nonsense\n"}, 16),
        ("0::/\n", {}, 16),
    ],
)
def test_the_least_quota_of_the_groups_above_bounds(machine, own, files, count):
    machine(own, files)
    assert cpu_bound() == CpuBound(count, "control group" if count < 16 else "machine")


@pytest.mark.parametrize(
    ("variables", "bound"),
    [
        ({cpus.TASK: "3"}, CpuBound(3, cpus.TASK)),
        ({cpus.NODE: "8"}, CpuBound(8, cpus.NODE)),
        ({cpus.TASK: "2", cpus.NODE: "8"}, CpuBound(2, cpus.TASK)),
        ({cpus.TASK: "64"}, CpuBound(16, "machine")),
        ({cpus.TASK: "four", cpus.NODE: "0"}, CpuBound(16, "machine")),
    ],
)
def test_slurm_bounds(monkeypatch, variables, bound):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cpu_bound() == bound
    assert available_cpus() == bound.cpus


COUNT = """
from townlet_core.ppo.device import torch
from townlet_core.kernels import config
print(config.NUMBA_NUM_THREADS, torch.get_num_threads())
"""
CHOSEN = {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}


@pytest.mark.parametrize(
    ("program", "variables", "counts"),
    [
        (COUNT, {}, "1 1"),
        (COUNT, CHOSEN, "2 2"),
        ("import torch; torch.set_num_threads(3)" + COUNT, {}, "1 3"),
    ],
)
def test_libraries_start_as_many_threads_unless_the_user_chose(program, variables, counts):
    free = {name: text for name, text in os.environ.items() if name not in CHOSEN}
    root = str(Path(__file__).resolve().parents[1])
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**free, "PYTHONPATH": root, cpus.TASK: "1", **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == counts
