"""Which alert rules a command tries: --alert and --rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from townlet_core.telemetry.alerts import AlertRule

BUNDLED, NONE = "bundled", "none"
AlertOption = Annotated[
    list[str] | None,
    typer.Option(help="Rule, such as 'kl_divergence > 0.2 for 3 in rollout'; may be repeated."),
]
RulesOption = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|bundled|none",
        help="YAML or JSON list of alert rules; bundled, the default without --alert, for those of the "
        "scenario in the log.",
    ),
]


class ChosenRules(NamedTuple):
    """The rules that a user asked for."""

    own: list[AlertRule]  # of --alert and of a file
    bundled: bool  # whether those of the log's scenario are tried as well


def choose_rules(alert: list[str] | None, rules: str | None) -> ChosenRules:
    """Read the rules. Raises InputError, MissingError or DiskError for one that cannot be read."""
    from townlet_core.telemetry.alerts import load_alert_rules, parse_alert_rule

    own = [parse_alert_rule(text) for text in alert or []]
    if rules not in (None, NONE, BUNDLED):
        own += load_alert_rules(Path(rules))
    return ChosenRules(own, rules == BUNDLED or (rules is None and not alert))
