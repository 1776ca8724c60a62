"""Write the tables of features in docs/data.md, from the table in vocab.py; `make docs` renews them."""

import re
from pathlib import Path

from townlet_core.vocab import (
    KIND_FEATURES,
    MEETING_FEATURES,
    NEIGHBOUR_FEATURES,
    OWN_FEATURES,
    PRICE_FEATURES,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"
TABLE = re.compile(r"^(\| feature \| range .*\n\| ---.*\n)(?:\|.*\n)+", re.MULTILINE)


def with_features(page):
    """Return docs/data.md with the rows of its tables of features as vocab.py has them now."""
    tables = iter(
        (
            rows_of(OWN_FEATURES)
            + rows_of(KIND_FEATURES, "KIND_")
            + rows_of(NEIGHBOUR_FEATURES, "neighbourN_"),
            rows_of(PRICE_FEATURES, "KIND_"),
            rows_of(MEETING_FEATURES),
        )
    )
    return TABLE.sub(lambda found: found[1] + next(tables), page)


def rows_of(features, prefix=""):
    """Return the rows of a part of the table: feature, range, meaning."""
    return "".join(
        f"| `{prefix}{row.name}` | {_range(row)} | {row.meaning.format(scale=row.scale)} |\n"
        for row in features
    )


def _range(row):
    if isinstance(row.high, bool):
        return "0, 1"
    return f"{row.low}…{row.high}".replace("-", "−")
