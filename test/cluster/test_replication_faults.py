"""A replica set under load whose leader is replaced on purpose, and killed: what may be lost, and what may not. The long form is
`make test-replication`."""

from __future__ import annotations

import pytest

from support.replica_set import ReplicaSet, has_elections
from support.replication.faults import KILL, KILL_BEHIND, PROMOTION
from support.replication.run import MEMBER, Run

pytestmark = pytest.mark.filterwarnings("ignore::tarantool.error.NetworkWarning")


@pytest.fixture(scope="module")
def run():
    """Without elections, and asynchronous, whatever Tarantool has."""
    with ReplicaSet(**MEMBER) as members, Run(members, synchronous=False, seed=1, histories=None) as running:
        yield running


def findings(run) -> list:
    """What was found since it was last asked for."""
    found, run.findings = run.findings, []
    return found


def test_a_planned_promotion_loses_nothing(run):
    for _ in range(2):
        run.cycle(PROMOTION)
    assert findings(run) == []
    assert not run.rows[PROMOTION].lost and run.rows[PROMOTION].stayed == 0


def test_a_kill_breaks_no_transaction(run):
    """Also if some of the last writes are lost with the leader."""
    run.cycle(KILL)
    assert findings(run) == []
    assert run.rows[KILL].stayed == 0


def test_what_is_lost_with_a_leader_that_the_others_have_not_heard_is_counted(run):
    """And the members tell that somebody else gave revisions."""
    run.cycle(KILL_BEHIND)
    assert findings(run) == []
    row = run.rows[KILL_BEHIND]
    assert row.lost["lost"] + row.lost["revision_twice"] > 0, row
    assert row.split + row.repeated > 0, row


def test_a_lost_write_is_found_if_nothing_may_be_lost(run):
    """The rules of synchronous replication, applied to a set without it."""
    run.strict = True
    try:
        run.cycle(KILL_BEHIND)
    finally:
        run.strict = False
    rules = {finding.rule for finding in findings(run)}
    assert rules & {"lost", "revision_twice", "counter"}, rules


@pytest.mark.skipif(not has_elections(), reason="synchronous replication needs elections")
def test_a_synchronous_write_that_was_acknowledged_is_not_lost():
    with ReplicaSet(elections=True, AUTHKV_SYNCHRONOUS="true", **MEMBER) as members, Run(members, True, 1, None) as running:
        running.cycle(KILL)
        running.cycle("pause")
        assert running.findings == []
        assert [row.stayed for row in running.rows.values()] == [0, 0]
