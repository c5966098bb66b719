"""A member of a replica set that does not hear from its leader does not know what was revoked: it refuses tokens after
FOLLOW_MAX_LAG."""

import time

import pytest

from support.harness import wait_until
from support.outcome import Ok
from support.people import People
from support.replica_set import NO_ELECTIONS, ReplicaSet, has_elections
from support.split import UNKNOWN, refused
from support.transports import TRANSPORTS

# Seconds. Twice what the members need to notice that nothing is heard.
LAG = 2


@pytest.fixture(scope="module", params=["setting", "election"])
def members(request):
    """A replica set, and a token that is known everywhere."""
    if request.param == "election" and not has_elections():
        pytest.skip(NO_ELECTIONS)
    with ReplicaSet(elections=request.param == "election", AUTHKV_FOLLOW_MAX_LAG=str(LAG)) as running:
        people = People(running.leader())
        token = people.admin
        assert people.http.put(token, {"k": 1}) == Ok([])
        people.close()
        running.await_sync()
        yield running, token


def answers(member, token) -> list:
    """What a member answers to reads with the token, each with its transport."""
    seen = []
    for make in (TRANSPORTS["http"], TRANSPORTS["iproto"]):
        transport = make(member)
        seen.append((transport.get(token, ["k"]), transport))
        transport.close()
    return seen


def accepts(member, token) -> bool:
    return all(isinstance(seen, Ok) for seen, _ in answers(member, token))


def refuses(member, token) -> bool:
    return all(refused(seen, transport, UNKNOWN) for seen, transport in answers(member, token))


def keeps_accepting(member, token, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert accepts(member, token)


def failed_checks(member) -> list[str]:
    told = member.evaluate("local failed = {} for _, one in ipairs(authkv.status().checks) do "
                           "if not one.ok then table.insert(failed, one.name) end end return failed")  # fmt: skip
    return told[0]


def test_tokens_hold_on_a_member_while_it_hears_from_the_leader(members):
    running, token = members
    kept, killed = running.followers()
    wait_until(lambda: accepts(kept, token), "the token is known")
    killed.kill()
    keeps_accepting(kept, token, 2 * LAG)
    killed.start()
    wait_until(lambda: accepts(killed, token), "a member that has started hears from the leader")


def test_tokens_are_refused_while_nothing_is_heard_and_accepted_again_after(members):
    running, token = members
    leader = running.leader()
    others = running.followers()
    # With elections two of three would choose another leader.
    alone = others[0]
    if running.elections:
        others[1].kill()
    leader.pause()
    wait_until(lambda: refuses(alone, token), "the token is refused")
    wait_until(lambda: "follow" in failed_checks(alone), "the check fails")
    alone.evaluate("return authkv.reload{FOLLOW_MAX_LAG = 'unlimited'}")
    assert accepts(alone, token)
    alone.evaluate(f"return authkv.reload{{FOLLOW_MAX_LAG = '{LAG}'}}")
    assert refuses(alone, token)
    leader.resume()
    if running.elections:
        others[1].start()
    wait_until(lambda: accepts(alone, token), "the token is accepted again")
    wait_until(lambda: "follow" not in failed_checks(alone), "the check passes again")


def test_a_leader_accepts_tokens_as_soon_as_it_leads_and_one_that_ceases_to_goes_on(members):
    running, token = members
    if running.elections:
        pytest.skip("a leader that is elected is not promoted")
    old, new = running.leader(), running.followers()[0]
    running.promote(new)
    assert accepts(new, token)
    keeps_accepting(old, token, 2 * LAG)
