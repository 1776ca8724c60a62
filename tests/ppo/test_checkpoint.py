"""A checkpoint comes back bit for bit, and a crash or a flipped bit costs at most one generation."""

import errno
import io as memory
import json
import os
import pickle
import signal
import zipfile

import numpy as np
import pytest
import torch
from dying import die_at_disk_call

from townlet_core.errors import DiskError, InputError, MissingError
from townlet_core.ppo.checkpoint import load_checkpoint, restore_network, restore_optimizer, save_checkpoint
from townlet_core.ppo.config import NetworkConfig, PPOConfig
from townlet_core.ppo.device import threads
from townlet_core.ppo.network import ActorCritic
from townlet_core.ppo.serialization import weights_sha256
from townlet_core.ppo.statistics import TrainBatch
from townlet_core.ppo.update import make_optimizer, update_policy

SHAPE = NetworkConfig(map_shape=(1, 2, 2), feature_count=3, action_count=3, hidden_size=8)
CPU = torch.device("cpu")


@pytest.fixture
def learner():
    with threads(1):
        network = ActorCritic(SHAPE, seed=0)
        yield network, make_optimizer(network, 1e-2)


@pytest.fixture
def run(tmp_path, learner):
    """A run with three saves, of which the newest two are kept."""
    network, optimizer = learner
    for cycle in range(3):
        learn(network, optimizer, cycle)
        save_checkpoint(tmp_path / "checkpoints", network, optimizer, {"cycle": cycle}, {"towns.npz": b"t"})
    return tmp_path


def learn(network, optimizer, cycle):
    chance = np.random.default_rng(cycle)
    columns = chance.standard_normal((5, 32)).astype(np.float32)
    batch = TrainBatch(
        chance.random((32, 1, 2, 2), np.float32),
        chance.random((32, 3), np.float32),
        np.ones((32, 3), bool),
        chance.integers(0, 3, 32),
        np.full(32, -np.log(3), np.float32),
        *columns[:4],
    )
    update_policy(network, optimizer, [batch], PPOConfig(), (cycle,), 1e-2)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def damage(path):
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_interrupted_and_straight_runs_end_with_equal_weights(tmp_path, learner):
    network, optimizer = learner
    learn(network, optimizer, 0)
    save_checkpoint(tmp_path, network, optimizer, {"cycle": 0})
    learn(network, optimizer, 1)
    checkpoint = load_checkpoint(tmp_path)
    resumed = restore_network(checkpoint, CPU)
    momenta = make_optimizer(resumed, 1e-2)
    restore_optimizer(checkpoint, momenta)
    learn(resumed, momenta, 1)
    assert weights_sha256(resumed) == weights_sha256(network)


def test_what_was_saved_is_what_is_read(run, learner):
    checkpoint = load_checkpoint(run)
    assert checkpoint.folder == run / "checkpoints" / "g000003"
    assert (checkpoint.state, checkpoint.extra, checkpoint.warnings) == (
        {"cycle": 2},
        {"towns.npz": b"t"},
        [],
    )
    assert weights_sha256(restore_network(checkpoint, CPU)) == weights_sha256(learner[0])
    assert checkpoint.metadata.weights_sha256 == weights_sha256(learner[0])


def test_a_run_its_checkpoints_a_pointer_and_a_generation_all_name_a_checkpoint(run):
    checkpoints = run / "checkpoints"
    for path in (run, checkpoints, checkpoints / "latest.json", checkpoints / "g000003"):
        assert load_checkpoint(path).state == {"cycle": 2}
    assert load_checkpoint(checkpoints / "g000002").state == {"cycle": 1}


def test_the_newest_two_are_kept_and_the_best_for_as_long_as_it_is(tmp_path, learner):
    last = None
    for cycle in range(5):
        last = save_checkpoint(tmp_path, *learner, {"cycle": cycle}, best=last if cycle in (1, 4) else None)
        if cycle == 2:
            assert names(tmp_path) == ["best.json", "g000001", "g000002", "g000003", "latest.json"]
            assert load_checkpoint(tmp_path / "best.json").state == {"cycle": 0}
    assert names(tmp_path) == ["best.json", "g000004", "g000005", "latest.json"]
    assert load_checkpoint(tmp_path / "best.json").state == {"cycle": 3}


def test_latest_names_the_generation_with_the_digest_of_every_file(run):
    latest = json.loads((run / "checkpoints" / "latest.json").read_text())
    assert latest["generation"] == "g000003"
    assert sorted(latest["files"]) == ["model.pt", "optimizer.pt", "state.json", "towns.npz"]
    assert latest["files"]["towns.npz"] == {
        "sha256": "e3b98a4da31a127d4bde6e43033f66ba274cab0eb7eb1c70ec41402bf6273dd8",
        "bytes": 1,
    }


@pytest.mark.parametrize("victim", ["model.pt", "optimizer.pt", "state.json", "towns.npz"])
def test_a_flipped_bit_falls_back_to_the_generation_before_and_says_so(run, victim):
    damage(run / "checkpoints" / "g000003" / victim)
    checkpoint = load_checkpoint(run)
    assert checkpoint.state == {"cycle": 1}
    assert [f"g000003/{victim}: damaged" in warning for warning in checkpoint.warnings] == [True, False]
    assert checkpoint.warnings[-1].endswith("using generation g000002 instead")
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(run / "checkpoints" / "g000003")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"generation": "../../etc", "files": {}}'])
def test_a_damaged_pointer_falls_back_to_the_newest_generation(run, text):
    (run / "checkpoints" / "latest.json").write_text(text)
    checkpoint = load_checkpoint(run)
    assert checkpoint.state == {"cycle": 2}
    assert "latest.json" in checkpoint.warnings[0]


def test_a_damaged_generation_does_not_count_as_kept(run, learner):
    damage(run / "checkpoints" / "g000003" / "model.pt")
    save_checkpoint(run / "checkpoints", *learner, {"cycle": 9})
    assert names(run / "checkpoints") == ["g000002", "g000004", "latest.json"]


def test_nothing_there_nothing_whole_and_too_large_are_told_apart(run, tmp_path):
    (tmp_path / "empty").mkdir()
    for nothing in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(MissingError, match="no checkpoint here"):
            load_checkpoint(nothing)
    with pytest.raises(InputError, match=r"no generation is whole: .*more than 100 bytes"):
        load_checkpoint(run, max_bytes=100)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def by_hand(folder, model):
    """A folder that holds somebody's model.pt and a true state.json."""
    (folder / "mine").mkdir()
    (folder / "mine" / "model.pt").write_bytes(model)
    state = (folder / "checkpoints" / "g000003" / "state.json").read_bytes()
    (folder / "mine" / "state.json").write_bytes(state)
    return folder / "mine"


def saved(value, **options):
    buffer = memory.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def bomb():
    buffer = memory.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (saved({"a": Evil()}), "holds more than tensors"),
        (pickle.dumps(Evil()), "not a file of torch.save"),
        (saved({"a": 1}, _use_new_zipfile_serialization=False), "not a file of torch.save"),
        (saved([1, 2]), "holds a list, expected a state dict"),
        (bomb(), "compressed entries"),
        (b"", "not a file of torch.save"),
    ],
)
def test_a_model_with_code_or_nonsense_inside_is_refused(run, monkeypatch, model, message):
    folder = by_hand(run, model)
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message):
        load_checkpoint(folder)
    assert names(folder) == ["model.pt", "state.json"]


def test_a_folder_with_a_model_alone_loads_unverified_and_says_so(run):
    folder = by_hand(run, (run / "checkpoints" / "g000003" / "model.pt").read_bytes())
    checkpoint = load_checkpoint(folder)
    assert checkpoint.warnings == [f"{folder}: has no files.json, so its files were not verified"]
    restore_network(checkpoint, CPU)
    with pytest.raises(InputError, match=r"has no optimizer\.pt"):
        restore_optimizer(checkpoint, make_optimizer(ActorCritic(SHAPE, seed=0), 1e-2))
    (folder / "state.json").unlink()
    with pytest.raises(MissingError, match=r"state\.json: no such file"):
        load_checkpoint(folder)


@pytest.mark.parametrize("seed", range(40))
def test_bytes_changed_at_random_load_or_are_refused_with_a_sentence(run, seed):
    whole = (run / "checkpoints" / "g000003" / "model.pt").read_bytes()
    chance = np.random.default_rng(seed)
    data = bytearray(whole[: chance.integers(1, len(whole))] if seed % 4 == 0 else whole)
    for place in chance.integers(0, len(data), 20):
        data[place] = chance.integers(0, 256)
    try:
        restore_network(load_checkpoint(by_hand(run, bytes(data))), CPU)
    except InputError as error:
        assert "model.pt" in str(error)  # noqa: PT017


def test_weights_of_another_shape_do_not_fit(run):
    other = ActorCritic(SHAPE.model_copy(update={"hidden_size": 9}), seed=0)
    with pytest.raises(
        InputError, match=r"does not fit state\.json beside it: map_layer\.weight is .*\(9, 4\)"
    ):
        restore_network(load_checkpoint(by_hand(run, saved(other.state_dict()))), CPU)


def test_a_full_disk_leaves_the_checkpoint_before(run, learner, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(DiskError, match="No space left"):
        save_checkpoint(run / "checkpoints", *learner, {"cycle": 3})
    monkeypatch.undo()
    assert load_checkpoint(run).state == {"cycle": 2}
    save_checkpoint(run / "checkpoints", *learner, {"cycle": 4})
    assert names(run / "checkpoints") == ["g000003", "g000004", "latest.json"]


def save_and_die(checkpoints, learner, fatal):
    """Save in a child that dies at its `fatal`-th call to the disk, a write half done; True if it did."""
    child = os.fork()
    if child == 0:
        die_at_disk_call(fatal)
        try:
            best = checkpoints / "g000003"
            save_checkpoint(checkpoints, *learner, {"cycle": 3}, {"towns.npz": b"new"}, best=best)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_a_kill_at_any_call_to_the_disk_leaves_a_whole_checkpoint(run, learner):
    checkpoints = run / "checkpoints"
    kept = {path: path.read_bytes() for path in checkpoints.rglob("*") if path.is_file()}
    seen, fatal = set(), 1
    while save_and_die(checkpoints, learner, fatal):
        checkpoint = load_checkpoint(run)
        assert checkpoint.warnings == []
        seen.add(checkpoint.state["cycle"])
        if checkpoint.state["cycle"] == 3:
            assert load_checkpoint(checkpoints / "best.json").state == {"cycle": 2}  # not forgotten for ever
        save_checkpoint(checkpoints, *learner, {"cycle": 4}, keep=2)  # the next one clears up
        assert len(names(checkpoints)) <= 5
        assert not [name for name in names(checkpoints) if name.startswith(".")]
        for path in sorted(checkpoints.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for path, data in kept.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        fatal += 1
    assert seen == {2, 3}
    assert fatal > 30
