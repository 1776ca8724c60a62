"""Options of the test suite. Being here also lets tests import `reference.…`, the slow town."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", type=int, default=0, help="compare this many more random towns")


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> int:
    """Return how many more random towns to compare than usual."""
    return request.config.getoption("--soak")
