"""`townlet config show`: the settings that a training run would have, and where each comes from."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from townlet_cli.console import plain, print_json
from townlet_cli.training_options import takes_training_options
from townlet_cli.training_settings import Config, Sets, project_folder, resolve_options

config_app = typer.Typer(help="Look at the settings of training runs.", no_args_is_help=True)


@config_app.command()
@takes_training_options(after="seed")
def show(
    *,
    config: Config = None,
    sets: Sets = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    **options: Any,
) -> None:
    """Print the settings that `townlet train` would have with these options, as a --config file."""
    from townlet_core.training.project import read_project
    from townlet_core.training.settings import config_yaml

    settings, sources = resolve_options(options, config, sets)
    paths = {name: str(project_folder(name)) for name in ("runs", "captures")}
    places = {name: source.place for name, source in sources.items()}
    lines = read_project().lines
    places |= {name: f"townlet.toml:{lines[name]}" if name in lines else "default" for name in paths}
    if as_json:
        told = {"settings": config_yaml(settings), "paths": paths}
        print_json({**told, "origin": places} if origin else told)
        return
    rows = [("# paths:", ""), *((f"#   {name}: {_value(path)}", name) for name, path in paths.items())]
    for section, values in config_yaml(settings).items():
        rows += [
            (f"{section}:", ""),
            *((f"  {name}: {_value(value)}", name) for name, value in values.items()),
        ]
    width = min(40, max(len(text) for text, _ in rows))
    for text, name in rows:
        is_told = origin and name
        sys.stdout.write((f"{text.ljust(width)}  # {plain(places[name])}" if is_told else text) + "\n")


def _value(value: Any) -> str:
    """Write a value as JSON, which is YAML as well."""
    return plain(json.dumps(value, ensure_ascii=False))
