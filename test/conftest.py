"""Fixtures that all files share: an instance per file, who comes to it, and instances that a test starts itself."""

import pytest

from support.contract import GOOD
from support.harness import Instance, running
from support.outcome import Ok
from support.people import People, fresh
from support.transports import ConsoleTransport, HttpTransport


@pytest.fixture
def tmp_path(tmp_path_factory):
    """As pytest's own, without the name of the test: the path of a unix socket in it has at most 107 bytes."""
    return tmp_path_factory.mktemp("t")


@pytest.fixture(scope="module")
def settings() -> dict:
    """The settings of `instance` that are not the default ones. A folder or a file may have its own."""
    return {}


@pytest.fixture(scope="module")
def instance(settings):
    """A running instance, one per file."""
    with Instance(**settings) as running:
        yield running


@pytest.fixture(scope="module")
def http(instance):
    """HTTP to that instance, where the user `tester` is registered."""
    transport = HttpTransport(instance)
    assert transport.register("tester", GOOD, "Test", "Tester") == Ok()
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def console(instance):
    """The console of that instance."""
    transport = ConsoleTransport(instance)
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def people(instance):
    """Everyone who comes to that instance, over every transport."""
    people = People(instance)
    yield people
    people.close()


@pytest.fixture(scope="module")
def token(people) -> str:
    """An access token of a new user, who may read and write all keys."""
    return people.new().access


@pytest.fixture
def key() -> str:
    """A key that nobody has used."""
    return fresh("key/")


@pytest.fixture
def prefix() -> str:
    """A prefix of keys that nobody has used."""
    return fresh("keys") + "/"


@pytest.fixture
def make():
    """Makes instances that are not started yet, and removes them after the test."""
    made = []

    def make(**settings):
        made.append(Instance(**settings))
        return made[-1]

    yield make
    for one in made:
        one.dispose()


@pytest.fixture
def visit():
    """Has people come to instances that a test started itself."""
    visits = []

    def visit(instance):
        visits.append(People(instance))
        return visits[-1]

    yield visit
    for one in visits:
        one.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for one in running():
            report.sections.append((f"authkv in {one.data_dir}, {one.state()}", one.log()[-6000:]))
