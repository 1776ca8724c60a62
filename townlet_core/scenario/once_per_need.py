"""Keys that a scenario file has once per need: one line of a block stands for all of them."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, create_model

from townlet_core.scenario.values import means
from townlet_core.vocab import NEED_TABLE, NEEDS

Block = TypeVar("Block", bound=BaseModel)

NEED: Final = "NEED"  # in the name of a field: the name of each need
FROM_TABLE: Final[Any] = object()  # as a default: the column of the table that the key names after NEED_


def once_per_need(block: type[Block]) -> type[Block]:
    """Replace every field of a block that has NEED in its name by one field per need of the table.

    `{name}` and `{meaning}` in its description are those of the need.
    """
    fields: dict[str, Any] = {}
    for key, field in block.model_fields.items():
        if NEED not in key:
            fields[key] = field.rebuild_annotation(), field
            continue
        for need in NEED_TABLE:
            text = (field.description or "").format(name=need.name, meaning=need.meaning)
            column = key.removeprefix(f"{NEED}_")
            default = getattr(need, column) if field.default is FROM_TABLE else field.default
            fields[key.replace(NEED, need.name)] = Annotated[field.rebuild_annotation(), means(text)], default
    name, module = block.__name__, block.__module__
    return create_model(name, __base__=block.__bases__, __module__=module, __doc__=block.__doc__, **fields)


def per_need(block: BaseModel, key: str = NEED) -> tuple[float, ...]:
    """Return the value of a key of each need: `per_need(rules.needs, "NEED_decay")`."""
    return tuple(getattr(block, key.replace(NEED, need)) for need in NEEDS)
