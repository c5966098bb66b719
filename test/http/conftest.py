"""Instances for the tests of HTTP, and bare connections to them."""

import pytest

from support.harness import CHEAP_HASHES
from support.wire import Wire


@pytest.fixture(scope="module")
def settings() -> dict:
    """Hashes take no time."""
    return CHEAP_HASHES


@pytest.fixture
def wire(instance):
    """A bare connection, for bytes that no HTTP library would send."""
    with Wire(instance) as wire:
        yield wire
