"""Where the reference captures lie."""

from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "townlet" / "captures"


@pytest.fixture(scope="session")
def captures():
    if not CAPTURES.is_dir():
        pytest.skip(f"the reference captures are not here ({CAPTURES})")
    return CAPTURES
