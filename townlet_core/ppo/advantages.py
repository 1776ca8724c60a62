"""Advantages: GAE for on-policy data, V-trace for off-policy data.

Arrays are time-major: T ticks, N lanes (an agent of a town). Ticks at which nobody lived in a lane carry
no data, and the caller leaves them out of the batch. They need no care here: such a stretch follows a done,
and at a done nothing that comes later is read, whatever it holds. A done is also where an episode was cut
by its time limit; there `truncation_values` holds the critic's value of the final observation.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from townlet_core.errors import ShapeError
from townlet_core.kernels import cached_njit, folder_of


def advantages(
    rewards: np.ndarray,
    value_preds: np.ndarray,
    dones: np.ndarray,
    gamma: float,
    gae_lambda: float,
    truncation_values: np.ndarray | None = None,
) -> np.ndarray:
    """Compute generalised advantage estimates.

        δ_t = r_t + γ V'_{t+1} − V_t        V'_{t+1} = truncation value where d_t, else V_{t+1}
        A_t = δ_t + γ λ (1 − d_t) A_{t+1}

    rewards, dones: (T, N). value_preds: (T + 1, N); the last row bootstraps. truncation_values: (T, N), the
    critic's value of the final observation where tick t was truncated, 0 where it was terminated, unread
    elsewhere; None means every done is terminal. Returns (T, N) float32; returns are these plus values.
    Raises ShapeError if the arrays do not fit each other.
    Source: Schulman et al. 2016, arXiv:1506.02438, eq. 16; Pardo et al. 2018, arXiv:1712.00378 (time limits).
    """
    rewards, value_preds, dones, finals = aligned(rewards, value_preds, dones, truncation_values)
    estimates = np.empty_like(rewards)
    accumulate_gae(rewards, value_preds, dones, finals, gamma, gamma * gae_lambda, estimates)
    return estimates


class VTrace(NamedTuple):
    """V-trace advantages and targets, both (T, N) float32."""

    advantages: np.ndarray  # already weighted by the truncated importance ratio ρ_t
    value_targets: np.ndarray  # of the critic


def vtrace(
    log_rhos: np.ndarray,
    rewards: np.ndarray,
    value_preds: np.ndarray,
    dones: np.ndarray,
    gamma: float,
    gae_lambda: float = 1.0,
    rho_bar: float = 1.0,
    c_bar: float = 1.0,
    truncation_values: np.ndarray | None = None,
) -> VTrace:
    """Compute V-trace advantages and value targets of off-policy data.

        ρ_t = min(ρ̄, exp log_rho_t)   c_t = λ min(c̄, exp log_rho_t)   δ_t as in `advantages`
        v_t − V_t = ρ_t δ_t + γ c_t (1 − d_t) (v_{t+1} − V_{t+1})
        A_t = ρ_t (δ_t + γ λ (1 − d_t) (v_{t+1} − V_{t+1}))

    log_rhos: (T, N), log-probability of the action under the current policy minus that under the one that
    acted. The values come from the current critic; the other arrays are those of `advantages`. The advantages
    carry ρ_t already: train on them with the current policy's log-probabilities as `old_log_probs`, or
    the importance ratio would count twice.
    Raises ShapeError if the arrays do not fit each other.
    Source: Espeholt et al. 2018, arXiv:1802.01561, eq. 1 and remark 2. Their advantage is ours at λ = 1;
    below that, ours looks ahead with the same λ, so that on-policy it is GAE's.
    """
    rewards, value_preds, dones, finals = aligned(rewards, value_preds, dones, truncation_values)
    if log_rhos.shape != rewards.shape:
        raise ShapeError(f"log_rhos has shape {log_rhos.shape}, rewards {rewards.shape}; expected the same")
    ratios = np.exp(np.minimum(np.ascontiguousarray(log_rhos, np.float32), math.log(max(rho_bar, c_bar))))
    estimates, targets = np.empty_like(rewards), np.empty_like(rewards)
    accumulate_vtrace(
        np.minimum(ratios, np.float32(rho_bar)),
        np.minimum(ratios, np.float32(c_bar)),
        rewards,
        value_preds,
        dones,
        finals,
        gamma,
        gamma * gae_lambda,
        estimates,
        targets,
    )
    return VTrace(estimates, targets)


def aligned(
    rewards: np.ndarray, value_preds: np.ndarray, dones: np.ndarray, finals: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check that the arrays belong together and give the kernels contiguous float32 and bool."""
    if rewards.ndim != 2:
        raise ShapeError(f"rewards has shape {rewards.shape}, expected (T, N)")
    ticks, lanes = rewards.shape
    if value_preds.shape != (ticks + 1, lanes):
        raise ShapeError(
            f"value_preds has shape {value_preds.shape}, expected {(ticks + 1, lanes)}: "
            "one tick more than rewards, the last row bootstraps"
        )
    if finals is None:
        finals = np.zeros((ticks, lanes), np.float32)
    for name, array in (("dones", dones), ("truncation_values", finals)):
        if array.shape != (ticks, lanes):
            raise ShapeError(f"{name} has shape {array.shape}, rewards {rewards.shape}; expected the same")
    return (
        np.ascontiguousarray(rewards, np.float32),
        np.ascontiguousarray(value_preds, np.float32),
        np.ascontiguousarray(dones, np.bool_),
        np.ascontiguousarray(finals, np.float32),
    )


# Both kernels choose at a done instead of multiplying by zero, so that NaN beyond it stays there, and keep
# the running sum in float64: thousands of ticks of λ ≈ 1 would otherwise lose the last digits.


@cached_njit(folder_of([Path(__file__)]))
def accumulate_gae(
    rewards: np.ndarray,
    value_preds: np.ndarray,
    dones: np.ndarray,
    finals: np.ndarray,
    gamma: float,
    decay: float,
    estimates: np.ndarray,
) -> None:
    """Fill `estimates` (T, N) with the generalised advantage estimates; decay is γλ."""
    ticks, lanes = rewards.shape
    running = np.zeros(lanes)
    for t in range(ticks - 1, -1, -1):
        for n in range(lanes):
            done = dones[t, n]
            next_value = finals[t, n] if done else value_preds[t + 1, n]
            carried = 0.0 if done else running[n]
            running[n] = rewards[t, n] + gamma * next_value - value_preds[t, n] + decay * carried
            estimates[t, n] = running[n]


@cached_njit(folder_of([Path(__file__)]))
def accumulate_vtrace(
    rhos: np.ndarray,
    traces: np.ndarray,
    rewards: np.ndarray,
    value_preds: np.ndarray,
    dones: np.ndarray,
    finals: np.ndarray,
    gamma: float,
    decay: float,
    estimates: np.ndarray,
    targets: np.ndarray,
) -> None:
    """Fill `estimates` and `targets` (T, N) with V-trace; rhos and traces are clipped ratios, decay is γλ."""
    ticks, lanes = rewards.shape
    running = np.zeros(lanes)  # v_{t+1} − V_{t+1}
    for t in range(ticks - 1, -1, -1):
        for n in range(lanes):
            done = dones[t, n]
            next_value = finals[t, n] if done else value_preds[t + 1, n]
            carried = 0.0 if done else running[n]
            delta = rewards[t, n] + gamma * next_value - value_preds[t, n]
            estimates[t, n] = rhos[t, n] * (delta + decay * carried)
            running[n] = rhos[t, n] * delta + decay * traces[t, n] * carried
            targets[t, n] = value_preds[t, n] + running[n]
