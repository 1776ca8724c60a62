"""Addresses such as s3://bucket/x: where they are read and written, and where a path is expected."""

from __future__ import annotations

import re
from pathlib import Path

from townlet_core.errors import InputError

_ADDRESS = re.compile(r"(?:^|[/:])([A-Za-z][A-Za-z0-9+.-]+):/+")  # a Path makes s3:/bucket of s3://bucket
_REMOTE = re.compile(r"s3:/+(?P<bucket>[^/]*)/*(?P<key>.*?)/*", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_HELP = "townlet docs object-storage lists what takes s3:// addresses; copy it here first"


def refuse_address(path: Path | str) -> None:
    """Raise InputError for a URL, such as s3://bucket/x or https://host/x."""
    text = str(path).rstrip("/")
    if match := _ADDRESS.search(text):
        scheme, rest = match[1], text[match.end() :]
        hint = {"file": f"leave file:// out: /{rest}", "s3": _HELP}.get(
            scheme, "copy it here first, or mount it"
        )
        address = f"{scheme}://{'/' * (scheme == 'file')}{rest}"
        raise InputError(f"{address}: is an address, expected a path on this machine", hint)


def remote_address(path: Path | str) -> str | None:
    """Return s3://BUCKET/PREFIX if that is what a path says, without a slash at its end; None for others.

    Raises InputError for one that is not well formed.
    """
    match = _REMOTE.fullmatch(str(path))
    if not match:
        return None
    bucket, key = match.groups()
    address = f"s3://{bucket}/{key}".rstrip("/")
    parts = key.split("/") if key else []
    if not _BUCKET.fullmatch(bucket) or not key.isprintable() or {"", ".", ".."} & {*parts}:
        raise InputError(
            f"{address}: is not well formed, expected s3://BUCKET/PREFIX", "townlet docs object-storage"
        )
    return address


def spelled(path: Path | str) -> str:
    """Write a path as people do: an address with both of its slashes, which a Path does not keep."""
    return remote_address(path) or str(path)
