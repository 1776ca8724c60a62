"""Where in a line a problem stands: the column of a field's value, counted in characters from 1."""

from __future__ import annotations

import json
import re

import orjson

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder(parse_int=float)


def column_of_error(line: bytes) -> int:
    """Return the column where a line stops being JSON; 1 where it is JSON, but no record."""
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return max(error.colno, 1)
    return 1


def value_columns(line: bytes) -> dict[str, int]:
    """Return the column of each field's value; of a field that comes twice, the last one, which counts.

    What follows damage that only a strict parser sees is left out.
    """
    columns: dict[str, int] = {}
    text = line.decode("utf-8", "replace")
    place = _skip(text, 0)
    while text[place : place + 1] in ("{", ","):
        try:
            name, place = _DECODER.raw_decode(text, _skip(text, place + 1))
            start = _skip(text, _skip(text, place) + 1)  # past the colon
            _, place = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            break
        columns[str(name)] = start + 1
        place = _skip(text, place)
    return columns


def _skip(text: str, place: int) -> int:
    """Return the first place at or after this one that is no white space."""
    found = _SPACE.match(text, place)
    return found.end() if found else place
