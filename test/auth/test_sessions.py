"""Sessions: refresh tokens are used once, a used one ends the session, and a session ends as a whole."""

from __future__ import annotations

import base64
import json
import time
import urllib.request

import jwt
import pytest

from support.clock import elapse
from support.harness import CHEAP_HASHES, wait_until
from support.load import at_once
from support.outcome import Ok
from support.people import INVALID_REFRESH_TOKEN, NO_SUCH_SESSION, PASSWORD, UNAUTHENTICATED, People, session_answer
from support.transports import TRANSPORTS


def refresh(people: People, session: dict, transport: str = "http") -> dict:
    return people.expect(transport, Ok(session_answer()), "session_refresh", session["refresh_token"])


def assert_ended(people: People, *sessions: dict) -> None:
    """Neither token of these is of any use."""
    for session in sessions:
        people.assert_fails(session["access_token"])
        people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", session["refresh_token"])


def assert_goes_on(people: People, session: dict) -> dict:
    people.assert_holds(session["access_token"])
    return refresh(people, session)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_each_refresh_gives_new_tokens(people, transport):
    sessions = [people.new().session]
    for _ in range(5):
        sessions.append(refresh(people, sessions[-1], transport))
    for member in ("access_token", "refresh_token"):
        assert len({session[member] for session in sessions}) == len(sessions)
    assert_goes_on(people, sessions[-1])


def test_a_refresh_token_says_nothing(people):
    person = people.new()
    tokens = [person.refresh, person.log_in()["refresh_token"], people.new().refresh]
    assert len(set(tokens)) == 3 and all(len(token) >= 32 and "." not in token for token in tokens)
    assert not any(person.login in token for token in tokens)


def test_no_token_is_kept_as_it_is(make, visit):
    """Who reads the files of the instance gets no session by it."""
    people = visit(make(**CHEAP_HASHES).start())
    person = people.new()
    tokens = [person.refresh, person.access, refresh(people, person.session)["refresh_token"], person.api_token]
    held = b"".join(path.read_bytes() for path in people.instance.data_dir.rglob("*") if path.is_file())
    assert person.login.encode() in held and not [token for token in tokens if token.encode() in held]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("used", [0, 1])
def test_a_used_refresh_token_ends_the_session(people, transport, used):
    """The last one that was used has a time of grace: see test_refresh_grace.py."""
    person = people.new()
    sessions = [person.session]
    for _ in range(3):
        sessions.append(refresh(people, sessions[-1]))
    other = person.log_in()
    for session in (sessions[-1], other):
        people.assert_holds(session["access_token"])
    people.expect(transport, INVALID_REFRESH_TOKEN, "session_refresh", sessions[used]["refresh_token"])
    assert_ended(people, *sessions)
    assert_goes_on(people, other)


@pytest.mark.parametrize("spoil", [
    lambda token: token[:-1], lambda token: token + "A", lambda token: token.swapcase(), lambda token: token + "=",
    lambda token: " " + token, lambda token: "A" * len(token), lambda token: token[:8] + "A" * (len(token) - 8),
], ids=["cut", "longer", "other_case", "padded", "after_a_space", "guessed", "half_guessed"])  # fmt: skip
def test_what_is_no_refresh_token_ends_nothing(people, spoil):
    """Or anyone could end a session whose id they have seen in a token."""
    person = people.new()
    people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", spoil(person.refresh))
    assert_goes_on(people, person.session)


def test_who_has_seen_an_access_token_cannot_end_its_session(people):
    """The session that it names is not what a refresh token begins with."""
    person = people.new()
    sid = jwt.decode(person.access, options={"verify_signature": False})["sid"]
    made = base64.urlsafe_b64encode(base64.urlsafe_b64decode(sid + "==") + bytes(32)).decode().rstrip("=")
    assert len(made) == len(person.refresh) and not person.refresh.startswith(sid)
    people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", made)
    assert_goes_on(people, person.session)


def test_a_user_deleted_behind_our_back_leaves_nothing_to_the_next_of_that_login(people):
    person = people.new()
    people.assert_holds(person.access)
    assert people.console.evaluate(f"box.space.user:delete('{person.login}') return true") == [True]
    people.assert_fails(person.access)
    people.administer("user_create", person.login, "0ther-Horse-1", "Bob", "Stone", {})
    assert_ended(people, person.session)


def test_a_refresh_and_a_logout_at_once_leave_no_session(people):
    racers = [TRANSPORTS["http"](people.instance) for _ in range(2)]
    for _ in range(50):
        session = people.new().session
        refreshed, logged_out = at_once(
            lambda: racers[0].do("session_refresh", session["refresh_token"]),
            lambda: racers[1].do("auth_logout", session["access_token"]),
        )
        assert logged_out == Ok({"revoked": True})
        for one in [session, *([refreshed.value] if isinstance(refreshed, Ok) else [])]:
            people.expect("http", UNAUTHENTICATED, "user_me", one["access_token"])
            people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", one["refresh_token"])
    for transport in racers:
        transport.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_logout_ends_all_of_its_session_and_no_other(people, transport):
    person = people.new()
    sessions = [person.session, refresh(people, person.session)]
    other, of_api = person.log_in(), person.api_token
    for token in (sessions[-1]["access_token"], other["access_token"], of_api):
        people.assert_holds(token)
    people.expect(transport, Ok({"revoked": True}), "auth_logout", sessions[-1]["access_token"])
    assert_ended(people, *sessions)
    people.assert_holds(of_api)
    assert_goes_on(people, other)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_logout_of_api_ends_the_session_of_a_token_of_v1(people, transport):
    """The token is the same to both; what it logs out of is too."""
    session = people.new().session
    assert people.do(transport, "logout", session["access_token"]) == Ok()
    assert_ended(people, session)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_logout_with_a_token_of_api_ends_that_token_only(people, transport):
    person = people.new()
    second = people.http.login(person.login, PASSWORD).value
    people.expect(transport, Ok({"revoked": True}), "auth_logout", person.api_token)
    people.assert_fails(person.api_token)
    people.assert_holds(second)
    assert_goes_on(people, person.session)


def test_a_session_expires_so_long_after_its_last_use(make, visit):
    people = visit(make(AUTHKV_REFRESH_TTL="4", **CHEAP_HASHES).start())
    person = people.new()
    answer = session_answer(refresh_ttl=4)
    begun = time.monotonic()
    session = people.expect("http", Ok(answer), "session_login", person.login, PASSWORD)

    def refreshed() -> bool:
        nonlocal session
        session = people.expect("http", Ok(answer), "session_refresh", session["refresh_token"])
        return time.monotonic() > begun + 5

    wait_until(refreshed, "the session is older than it would be without its use")
    elapse(5)  # without a use
    people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", session["refresh_token"])


def test_the_oldest_session_ends_where_there_are_too_many(make, visit):
    people = visit(make(AUTHKV_SESSIONS_MAX="3", **CHEAP_HASHES).start())
    person, other = people.new(), people.new()
    people.assert_holds(other.access)
    sessions = [person.log_in() for _ in range(3)]
    for session in sessions:
        people.assert_holds(session["access_token"])
    for transport in TRANSPORTS:
        sessions.append(people.expect(transport, Ok(session_answer()), "session_login", person.login, PASSWORD))
        ended, sessions = sessions[0], sessions[1:]
        assert_ended(people, ended)
        for session in sessions:
            people.assert_holds(session["access_token"])
    people.assert_holds(person.api_token)
    assert_goes_on(people, other.session)
    for session in sessions:
        assert_goes_on(people, session)


def test_sessions_survive_a_restart_as_they_were(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    used, ended, going_on = (people.new().session for _ in range(3))
    people.expect("http", Ok({"revoked": True}), "auth_logout", ended["access_token"])
    renewed = refresh(people, used)
    for stop in (people.instance.stop, people.instance.kill):
        people.close()
        stop()
        people.instance.start()
        assert_ended(people, ended)
        people.assert_holds(renewed["access_token"])
        going_on = assert_goes_on(people, going_on)
    # That it was used before is known still.
    newest = refresh(people, renewed)
    people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", used["refresh_token"])
    assert_ended(people, renewed, newest)


def test_a_session_does_not_outlive_the_right_to_log_in(people):
    """Whatever the session was refreshed with in the meantime."""
    person = people.new()
    session = refresh(people, person.session)
    people.administer("user_disable", person.login)
    people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", session["refresh_token"])
    people.administer("user_enable", person.login)
    assert_ended(people, session)


def call(instance, path: str, body: dict | None, **headers: str) -> dict:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(instance.url + path, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(asked) as answer:
        return json.load(answer)


def test_a_session_is_listed_with_the_address_and_the_name_of_its_client(people):
    """Those of the last login or refresh; what is no text is left out, and what is long is cut."""
    person = people.new()
    for agent, kept in [("Probe/1 (one; two)", "Probe/1 (one; two)"), ("x" * 1000, "x" * 255), ("", "")]:
        body = {"login": person.login, "password": PASSWORD}
        session = call(people.instance, "/v1/login", body, **{"User-Agent": agent})
        (newest, *_) = people.do("http", "session_list", session["access_token"]).value["sessions"]
        assert (newest["address"], newest["user_agent"], newest["current"]) == ("127.0.0.1", kept, True)
        assert newest["refreshed_at"] is None and abs(newest["created_at"] - time.time()) < 60
        session = call(people.instance, "/v1/refresh", {"refresh_token": session["refresh_token"]}, **{"User-Agent": "Other/2"})
        (again, *_) = people.do("http", "session_list", session["access_token"]).value["sessions"]
        assert (again["session"], again["user_agent"]) == (newest["session"], "Other/2")
        assert abs(again["refreshed_at"] - time.time()) < 60 and again["created_at"] == newest["created_at"]
    # Over iproto a client has an address and no name, and on the console neither.
    for transport, address in [("iproto", "127.0.0.1"), ("console", None)]:
        session = people.do(transport, "session_login", person.login, PASSWORD).value
        (newest, *_) = people.do(transport, "session_list", session["access_token"]).value["sessions"]
        assert (newest["address"], newest["user_agent"]) == (address, None)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_all_sessions_of_a_user_are_listed_the_newest_first(people, transport):
    person = people.new()
    begun = [person.session, *(person.log_in() for _ in range(3))]
    listed = people.do(transport, "session_list", person.access).value["sessions"]
    ids = [jwt.decode(one["access_token"], options={"verify_signature": False})["sid"] for one in begun]
    assert [one["session"] for one in listed] == ids[::-1]
    assert [one["current"] for one in listed] == [False, False, False, True]
    people.expect(transport, Ok({"revoked": True}), "session_revoke", person.access, ids[1])
    assert_ended(people, begun[1])
    listed = people.do(transport, "session_list", person.access).value["sessions"]
    assert [one["session"] for one in listed] == [ids[3], ids[2], ids[0]]
    # Sessions that have expired, or ended with everything else, are not there.
    people.administer("user_logout", person.login)
    newer = person.log_in()["access_token"]
    assert len(people.do(transport, "session_list", newer).value["sessions"]) == 1


def test_a_session_that_has_expired_is_not_listed_and_cannot_be_ended(make, visit):
    people = visit(make(AUTHKV_REFRESH_TTL="1", **CHEAP_HASHES).start())
    person = people.new()
    token, gone = person.api_token, person.session_id
    wait_until(lambda: people.do("http", "session_list", token).value["sessions"] == [], "the session has expired")
    people.everywhere(NO_SUCH_SESSION, "session_revoke", token, gone)
