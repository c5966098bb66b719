"""Instances of the tests of HTTP spend no time on hashes."""

import pytest

from support.harness import CHEAP_HASHES


@pytest.fixture(scope="module")
def settings() -> dict:
    return CHEAP_HASHES
