"""What would not fit into memory is refused with a sentence before it is begun."""

import pytest

from townlet_core import memory
from townlet_core.capture.rollout import allocate_frames
from townlet_core.errors import InputError
from townlet_core.ppo.checkpoint import MAX_FILE_BYTES
from townlet_core.ppo.config import MAX_PARAMETERS, network_config
from townlet_core.scenario.load import load_scenario
from townlet_core.simulation.towns import Towns

WIDEST = {"map_shape": (4, 11, 11), "feature_count": 90, "action_count": 9, "hidden_size": 8192}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Let a machine have 3 GB free; returns the folder that stands for its container's limits."""
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable:    3000000 kB\n")
    monkeypatch.setattr(memory, "SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "GROUP", tmp_path)
    return tmp_path


def test_what_is_free_is_the_least_that_machine_and_container_leave(machine):
    assert memory.free_memory() == 3_072_000_000
    (machine / "memory.max").write_text("2000000000\n")
    (machine / "memory.stat").write_text("anon 500000000\nfile 900000000\n")  # files can be dropped
    assert memory.free_memory() == 1_500_000_000
    (machine / "memory.max").write_text("max\n")
    assert memory.free_memory() == 3_072_000_000


def test_where_nobody_knows_what_is_free_nothing_is_refused(machine):
    (machine / "meminfo").unlink()
    memory.require_memory(1 << 60, "everything")


def test_more_frames_than_memory_are_refused_before_they_are_played(machine):
    towns = Towns(load_scenario("observation_baseline"), 1)
    with pytest.raises(MemoryError, match=r"^9,000,000 ticks of 1 × 1 agent: needs about 1\d\.\d GB"):
        allocate_frames(towns, 9_000_000)


def test_a_command_says_what_does_not_fit_and_exits_4(townlet, machine, tmp_path):
    (machine / "meminfo").write_text("MemAvailable: 1000 kB\n")
    code, _, said = townlet("train", "queue_conflict", "--output", tmp_path / "run")
    assert code == 4
    assert "hint: ask for fewer towns or ticks" in said


def test_the_widest_network_of_the_documented_settings_is_one():
    config = network_config(**WIDEST)
    assert config.parameter_count == (484 + 1 + 90 + 1 + 2 * 8192 + 1 + 9 + 1) * 8192 + 9 + 1
    assert config.parameter_count <= MAX_PARAMETERS
    assert MAX_FILE_BYTES > 2 * 4 * MAX_PARAMETERS  # the two moments of Adam


def test_a_network_that_is_too_large_for_its_data_is_refused_with_a_sentence():
    with pytest.raises(InputError, match=r"network: hidden_size 8192: .* more than 268,435,456 parameters"):
        network_config(**{**WIDEST, "map_shape": (64, 32, 32)})


@pytest.mark.parametrize(
    "message",
    [
        "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to",
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
    ],
)
def test_what_torch_says_of_want_of_memory_is_no_bug(townlet, monkeypatch, message):
    def refuse():
        raise RuntimeError(f"{message}\nand its own stack")

    monkeypatch.setattr("townlet_core.scenario.catalogue.bundled_scenarios", refuse)
    code, _, said = townlet("scenario", "list")
    assert (code, said.splitlines()[0]) == (4, f"error: not enough memory: {message}")
