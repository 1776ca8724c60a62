"""What every command and group has in common: its help page, short options, and its name for --json."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from townlet_cli.addresses import refuse_addresses
from townlet_cli.completion import offer, offers_for
from townlet_cli.console import Display
from townlet_cli.help import print_help
from townlet_cli.usage import UsageError, elsewhere

# The same letter means the same everywhere.
SHORT = {"--output": "-o", "--config": "-c", "--force": "-f", "--dry-run": "-n"}


class Command(TyperCommand):
    """A command with our help page."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            letters = {SHORT[name] for name in parameter.opts if name in SHORT}
            names = [*parameter.opts, *(letters - {*parameter.opts})]
            parameter.opts[:] = sorted(names, key=lambda name: not name.startswith("--"))
            if offers_for(parameter):
                # Here for all commands at once; Typer has a public way only where each parameter is declared.
                parameter._custom_shell_complete = offer

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page."""
        print_help(self, ctx)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words behind the command, without addresses where paths are expected."""
        if not ctx.resilient_parsing:  # as for completion
            refuse_addresses(self, ctx, args)
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what it prints as JSON carries its name."""
        Display.command = ctx.command_path
        return super().invoke(ctx)


class Group(TyperGroup):
    """A group of commands with our help page."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page."""
        print_help(self, ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; one that another group has is named in the error."""
        try:
            return super().resolve_command(ctx, args)
        except UsageError as error:
            root = ctx.find_root().command
            if args and "Did you mean" not in error.message and (found := elsewhere(root, args[0])):
                names = ", ".join(f"'{name}'" for name in found)
                error.message = f"{error.message.rstrip('.')}. Did you mean {names}?"
            raise


def adopt(app: typer.Typer) -> None:
    """Make every command and group of an app one of ours."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        group.cls = Group
        if group.typer_instance:
            adopt(group.typer_instance)
