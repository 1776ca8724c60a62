"""YAML that people write by hand, manifests and alert rules: read as the values that JSON has, within bounds.

The parser is pure Python and reads some ten kilobytes a second of the worst there is; aliases and nesting let
a small text grow without bound. Lists that machines write are JSON.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.tokens import AliasToken, TagToken

from townlet_core import io
from townlet_core.errors import InputError, printable

MAX_YAML_BYTES = 24 << 10
_MAX_DEPTH = 16  # of brackets
_MAX_SAID = 200  # characters of what the parser says


def read_yaml(path: Path) -> Any:
    """Read a YAML file. Dates become text.

    Raises InputError with the place of what is not YAML, and for aliases, tags, deep nesting, keys that are
    not text and more than MAX_YAML_BYTES; MissingError, or DiskError.
    """
    data = io.read_file(path)
    if len(data) > MAX_YAML_BYTES:
        raise InputError(
            f"{path}: is {len(data):,} bytes of YAML, a slow format; expected at most {MAX_YAML_BYTES:,}",
            "write it as JSON, with a name that ends in .json",
        )
    text = io.decode_text(data, str(path))
    try:
        _refuse_growth(text, path)
        return io.parse_json(io.dump_json(YAML(typ="safe", pure=True).load(text)), str(path))
    except DuplicateKeyError as error:  # the parser's words hold both values
        raise InputError(f"{path}{_place(error)}: not YAML: a key is there twice in one block") from error
    except YAMLError as error:
        said = getattr(error, "problem", None) or error
        raise InputError(f"{path}{_place(error)}: not YAML: {_one_line(said)}") from error
    except InputError:  # a ValueError as well
        raise
    # Dates and numbers that are none; endless nesting; keys that are no text.
    except (ValueError, RecursionError, TypeError) as error:
        raise InputError(f"{path}: not YAML we can read: {_one_line(error)}") from error


def _refuse_growth(text: str, path: Path) -> None:
    """Refuse what costs far more to build than to read: aliases, tags and deep nesting."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > _MAX_DEPTH:
            raise InputError(f"{path}: nests brackets {depth} deep, expected at most {_MAX_DEPTH}")
    if "*" not in text and "!" not in text:  # looking closer takes half as long as reading
        return
    for token in YAML(typ="safe", pure=True).scan(text):
        if isinstance(token, AliasToken):
            raise InputError(f"{path}: uses YAML aliases, with which a small file can grow without bound")
        if isinstance(token, TagToken):
            raise InputError(f"{path}:{token.start_mark.line + 1}: uses a YAML tag, expected plain YAML")


def _place(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def _one_line(said: object) -> str:
    return printable(" ".join(str(said).split())[:_MAX_SAID])
