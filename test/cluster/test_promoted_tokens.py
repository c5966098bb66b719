"""What a leader has given holds at the next one: refreshes that are repeated, and one-time tokens."""

from __future__ import annotations

import pytest

from support.outcome import Ok
from support.people import INVALID_ONE_TIME_TOKEN, OTHER_PASSWORD, PASSWORD, People, Person, fresh
from support.replica_set import NO_ELECTIONS, ReplicaSet, has_elections

# A time of grace that outlasts a change of the leader on a busy machine.
SETTINGS = {"AUTHKV_REFRESH_GRACE": "300", "AUTHKV_TOKEN_ALGORITHM": "ES256", "AUTHKV_LOGIN_FORM": "email"}


@pytest.fixture(params=["setting", "election"])
def replicas(request):
    """A replica set whose leader is that of a setting, or is elected. Each member has made a key file of its own."""
    if request.param == "election" and not has_elections():
        pytest.skip(NO_ELECTIONS)
    with ReplicaSet(elections=request.param == "election", **SETTINGS) as running:
        yield running


def change_leader(replicas: ReplicaSet) -> People:
    """The people at another leader, which has all that the old one had."""
    replicas.await_sync()
    if replicas.elections:
        replicas.leader().kill()
    else:
        replicas.promote(replicas.followers()[0])
    return People(replicas.leader())


def join(people: People) -> Person:
    """A new user, whose login is an e-mail address."""
    person = Person(people, f"{fresh('user')}@example.org")
    people.administer("user_create", person.login, PASSWORD, "Ann", "Stone", {"roles": []})
    return person


def test_a_refresh_that_is_repeated_at_a_new_leader_gives_the_same_token(replicas):
    before = People(replicas.leader())
    used = join(before).refresh
    newer = before.expect("http", Ok(before.session_answer()), "session_refresh", used)["refresh_token"]
    before.close()

    after = change_leader(replicas)
    again = after.expect("http", Ok(after.session_answer()), "session_refresh", used)
    assert again["refresh_token"] == newer
    after.assert_holds(again["access_token"])
    after.expect("http", Ok(after.session_answer()), "session_refresh", newer)
    after.close()


def test_a_new_leader_takes_one_time_tokens_of_the_old_one(replicas):
    before = People(replicas.leader())
    person = join(before)
    reset = person.reset_token
    verification = before.administer("user_verification_token", person.login)["verification_token"]
    before.close()

    after = change_leader(replicas)
    after.expect("http", Ok({"login": person.login, "email_verified": True}), "user_verify_email", verification)
    after.expect("http", Ok({"changed": True}), "user_reset_password", reset, OTHER_PASSWORD)
    after.expect("http", Ok(after.session_answer()), "session_login", person.login, OTHER_PASSWORD)
    after.expect("http", INVALID_ONE_TIME_TOKEN, "user_reset_password", reset, PASSWORD)
    after.close()


def test_after_a_restore_it_is_so_with_the_new_secret(replicas):
    before = People(replicas.leader())
    person = join(before)
    lost = person.reset_token
    assert before.console.evaluate("return authkv.restored() ~= nil") == [True]
    before.close()
    again = People(replicas.leader())
    reset = again.administer("user_reset_token", person.login)["reset_token"]
    again.close()

    after = change_leader(replicas)
    after.expect("http", INVALID_ONE_TIME_TOKEN, "user_reset_password", lost, OTHER_PASSWORD)
    after.expect("http", Ok({"changed": True}), "user_reset_password", reset, OTHER_PASSWORD)
    after.close()
