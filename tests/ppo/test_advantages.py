"""Advantages agree with other libraries' numbers, and obey the laws of discounted sums."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from townlet_core.errors import ShapeError
from townlet_core.ppo.advantages import advantages, vtrace

VECTORS = Path(__file__).resolve().parents[1] / "data" / "vectors" / "gae_vectors.json"
TICKS, LANES = 7, 3
numbers = st.floats(-4, 4, width=32)
rewards_drawn = arrays(np.float32, (TICKS, LANES), elements=numbers)
values_drawn = arrays(np.float32, (TICKS + 1, LANES), elements=numbers)
dones_drawn = arrays(np.bool_, (TICKS, LANES))
unit = st.floats(0, 1)


@pytest.fixture(scope="module")
def vectors():
    return json.loads(VECTORS.read_text())


@pytest.mark.parametrize("convention", ["done_is_terminal", "truncation_bootstrap"])
def test_estimates_agree_with_every_library(vectors, convention):
    given_, wanted = vectors["inputs"], vectors["outputs"][convention]
    terminated, truncated = np.array(given_["terminated"]), np.array(given_["truncated"])
    values = np.vstack((given_["values"], given_["last_value"]))
    finals = np.where(truncated, given_["final_value"], 0)
    estimates = advantages(
        np.array(given_["rewards"]),
        values,
        terminated | truncated,
        vectors["gamma"],
        vectors["lam"],
        finals if convention == "truncation_bootstrap" else None,
    )
    assert estimates.dtype == np.float32
    np.testing.assert_allclose(estimates + values[:-1], wanted["returns"], atol=1e-5)
    columns = [key for key in wanted if "adv" in key]
    assert len(columns) >= 5
    for key in columns:
        np.testing.assert_allclose(estimates, wanted[key], atol=1e-5, err_msg=key)


def test_three_ticks_worked_by_hand():
    # γ = λ = 1/2. δ = (1 + 2 − 2, 0 + 0 − 4, 2 + 4 − 0) with the done at tick 1; A_0 = 1 + ¼ · (−4).
    rewards = np.array([[1.0], [0.0], [2.0]])
    values = np.array([[2.0], [4.0], [0.0], [8.0]])
    dones = np.array([[False], [True], [False]])
    assert advantages(rewards, values, dones, 0.5, 0.5).ravel().tolist() == [0.0, -4.0, 6.0]


@given(rewards_drawn, values_drawn, dones_drawn, unit)
def test_without_discount_only_the_reward_counts(rewards, values, dones, gae_lambda):
    estimates = advantages(rewards, values, dones, 0.0, gae_lambda)
    np.testing.assert_allclose(estimates, rewards - values[:-1], atol=1e-6)


@given(rewards_drawn, values_drawn, dones_drawn, unit)
def test_lambda_zero_is_the_one_step_error(rewards, values, dones, gamma):
    expected = rewards + gamma * np.where(dones, 0, values[1:]) - values[:-1]
    np.testing.assert_allclose(advantages(rewards, values, dones, gamma, 0.0), expected, atol=1e-5)


@given(rewards_drawn, values_drawn, dones_drawn, unit)
def test_lambda_one_is_the_discounted_return_minus_the_value(rewards, values, dones, gamma):
    returns = np.empty((TICKS, LANES))
    following = values[-1].astype(np.float64)
    for t in reversed(range(TICKS)):
        following = returns[t] = rewards[t] + gamma * np.where(dones[t], 0, following)
    estimates = advantages(rewards, values, dones, gamma, 1.0)
    np.testing.assert_allclose(estimates, returns - values[:-1], atol=1e-4)


@given(rewards_drawn, values_drawn, dones_drawn, unit, unit, st.integers(0, TICKS - 1))
def test_nothing_after_a_done_reaches_back_over_it(rewards, values, dones, gamma, gae_lambda, end):
    dones[end] = True
    before = advantages(rewards, values, dones, gamma, gae_lambda)[: end + 1]
    rewards[end + 1 :], values[end + 1 :] = np.nan, np.nan
    after = advantages(rewards, values, dones, gamma, gae_lambda)[: end + 1]
    np.testing.assert_array_equal(before, after)


@given(rewards_drawn, values_drawn, dones_drawn, unit, unit, st.sampled_from([0.5, 2.0, 4.0]))
def test_scaled_rewards_and_values_scale_the_advantages(rewards, values, dones, gamma, gae_lambda, scale):
    plain = advantages(rewards, values, dones, gamma, gae_lambda)
    scaled = advantages(scale * rewards, scale * values, dones, gamma, gae_lambda)
    np.testing.assert_allclose(scaled, scale * plain, rtol=1e-5, atol=1e-5)


@given(rewards_drawn, values_drawn, unit, st.floats(0, 0.99), st.floats(-4, 4))
def test_a_constant_added_to_reward_and_its_worth_to_value_changes_nothing(
    rewards, values, gae_lambda, gamma, shift
):
    none_done = np.zeros((TICKS, LANES), bool)
    plain = advantages(rewards, values, none_done, gamma, gae_lambda)
    worth = np.float64(shift) / (1 - gamma)
    shifted = advantages(rewards + shift, values + worth, none_done, gamma, gae_lambda)
    np.testing.assert_allclose(shifted, plain, atol=1e-3)


@given(rewards_drawn, values_drawn, dones_drawn, unit, unit)
def test_vtrace_on_policy_is_gae(rewards, values, dones, gamma, gae_lambda):
    finals = np.float32(0.5) * dones
    traced = vtrace(
        np.zeros((TICKS, LANES)), rewards, values, dones, gamma, gae_lambda, truncation_values=finals
    )
    estimates = advantages(rewards, values, dones, gamma, gae_lambda, finals)
    np.testing.assert_allclose(traced.advantages, estimates, atol=1e-4)
    np.testing.assert_allclose(traced.value_targets, estimates + values[:-1], atol=1e-4)


@given(rewards_drawn, values_drawn, dones_drawn, arrays(np.float64, (TICKS, LANES), elements=numbers), unit)
def test_vtrace_is_the_sum_of_the_paper(rewards, values, dones, log_rhos, gamma):
    # Espeholt et al. 2018, eq. 1: v_s = V_s + Σ_t γ^{t−s} (Π_{i<t} c_i) ρ_t δ_t, the sum ending at a done.
    rhos, traces = np.minimum(1.5, np.exp(log_rhos)), np.minimum(1.0, np.exp(log_rhos))
    traced = vtrace(log_rhos, rewards, values, dones, gamma, rho_bar=1.5)
    for n in range(LANES):
        for s in range(TICKS):
            target, weight = float(values[s, n]), 1.0
            for t in range(s, TICKS):
                bootstrap = 0.0 if dones[t, n] else gamma * values[t + 1, n]
                target += weight * rhos[t, n] * (rewards[t, n] + bootstrap - values[t, n])
                weight *= gamma * traces[t, n]
                if dones[t, n]:
                    break
            assert traced.value_targets[s, n] == pytest.approx(target, abs=1e-3)


def test_an_action_the_current_policy_would_not_take_teaches_nothing():
    log_rhos = np.array([[-800.0], [900.0]])
    traced = vtrace(log_rhos, np.ones((2, 1)), np.zeros((3, 1)), np.zeros((2, 1), bool), 1.0)
    assert traced.advantages.ravel().tolist() == [0.0, 1.0]
    assert traced.value_targets.ravel().tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rewards": np.zeros(3)}, r"rewards has shape \(3,\), expected \(T, N\)"),
        ({"value_preds": np.zeros((3, 2))}, "one tick more than rewards"),
        ({"dones": np.zeros((3, 1), bool)}, "dones has shape"),
        ({"truncation_values": np.zeros((4, 2))}, "truncation_values has shape"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(changed, message):
    whole = {"rewards": np.zeros((3, 2)), "value_preds": np.zeros((4, 2)), "dones": np.zeros((3, 2), bool)}
    with pytest.raises(ShapeError, match=message):
        advantages(**{**whole, **changed}, gamma=0.9, gae_lambda=0.9)
