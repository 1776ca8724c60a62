"""A run gives the same weights and the same log on any number of threads and processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import orjson
import pytest
from small_runs import run_small, settings_of

from townlet_core.errors import InputError, RunFailed, TownletError
from townlet_core.ppo.checkpoint import load_checkpoint
from townlet_core.ppo.device import threads
from townlet_core.ppo.processes import Processes, joined, refuse_uneven
from townlet_core.training.run_json import read_run
from townlet_core.training.seeds import train_seeds
from townlet_core.training.session import resume
from townlet_core.training.together import agree_to_begin

ROOT = Path(__file__).resolve().parents[2]
# Agents faint and are replaced; statistics run along, and recordings are learned from as well.
HUNGRY = {
    "hunger: 1.0": "hunger: 0.3",
    "hunger_decay: 0": "hunger_decay: 0.01, respawn_delay_ticks: 5",
    "name: queue_conflict": "name: hungry",
}
TOWN = {
    "num_towns": 5,
    "rollout_ticks": 40,
    "cycles": 4,
    "shards": 4,
    "normalise_observations": True,
    "normalise_returns": True,
    "eval_every": 2,
    "eval_episodes": 2,
}
FLAGS = ("hidden_size", "capture_towns", "num_epochs", "num_mini_batches")  # of small_runs
CLOCK = ("run_id", "timestamp", "epoch_duration_sec", "steps_per_second", "env_steps_per_second")


@pytest.fixture(scope="module", autouse=True)
def hungry(tmp_path_factory):
    """A town in which agents faint, as the scenario of TOWN."""
    text = (ROOT / "scenarios" / "queue_conflict.yaml").read_text().partition("\nexpect:")[0]
    for old, new in HUNGRY.items():
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("scenario") / "hungry.yaml"
    path.write_text(text + "\n")
    TOWN["scenario"] = str(path)


def command_of(folder, **changes):
    settings = settings_of(**{**TOWN, **changes})
    flags = [f"--{name.replace('_', '-')}" for name in TOWN if not name.startswith("normalise")]
    names = [name for name in TOWN if not name.startswith("normalise")]
    words = [
        (flag, getattr(settings, name)) for flag, name in zip(flags, names, strict=True) if name != "scenario"
    ]
    words += [(f"--{name.replace('_', '-')}", getattr(settings, name)) for name in FLAGS]
    return [
        "train",
        settings.scenario,
        "--normalise-observations",
        "--normalise-returns",
        *(str(word) for pair in words for word in pair),
        "--output",
        str(folder),
    ]


def what_happened(folder):
    """Return the weights' digest, the bytes of the other state, and the log without what a clock decides."""
    records = [orjson.loads(line) for line in (folder / "telemetry.jsonl").read_bytes().splitlines()]
    left_out = {*CLOCK, "eval_duration_sec"}
    log = [{name: value for name, value in record.items() if name not in left_out} for record in records]
    checkpoint = load_checkpoint(folder)
    files = {name: (checkpoint.folder / name).read_bytes() for name in ("towns.npz", "optimizer.pt")}
    return checkpoint.metadata.weights_sha256, log, files


STARTED: list[subprocess.Popen] = []


def started(words, **options):
    """Start a process that does not outlive its test."""
    STARTED.append(subprocess.Popen(words, start_new_session=True, **options))
    return STARTED[-1]


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    for process in STARTED:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    STARTED.clear()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start_ranks(size, words, different=(), restarts=(0,)):
    """Start processes of one run as a launcher does.

    Rank r also gets the words different[r]; its part of the launcher has started it restarts[r] times before.
    """
    place = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    own = dict(enumerate(different))
    return [
        started(
            [sys.executable, "-m", "townlet_cli", *words, *own.get(rank, ())],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={
                **os.environ,
                **place,
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "OMP_NUM_THREADS": "1",
                "TORCHELASTIC_RESTART_COUNT": str(restarts[rank % len(restarts)]),
            },
        )
        for rank in range(size)
    ]


def ended(ranks):
    """Wait for processes; return their exit codes and what they printed."""
    printed = [rank.communicate(timeout=120) for rank in ranks]
    return [rank.returncode for rank in ranks], [out + err for out, err in printed]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, hungry):
    """The run of one process, on one thread."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    with threads(1):
        run_small(folder, **TOWN)
    return what_happened(folder)


def test_agents_faint_in_the_town_of_these_tests(alone):
    assert any(record.get("reward_faint_mean") for record in alone[1])


@pytest.mark.parametrize("count", [2, 4])
def test_any_number_of_threads_gives_the_same_weights_and_log(tmp_path, alone, count):
    with threads(count):
        run_small(tmp_path / "run", **TOWN)
    assert what_happened(tmp_path / "run") == alone


def test_another_number_of_shards_gives_other_weights(tmp_path, alone):
    run_small(tmp_path / "run", **{**TOWN, "shards": 3})
    assert what_happened(tmp_path / "run")[0] != alone[0]


def test_a_warm_start_and_replay_alone_do_not_depend_on_threads(tmp_path):
    told = []
    for count in (1, 2):
        with threads(count):
            settings = {"source": "replay", "warm_start": "bc", "warm_start_epochs": 2, "capture_towns": 3}
            told.append(run_small(tmp_path / str(count), **settings).weights_sha256)
    assert told[0] == told[1]


def test_two_processes_begin_and_one_goes_on_to_the_same_weights_and_log(tmp_path, alone):
    folder = tmp_path / "run"
    codes, printed = ended(start_ranks(2, command_of(folder, cycles=2)))
    assert codes == [0, 0], printed
    assert printed[1] == ""  # rank 0 speaks
    assert "weights sha256" in printed[0]
    resume(folder, TOWN["cycles"])
    assert what_happened(folder) == alone


def test_one_process_begins_and_four_go_on_to_the_same_weights_and_log(tmp_path, alone):
    folder = tmp_path / "run"
    run_small(folder, **{**TOWN, "cycles": 2})
    codes, printed = ended(
        start_ranks(4, ["train", "--resume", str(folder), "--cycles", str(TOWN["cycles"])])
    )
    assert codes == [0] * 4, printed
    assert what_happened(folder) == alone


def test_two_nodes_whose_process_is_killed_start_again_and_end_with_the_same_weights_and_log(tmp_path, alone):
    folder, port = tmp_path / "run", free_port()
    launch = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc_per_node=1"]
    launch += [
        "--rdzv_backend=c10d",
        f"--rdzv_endpoint=127.0.0.1:{port}",
        "--rdzv_id=test",
        "--max_restarts=2",
    ]
    nodes = [
        started(
            [*launch, "-m", "townlet_cli", *command_of(folder)],
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / f"node{number}").open("w"),
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for number in range(2)
    ]
    wait_for(lambda: has_saved(folder, 1), nodes)
    child = int(Path(f"/proc/{nodes[1].pid}/task/{nodes[1].pid}/children").read_text().split()[0])
    os.kill(child, signal.SIGKILL)
    codes = [node.wait(120) for node in nodes]
    told = "".join((tmp_path / f"node{number}").read_text() for number in range(2))
    assert codes == [0, 0], told
    assert "resuming" in told
    assert what_happened(folder) == alone


def has_saved(folder, cycle):
    try:
        return load_checkpoint(folder).state["cycle"] >= cycle
    except TownletError:  # there is none yet, or it is being replaced
        return False


def wait_for(condition, running):
    end = time.monotonic() + 120
    while not condition():
        assert all(process.poll() is None for process in running)
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_process_that_hangs_ends_the_others_which_name_it(tmp_path):
    folder = tmp_path / "run"
    ranks = start_ranks(2, [*command_of(folder, cycles=500), "--timeout", "15"])
    wait_for(lambda: has_saved(folder, 1), ranks)
    os.kill(ranks[1].pid, signal.SIGSTOP)
    (printed, errors), code = ranks[0].communicate(timeout=60), ranks[0].returncode
    ranks[1].kill()
    ended(ranks[1:])
    assert code == RunFailed.exit_code, printed + errors
    assert "rank 1" in errors
    assert "has not answered for 15 s (--timeout)" in errors
    assert "--resume" in errors


def test_a_signal_to_one_process_ends_the_others_before_they_save_half_an_update(tmp_path):
    folder = tmp_path / "run"
    ranks = start_ranks(
        2, [*command_of(folder, num_epochs=1000, num_mini_batches=50, cycles=2), "--mode", "replay"]
    )
    wait_for(lambda: has_saved(folder, 0), ranks)
    os.kill(ranks[1].pid, signal.SIGTERM)
    codes, printed = ended(ranks)
    assert codes == [128 + signal.SIGTERM] * 2, printed
    assert load_checkpoint(folder).state["cycle"] == 0


def test_processes_that_differ_are_refused_before_anything_is_written(tmp_path):
    folder = tmp_path / "run"
    codes, printed = ended(start_ranks(2, command_of(folder), [(), ("--seed", "7")]))
    assert codes == [2, 2]
    assert "rank 1 has training.seed 7, rank 0 has 0" in printed[0]
    assert not folder.exists()


class Told(Processes):
    """Processes of which only what they send is known."""

    def __init__(self, *sent):
        super().__init__(None, 0, len(sent), 1.0)
        self.sent = sent

    def send(self, data):
        return [data if sent is None else orjson.dumps({**orjson.loads(data), **sent}) for sent in self.sent]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("townlet", "9.9"),
        ("torch", "1.0"),
        ("processor", "znver2, AVX2"),
        ("scenario_sha256", "0" * 64),
        ("device", "cuda"),
    ],
)
def test_whatever_decides_about_results_is_compared(name, other):
    with pytest.raises(InputError, match=f"rank 1 has {name} '{other}'"):
        agree_to_begin(Told(None, {name: other}), settings_of(), None, Path("run"))
    agree_to_begin(Told(None, {}), settings_of(), None, Path("run"))


def test_shards_and_towns_that_cannot_be_shared_out_are_refused_with_what_to_do():
    with pytest.raises(InputError, match="--shards 3 and 2 processes: expected a multiple") as error:
        refuse_uneven(3, Told(None, {}))
    assert "--shards 4" in error.value.hint
    with pytest.raises(InputError, match="--num-towns 1 and 2 processes"):
        agree_to_begin(Told(None, {}), settings_of(num_towns=1), None, Path("run"))


def test_seeds_are_for_one_process(monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "h", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="--seeds in 2 processes"):
        train_seeds(settings_of(), (0, 1))


def test_restarts_need_a_run_directory_that_they_find_again(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    with pytest.raises(InputError, match="needs --output"):
        agree_to_begin(Told(None, {}), settings_of(), None, None)


def test_processes_that_start_again_go_on_with_their_run(tmp_path, alone):
    folder = tmp_path / "run"
    run_small(folder, **{**TOWN, "cycles": 2})
    codes, printed = ended(start_ranks(2, command_of(folder, cycles=2)))
    assert codes[0] == 2
    assert "already exists" in printed[0]
    codes, printed = ended(start_ranks(2, command_of(folder, cycles=2), restarts=(0, 1)))
    assert codes == [0, 0]
    assert "nothing is left to do" in printed[0]


def test_processes_that_start_again_do_not_go_on_with_another_run(tmp_path):
    folder = tmp_path / "run"
    run_small(folder, **{**TOWN, "cycles": 2, "seed": 7})
    command = command_of(folder, cycles=2)
    codes, printed = ended(start_ranks(2, command, restarts=(0, 1)))
    assert codes[0] == 2
    assert "already exists" in printed[0]
    codes, printed = ended(start_ranks(2, [*command, "--force"], restarts=(1, 1)))
    assert codes == [0, 0], printed
    assert read_run(folder).settings["training"]["seed"] == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"WORLD_SIZE": "two"}, "expected a rank below the number"),
        ({"RANK": "2"}, "expected a rank below the number"),
        ({"RANK": "1"}, "rank 1 cannot meet the others at 127.0.0.1:"),
        ({}, "rank 0 cannot meet the others at 127.0.0.1:"),
    ],
)
def test_wrong_variables_and_a_port_in_use_are_named(monkeypatch, changes, told):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if not changes:
            taken.listen()
        port = str(taken.getsockname()[1])
        own = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **changes}
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        with pytest.raises((InputError, RunFailed), match=told), joined(timeout=2):
            pass
