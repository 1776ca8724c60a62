"""`townlet scenario new` and `schema`: a file to start from, and what an editor needs to help with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from townlet_cli.console import command, next_step, note, out, print_or_write, safe, warn

Force = Annotated[bool, typer.Option("--force", help="Replace what is there.")]


def new(
    name: Annotated[str, typer.Argument(help="Name of the new scenario.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME|FILE",
            help="Scenario to copy; by default a small town with comments.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="YAML file, or folder, to write to, - for stdout; by default NAME.yaml."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a scenario to start from, and a JSON Schema for editors."""
    from townlet_core import io
    from townlet_core.inputs import STDIN
    from townlet_core.scenario.catalogue import SUFFIXES, find_scenario
    from townlet_core.scenario.json_schema import SCHEMA_FILE, scenario_schema
    from townlet_core.scenario.template import TEMPLATE, new_scenario

    name = name.removesuffix(".yaml").removesuffix(".yml")
    text = new_scenario(name, TEMPLATE if source is None else find_scenario(source))
    if output == STDIN:
        sys.stdout.write(text)
        return
    file = output if output and output.suffix in SUFFIXES else (output or Path()) / f"{name}.yaml"
    io.refuse_existing(file, force)
    io.make_folder(file.parent)
    beside, wanted = file.with_name(SCHEMA_FILE), io.dump_json(scenario_schema())
    if force or io.kind_of(beside) is None:
        io.write_file(beside, wanted)
        note(f"wrote {safe(beside)}, for editors")
    elif io.read_file(beside) != wanted:
        renew = command("scenario", "schema", "--force", "--output", beside)
        warn(f"{beside}: is of another version; renew it with: {renew}")
    io.write_file(file, text.encode())
    out.print(f"wrote {safe(file)}")
    next_step(command("scenario", "show", file))
    next_step(command("scenario", "validate", file))
    next_step(command("capture", file, "--check"))


def schema(
    output: Annotated[
        Path | None, typer.Option(help="File to write to, also .gz; by default stdout.")
    ] = None,
    force: Force = False,
) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from townlet_core.io import dump_json
    from townlet_core.scenario.json_schema import scenario_schema

    print_or_write(dump_json(scenario_schema()).decode(), output, force)
    if output is not None and str(output) != "-":
        note(f"first line of a scenario beside it: # yaml-language-server: $schema={safe(output.name)}")
