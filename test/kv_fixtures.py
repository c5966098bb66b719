"""What the tests of the key-value store share: an instance per file with cheap hashes, someone who comes to it, and keys of a
test's own. Files take these by importing them."""

import pytest

from harness import CHEAP_HASHES, Instance
from people import fresh


@pytest.fixture(scope="module")
def instance():
    with Instance(**CHEAP_HASHES) as running:
        yield running


@pytest.fixture(scope="module")
def token(people) -> str:
    return people.new().access


@pytest.fixture
def key() -> str:
    return fresh("key/")


@pytest.fixture
def prefix() -> str:
    return fresh("keys") + "/"
