"""The clipped PPO loss, its value and entropy terms, and the statistics everyone plots."""

from __future__ import annotations

from typing import NamedTuple

from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.device import torch
from townlet_core.ppo.network import masked_log_probs


class PPOLoss(NamedTuple):
    """One loss to step on and its parts, all means over transitions; only `total` carries gradient."""

    total: torch.Tensor  # policy + value_loss_coef · value − entropy_coef · entropy
    policy: torch.Tensor  # −mean min(ratio · A, clip(ratio) · A)
    value: torch.Tensor  # ½ mean max(unclipped, clipped) squared error
    entropy: torch.Tensor  # nats, over the legal actions
    entropy_square: torch.Tensor
    approx_kl: torch.Tensor  # the k3 estimator, never negative
    clip_fraction: torch.Tensor  # share of ratios outside 1 ± clip_param
    ratio_mean: torch.Tensor  # 1 where the data is on-policy
    ratio_square: torch.Tensor


def ppo_loss(
    logits: torch.Tensor,
    values: torch.Tensor,
    action_mask: torch.Tensor,
    actions: torch.Tensor,
    old_log_probs: torch.Tensor,
    old_values: torch.Tensor,
    advantages: torch.Tensor,
    returns: torch.Tensor,
    config: PPOConfig,
    imitate: bool = False,
) -> PPOLoss:
    """Compute the clipped surrogate loss of Schulman et al. 2017, arXiv:1707.06347, eq. 7 and 9.

    logits, action_mask: (N, A). actions: (N,) int64. The rest: (N,) float32; advantages are used as given.
    With `imitate`, the policy's loss is −mean log π · advantage, without an importance ratio.
    """
    log_probs = masked_log_probs(logits, action_mask)
    log_prob = log_probs.gather(1, actions[:, None])[:, 0]
    log_ratio = torch.zeros_like(log_prob) if imitate else log_prob - old_log_probs
    ratio = log_ratio.exp()
    clipped_ratio = ratio.clamp(1 - config.clip_param, 1 + config.clip_param)
    surrogate = (
        log_prob * advantages if imitate else torch.minimum(ratio * advantages, clipped_ratio * advantages)
    )
    policy = -surrogate.mean()
    value = value_loss(values, old_values, returns, config.value_clip)
    entropies = -(log_probs.exp() * log_probs).sum(1)
    entropy = entropies.mean()
    total = policy + config.value_loss_coef * value - config.entropy_coef * entropy
    with torch.no_grad():
        return PPOLoss(
            total=total,
            policy=policy.detach(),
            value=value.detach(),
            entropy=entropies.double().mean(),  # float64, for the standard deviation of both
            entropy_square=entropies.double().square().mean(),
            approx_kl=(log_ratio.expm1() - log_ratio).mean(),
            clip_fraction=(ratio != clipped_ratio).float().mean(),
            ratio_mean=ratio.mean(),
            ratio_square=ratio.double().square().mean(),
        )


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor, value_clip: float | None
) -> torch.Tensor:
    """Half the mean squared error; with a clip, the larger of it and that of the clipped prediction."""
    errors = (values - returns).square()
    if value_clip is not None:
        clipped = old_values + (values - old_values).clamp(-value_clip, value_clip)
        errors = torch.maximum(errors, (clipped - returns).square())
    return 0.5 * errors.mean()


def ess_fraction(ratio_mean: float, ratio_square: float) -> float:
    """Effective sample size over sample size, (Σ w)² / (n Σ w²): 1 on-policy, near 0 when few rows count."""
    return ratio_mean**2 / ratio_square if ratio_square > 0 else 0.0
