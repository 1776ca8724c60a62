"""The network's forward pass on the CPU into given buffers: `ActorCritic.forward` without autograd."""

from __future__ import annotations

from typing import NamedTuple

from townlet_core.ppo.cpu.sparse_maps import SparseMaps, add_rows
from townlet_core.ppo.device import torch
from townlet_core.ppo.network import ActorCritic


class Weights(NamedTuple):
    """Weights and biases as a pass needs them, or their gradients.

    The heads and all gradients are float32; the others have the precision of the pass.
    """

    map: torch.Tensor  # (M, W), transposed
    feature: torch.Tensor  # (W, F)
    trunk: torch.Tensor  # (W, 2 W), columns of the map layer first
    heads: torch.Tensor  # (A + 1, W), the policy's and then the critic's
    map_bias: torch.Tensor
    feature_bias: torch.Tensor
    trunk_bias: torch.Tensor
    heads_bias: torch.Tensor


def read_weights(network: ActorCritic, kind: torch.dtype = torch.float32) -> Weights:
    """Lay the network's weights out for a pass in float32 or bfloat16."""
    return Weights(
        map=network.map_layer.weight.t().to(kind).contiguous(),
        feature=network.feature_layer.weight.to(kind),
        trunk=network.trunk.weight.to(kind),
        heads=torch.cat((network.policy_head.weight, network.value_head.weight)),
        map_bias=network.map_layer.bias.to(kind),
        feature_bias=network.feature_layer.bias.to(kind),
        trunk_bias=network.trunk.bias.to(kind),
        heads_bias=torch.cat((network.policy_head.bias, network.value_head.bias)),
    )


def pass_forward(
    weights: Weights,
    maps: SparseMaps | torch.Tensor,
    features: torch.Tensor,
    map_hidden: torch.Tensor,
    feature_hidden: torch.Tensor,
    hidden: torch.Tensor,
) -> torch.Tensor:
    """Return logits and, in the last column, the critic's raw output, (n, A + 1) float32.

    maps: their ones, or dense (n, M). features: (n, F). Written are the activations of the map layer, the
    feature layer and the trunk, each (n, W). All have the weights' dtype.
    """
    width = map_hidden.shape[1]
    if isinstance(maps, SparseMaps):
        torch.add(add_rows(weights.map, maps.tiles, maps.map_starts), weights.map_bias, out=map_hidden)
    else:
        torch.addmm(weights.map_bias, maps, weights.map, out=map_hidden)
    torch.addmm(weights.feature_bias, features, weights.feature.t(), out=feature_hidden)
    torch.addmm(weights.trunk_bias, map_hidden.relu_(), weights.trunk[:, :width].t(), out=hidden)
    hidden.addmm_(feature_hidden.relu_(), weights.trunk[:, width:].t()).relu_()
    return torch.addmm(weights.heads_bias, hidden.float(), weights.heads.t())
