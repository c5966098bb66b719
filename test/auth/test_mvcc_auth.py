"""Users, sessions, roles and keys with `memtx_use_mvcc_engine`: what is done at once to one login ends as if one after the other."""

import pytest

from support.mvcc import Crowd, mvcc_instance, needs_mvcc
from support.outcome import Ok, Refusal
from support.people import OTHER_PASSWORD, PASSWORD, fresh, permission
from support.transports import TRANSPORTS

pytestmark = needs_mvcc
# Unexpected failures, by name over iproto and status over HTTP.
FAULTS = {"internal", "not_durable", "transaction_aborted"}
FREE = 5


@pytest.fixture(scope="module")
def instance():
    # As many sessions as a crowd begins, and keys that take no time to make.
    with mvcc_instance(keys=False, AUTHKV_SESSIONS_MAX="100", AUTHKV_TOKEN_ALGORITHM="EdDSA") as running:
        yield running


@pytest.fixture(scope="module", params=["http", "iproto"])
def crowd(instance, request):
    crowd = Crowd(instance, request.param, 16)
    yield crowd
    crowd.close()


def names(seen: list) -> list[str]:
    """Of the failures; none of them may be a fault."""
    failed = [one for one in seen if isinstance(one, Refusal)]
    assert not any(one.name in FAULTS or (one.code >= 500 and one.code < 600) for one in failed), seen
    return [one.name for one in failed]


def test_of_registrations_at_once_one_succeeds(crowd, people):
    for _ in range(5):
        login = fresh("user")
        calls = [("user_register", login, f"{PASSWORD}{n}", "Bob", "Stone") for n in range(len(crowd.members))]
        seen = crowd.do(*calls)
        assert names(seen) == ["login_taken"] * (len(crowd.members) - 1), seen
        winner = next(n for n, one in enumerate(seen) if isinstance(one, Ok))
        assert isinstance(people.do("http", "session_login", login, f"{PASSWORD}{winner}"), Ok)


def test_sessions_begun_at_once_are_all_there_and_end_at_once(crowd, people):
    person = people.new()
    sessions = crowd.succeed(*[("session_login", person.login, PASSWORD)] * len(crowd.members))
    for one in sessions:
        assert people.do("http", "check", one["access_token"]) == Ok(True)
    refreshed = crowd.succeed(*[("session_refresh", one["refresh_token"]) for one in sessions])
    half = len(refreshed) // 2
    crowd.succeed(*[("auth_logout", one["access_token"]) for one in refreshed[:half]])
    seen = [people.do("http", "check", one["access_token"]) for one in refreshed]
    assert seen == [Ok(False)] * half + [Ok(True)] * half
    names(crowd.all("session_logout_all", refreshed[-1]["access_token"]))
    assert not any(people.do("http", "check", one["access_token"]).value for one in refreshed)


def test_refreshes_with_one_token_at_once_give_one_refresh_token(crowd, people):
    for _ in range(5):
        session = people.new().session
        seen = crowd.succeed(*[("session_refresh", session["refresh_token"])] * len(crowd.members))
        (newer,) = {one["refresh_token"] for one in seen}
        assert newer != session["refresh_token"]
        for one in seen:
            assert people.do("http", "check", one["access_token"]) == Ok(True)
        crowd.succeed(("session_refresh", newer))


def test_a_token_that_all_log_out_at_once_is_revoked_once(crowd, people):
    token = people.new().access
    assert set(names(crowd.all("auth_logout", token))) <= {"unauthenticated"}
    assert people.do("http", "check", token) == Ok(False)


def test_roles_given_at_once_are_all_there(crowd, people):
    person = people.new()
    roles = [people.role(permission(f"{n}/", read=True)) for n in range(len(crowd.members))]
    crowd.succeed(*[("role_grant", people.admin, person.login, role) for role in roles])
    assert sorted(set(people.administer("user_get", person.login)["roles"]) - {"default"}) == sorted(roles)
    crowd.succeed(*[("role_revoke", people.admin, person.login, role) for role in roles])
    assert set(people.administer("user_get", person.login)["roles"]) <= {"default"}


def test_whatever_is_done_to_one_login_at_once_it_ends_as_one_of_them(crowd, people):
    for _ in range(5):
        person = people.new()
        old = person.access
        role = people.role(permission("", read=True))
        admin = people.admin
        calls = [
            ("session_login", person.login, PASSWORD), ("session_login", person.login, OTHER_PASSWORD),
            ("user_set_password", admin, person.login, OTHER_PASSWORD), ("user_disable", admin, person.login),
            ("user_enable", admin, person.login), ("role_grant", admin, person.login, role),
            ("role_revoke", admin, person.login, role), ("user_logout", admin, person.login),
            ("user_delete", admin, person.login), ("user_register", person.login, PASSWORD, "Bob", "Stone"),
            ("session_refresh", person.refresh), ("auth_logout", old), ("session_logout_all", old),
            ("user_delete", admin, person.login), ("user_me", old), ("role_set", admin, role, []),
        ]  # fmt: skip
        seen = crowd.do(*calls)
        names(seen)
        deleted = sum(isinstance(one, Ok) for call, one in zip(calls, seen, strict=True) if call[0] == "user_delete")
        registered = isinstance(seen[9], Ok)
        assert 1 <= deleted <= 1 + registered, seen
        assert people.do("http", "check", old) == Ok(False)
        is_there = isinstance(people.do("http", "user_get", admin, person.login), Ok)
        assert is_there == (deleted == registered), seen
        for session in seen[0], seen[1], seen[10]:
            if isinstance(session, Ok) and not is_there:
                assert people.do("http", "check", session.value["access_token"]) == Ok(False), seen


def test_numbers_of_changes_are_given_once(crowd, people):
    """What other instances follow by."""
    persons = [people.new() for _ in crowd.members]
    crowd.succeed(*[("role_set", people.admin, fresh("role"), []) for _ in crowd.members])
    crowd.succeed(*[("user_logout", people.admin, one.login) for one in persons])
    (numbers,) = people.console.evaluate(
        "local seen = {} for _, name in ipairs{'revoked_token', 'authkv_subject', 'authkv_role', 'authkv_token_key'} do "
        "for _, row in box.space[name]:pairs() do table.insert(seen, row[3]) end end return seen"
    )
    assert len(set(numbers)) == len(numbers)


def failures(people) -> list:
    """The counts of failed logins there are, those of known addresses left out."""
    (counts,) = people.console.evaluate(
        "local seen = {} for _, row in box.space.authkv_login_attempt:pairs() do "
        "if row.failures > 0 then table.insert(seen, row.failures) end end return seen"
    )
    return counts


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_failed_logins_at_once_are_all_counted(people, transport):
    people.console.evaluate("box.space.authkv_login_attempt:truncate()")
    person = people.new()
    crowd = Crowd(people.instance, transport, FREE)
    assert set(names(crowd.all("session_login", person.login, "Wr0ng-horse!"))) == {"invalid_credentials"}
    assert FREE in failures(people), failures(people)
    crowd.close()


def test_keys_are_rotated_and_retired_while_others_log_in(crowd, people):
    person = people.new()
    before = people.administer("key_list")["keys"]
    logins = [("session_login", person.login, PASSWORD)] * (len(crowd.members) - 2)
    for _ in range(3):
        crowd.succeed(*[("key_rotate", people.admin, {"publish": 0})] * 2, *logins)
    assert len(people.administer("key_list")["keys"]) == len(before) + 6
    old = [one["kid"] for one in people.administer("key_list")["keys"] if not one["signs"]]
    seen = crowd.do(*[("key_retire", people.admin, kid) for kid in old])
    assert set(names(seen)) <= {"unauthenticated"}, "the key of the administrator's token is among them"
    del people.admin
