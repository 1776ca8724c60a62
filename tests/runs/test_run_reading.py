"""What stands in a run directory is read without its weights, also where parts are missing or damaged."""

import fcntl
import json
import os

import pytest

from townlet_core.errors import InputError, MissingFileError
from townlet_core.locks import holder_of, lock_folder
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.runs import reading
from townlet_core.runs.reading import read_run_folder


def test_a_finished_run_says_what_it_was_and_how_far_it_came(trained):
    run = read_run_folder(trained)
    assert (run.status, run.scenario, run.seed, run.problems) == ("finished", "queue_conflict", 7, [])
    assert (run.cycles, run.cycles_done, run.holder) == (3, 3, None)
    assert run.scenario_file == trained / "scenario.yaml"
    assert run.log == trained / "telemetry.jsonl"
    assert run.settings["num_towns"] == 3


def test_counters_are_those_that_the_checkpoints_hold(trained):
    run = read_run_folder(trained)
    latest, best = load_checkpoint(trained), load_checkpoint(trained / "checkpoints" / "best.json")
    assert run.latest.generation == latest.folder.name
    assert (run.env_steps, run.best_reward) == (latest.state["env_steps"], latest.state["best_reward"])
    assert (run.best.generation, run.best.cycle) == (best.folder.name, best.state["cycle"])
    assert run.best.env_steps == best.state["env_steps"]


def test_origins_are_those_that_the_run_wrote_else_told_by_the_default(trained, make_run):
    origins = read_run_folder(trained).origins
    assert [origins[name] for name in ("seed", "cycles", "hidden_size")] == [
        "flag",
        "environment",
        "town.yaml",
    ]
    assert (origins["num_towns"], origins["learning_rate"]) == ("config.yaml", "default")
    assert set(origins) == set(read_run_folder(trained).settings)
    folder = make_run()
    (folder / "config.sources.json").unlink()
    assert read_run_folder(folder).origins["seed"] == "config.yaml"


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_a_run_that_did_not_finish_says_why(make_run, status):
    run = read_run_folder(make_run(status=status, reason="Interrupted: SIGTERM"))
    assert (run.status, run.reason) == (status, "Interrupted: SIGTERM")


def test_a_run_is_running_while_its_lock_is_held_and_dead_if_nobody_holds_it(make_run):
    folder = make_run(status="running")
    assert read_run_folder(folder).status == "dead"
    with lock_folder(folder):
        run = read_run_folder(folder)
    assert run.status == "running"
    assert run.holder.startswith("pid ")


def test_a_lock_that_a_killed_holder_left_is_held_by_nobody(tmp_path):
    (tmp_path / ".lock").write_text("pid 1: townlet train")
    assert holder_of(tmp_path) is None
    assert holder_of(tmp_path / "missing") is None


def test_asking_for_the_holder_does_not_get_in_the_way_of_a_writer(tmp_path, monkeypatch):
    (tmp_path / ".lock").write_text("pid 1: townlet train")
    reader = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH | fcntl.LOCK_NB)
    monkeypatch.setattr("townlet_core.locks.time.sleep", lambda seconds: os.close(reader))
    with lock_folder(tmp_path):
        assert holder_of(tmp_path).startswith(f"pid {os.getpid()}: ")


def test_a_run_without_a_checkpoint_has_done_nothing(make_run):
    folder = make_run(status="failed")
    for name in ("latest.json", "best.json"):
        (folder / "checkpoints" / name).unlink()
    run = read_run_folder(folder)
    assert (run.latest, run.best, run.best_reward, run.cycles_done, run.problems) == (None, None, None, 0, [])


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"generation": "../../x"}', b'{"generation": "g000999"}'])
def test_a_damaged_pointer_is_a_problem_and_the_rest_is_read(make_run, damage):
    folder = make_run()
    (folder / "checkpoints" / "latest.json").write_bytes(damage)
    run = read_run_folder(folder)
    assert run.latest is None
    assert run.best is not None
    assert len(run.problems) == 1
    assert "latest.json" in run.problems[0]


def test_damaged_origins_and_states_are_problems(make_run):
    folder = make_run()
    (folder / "config.sources.json").write_bytes(b"{")
    state = folder / "checkpoints" / read_run_folder(folder).best.generation / "state.json"
    state.write_bytes(b'{"state": 3}')
    run = read_run_folder(folder)
    assert run.origins["seed"] == "config.yaml"
    assert {problem.split(":")[0] for problem in run.problems} == {
        str(state),
        str(folder / "config.sources.json"),
    }


def test_a_generation_that_is_replaced_while_it_is_read_is_no_problem(make_run, monkeypatch):
    """What a run does between the two looks: it names another generation and removes the one before."""
    folder = make_run()
    pointer = folder / "checkpoints" / "latest.json"
    right = json.loads(pointer.read_text())
    pointer.write_text(json.dumps(right | {"generation": "g000099"}))
    read = reading._state

    def replace_then_read(path):
        pointer.write_text(json.dumps(right))
        return read(path)

    monkeypatch.setattr(reading, "_state", replace_then_read)
    run = read_run_folder(folder)
    assert (run.latest.generation, run.problems) == (right["generation"], [])


def test_a_run_that_ends_while_it_is_read_is_not_dead(make_run, monkeypatch):
    folder = make_run(status="running")

    def end(folder):
        path = folder / "run.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "finished"}))

    monkeypatch.setattr(reading, "holder_of", end)
    assert read_run_folder(folder).status == "finished"


def test_the_log_of_a_run_is_the_one_that_its_settings_name(make_run):
    folder = make_run(settings={"ppo_log": "logs/ppo.jsonl"})
    assert read_run_folder(folder).log == folder / "logs" / "ppo.jsonl"


def test_the_settings_of_a_run_of_0_1_0_are_in_its_yaml(make_run):
    folder = make_run(settings={"seed": 9})
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({"status": "finished", "scenario": content["scenario"]}))
    run = read_run_folder(folder)
    assert (run.seed, run.cycles, run.run_id) == (7, 3, None)


def test_what_is_no_run_is_refused(tmp_path, make_run):
    with pytest.raises(MissingFileError, match="no such folder"):
        read_run_folder(tmp_path / "missing")
    with pytest.raises(InputError, match="no run directory"):
        read_run_folder(tmp_path)
    with pytest.raises(InputError, match="status"):
        read_run_folder(make_run(status="asleep"))
