"""`townlet telemetry rules`: print alert rules that come with Townlet."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from townlet_core.errors import InputError


def print_rules(
    scenario: Annotated[
        str, typer.Argument(help="A bundled scenario, or any for the rules of every other.")
    ] = "any",
) -> None:
    """Print the bundled alert rules of a scenario, to copy and change."""
    from townlet_core import io
    from townlet_core.errors import did_you_mean, shown
    from townlet_core.telemetry.bundled import bundled_rule_files

    files = bundled_rule_files()
    if scenario not in files:
        raise InputError(
            f"no rules are bundled for {shown(scenario)}{did_you_mean(scenario, list(files))}",
            f"there are some for {', '.join(files)}",
        )
    sys.stdout.write(io.read_file(files[scenario]).decode())
