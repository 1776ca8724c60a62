"""The options of PPO: name, type, default, range and help of each, stated once.

Nothing here needs pydantic, so that `townlet train --help` can read the table. `PPOConfig` validates it.
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Annotated, Any, Literal, get_type_hints

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Option:
    """Metadata of an option: help, range, and its place on the command line."""

    help: str
    _: KW_ONLY
    panel: str | None = None  # in `townlet train --help`
    flags: tuple[str, ...] = ()  # if not --NAME
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        """Add the range to pydantic's schema; pydantic calls this for types annotated with an Option."""
        schema = handler(source)
        number = schema["schema"] if schema["type"] == "nullable" else schema
        limits = {name: getattr(self, name) for name in ("gt", "ge", "lt", "le")}
        number |= {name: limit for name, limit in limits.items() if limit is not None}
        return schema


PPO = partial(Option, panel="PPO")
HiddenSize = Annotated[int, PPO("Width of the hidden layers.", ge=1, le=8192)]


@dataclass(frozen=True, kw_only=True)
class PPOOptions:
    """Hyperparameters of one PPO update, not validated."""

    learning_rate: Annotated[float, PPO("Learning rate of Adam.", gt=0, le=1)] = 3e-4
    clip_param: Annotated[float, PPO("PPO clip range ε.", gt=0, le=10)] = 0.2
    value_loss_coef: Annotated[float, PPO("Value loss coefficient.", ge=0, le=100)] = 0.5
    entropy_coef: Annotated[float, PPO("Entropy bonus coefficient.", ge=0, le=10)] = 0.01
    num_epochs: Annotated[
        int, PPO("PPO epochs per batch.", flags=("--num-epochs", "--epochs"), ge=1, le=1000)
    ] = 4
    num_mini_batches: Annotated[int, PPO("Minibatches per epoch.", ge=1, le=1 << 20)] = 4
    gamma: Annotated[float, PPO("Discount factor γ per tick.", ge=0, le=1)] = 0.99
    gae_lambda: Annotated[float, PPO("GAE λ: 0 is one-step TD, 1 is Monte Carlo.", ge=0, le=1)] = 0.95
    bootstrap_truncations: Annotated[bool, PPO("Bootstrap at time-limit truncation.")] = True
    max_grad_norm: Annotated[float, PPO("Maximum gradient norm.", gt=0)] = 0.5
    value_clip: Annotated[
        float | None,
        PPO("Value clip range; null disables it.", gt=0),
    ] = 0.2
    advantage_normalization: Annotated[bool, PPO("Normalise advantages per minibatch.")] = True
    target_kl: Annotated[
        float | None, PPO("Stop the update after an epoch whose mean KL divergence exceeds this.", gt=0)
    ] = None
    lr_schedule: Annotated[
        Literal["constant", "linear"],
        PPO("Learning rate schedule: constant, or linear decay to 0."),
    ] = "constant"
    micro_batch: Annotated[
        int | None,
        PPO("Transitions per backward pass; gradients are accumulated over the minibatch.", ge=1),
    ] = None
    precision: Annotated[
        Precision,
        PPO("Precision of the hidden layers in training; bf16 needs hardware support."),
    ] = "fp32"
    device: Annotated[
        Literal["auto", "cpu", "cuda"], PPO("Device to train on; auto uses a GPU if there is one.")
    ] = "auto"


def options_of(table: type) -> dict[str, Any]:
    """Return Annotated[type, Option] of every field of a table, by name, in order."""
    return get_type_hints(table, include_extras=True)
