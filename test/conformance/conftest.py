"""Instances for the tables."""

import pytest

from support.harness import CHEAP_HASHES


@pytest.fixture(scope="module")
def settings() -> dict:
    """Hashes take no time."""
    return CHEAP_HASHES
