"""Commits that do not end, because a quorum is lost: whoever waits gets an answer that does not say more than is known."""

from __future__ import annotations

import pytest

from support.contract import GOOD
from support.harness import CHEAP_HASHES, wait_until
from support.load import at_once
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import put
from support.quorum import lose_quorum, make_synchronous, regain_quorum
from support.transports import TRANSPORTS, HttpTransport, bearer

UNKNOWN = Refused("outcome_unknown", "A write was not confirmed within 1 seconds: it is not known whether it is done")
UNCONFIRMED = Refused("unconfirmed")
# More than there are fibers that commit.
CROWD = 48


@pytest.fixture
def people(make, visit):
    """People at an instance whose pairs need a quorum, and who have written the pair `before`."""
    people = visit(make(AUTHKV_COMMIT_TIMEOUT="1", **CHEAP_HASHES).start())
    assert people.http.register("bob1", GOOD, "Bob", "Stone") == Ok()
    make_synchronous(people)
    people.token = people.http.login("bob1", GOOD).value
    put(people, people.token, "before")
    return people


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_answer_does_not_say_that_nothing_was_written(people, transport):
    token = people.token
    lose_quorum(people)
    people.expect(transport, UNKNOWN, "pair_put", token, "k", 1)
    # Nobody sees what may be taken back, and nobody waits for it without end.
    people.expect(transport, UNKNOWN, "pair_get", token, "k")
    # What certainly cannot be done is told so.
    people.expect(transport, UNCONFIRMED, "pair_put", token, "never", 1)
    people.expect(transport, ANY, "pair_get", token, "before")
    assert people.http.login("bob1", GOOD).value
    assert people.http.check(token) == Ok(True)
    regain_quorum(people)
    wait_until(lambda: isinstance(people.do(transport, "pair_put", token, "k", 2), Ok), "writes are accepted again")
    people.expect(transport, Refused("no_such_key"), "pair_get", token, "never")


def test_the_answer_says_when_to_try_again_and_the_instance_is_not_ready(people):
    lose_quorum(people)
    answer = people.http.request("PUT", "/v1/kv/k", 1, bearer(people.token))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")

    def late() -> str:
        checks = people.console.evaluate("return authkv.status().checks")[0]
        return next(check["commits"] for check in checks if "commits" in check)

    wait_until(lambda: "has not been confirmed" in late(), "the check fails")
    regain_quorum(people)
    wait_until(lambda: late() == "ok", "the check passes again")


def test_more_such_writes_than_there_are_fibers_keep_nobody_from_anything(people):
    lose_quorum(people)
    clients = [HttpTransport(people.instance) for _ in range(CROWD)]
    seen = at_once(*(lambda n=n, one=one: one.do("pair_put", people.token, f"k{n}", n) for n, one in enumerate(clients)))
    names = {one.name for one in seen if isinstance(one, Refusal)}
    assert len(names) == len(names & {"outcome_unknown", "unconfirmed"}) and len(seen) == CROWD, seen
    people.expect("http", ANY, "pair_get", people.token, "before")
    assert people.http.login("bob1", GOOD).value
    regain_quorum(people)
    wait_until(lambda: isinstance(people.do("http", "pair_put", people.token, "after", 1), Ok), "writes are accepted again")
    # Those of which nothing was known were done, the others were not.
    for n, one in enumerate(seen):
        found = isinstance(people.do("http", "pair_get", people.token, f"k{n}"), Ok)
        assert found == (one.name == "outcome_unknown"), (n, one)
    for client in clients:
        client.close()


def test_an_instance_with_such_writes_stops(people):
    lose_quorum(people)
    people.expect("http", UNKNOWN, "pair_put", people.token, "k", 1)
    people.expect("http", UNCONFIRMED, "pair_put", people.token, "k", 2)
    people.close()
    people.instance.stop()


def test_a_caller_who_is_cancelled_is_not_told_that_nothing_was_written(people):
    lose_quorum(people)
    (why,) = people.console.evaluate(
        f"local fiber, why = require('fiber') local arguments = {{'{people.token}', {{k = 1}}}} "
        "local put = box.func['authkv.kv_put'] "
        "local one = fiber.create(function() local _, err = pcall(put.call, put, arguments) why = tostring(err) end) "
        # It is written at once, and not confirmed.
        "while box.space.key_value_store:len() < 2 do fiber.sleep(0.01) end "
        "one:cancel() while why == nil do fiber.sleep(0.01) end return why"
    )
    assert why.startswith("outcome_unknown"), why
    regain_quorum(people)
    wait_until(lambda: isinstance(people.do("http", "pair_get", people.token, "k"), Ok), "the pair is there")
