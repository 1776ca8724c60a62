"""The types of values in a scenario file, with their ranges."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from townlet_core.vocab import NAME_PATTERN

MAX_AGENTS = 64
MAX_OBJECTS = 128
MAX_SIDE = 128  # tiles along one edge of the grid
MAX_TICKS = 1_000_000
MAX_PERTURBATIONS = 64  # of each sort

Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN.pattern}$")]
Position = tuple[Annotated[int, Field(ge=0, lt=MAX_SIDE)], Annotated[int, Field(ge=0, lt=MAX_SIDE)]]
Unit = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Change = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Ticks = Annotated[int, Field(ge=0, le=MAX_TICKS)]
SomeTicks = Annotated[int, Field(ge=1, le=MAX_TICKS)]
Utility = Literal["water", "power"]
Stock = Annotated[int, Field(ge=0, le=10_000)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


def means(text: str) -> Any:
    """Describe a key, for the editor schema and docs/scenarios.md."""
    return Field(description=text)


class Words(BaseModel):
    """A block of the file: unknown keys are mistakes, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
