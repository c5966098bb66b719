"""Instances for the tests of the key-value store."""

import pytest

from support.harness import CHEAP_HASHES


@pytest.fixture(scope="module")
def settings() -> dict:
    """Hashes take no time."""
    return CHEAP_HASHES
