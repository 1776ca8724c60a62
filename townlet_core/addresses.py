"""Addresses such as s3://bucket/x, where a path on this machine is expected."""

from __future__ import annotations

import re
from pathlib import Path

from townlet_core.errors import InputError

_ADDRESS = re.compile(r"(?:^|[/:])([A-Za-z][A-Za-z0-9+.-]+):/+")  # a Path makes s3:/bucket of s3://bucket


def refuse_address(path: Path | str) -> None:
    """Raise InputError for a URL, such as s3://bucket/x or https://host/x."""
    text = str(path).rstrip("/")
    if match := _ADDRESS.search(text):
        is_file, rest = match[1] == "file", text[match.end() :]
        hint = f"leave file:// out: /{rest}" if is_file else "copy it here first, or mount it"
        address = f"{match[1]}://{'/' * is_file}{rest}"
        raise InputError(f"{address}: is an address, expected a path on this machine", hint)
