"""Instances of the tests of the key-value store spend no time on hashes."""

import pytest

from support.harness import CHEAP_HASHES


@pytest.fixture(scope="module")
def settings() -> dict:
    return CHEAP_HASHES
