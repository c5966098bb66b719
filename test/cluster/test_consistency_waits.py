"""Who may wait for fresh data, how many, and what ends a wait."""

from __future__ import annotations

import random
import string
import time
import zlib

import pytest

from support.harness import CHEAP_HASHES, wait_until
from support.load import in_background, jobs
from support.outcome import Ok
from support.people import People
from support.replica_set import ReplicaSet
from support.transports import HttpTransport, IprotoTransport, bearer

# Above every revision that a test writes.
FAR = 2**53


@pytest.fixture
def alone(make):
    """An instance of its own, whose queue is short, with a user and the token."""
    people = People(make(AUTHKV_QUEUE="8", AUTHKV_HTTP_WORKERS="1", **CHEAP_HASHES).start())
    yield people, people.new().access
    people.close()


def ahead(people, token, timeout: float = 30):
    http = HttpTransport(people.instance)
    try:
        return http.request("GET", f"/v1/kv/k?min_revision={FAR}&timeout={timeout}", headers=bearer(token))
    finally:
        http.close()


def test_not_more_than_a_quarter_of_the_queue_waits_for_revisions(alone):
    people, token = alone
    reads = [in_background(lambda: ahead(people, token, 3)) for _ in range(2)]
    wait_until(lambda: jobs(people.instance) == 2, "two reads wait")
    refused = ahead(people, token)
    assert refused.status == 503 and refused.problem["code"] == "overloaded", refused
    # The others go on.
    assert people.http.check(token) == Ok(True)
    assert [read().problem["code"] for read in reads] == ["behind"] * 2


def made_up_key() -> str:
    """A text in the form of an API key, with the right checksum, which nobody has made."""
    letters = string.digits + string.ascii_uppercase + string.ascii_lowercase
    secret = "".join(random.choices(letters, k=43))
    rest, digits = zlib.crc32(secret.encode()), ""
    for _ in range(6):
        rest, digit = divmod(rest, 62)
        digits = letters[digit] + digits
    return f"authkv_{secret}{digits}"


def test_strangers_take_no_place_from_others():
    """A follower has 16 places in its queue: 8 wait, of those 4 for revisions, and 1 with a key that nobody knows yet."""
    with ReplicaSet(2, AUTHKV_CONSISTENCY="leader", AUTHKV_QUEUE="16") as running:
        leader, follower = map(People, running.members)
        token = leader.new().access
        # The leader knows all keys.
        assert ahead(leader, made_up_key()).status == 401
        stranger = in_background(lambda: ahead(follower, made_up_key(), 5))
        wait_until(lambda: jobs(follower.instance) == 1, "a stranger waits")
        refused = ahead(follower, made_up_key())
        assert refused.status == 503 and refused.problem["code"] == "overloaded", refused
        reads = [in_background(lambda: ahead(follower, token, 5)) for _ in range(3)]
        wait_until(lambda: jobs(follower.instance) == 4, "three more wait")
        assert ahead(follower, token).problem["code"] == "overloaded"
        # Whoever waits for the leader only, as any request does here, has places.
        assert follower.http.check(token) == Ok(True)
        assert [read().problem["code"] for read in (stranger, *reads)] == ["behind"] * 4
        # A key that the follower knows, or has from the leader before the request begins.
        someone = leader.new()
        assert follower.http.check(someone.key) == Ok(True)
        leader.close()
        follower.close()


def test_who_has_no_token_cannot_wait(alone):
    people, _ = alone
    begun = time.monotonic()
    assert ahead(people, "x").status == 401
    assert time.monotonic() - begun < 10


def test_a_read_whose_client_has_gone_waits_no_longer(alone):
    people, token = alone
    http = HttpTransport(people.instance)
    http.connection.request("GET", f"/v1/kv/k?min_revision={FAR}&timeout=60", headers=bearer(token))
    wait_until(lambda: jobs(people.instance) == 1, "the read waits")
    http.close()
    wait_until(lambda: jobs(people.instance) == 0, "nobody waits")


def test_a_stop_ends_the_wait(alone):
    people, token = alone
    read = in_background(lambda: ahead(people, token, 60))
    iproto = IprotoTransport(people.instance)
    call = in_background(lambda: iproto.do("pair_get", token, "k", {"min_revision": FAR, "timeout": 60}))
    wait_until(lambda: jobs(people.instance) == 1, "the read waits")
    begun = time.monotonic()
    assert people.console.evaluate("return authkv.stop()")[0] is True
    assert time.monotonic() - begun < 8
    assert read().problem["code"] == "shutting_down"
    assert call().name == "shutting_down"


def test_a_restart_loses_no_read_that_waits_for_a_moment(alone):
    people, token = alone
    read = in_background(lambda: ahead(people, token, 0.3))
    wait_until(lambda: jobs(people.instance) == 1 or read.is_there(), "the read waits")
    people.console.evaluate("return authkv.restart()")
    assert read().problem["code"] == "behind"
