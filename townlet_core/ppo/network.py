"""The actor-critic network, masked probabilities, and how actions are drawn from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from townlet_core.errors import InputError, NotFiniteError, count
from townlet_core.memory import require_memory
from townlet_core.ppo.config import NetworkConfig
from townlet_core.ppo.device import aligned, arithmetic, threads, to_tensor, torch
from townlet_core.ppo.moments import Moments
from townlet_core.ppo.normalisers import RunningStatistics
from townlet_core.ppo.options import Precision
from townlet_core.ppo.shards import Shards

MASKED_LOGIT = -1e9  # finite, so that 0 · log 0 is 0 and not NaN; exp of it is exactly 0
SCORE_ROWS = 8192  # observations per forward pass when many are scored; bounds the memory
FEW_ROWS = 256  # observations per part below which a forward pass gains nothing by threads


class ActorCritic(torch.nn.Module):
    """Map and features in, one logit per action and one value out.

    The flattened map and the features each pass a hidden layer, are concatenated, and pass another; all
    are ReLU. Weights are orthogonal (gain √2 hidden, 0.01 policy, 1 value) and depend on `seed` alone;
    without a seed they are uninitialised, to be loaded.
    With normalise_observations, features are normalised by their running statistics. With normalise_returns,
    the value head predicts normalised returns. Inputs and outputs are in the units of the town in any case.
    """

    def __init__(
        self,
        config: NetworkConfig,
        seed: int | None,
        normalise_observations: bool = False,
        normalise_returns: bool = False,
    ) -> None:
        require_memory(
            4 * config.parameter_count, f"a network of {count(config.parameter_count, 'parameter')}"
        )
        super().__init__()
        width = config.hidden_size
        self.config = config
        self.map_layer = uninitialised(config.map_size, width)
        self.feature_layer = uninitialised(config.feature_count, width)
        self.trunk = uninitialised(2 * width, width)
        self.policy_head = uninitialised(width, config.action_count)
        self.value_head = uninitialised(width, 1)
        self.observations = RunningStatistics(config.feature_count) if normalise_observations else None
        self.returns = RunningStatistics(1) if normalise_returns else None
        if seed is not None:
            self.initialise(seed)

    def initialise(self, seed: int) -> None:
        """Draw all weights anew from `seed`, on one thread so that every machine setting gives the same."""
        chance = torch.Generator().manual_seed(seed)
        hidden = math.sqrt(2)
        gains = (hidden, hidden, hidden, 0.01, 1.0)
        layers = (self.map_layer, self.feature_layer, self.trunk, self.policy_head, self.value_head)
        with threads(1):
            for layer, gain in zip(layers, gains, strict=True):
                torch.nn.init.orthogonal_(layer.weight, gain, generator=chance)
                torch.nn.init.zeros_(layer.bias)

    def forward(self, map: torch.Tensor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits (N, A) and values (N,), both float32.

        map: (N, C, H, W) float32 or uint8. features: (N, F) float32. The heads compute in float32 whatever
        the others do: bfloat16 would leave a logit or a value three digits.
        """
        if self.observations is not None:
            features = self.observations.normalise(features)
        map_hidden = torch.relu(self.map_layer(map.flatten(1).float()))
        feature_hidden = torch.relu(self.feature_layer(features))
        hidden = torch.relu(self.trunk(torch.cat((map_hidden, feature_hidden), dim=1))).float()
        with arithmetic("fp32", hidden.device):
            logits, values = self.policy_head(hidden), self.value_head(hidden).squeeze(1)
        if self.returns is not None:
            values = values * self.returns.std.float() + self.returns.mean.float()
        return logits, values

    @torch.no_grad()
    def update_observation_stats(self, features: Moments) -> None:
        """Add the moments of features (N, F) to the statistics.

        From the second call on, the feature layer is rescaled so that the policy does not change:

            W ← W σ_new / σ_old      b ← b + W_new (μ_new − μ_old) / σ_new
        """
        if self.observations is None:
            return
        is_first, mean, std = (
            not self.observations.count,
            self.observations.mean.clone(),
            self.observations.std,
        )
        self.observations.update(features)
        if is_first:
            return
        layer, new = self.feature_layer, self.observations
        weight = layer.weight.double() * (new.std / std)
        layer.weight.copy_(weight)
        layer.bias.copy_(layer.bias.double() + weight @ ((new.mean - mean) / new.std))

    @torch.no_grad()
    def update_return_stats(self, returns: Moments) -> None:
        """Add the moments of returns (N, 1) to the statistics.

        From the second call on, the value head is rescaled so that no value changes:

            w ← w σ_old / σ_new      b ← (b σ_old + μ_old − μ_new) / σ_new

        Source: van Hasselt et al. 2016, arXiv:1602.07714 (Pop-Art), eq. 3, with all returns so far in the
        place of a moving average.
        """
        if self.returns is None:
            return
        is_first, mean, std = not self.returns.count, self.returns.mean.clone(), self.returns.std
        self.returns.update(returns)
        if is_first:
            return
        head, new = self.value_head, self.returns
        head.weight.copy_(head.weight.double() * (std / new.std))
        head.bias.copy_((head.bias.double() * std + mean - new.mean) / new.std)


def tensor_shapes(
    config: NetworkConfig, normalise_observations: bool, normalise_returns: bool
) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and type of every tensor in the state dict of such a network, by name, without building it."""
    width = config.hidden_size
    layers = {
        "map_layer": (width, config.map_size),
        "feature_layer": (width, config.feature_count),
        "trunk": (width, 2 * width),
        "policy_head": (config.action_count, width),
        "value_head": (1, width),
    }
    shapes: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
    for name, (outputs, inputs) in layers.items():
        shapes[f"{name}.weight"] = ((outputs, inputs), torch.float32)
        shapes[f"{name}.bias"] = ((outputs,), torch.float32)
    statistics = {"observations": config.feature_count} if normalise_observations else {}
    statistics |= {"returns": 1} if normalise_returns else {}
    for name, size in statistics.items():
        shapes |= {f"{name}.{part}": ((size,), torch.float64) for part in ("mean", "squares")}
        shapes[f"{name}.count"] = ((), torch.float64)
    return shapes


def uninitialised(inputs: int, outputs: int) -> torch.nn.Linear:
    """Make a linear layer without a draw from torch's global random state."""
    return torch.nn.utils.skip_init(torch.nn.Linear, inputs, outputs)


def masked_log_probs(logits: torch.Tensor, action_mask: torch.Tensor) -> torch.Tensor:
    """Return log-probabilities (N, A) over the legal actions.

    Masked actions get probability exactly 0 (log-probability about −1e9) and pass no gradient to their logit.
    """
    return torch.log_softmax(torch.where(action_mask, logits, MASKED_LOGIT), dim=1)


def act(
    network: ActorCritic,
    map: np.ndarray,
    features: np.ndarray,
    action_mask: np.ndarray,
    uniforms: np.ndarray | None,
    precision: Precision = "fp32",
    shards: Shards | None = None,
    parts: Sequence[slice] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose an action for each observation; the caller draws the random numbers, `uniforms`.

    map: (N, C, H, W) float32 or uint8. features: (N, F). action_mask: (N, A) bool. uniforms: (N,) in
    [0, 1), or None for the most probable action. precision: of the hidden layers. parts: rows that pass the
    network together, by default all, on the threads of `shards` if they are many. Returns actions (N,) int64,
    their log-probabilities (N,) float32, values (N,) float32. A masked action is never chosen.
    Raises InputError if an observation has no legal action, NotFiniteError if the policy's output is not
    finite.
    """

    def estimate(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        log_probs, values = _pass(network, map[rows], features[rows], action_mask[rows], precision)
        return log_probs.cpu().numpy(), values.cpu().numpy()

    parts = parts or [slice(None)]
    is_worth_threads = shards and len(features) >= FEW_ROWS * len(parts)
    found = shards.map(estimate, parts) if shards and is_worth_threads else [estimate(rows) for rows in parts]
    log_probs, values = join_parts(found)
    check_choosable(log_probs, action_mask)
    actions = log_probs.argmax(1) if uniforms is None else draw_actions(log_probs, uniforms)
    return actions, np.take_along_axis(log_probs, actions[:, None], 1)[:, 0], values


@torch.inference_mode()
def _pass(
    network: ActorCritic, map: np.ndarray, features: np.ndarray, mask: np.ndarray, precision: Precision
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the log-probabilities (n, A) and values (n,) of some observations, on the network's device."""
    device = network.value_head.weight.device
    inputs = (aligned(to_tensor(map, device)), aligned(to_tensor(features, device, np.float32)))
    with arithmetic(precision, device):
        logits, values = network(*inputs)
    return masked_log_probs(logits, to_tensor(mask, device, np.bool_)), values


def join_parts(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate two columns whose rows were computed in parts."""
    first, second = zip(*parts, strict=True)
    return (first[0], second[0]) if len(parts) == 1 else (np.concatenate(first), np.concatenate(second))


def check_choosable(log_probs: np.ndarray, action_mask: np.ndarray) -> None:
    """Raise an error for an observation whose output is not finite or that has no legal action."""
    if not np.isfinite(log_probs).all():
        raise output_not_finite("policy", np.isfinite(log_probs).all(1))
    if not action_mask.any(1).all():
        row = int(np.flatnonzero(~action_mask.any(1))[0])
        raise InputError(f"action_mask, row {row}: no action is legal, expected at least one")


def output_not_finite(what: str, finite: np.ndarray) -> NotFiniteError:
    """Return an error that names the first observation whose output is not finite."""
    return NotFiniteError(
        f"observation {int(np.flatnonzero(~finite)[0])} of {len(finite)}: the {what}'s output is not finite",
        "check the observation and the checkpoint for NaN",
    )


def draw_actions(log_probs: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Invert the cumulative distribution: the first action whose cumulative probability exceeds the draw.

    It only rises at actions of positive probability, so a masked one is never first; the draw is kept
    below the total, so that there always is a first.
    """
    cumulated = np.exp(log_probs.astype(np.float64)).cumsum(1)
    total = cumulated[:, -1]
    drawn = np.minimum(uniforms * total, np.nextafter(total, 0.0))
    return (cumulated <= drawn[:, None]).sum(1)


def score_actions(
    network: ActorCritic,
    map: np.ndarray,
    features: np.ndarray,
    action_mask: np.ndarray,
    actions: np.ndarray,
    precision: Precision = "fp32",
    shards: Shards | None = None,
    parts: Sequence[slice] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log-probabilities of recorded `actions`, and the values, as (N,) float32.

    Shapes are those of `act`; each part is scored in pieces of bounded size, on the threads of `shards`.
    Raises NotFiniteError if one of them is not finite.
    """

    def score(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        every, values = _pass(network, map[rows], features[rows], action_mask[rows], precision)
        chosen = to_tensor(actions[rows], every.device, np.int64)[:, None]
        return every.gather(1, chosen)[:, 0].cpu().numpy(), values.cpu().numpy()

    bounds = [part.indices(len(actions))[:2] for part in parts or [slice(None)]]
    pieces = [
        slice(start, min(start + SCORE_ROWS, stop))
        for begin, stop in bounds
        for start in range(begin, max(stop, begin + 1), SCORE_ROWS)
    ]
    log_probs, values = join_parts(shards.map(score, pieces) if shards else [score(rows) for rows in pieces])
    for what, numbers in (("policy", log_probs), ("critic", values)):
        if not np.isfinite(numbers).all():
            raise output_not_finite(what, np.isfinite(numbers))
    return log_probs, values
