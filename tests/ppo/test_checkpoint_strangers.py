"""A checkpoint may come from anybody: names, shapes, types and digests are compared before its use."""

import io as memory
import json
import re
from collections import OrderedDict

import pytest
import torch

from townlet_core import io
from townlet_core.errors import InputError
from townlet_core.ppo.checkpoint import load_checkpoint, restore_network, restore_optimizer, save_checkpoint
from townlet_core.ppo.config import NetworkConfig
from townlet_core.ppo.network import ActorCritic, tensor_shapes
from townlet_core.ppo.update import make_optimizer

SHAPE = NetworkConfig(map_shape=(1, 2, 2), feature_count=3, action_count=3, hidden_size=8)


@pytest.fixture
def generation(tmp_path):
    """A checkpoint after one step of the optimiser."""
    network = ActorCritic(SHAPE, seed=0)
    optimizer = make_optimizer(network, 1e-2)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return save_checkpoint(tmp_path, network, optimizer, {"cycle": 1})


def put(generation, name, data):
    """Replace a file and the digests that are to vouch for it, as somebody with bad intentions can."""
    (generation / name).write_bytes(data)
    files = json.loads((generation / "files.json").read_text())
    files["files"][name] = {"sha256": io.sha256(data), "bytes": len(data)}
    (generation / "files.json").write_text(json.dumps(files))


def tensors(generation, name):
    return torch.load(generation / name, weights_only=True)


def saved(value):
    buffer = memory.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def resume(generation):
    checkpoint = load_checkpoint(generation)
    network = restore_network(checkpoint)
    optimizer = make_optimizer(network, 1e-2)
    restore_optimizer(checkpoint, optimizer)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()  # where a momentum of another shape was read beyond its end
    return network


def test_the_shapes_that_are_expected_are_those_of_the_network():
    for statistics in ((False, False), (True, False), (False, True), (True, True)):
        own = ActorCritic(SHAPE, 0, *statistics).state_dict()
        found = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in own.items()}
        assert tensor_shapes(SHAPE, *statistics) == found


@pytest.mark.parametrize("part", ["exp_avg", "exp_avg_sq", "step"])
@pytest.mark.parametrize(
    "other",
    [
        lambda tensor: torch.zeros(1),
        lambda tensor: torch.zeros(1).expand(64, 64),
        lambda tensor: tensor.double(),
        lambda tensor: 1.0,
        lambda tensor: None,
    ],
)
def test_a_momentum_that_is_not_its_parameters_is_refused(generation, part, other):
    state = tensors(generation, "optimizer.pt")
    state["state"][0][part] = other(state["state"][0][part])
    put(generation, "optimizer.pt", saved(state))
    with pytest.raises(
        InputError, match=rf"optimizer\.pt: parameter 0: {part} is .*, expected torch.float32"
    ):
        resume(generation)


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("state"),
        lambda state: state["state"].pop(3),
        lambda state: state["state"].update({99: state["state"][0]}),
        lambda state: state["state"].update({0: []}),
        lambda state: state["state"][0].pop("exp_avg"),
        lambda state: state["state"][0].update(more=torch.zeros(1)),
        lambda state: state["state"][0]["step"].fill_(-1),
        lambda state: state["state"][0]["step"].fill_(float("nan")),
        lambda state: state["state"][0]["exp_avg_sq"].fill_(-1),
    ],
)
def test_a_state_of_the_optimiser_that_adam_cannot_have_is_refused(generation, change):
    state = tensors(generation, "optimizer.pt")
    change(state)
    put(generation, "optimizer.pt", saved(state))
    with pytest.raises(InputError, match=r"optimizer\.pt"):
        resume(generation)


def test_settings_of_the_optimiser_are_the_runs_own(generation):
    state = tensors(generation, "optimizer.pt")
    state["param_groups"] = [{"lr": "fast", "params": [7]}]
    put(generation, "optimizer.pt", saved(state))
    resume(generation)


def test_altered_weights_are_refused_though_the_digest_of_their_file_was_made_anew(generation):
    weights = tensors(generation, "model.pt")
    weights["trunk.bias"][0] += 1
    put(generation, "model.pt", saved(weights))
    with pytest.raises(InputError, match=r"model\.pt: its weights have sha256 .*state\.json says"):
        load_checkpoint(generation)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("trunk.bias"), "trunk.bias is missing"),
        (lambda weights: weights.update(extra=torch.zeros(2)), "extra is not part of this network"),
        (
            lambda weights: weights.update({"trunk.bias": torch.zeros(8).double()}),
            "trunk.bias is torch.float64",
        ),
        (lambda weights: weights.update({"trunk.bias": [0.0] * 8}), "trunk.bias is no tensor"),
        (lambda weights: weights.update({3: torch.zeros(1)}), "3 is not part of this network"),
        (
            lambda weights: weights.update({"returns.mean": torch.zeros(1).double()}),
            "returns.count is missing",
        ),
    ],
)
def test_weights_of_another_name_shape_or_type_are_refused(generation, change, message):
    weights = tensors(generation, "model.pt")
    change(weights)
    put(generation, "model.pt", saved(weights))
    with pytest.raises(InputError, match=message):
        load_checkpoint(generation)


@pytest.mark.parametrize(
    "odd",
    [
        torch.zeros(8).to_sparse(),
        torch.nn.Parameter(torch.zeros(8)),
        torch.zeros(8, dtype=torch.complex64),
    ],
    ids=["sparse", "parameter", "complex"],
)
def test_other_kinds_of_tensors_are_not_even_unpickled(generation, odd):
    put(generation, "model.pt", saved(OrderedDict(odd=odd)))
    with pytest.raises(InputError, match="holds more than tensors and plain values"):
        load_checkpoint(generation)


def altered_state(generation, change):
    state = json.loads((generation / "state.json").read_text())
    change(state)
    put(generation, "state.json", json.dumps(state).encode())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: state.update(checkpoint_version="2.0"),
            "checkpoint_version is '2.0', this Townlet reads",
        ),
        (lambda state: state.update(checkpoint_version=[1]), "checkpoint_version is"),
        (lambda state: state.pop("network"), "network: missing"),
        (lambda state: state["network"].update(hidden_size=10**9), "network.hidden_size"),
        (lambda state: state["network"].update(hidden_size=4096), "does not fit state.json beside it"),
        (lambda state: state.update(versions=[]), "versions: found .*, expected an object"),
        (lambda state: state.update(state=[]), "state: "),
        (lambda state: state.update(weights_sha256=7), "weights_sha256: found 7, expected text"),
    ],
)
def test_a_field_of_state_json_that_does_not_fit_is_named(generation, change, message):
    altered_state(generation, change)
    with pytest.raises(InputError, match=message):
        load_checkpoint(generation)


def test_what_a_newer_version_adds_to_state_json_is_no_obstacle(generation):
    altered_state(generation, lambda state: state.update(mood="good"))
    resume(generation)


@pytest.mark.parametrize(
    ("pointer", "said"),
    [
        ({"files": {}}, "generation: missing"),
        ({"generation": 7, "files": {}}, "generation: found 7, expected text"),
        ({"generation": "../x", "files": {}}, r"generation: found '\.\./x', expected text of the form"),
        ({"generation": "g000001", "files": []}, r"files: found \[\], expected an object"),
        (
            {"generation": "g000001", "files": {"model.pt": {"sha256": "a", "bytes": -1}}},
            r"files\.model\.pt\.bytes: found -1, expected at least 0",
        ),
        ([1], r"top level: found \[1\], expected an object"),
    ],
)
def test_a_pointer_that_does_not_fit_is_told_in_our_words(generation, pointer, said):
    (generation.parent / "latest.json").write_text(json.dumps(pointer))
    [warning, *_] = load_checkpoint(generation.parent).warnings
    assert re.search(f"latest.json: {said}", warning), warning
