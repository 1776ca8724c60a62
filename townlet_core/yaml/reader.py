"""A YAML file that is a list for machines, such as a manifest or alert rules, to plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from townlet_core.errors import InputError
from townlet_core.inputs import read_input
from townlet_core.yaml.tree import MAX_VALUES, parse_bytes

MAX_YAML_BYTES = 24 << 10  # the parser is pure Python and reads some ten kilobytes a second at worst


def read_yaml(path: Path) -> Any:
    """Read a YAML file as the values that JSON has. Dates are text.

    Raises InputError with the place of the first mistake, or for more than MAX_YAML_BYTES; MissingError, or
    DiskError.
    """
    data = read_input(path)
    if len(data) > MAX_YAML_BYTES:
        raise InputError(
            f"{path}: is {len(data):,} bytes of YAML, a slow format; expected at most {MAX_YAML_BYTES:,}",
            "write it as JSON, with a name that ends in .json",
        )
    root, mistakes = parse_bytes(data, MAX_VALUES)
    if root is None or mistakes:
        raise InputError(mistakes[0].text(str(path)))
    return root.plain()
