"""PPO hyperparameters, validated; the learning-rate schedule; the shape of the network. No torch here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from townlet_core.errors import InputError
from townlet_core.ppo.options import HiddenSize, PPOOptions
from townlet_core.ppo.wrong_field import wrong_field

MAX_PARAMETERS = 1 << 28  # 1 GiB of float32, twice a width of 8192; a damaged state.json can't ask for more
STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)

Side = Annotated[int, Field(ge=1, le=4096)]


@dataclass(frozen=True, kw_only=True, config=STRICT)
class PPOConfig(PPOOptions):
    """Hyperparameters of one PPO update, validated. Source: Schulman et al. 2017, arXiv:1707.06347."""


class NetworkConfig(BaseModel):
    """The shape of the network: inputs, hidden size, actions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    map_shape: tuple[Side, Side, Side]  # C, H, W
    feature_count: Annotated[int, Field(ge=1, le=65536)]  # F
    action_count: Annotated[int, Field(ge=1, le=4096)]
    hidden_size: HiddenSize = 256  # of the map, feature and trunk layers
    feature_names: tuple[str, ...] = ()  # empty where they are not known

    @property
    def map_size(self) -> int:
        """Numbers in one map, C · H · W."""
        channels, height, width = self.map_shape
        return channels * height * width

    @property
    def parameter_count(self) -> int:
        """Weights and biases of all layers."""
        inputs = self.map_size + self.feature_count + 2 * self.hidden_size + self.action_count + 1
        return (inputs + 3) * self.hidden_size + self.action_count + 1

    @model_validator(mode="after")
    def fits_in_memory(self) -> NetworkConfig:
        """Check that the network has at most MAX_PARAMETERS parameters."""
        if self.parameter_count > MAX_PARAMETERS:
            raise ValueError(f"the network would have more than {MAX_PARAMETERS:,} parameters")
        return self


def network_config(**shape: Any) -> NetworkConfig:
    """Return the network's shape. Raises InputError if it is too large."""
    try:
        return NetworkConfig(**shape)
    except ValidationError as error:
        wrong = wrong_field(error, f"hidden_size {shape['hidden_size']}")
        raise InputError(f"network: {wrong}", "choose a smaller --hidden-size") from error


def learning_rate_at(config: PPOOptions, progress: float) -> float:
    """Return the learning rate when `progress` (0 at the start, 1 at the end) of the run is done."""
    if config.lr_schedule == "constant":
        return config.learning_rate
    return config.learning_rate * (1.0 - min(max(progress, 0.0), 1.0))
