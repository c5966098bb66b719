"""What was acknowledged outlives a kill, whatever is going on at that moment: the short form of `make test-crash`."""

from __future__ import annotations

import pytest

from support.crash.control import DAMAGES, control, is_seen
from support.crash.run import MOMENTS, SETTINGS, Run
from support.harness import Instance, wait_until


@pytest.fixture(scope="module")
def run():
    """A run whose instance goes on from kill to kill."""
    instance = Instance(**SETTINGS)
    try:
        with Run(instance, seed=1) as run:
            yield run
    finally:
        instance.dispose()


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_acknowledged_outlives_a_kill(run, moment):
    before = len(run.world.ledger.findings)
    run.cycle(moment)
    run.look_at_all()
    assert run.world.ledger.findings[before:] == []


def test_each_kind_of_request_outlives_a_kill(run):
    before = len(run.world.ledger.findings)
    run.begin_load()
    wait_until(lambda: not run.lacking(), "a request of each kind is acknowledged")
    died = run.kill("load")
    run.end_load()
    run.start()
    run.settle(died)
    assert run.world.ledger.findings[before:] == []


@pytest.mark.parametrize("name", ["the last 40 records, before another load", "a row of a batch", "revocations"])
def test_a_damaged_log_is_found(name):
    """Or the test above would not fail for anything."""
    findings = control(name, seed=1)
    assert is_seen(name, findings), (DAMAGES[name].rules, findings)
