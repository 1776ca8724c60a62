"""The network is a function of its seed, and never chooses what is forbidden."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from townlet_core.errors import InputError, MissingError
from townlet_core.ppo.config import NetworkConfig, PPOConfig, learning_rate_at
from townlet_core.ppo.device import resolve_device, threads
from townlet_core.ppo.network import ActorCritic, act, draw_actions, masked_log_probs, score_actions
from townlet_core.ppo.options import options_of
from townlet_core.ppo.serialization import weights_sha256

SMALL = NetworkConfig(map_shape=(2, 3, 3), feature_count=4, action_count=5, hidden_size=16)
EDGES = [0.0, 0.5, 1 - 2**-53, 1.0]  # 1.0 is what float32 makes of the third


def observations(count, seed=0):
    chance = np.random.default_rng(seed)
    maps = chance.random((count, 2, 3, 3), np.float32)
    return maps, chance.standard_normal((count, 4)).astype(np.float32)


def test_the_default_network_is_the_documented_one():
    network = ActorCritic(NetworkConfig(map_shape=(4, 11, 11), feature_count=90, action_count=9), seed=0)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")}
    assert shapes == {
        "map_layer.weight": (256, 484),
        "feature_layer.weight": (256, 90),
        "trunk.weight": (256, 512),
        "policy_head.weight": (9, 256),
        "value_head.weight": (1, 256),
    }
    rows = network.trunk.weight @ network.trunk.weight.T
    torch.testing.assert_close(rows, 2 * torch.eye(256), atol=1e-4, rtol=0)
    assert network.policy_head.weight.norm(dim=1).allclose(torch.tensor(0.01))


def test_weights_depend_on_the_seed_and_on_nothing_else():
    full = NetworkConfig(map_shape=(4, 11, 11), feature_count=90, action_count=9)
    before = torch.random.get_rng_state()
    with threads(1):
        first = weights_sha256(ActorCritic(full, seed=7))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    with threads(2):
        assert weights_sha256(ActorCritic(full, seed=7)) == first
    assert weights_sha256(ActorCritic(full, seed=8)) != first


def test_maps_of_bytes_and_of_floats_mean_the_same():
    network = ActorCritic(SMALL, seed=0)
    maps, features = observations(6)
    whole = torch.from_numpy((maps > 0.5).astype(np.uint8))
    logits, values = network(whole, torch.from_numpy(features))
    same_logits, same_values = network(whole.float(), torch.from_numpy(features))
    assert logits.shape == (6, 5)
    assert values.shape == (6,)
    assert torch.equal(logits, same_logits)
    assert torch.equal(values, same_values)


def test_masked_actions_have_probability_zero_and_the_rest_sums_to_one():
    mask = torch.tensor([[True, False, True], [False, True, False]])
    probabilities = masked_log_probs(torch.tensor([[0.0, 80.0, 0.0], [0.0, -80.0, 50.0]]), mask).exp()
    assert probabilities.tolist() == [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]


@given(
    arrays(np.float32, (3, 5), elements=st.floats(-60, 60, width=32)),
    arrays(np.bool_, (3, 5)),
    arrays(np.float64, 3, elements=st.one_of(st.sampled_from(EDGES), st.floats(0, 1 - 2**-53))),
)
def test_no_draw_chooses_a_masked_action(logits, mask, uniforms):
    mask[np.arange(3), np.arange(3)] = True
    log_probs = masked_log_probs(torch.from_numpy(logits), torch.from_numpy(mask)).numpy()
    actions = draw_actions(log_probs, uniforms)
    assert mask[np.arange(3), actions].all()


def test_even_draws_choose_each_action_as_often_as_its_probability():
    probabilities = np.array([0.1, 0.0, 0.6, 0.3])
    with np.errstate(divide="ignore"):
        log_probs = np.maximum(np.log(probabilities), -1e9).astype(np.float32)
    uniforms = (np.arange(1000) + 0.5) / 1000
    actions = draw_actions(np.tile(log_probs, (1000, 1)), uniforms)
    assert np.bincount(actions, minlength=4).tolist() == [100, 0, 600, 300]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_acting_reports_the_log_probability_and_value_of_what_it_did(precision):
    network = ActorCritic(SMALL, seed=3)
    maps, features = observations(40)
    mask = np.random.default_rng(1).random((40, 5)) < 0.5
    mask[:, 2] = True
    uniforms = np.random.default_rng(2).random(40)
    actions, log_probs, values = act(network, maps, features, mask, uniforms, precision)
    assert (actions.dtype, log_probs.dtype, values.dtype) == (np.int64, np.float32, np.float32)
    again, value_again = score_actions(network, maps, features, mask, actions, precision)
    np.testing.assert_allclose(log_probs, again, atol=1e-6)
    np.testing.assert_allclose(values, value_again, atol=1e-6)
    assert len(set(actions.tolist())) > 1


def test_bf16_rounds_what_is_hidden_and_not_what_comes_out():
    network, seen = ActorCritic(SMALL, seed=3), observations(200)
    mask, nothing = np.ones((200, 5), bool), np.zeros(200, np.int64)
    _, values = score_actions(network, *seen, mask, nothing)
    _, rounded = score_actions(network, *seen, mask, nothing, "bf16")
    assert rounded == pytest.approx(values, abs=0.02)
    assert rounded != pytest.approx(values, abs=1e-5)
    coarse = torch.from_numpy(rounded).bfloat16().float().numpy()
    assert (coarse != rounded).mean() > 0.9


def test_without_chance_the_likeliest_legal_action_is_taken():
    network = ActorCritic(SMALL, seed=3)
    with torch.no_grad():
        network.policy_head.bias.copy_(torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0]))
    maps, features = observations(2)
    mask = np.array([[True] * 5, [False, False, True, True, True]])
    assert act(network, maps, features, mask, None)[0].tolist() == [0, 2]


def test_an_observation_without_a_legal_action_or_with_nan_is_refused():
    network = ActorCritic(SMALL, seed=3)
    maps, features = observations(2)
    mask = np.ones((2, 5), bool)
    mask[1] = False
    with pytest.raises(InputError, match="row 1: no action is legal"):
        act(network, maps, features, mask, np.zeros(2))
    features[0] = np.nan
    with pytest.raises(InputError, match="observation 0 of 2: the policy's output is not finite"):
        act(network, maps, features, np.ones((2, 5), bool), np.zeros(2))


def test_read_only_arrays_are_accepted():
    maps, features = observations(3)
    maps.flags.writeable = False
    assert act(ActorCritic(SMALL, seed=0), maps, features, np.ones((3, 5), bool), None)[0].shape == (3,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"clip_param": 0},
        {"gamma": 1.1},
        {"learning_rate": float("nan")},
        {"num_mini_batches": 0},
        {"precision": "fp16"},
        {"clip": 0.2},
    ],
)
def test_a_hyperparameter_out_of_bounds_or_unknown_is_refused(wrong):
    with pytest.raises(ValidationError):
        PPOConfig(**wrong)


def test_every_hyperparameter_has_a_description():
    assert all(option.__metadata__[0].help for option in options_of(PPOConfig).values())


def test_a_network_too_large_for_memory_is_refused():
    with pytest.raises(ValidationError, match="more than 268,435,456 parameters"):
        NetworkConfig(map_shape=(64, 128, 128), feature_count=1, action_count=9)


def test_the_linear_schedule_falls_to_zero_and_the_constant_one_stays():
    linear = PPOConfig(learning_rate=0.01, lr_schedule="linear")
    assert [learning_rate_at(linear, p) for p in (0, 0.25, 1, 2)] == [0.01, 0.0075, 0.0, 0.0]
    assert learning_rate_at(PPOConfig(learning_rate=0.01), 0.5) == 0.01


def test_asking_for_a_gpu_that_is_not_there_is_one_sentence():
    assert resolve_device("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        assert resolve_device("auto") == torch.device("cpu")
        with pytest.raises(MissingError, match="torch finds no GPU"):
            resolve_device("cuda")


def test_missing_torch_is_one_sentence_with_the_command_and_config_does_without():
    program = """
import sys
sys.modules["torch"] = None
import townlet_core.ppo.config
from townlet_core.errors import MissingError
try:
    import townlet_core.ppo.network
except MissingError as error:
    print(error, "|", error.hint, "|", error.exit_code)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert ran.stdout == "torch is not installed, and learning needs it | pip install torch | 3\n", ran.stderr
