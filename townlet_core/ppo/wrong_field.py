"""Message for the first field of a file that does not fit its pydantic model."""

from __future__ import annotations

from pydantic import ValidationError

from townlet_core.errors import shown

MAX_SHOWN = 40  # characters of the value
_WHOLE, _TEXT, _BLOCK, _LIST = "a whole number", "text", "an object", "a list"
# By pydantic's type of error; the limits in braces are in its context.
_EXPECTED = {
    "dict_type": _BLOCK,
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than_equal": "at least {ge:,}",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_type": _WHOLE,
    "less_than": "less than {lt:,}",
    "less_than_equal": "at most {le:,}",
    "literal_error": "{expected}",
    "model_attributes_type": _BLOCK,
    "model_type": _BLOCK,
    "string_pattern_mismatch": "text of the form {pattern}",
    "string_type": _TEXT,
    "too_long": "at most {max_length:,} entries",
    "too_short": "at least {min_length:,} entries",
    "tuple_type": _LIST,
}


def wrong_field(error: ValidationError, whole: str = "top level") -> str:
    """Return `field: found …, expected …` of the first field; `whole` names the file as a whole."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or whole
    kind, context = first["type"], first.get("ctx", {})
    if kind == "missing":
        return f"{place}: missing"
    if kind == "value_error":  # raised by a validator of ours
        return f"{place}: {context['error']}"
    expected = _EXPECTED[kind].format(**context) if kind in _EXPECTED else "another value"
    return f"{place}: found {shown(first['input'], MAX_SHOWN)}, expected {expected}"
