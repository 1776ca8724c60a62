"""The gradient of the PPO loss, written out: equal to autograd's, without its copies and its graph.

`update.backpropagate` is the readable reference that this is tested against.
"""

from __future__ import annotations

import math

import numpy as np

from townlet_core.ppo.config import PPOConfig
from townlet_core.ppo.cpu.forward import Weights, pass_forward, read_weights
from townlet_core.ppo.cpu.fused_loss import add_loss_and_gradient
from townlet_core.ppo.cpu.sparse_maps import SparseMaps, add_rows, find_one_positions, select_maps
from townlet_core.ppo.device import torch
from townlet_core.ppo.losses import PPOLoss
from townlet_core.ppo.network import ActorCritic

PIECE = 2048  # rows per forward and backward pass; their activations stay in the cache


class ManualBackward:
    """Gradients of one update on one shard, on the CPU. Buffers are allocated once per update.

    For binary maps the map layer is a sum of weight rows (sparse_maps.py), otherwise a matrix product.
    With `imitate`, the policy's loss is −mean log π · advantage.
    """

    def __init__(
        self, network: ActorCritic, data: list[torch.Tensor], config: PPOConfig, imitate: bool = False
    ) -> None:
        map, features, mask, actions, old_log_probs, old_values, _, returns = data
        self.network, self.config, self.imitate = network, config, imitate
        self.maps = map.flatten(1)
        self.ones = find_one_positions(map.numpy())
        if network.observations is not None:
            features = network.observations.normalise(features)
        self.kind = torch.bfloat16 if config.precision == "bf16" else torch.float32
        self.features = features.to(self.kind)
        self.value_shift = 0.0
        if network.returns is not None:  # then values and returns are in standard deviations
            std, mean = network.returns.std.float(), network.returns.mean.float()
            old_values, returns, self.value_shift = old_values / std, returns / std, (mean / std).item()
        self.loss_inputs = (mask, actions, old_log_probs, old_values, returns)
        self.size = min(config.micro_batch or PIECE, PIECE, max(len(map), 1))
        self.buffers = torch.empty(4, self.size, network.config.hidden_size, dtype=self.kind)
        self.gradients = Weights(*(torch.empty_like(part) for part in read_weights(network)))

    @torch.no_grad()
    def backpropagate(
        self, rows: torch.Tensor, advantages: torch.Tensor, count: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return this shard's part of the gradient of a minibatch, (P,), and of its losses.

        rows: (n,) of the shard, which may be none. advantages: (n,), ready for use. count: rows of the
        minibatch in all shards. The losses are sums over the rows, one for each of PPOLoss, float64; the
        gradient is that of their mean over `count`, the parameters one after the other.
        """
        weights = read_weights(self.network, self.kind)
        sums = np.zeros(len(PPOLoss._fields))
        for gradient in self.gradients:
            gradient.zero_()
        for start in range(0, len(rows), self.size):
            piece = slice(start, start + self.size)
            self._add_piece(weights, rows[piece], advantages[piece], count, sums)
        return flatten(self.network, self.gradients), torch.from_numpy(sums)

    def _add_piece(
        self, weights: Weights, rows: torch.Tensor, advantages: torch.Tensor, count: int, sums: np.ndarray
    ) -> None:
        """Add the gradient and the losses of some rows of a minibatch of `count`; losses go to `sums`."""
        gradients, width = self.gradients, self.network.config.hidden_size
        of_map, of_features = slice(width), slice(width, None)  # halves of what enters the trunk
        features, maps = self.features.index_select(0, rows), self._maps(rows)
        map_hidden, feature_hidden, hidden, hidden_grad = self.buffers[:, : len(rows)]
        outputs = pass_forward(weights, maps, features, map_hidden, feature_hidden, hidden)

        grad = self._loss_gradient(outputs, rows, advantages, count, sums).to(self.kind)
        add_products(gradients.heads, gradients.heads_bias, grad, hidden)
        grad = grad_at_inputs(weights.heads.to(self.kind), grad, hidden, hidden_grad)
        add_products(gradients.trunk[:, of_features], gradients.trunk_bias, grad, feature_hidden)
        add_products(gradients.trunk[:, of_map], None, grad, map_hidden)
        # The buffer `hidden` is free now; it holds the gradient at feature_hidden, then at map_hidden.
        feature_grad = grad_at_inputs(weights.trunk[:, of_features], grad, feature_hidden, hidden)
        add_products(gradients.feature, gradients.feature_bias, feature_grad, features)
        map_grad = grad_at_inputs(weights.trunk[:, of_map], grad, map_hidden, hidden)
        if isinstance(maps, SparseMaps):
            gradients.map.add_(add_rows(map_grad, maps.maps, maps.tile_starts))
            gradients.map_bias.add_(map_grad.sum(0, dtype=torch.float32))
        else:
            add_products(gradients.map.t(), gradients.map_bias, map_grad, maps)

    def _maps(self, rows: torch.Tensor) -> SparseMaps | torch.Tensor:
        if self.ones is not None:
            return select_maps(self.ones, rows.numpy(), self.maps.shape[1])
        return self.maps.index_select(0, rows).to(self.kind)

    def _loss_gradient(
        self,
        outputs: torch.Tensor,
        rows: torch.Tensor,
        advantages: torch.Tensor,
        count: int,
        sums: np.ndarray,
    ) -> torch.Tensor:
        """Add the losses to `sums` and return the gradient at the outputs, (n, A + 1) float32."""
        config, gradient = self.config, torch.empty_like(outputs)
        mask, actions, old_log_probs, old_values, returns = (
            column.index_select(0, rows).numpy() for column in self.loss_inputs
        )
        add_loss_and_gradient(
            outputs.numpy(),
            mask,
            actions,
            old_log_probs,
            old_values,
            returns,
            advantages.numpy(),
            self.value_shift,
            config.clip_param,
            math.inf if config.value_clip is None else config.value_clip,
            config.value_loss_coef,
            config.entropy_coef,
            self.imitate,
            count,
            gradient.numpy(),
            sums,
        )
        return gradient


def add_products(
    weight_gradient: torch.Tensor,
    bias_gradient: torch.Tensor | None,
    grad: torch.Tensor,
    inputs: torch.Tensor,
) -> None:
    """Add the gradients of a linear layer: gradᵀ · inputs for the weight, the sum over rows for the bias."""
    if grad.dtype == weight_gradient.dtype:
        weight_gradient.addmm_(grad.t(), inputs)
    else:
        weight_gradient.add_(grad.t() @ inputs)
    if bias_gradient is not None:
        bias_gradient.add_(grad.sum(0, dtype=torch.float32))


def grad_at_inputs(
    weight: torch.Tensor, grad: torch.Tensor, inputs: torch.Tensor, out: torch.Tensor
) -> torch.Tensor:
    """Return the gradient at a layer's inputs, through the ReLU that they come from."""
    torch.mm(grad, weight, out=out)
    return torch.ops.aten.threshold_backward.grad_input(out, inputs, 0, grad_input=out)


def flatten(network: ActorCritic, gradients: Weights) -> torch.Tensor:
    """Lay the gradients of all parameters out in one vector (P,), in the order of network.parameters()."""
    heads = (network.config.action_count, 1)
    policy, value = gradients.heads.split(heads)
    policy_bias, value_bias = gradients.heads_bias.split(heads)
    by_parameter = {
        network.map_layer.weight: gradients.map.t(),
        network.map_layer.bias: gradients.map_bias,
        network.feature_layer.weight: gradients.feature,
        network.feature_layer.bias: gradients.feature_bias,
        network.trunk.weight: gradients.trunk,
        network.trunk.bias: gradients.trunk_bias,
        network.policy_head.weight: policy,
        network.policy_head.bias: policy_bias,
        network.value_head.weight: value,
        network.value_head.bias: value_bias,
    }
    return torch.cat([by_parameter[parameter].reshape(-1) for parameter in network.parameters()])
