"""Fixtures every file shares: an instance per file, and instances that a test starts itself."""

import pytest

import harness
from cases import GOOD
from fronts import HttpFront
from outcome import Ok
from people import People


@pytest.fixture(scope="module")
def instance():
    """A running instance with the default settings, one per file."""
    with harness.Instance() as running:
        yield running


@pytest.fixture(scope="module")
def http(instance):
    """The HTTP front of that instance, where the user `tester` is registered."""
    front = HttpFront(instance)
    assert front.register("tester", GOOD, "Test", "Tester") == Ok()
    yield front
    front.close()


@pytest.fixture(scope="module")
def token(http):
    """A token of `tester`."""
    return http.login("tester", GOOD).value


@pytest.fixture(scope="module")
def people(instance):
    """Everyone who comes to that instance, by every front."""
    people = People(instance)
    yield people
    people.close()


@pytest.fixture
def make():
    """Makes instances that are not started yet, and removes them after the test."""
    made = []

    def make(**settings):
        made.append(harness.Instance(**settings))
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
        for one in harness.running():
            report.sections.append((f"authkv in {one.data_dir}, {one.state()}", one.log()[-6000:]))
