"""The loss and its gradients are those of other libraries, and its statistics keep their bounds."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.losses import ess_fraction, ppo_loss
from townlet_core.ppo.network import masked_log_probs

VECTORS = Path(__file__).resolve().parents[1] / "data" / "vectors" / "ppo_loss_vectors.json"


@pytest.fixture(scope="module")
def vectors():
    return json.loads(VECTORS.read_text())


def loss_of(vectors, reference, value_clip):
    """Our loss on the recorded batch, with the gradient of its inputs."""
    given_ = vectors["inputs"]
    logits = torch.tensor(given_["logits"], requires_grad=True)
    values = torch.tensor(given_["new_values"], requires_grad=True)
    loss = ppo_loss(
        logits,
        values,
        torch.ones_like(logits, dtype=torch.bool),
        torch.tensor(given_["actions"]),
        torch.tensor(given_["old_logprob"]),
        torch.tensor(given_["old_values"]),
        torch.tensor(reference["advantages_used"], dtype=torch.float32),
        torch.tensor(given_["returns"]),
        PPOConfig(
            clip_param=given_["clip"],
            value_clip=value_clip,
            value_loss_coef=given_["vf_coef"],
            entropy_coef=given_["ent_coef"],
        ),
    )
    loss.total.backward()
    return loss, logits.grad.numpy(), values.grad.numpy()


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("clipped", [True, False])
def test_losses_and_gradients_agree_with_the_reference_and_cleanrl(vectors, normalised, clipped):
    reference = vectors["reference_f64"]["norm_adv" if normalised else "no_norm"]
    cleanrl = vectors["third_party"][f"cleanrl norm={normalised} clip_vloss={clipped}"]
    loss, logits_gradient, values_gradient = loss_of(vectors, reference, 0.2 if clipped else None)
    value = reference["value_max_form" if clipped else "value_mse_unclipped"] / 2
    total = reference[f"loss_cleanrl_{'clipped' if clipped else 'unclipped'}"]
    close = {"abs": 1e-5, "rel": 0}
    assert loss.total.item() == pytest.approx(total, **close)
    assert loss.policy.item() == pytest.approx(reference["policy_loss"], **close)
    assert loss.value.item() == pytest.approx(value, **close)
    assert loss.value.item() == pytest.approx(cleanrl["value_loss"], **close)
    assert loss.entropy.item() == pytest.approx(reference["entropy"], **close)
    assert loss.approx_kl.item() == pytest.approx(reference["approx_kl_k3"], **close)
    assert loss.clip_fraction.item() == pytest.approx(reference["clip_fraction"], **close)
    np.testing.assert_allclose(logits_gradient, cleanrl["grad_logits"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(values_gradient, cleanrl["grad_value"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("normalised", [True, False])
def test_the_unclipped_value_loss_is_half_of_stable_baselines(vectors, normalised):
    reference = vectors["reference_f64"]["norm_adv" if normalised else "no_norm"]
    theirs = vectors["third_party"][f"sb3 norm={normalised} clip_range_vf=None"]
    loss, logits_gradient, values_gradient = loss_of(vectors, reference, None)
    assert loss.value.item() == pytest.approx(theirs["value_loss"] / 2, abs=1e-5)
    np.testing.assert_allclose(logits_gradient, theirs["grad_logits"], atol=1e-5, rtol=0)
    np.testing.assert_allclose(2 * values_gradient, theirs["grad_value"], atol=1e-5, rtol=0)


def test_ratio_and_sample_size_agree_with_torchrl(vectors):
    reference = vectors["reference_f64"]["no_norm"]
    theirs = vectors["third_party"]["torchrl norm=False clip_value=False"]
    loss = loss_of(vectors, reference, None)[0]
    assert loss.ratio_mean.item() == pytest.approx(theirs["mean_ratio"], abs=1e-5)
    ratios = np.array(reference["ratio"])
    by_hand = ratios.sum() ** 2 / (len(ratios) * (ratios**2).sum())
    assert ess_fraction(loss.ratio_mean.item(), loss.ratio_square.item()) == pytest.approx(by_hand, abs=1e-5)


def random_loss(seed, rows=9, actions=5, drift=1.0):
    """The loss of random numbers with random masks; drift is how far the old log-probabilities are off."""
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, actions, generator=chance).mul(3).requires_grad_()
    mask = torch.rand(rows, actions, generator=chance) < 0.6
    chosen = torch.randint(actions, (rows,), generator=chance)
    mask[torch.arange(rows), chosen] = True
    log_probs = masked_log_probs(logits.detach(), mask).gather(1, chosen[:, None])[:, 0]
    shift, values, old_values, advantages, returns = torch.randn(5, rows, generator=chance)
    old_log_probs = log_probs + drift * shift
    loss = ppo_loss(logits, values, mask, chosen, old_log_probs, old_values, advantages, returns, PPOConfig())
    return loss, logits, mask, advantages


@given(st.integers(0, 10_000))
def test_statistics_keep_their_bounds(seed):
    loss, _, mask, _ = random_loss(seed)
    assert 0 <= loss.entropy.item() <= mask.sum(1).double().log().mean().item() + 1e-6
    assert loss.approx_kl.item() >= 0
    assert 0 <= loss.clip_fraction.item() <= 1
    assert 0 < ess_fraction(loss.ratio_mean.item(), loss.ratio_square.item()) <= 1 + 1e-6


@given(st.integers(0, 10_000))
def test_an_unchanged_policy_clips_nothing_and_gains_the_mean_advantage(seed):
    loss, _, _, advantages = random_loss(seed, drift=0.0)
    assert loss.clip_fraction.item() == 0
    assert loss.ratio_mean.item() == 1
    assert loss.approx_kl.item() == 0
    assert loss.policy.item() == pytest.approx(-advantages.mean().item(), abs=1e-6)


@given(st.integers(0, 10_000))
def test_masked_logits_get_no_gradient_at_all(seed):
    loss, logits, mask, _ = random_loss(seed)
    loss.total.backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[~mask] == 0).all()


@pytest.mark.parametrize(
    ("log_ratio", "advantage", "policy", "has_gradient"),
    [
        (math.log(2.0), 1.0, -1.2, False),  # better and already likelier: gain cut at 1 + clip
        (math.log(0.5), 1.0, -0.5, True),  # better but less likely: full pull
        (math.log(0.5), -1.0, 0.8, False),  # worse and already less likely: cut at 1 − clip
        (math.log(2.0), -1.0, 2.0, True),  # worse but likelier: full push
    ],
)
def test_the_clip_cuts_gains_and_never_corrections(log_ratio, advantage, policy, has_gradient):
    logits = torch.zeros(1, 2, requires_grad=True)
    zero, one = torch.zeros(1), torch.tensor([advantage])
    loss = ppo_loss(
        logits,
        zero,
        torch.ones(1, 2, dtype=torch.bool),
        torch.tensor([0]),
        torch.tensor([math.log(0.5) - log_ratio]),
        zero,
        one,
        zero,
        PPOConfig(entropy_coef=0),
    )
    loss.total.backward()
    assert loss.policy.item() == pytest.approx(policy, abs=1e-6)
    assert bool((logits.grad != 0).any()) is has_gradient
