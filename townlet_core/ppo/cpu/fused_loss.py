"""The PPO loss and its gradient at the network's outputs in one compiled pass; reference: `losses.py`."""

from __future__ import annotations

import math
from pathlib import Path

import numba
import numpy as np

from townlet_core.kernels import cached_njit, folder_of


@numba.njit(error_model="numpy")
def masked_softmax(outputs: np.ndarray, mask: np.ndarray, probs: np.ndarray, log_probs: np.ndarray) -> float:
    """Write probabilities and their logarithms, both 0 for masked actions, and return the entropy."""
    largest, total, entropy = -np.inf, 0.0, 0.0
    for j in range(len(probs)):
        if mask[j]:
            largest = max(largest, np.float64(outputs[j]))
    for j in range(len(probs)):
        probs[j] = math.exp(outputs[j] - largest) if mask[j] else 0.0
        total += probs[j]
    log_total = math.log(total)
    for j in range(len(probs)):
        probs[j] /= total
        log_probs[j] = outputs[j] - largest - log_total if mask[j] else 0.0
        entropy -= probs[j] * log_probs[j]
    return entropy


@cached_njit(folder_of([Path(__file__)]), error_model="numpy")
def add_loss_and_gradient(
    outputs: np.ndarray,
    action_mask: np.ndarray,
    actions: np.ndarray,
    old_log_probs: np.ndarray,
    old_values: np.ndarray,
    returns: np.ndarray,
    advantages: np.ndarray,
    value_shift: float,
    clip_param: float,
    value_clip: float,
    value_loss_coef: float,
    entropy_coef: float,
    imitate: bool,
    count: int,
    gradient: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Add the losses of these rows to `sums`, and write the gradient of the mean loss to `gradient`.

    outputs, gradient: (n, A + 1) float32, logits and then the value, which counts with `value_shift` added.
    value_clip: infinite for none. imitate: the policy's loss is −log π · advantage, whatever the actions' old
    probabilities. count: rows of the minibatch, over which the loss is a mean. sums: one for each field
    of PPOLoss, float64; NaN and infinity propagate.
    """
    probs, log_probs = np.empty((2, outputs.shape[1] - 1))
    lowest, highest = 1 - clip_param, 1 + clip_param
    for i in range(len(outputs)):
        entropy = masked_softmax(outputs[i], action_mask[i], probs, log_probs)

        log_prob = log_probs[actions[i]]
        log_ratio = 0.0 if imitate else log_prob - old_log_probs[i]
        ratio = math.exp(log_ratio)
        clipped_ratio = min(max(ratio, lowest), highest) if ratio == ratio else ratio
        objective, clipped_objective = ratio * advantages[i], clipped_ratio * advantages[i]
        is_clipped = clipped_objective < objective
        surrogate = log_prob * advantages[i] if imitate else clipped_objective if is_clipped else objective

        value = outputs[i, -1] + value_shift
        error = value - returns[i]
        moved = value - old_values[i]
        clipped_error = old_values[i] + min(max(moved, -value_clip), value_clip) - returns[i]
        # Written so that NaN counts as clipped, and shows in the sums.
        is_value_clipped = not (abs(moved) <= value_clip or clipped_error**2 <= error**2)
        square = clipped_error**2 if is_value_clipped else error**2

        log_prob_slope = 0.0 if is_clipped else -objective
        for j in range(len(log_probs)):
            slope = probs[j] * (entropy_coef * (log_probs[j] + entropy) - log_prob_slope)
            gradient[i, j] = ((slope + log_prob_slope) if j == actions[i] else slope) / count
        gradient[i, -1] = 0.0 if is_value_clipped else value_loss_coef * error / count

        sums[0] += -surrogate + value_loss_coef * 0.5 * square - entropy_coef * entropy
        sums[1] -= surrogate
        sums[2] += 0.5 * square
        sums[3] += entropy
        sums[4] += entropy**2
        sums[5] += math.expm1(log_ratio) - log_ratio
        sums[6] += ratio != clipped_ratio
        sums[7] += ratio
        sums[8] += ratio**2
