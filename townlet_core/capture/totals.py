"""Compare the totals of a capture (replay/totals.py) with the scenario's `expect`."""

from __future__ import annotations

from typing import NamedTuple

from townlet_core.errors import ScenarioError, did_you_mean
from townlet_core.scenario.model import Scenario


class Miss(NamedTuple):
    """An expectation that the capture does not meet."""

    metric: str
    value: float
    least: float | None
    most: float | None

    def __str__(self) -> str:
        least = "-inf" if self.least is None else f"{self.least:g}"
        most = "inf" if self.most is None else f"{self.most:g}"
        return f"{self.metric} is {self.value:g}, expected {least} to {most}"


def unmet_expectations(scenario: Scenario, totals: dict[str, float]) -> list[Miss]:
    """Compare a capture's totals with the scenario's `expect`. Raises ScenarioError for an unknown metric."""
    misses = []
    for metric, (least, most) in scenario.expect.items():
        if metric not in totals:
            raise ScenarioError(
                f"{scenario.name}: expect.{metric}: no such total of a capture"
                f"{did_you_mean(metric, list(totals))}",
                "townlet docs data#totals lists the totals",
            )
        value = totals[metric]
        if (least is not None and value < least) or (most is not None and value > most):
            misses.append(Miss(metric, value, least, most))
    return misses
