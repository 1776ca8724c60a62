"""Every command and group, and a way to run a command line in this process."""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest
from documentation.cli_reference import walk

from townlet_cli.main import root, run

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "cli-conventions.md").read_text("utf-8")
CLI_PAGE = (ROOT / "docs" / "cli.md").read_text("utf-8")
TREE = root()
COMMANDS = {" ".join(words[1:]): command for words, command in walk(TREE, ("townlet",))}
GROUPS = {"": TREE, **{name: c for name, c in TREE.commands.items() if hasattr(c, "commands")}}
EVERYTHING = {**GROUPS, **COMMANDS}
SCENARIO = ROOT / "scenarios" / "observation_baseline.yaml"
CAPTURE = "captures/queue_conflict"
RUN = "runs/queue_conflict-s0-1"
# Examples that are quick. The others are parsed.
QUICK = re.compile(
    r"townlet (scenario (list|show|validate|new|schema)|docs|doctor|telemetry (summary|validate)"
    r"|replay (list|inspect|validate|stats|diff|prune))\b"
)


def call(line, given=b"", kind=io.TextIOWrapper, **variables):
    """Run a command in this process; returns exit code, stdout and stderr."""
    words = shlex.split(line) if isinstance(line, str) else [str(word) for word in line]
    streams = [kind(io.BytesIO(data), "utf-8") for data in (given, b"", b"")]
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setattr(sys, "argv", ["townlet", *words])
        patch.setattr(sys, "stdin", streams[0])
        for name, value in {"COLUMNS": "80", **variables}.items():
            patch.setenv(name, value)
        stack.enter_context(contextlib.redirect_stdout(streams[1]))
        stack.enter_context(contextlib.redirect_stderr(streams[2]))
        with pytest.raises(SystemExit) as left:
            run()
    printed = []
    for stream in streams[1:]:
        stream.flush()
        printed.append(stream.buffer.getvalue().decode())
    return left.value.code or 0, *printed


def options_of(command):
    return [p for p in command.params if p.param_type_name == "option"]


def parse(words):
    """Parse a command line as `run` would, without running the command; returns its context."""
    context = TREE.make_context("townlet", list(words))
    while hasattr(context.command, "commands"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
    return context
