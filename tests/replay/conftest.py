"""Where the reference captures lie."""

from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parents[1] / "data" / "reference" / "captures"


@pytest.fixture(scope="session")
def captures():
    return CAPTURES
