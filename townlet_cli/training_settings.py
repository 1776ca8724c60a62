"""The settings of a training command: its options, --config and --set, townlet.toml, the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from townlet_cli.console import warn

if TYPE_CHECKING:
    from townlet_core.training.settings import Source, TrainingSettings

Config = Annotated[
    Path | None,
    typer.Option(help="YAML file with sections training: and ppo:.", rich_help_panel="Run"),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="SECTION.KEY=VALUE",
        help="Set one key as in a --config file, such as ppo.gamma=0.9; may be repeated.",
        rich_help_panel="Run",
    ),
]


def resolve_options(
    options: dict[str, Any], config: Path | None, sets: list[str] | None
) -> tuple[TrainingSettings, dict[str, Source]]:
    """Merge everything that decides about the settings; an option that is None was not given."""
    from townlet_core.training.project import read_project
    from townlet_core.training.run_directory import is_config_of_run
    from townlet_core.training.settings import resolve_settings

    instead: dict[str, Any] = {}
    if config and is_config_of_run(config):
        from townlet_core.training.repeat import repeat_of  # which waits for torch

        instead, warnings = repeat_of(config)
        for warning in warnings:
            warn(warning)
    given = given_options(options)
    return resolve_settings(given, config, sets=sets or (), project=read_project(), instead=instead)


def given_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given; `null` is for one that may be None."""
    given = {name: value for name, value in options.items() if value is not None}
    if given.get("value_clip") == "null":
        given["value_clip"] = None
    return given


def project_folder(name: str) -> Path:
    """Return where runs or captures go by default. Raises SettingsError for a mistake in townlet.toml."""
    from townlet_core.errors import SettingsError
    from townlet_core.training.project import PROJECT, read_project

    project = read_project()
    if wrong := [mistake.text(str(PROJECT)) for mistake in project.mistakes]:
        raise SettingsError("\n".join(wrong), "townlet docs cli describes townlet.toml")
    return project.paths[name]
