"""What can be chosen about learning: hyperparameters of PPO and the shape of the network. No torch here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from townlet_core.errors import InputError

MAX_PARAMETERS = 1 << 28  # 1 GiB of float32, twice a width of 8192; a damaged state.json can't ask for more

Precision = Literal["fp32", "bf16"]
Side = Annotated[int, Field(ge=1, le=4096)]


class PPOConfig(BaseModel):
    """Hyperparameters of one PPO update. Source: Schulman et al. 2017, arXiv:1707.06347."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(3e-4, gt=0, le=1, description="Step size of Adam.")
    clip_param: float = Field(
        0.2, gt=0, le=10, description="How far the probability ratio may move from 1 before the gain is cut."
    )
    value_loss_coef: float = Field(0.5, ge=0, le=100, description="Weight of the value loss.")
    entropy_coef: float = Field(0.01, ge=0, le=10, description="Weight of the entropy bonus.")
    num_epochs: int = Field(4, ge=1, le=1000, description="Passes over each batch.")
    num_mini_batches: int = Field(4, ge=1, le=1 << 20, description="Gradient steps per pass over the batch.")
    gamma: float = Field(0.99, ge=0, le=1, description="Discount per tick.")
    gae_lambda: float = Field(
        0.95, ge=0, le=1, description="Advantage estimation: 0 trusts the critic, 1 the returns."
    )
    bootstrap_truncations: bool = Field(
        True,
        description="Where an episode's time is up, count on what would have followed; no: nothing follows.",
    )
    max_grad_norm: float = Field(0.5, gt=0, description="Gradients longer than this are shortened to it.")
    value_clip: float | None = Field(
        0.2, gt=0, description="How far a value may move from the recorded one; null switches the clip off."
    )
    advantage_normalization: bool = Field(
        True, description="Give the advantages of each minibatch mean 0 and standard deviation 1."
    )
    target_kl: float | None = Field(
        None, gt=0, description="End the update after an epoch whose mean KL divergence exceeds this."
    )
    lr_schedule: Literal["constant", "linear"] = Field(
        "constant", description="Keep the learning rate, or lower it linearly to 0 over the run."
    )
    micro_batch: int | None = Field(
        None, ge=1, description="Transitions per backward pass; gradients add up to the whole minibatch's."
    )
    precision: Precision = Field(
        "fp32",
        description="Arithmetic of the hidden layers while training; bf16 needs a processor that has it.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the network trains; auto takes a GPU if there is one."
    )


class NetworkConfig(BaseModel):
    """The shape of the network: what it sees, how wide it is, what it can do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    map_shape: tuple[Side, Side, Side]  # C, H, W
    feature_count: int = Field(ge=1, le=65536)  # F
    action_count: int = Field(ge=1, le=4096)
    hidden_size: int = Field(256, ge=1, le=8192, description="Width of the map, feature and trunk layers.")
    feature_names: tuple[str, ...] = ()  # what the features mean, where that is known

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
    """Describe the network that data and settings ask for. Raises InputError for one that is too large."""
    try:
        return NetworkConfig(**shape)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or f"hidden_size {shape['hidden_size']}"
        raise InputError(f"network: {place}: {first['msg']}", "choose a smaller --hidden-size") from error


def learning_rate_at(config: PPOConfig, progress: float) -> float:
    """Return the learning rate when `progress` (0 at the start, 1 at the end) of the run is done."""
    if config.lr_schedule == "constant":
        return config.learning_rate
    return config.learning_rate * (1.0 - min(max(progress, 0.0), 1.0))
