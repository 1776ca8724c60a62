"""Which parameters of commands take an s3:// address; every other one refuses addresses at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from townlet_cli.console import note, safe
from townlet_core.addresses import refuse_address, remote_address

PARAMETERS = {
    "capture": "output",
    "train": "replay_manifest",
    "config show": "replay_manifest",
    "replay validate": "paths",
    "replay inspect": "path",
    "replay stats": "path",
    "replay merge": "paths",
}


def refuse_addresses(command: Any, context: Any, words: list[str]) -> None:
    """Refuse the addresses in the words behind a command, before anything else is said about them."""
    taking = PARAMETERS.get(context.command_path.partition(" ")[2])
    given, _, _ = command.make_parser(context).parse_args(args=list(words))
    for name, value in given.items():
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and "://" in text and not (name == taking and remote_address(text)):
                refuse_address(text)


def local_copy(path: Path) -> Path:
    """Copy a dataset at an address to this machine, and return its path; other paths are kept."""
    address = remote_address(path)
    if address is None:
        return path
    from townlet_core.remote.fetch import fetch_dataset

    copy = fetch_dataset(address)
    note(f"{safe(address)}: read from its copy in {safe(copy)}")
    return copy
