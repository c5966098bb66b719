"""A wall clock that jumps: nothing is lost for good, nobody is delayed for longer than the limit, and a key signs all the time."""

from __future__ import annotations

import jwt
import pytest

from support.faketime import clock_settings, set_clock
from support.harness import CHEAP_HASHES, Instance, wait_until
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import put
from support.people import PASSWORD, People, session_answer
from support.split import auth_settings, kv_settings
from support.tokens import kid
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS
from support.v1 import OWNER

HOUR = 3600
# Set forward and back, by more than anything here lives, and to before this machine was built.
JUMPS = [2 * HOUR, -2 * HOUR, 40 * 24 * HOUR, -1_000_000_000]
WRONG = "Wr0ng-horse!"
MISSING = Refused("no_such_key")
SESSION = Ok(session_answer())
QUICK = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"}


@pytest.fixture
def own(make, visit):
    """People at an instance of this test's own, whose clock can be set."""

    def own(**settings) -> People:
        instance = make(**(QUICK | settings))
        instance.settings |= clock_settings(instance, 0)
        return visit(instance.start())

    return own


def await_upkeep(people: People) -> None:
    """Returns when the upkeep, and the removal of pairs, have come by at least twice. They need a clock that is known."""
    watched = "box.space.authkv_login_attempt"
    for _ in range(2):
        people.console.evaluate(f"{watched}:replace{{'watched', 1, 1, 1}}")
        wait_until(lambda: people.console.evaluate(f"return {watched}:get('watched') == nil") == [True], "the upkeep has come by")


def turns(people: People) -> int:
    """How often the upkeep has run, or waited, so far."""
    code = "for _, one in pairs(require('fiber').info()) do if one.name == 'authkv-upkeep' then return one.csw end end"
    return people.console.evaluate(code)[0]


def await_turns(people: People) -> None:
    """Returns when the upkeep has come by several times, whether it knows the clock or not."""
    before = turns(people)
    wait_until(lambda: turns(people) >= before + 6, "the upkeep has come by")


def delay(seen) -> bool:
    return isinstance(seen, Refusal) and seen.message.startswith("Too many failed logins")


def fail_until_delayed(people: People, login: str) -> None:
    wait_until(lambda: delay(people.do("http", "session_login", login, WRONG)), "logins are delayed")


def is_stored(people: People, key: str) -> bool:
    return people.console.evaluate(f"return box.space.key_value_store:get('{key}') ~= nil") == [True]


@pytest.mark.parametrize("jump", JUMPS)
def test_pairs_live_as_long_as_was_asked_for(own, jump):
    people = own()
    token = people.new().access
    for key in ("a", "b"):
        put(people, token, key, 1, ttl=HOUR)
    set_clock(people.instance, jump)
    await_upkeep(people)
    # Tokens go by the wall clock, and the owner of the console needs none.
    for key in ("a", "b"):
        assert people.expect("owner", ANY, "pair_get", OWNER, key)["value"] == 1
    assert people.expect("owner", ANY, "kv_list", OWNER, {"count": True}) == {"count": 2}
    # A pair is not overwritten while the clock is wrong, as one that has expired would be.
    people.expect("owner", Refused("conflict"), "pair_put", OWNER, "b", 2, {"mode": "insert"})
    people.expect("owner", ANY, "pair_put", OWNER, "short", 1, {"ttl": 1.5})
    people.expect("owner", ANY, "pair_put", OWNER, "long", 1, {"ttl": HOUR})
    wait_until(lambda: people.sees("owner", MISSING, "pair_get", OWNER, "short"), "a short life ends though the clock is wrong", 30)
    set_clock(people.instance, 0)
    await_upkeep(people)
    for transport in ADMIN_TRANSPORTS:
        for key in ("a", "b", "long"):
            assert people.expect(transport, ANY, "pair_get", token, key)["value"] == 1
        people.expect(transport, MISSING, "pair_get", token, "short")
    wait_until(lambda: not is_stored(people, "short"), "the short pair is removed")


@pytest.mark.parametrize("jump", JUMPS)
def test_a_restart_on_the_same_boot_knows_the_clock(own, jump):
    people = own()
    token = people.new().access
    put(people, token, "a", 1, ttl=HOUR)
    await_upkeep(people)
    people.restart(**clock_settings(people.instance, jump))
    await_upkeep(people)
    people.expect("owner", ANY, "pair_get", OWNER, "a")
    people.restart(**clock_settings(people.instance, 0))
    put(people, token, "b", 1, ttl=1)
    wait_until(lambda: not is_stored(people, "b"), "what expires is removed soon after a restart")
    assert people.expect("http", ANY, "pair_get", token, "a")["value"] == 1


@pytest.mark.parametrize("record", ["", "00000000-0000-4000-8000-000000000000 1\n", None])
def test_nothing_is_removed_before_the_clock_is_known(own, record):
    """After a boot of the machine the clock may be wrong for a while."""
    people = own()
    token = people.new().access
    put(people, token, "a", 1, ttl=HOUR)
    await_upkeep(people)
    people.close()
    people.instance.stop()
    file = people.instance.data_dir / "clock"
    if record is None:
        file.unlink()
    else:
        file.write_text(record)
    people.instance.settings |= clock_settings(people.instance, 2 * HOUR)
    people.instance.start()
    assert "the clock is not known from this boot of the machine" in people.instance.log()
    people.expect("owner", MISSING, "pair_get", OWNER, "a")
    # The next second, and what the removal would have done in it.
    people.expect("owner", ANY, "pair_put", OWNER, "b", 1, {"ttl": 1})
    wait_until(lambda: people.sees("owner", MISSING, "pair_get", OWNER, "b"), "the pair ends")
    assert is_stored(people, "b")
    set_clock(people.instance, 0)
    assert people.expect("http", ANY, "pair_get", token, "a")["value"] == 1


@pytest.mark.parametrize("jump", JUMPS)
def test_sessions_and_delays_outlast_a_jump(own, jump):
    people = own(AUTHKV_REFRESH_TTL=str(HOUR))
    one, other = people.new(), people.new()
    session = one.session
    fail_until_delayed(people, other.login)
    row = "return box.space.authkv_login_attempt:count()"
    counts = people.console.evaluate(row)
    set_clock(people.instance, jump)
    await_upkeep(people)
    assert people.console.evaluate(row) == counts
    session = people.expect("http", ANY, "session_refresh", session["refresh_token"])
    set_clock(people.instance, 0)
    await_upkeep(people)
    assert people.console.evaluate(row) == counts
    people.expect("http", ANY, "session_refresh", session["refresh_token"])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("back", [HOUR, 60 * 24 * HOUR])
def test_nobody_is_delayed_for_longer_than_the_limit(own, back, known):
    """Whether the clock is set back while the instance runs, or before a start after a boot of the machine."""
    people = own(AUTHKV_LOGIN_DELAY_MAX="2")
    person = people.new()
    fail_until_delayed(people, person.login)
    if known:
        set_clock(people.instance, -back)
    else:
        people.close()
        people.instance.stop()
        (people.instance.data_dir / "clock").unlink()
        people.instance.settings |= clock_settings(people.instance, -back)
        people.instance.start()
    for transport in TRANSPORTS:
        wait_until(lambda: people.sees(transport, SESSION, "session_login", person.login, PASSWORD), "the delay is over", 30)
        fail_until_delayed(people, person.login)


@pytest.mark.parametrize("back", [20, 2 * HOUR, 60 * 24 * HOUR])
def test_a_key_signs_though_the_clock_is_set_back(own, back):
    people = own(AUTHKV_TOKEN_LEEWAY="0")
    person = people.new()
    first = kid(person.access)
    newest = people.administer("key_rotate", {"publish": 0})["kid"]
    assert kid(person.log_in()["access_token"]) == newest != first
    for ahead in (-back, 0, -back, back, 0):
        set_clock(people.instance, ahead)
        for transport in TRANSPORTS:
            session = people.expect(transport, SESSION, "session_login", person.login, PASSWORD)
            assert kid(session["access_token"]) == newest
    await_upkeep(people)
    assert len(people.expect("http", ANY, "key_set")["keys"]) == 2, "a jump has made a key"


@pytest.mark.parametrize("back", [20, 2 * HOUR])
def test_a_key_signs_though_the_clock_was_set_back_before_a_boot(own, back):
    people = own()
    person = people.new()
    first = kid(person.access)
    people.close()
    people.instance.stop()
    (people.instance.data_dir / "clock").unlink()
    people.instance.settings |= clock_settings(people.instance, -back)
    people.instance.start()
    for transport in TRANSPORTS:
        session = people.expect(transport, SESSION, "session_login", person.login, PASSWORD)
        assert kid(session["access_token"]) == first
    assert len(people.expect("http", ANY, "key_set")["keys"]) == 1
    people.restart()
    assert len(people.expect("http", ANY, "key_set")["keys"]) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_token_that_was_seen_before_is_not_valid_before_it_begins(own, transport):
    people = own()
    token = people.new().access
    people.assert_holds(token)
    set_clock(people.instance, -HOUR)
    people.expect(transport, Ok(False), "check", token)
    people.expect(transport, Refused("unauthenticated"), "user_me", token)
    set_clock(people.instance, 0)
    people.expect(transport, Ok(True), "check", token)


def test_a_token_of_a_clock_that_was_wrong_ends_as_it_says(own):
    people = own(AUTHKV_TOKEN_TTL="60")
    person = people.new()
    set_clock(people.instance, -HOUR)
    token = people.expect("http", ANY, "session_login", person.login, PASSWORD)["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60
    people.expect("http", Ok(True), "check", token)
    set_clock(people.instance, 0)
    people.expect("http", Ok(False), "check", token)


@pytest.mark.parametrize("back", [HOUR, 24 * HOUR, 400 * 24 * HOUR])
@pytest.mark.parametrize("end", ["logout", "logout_all", "delete"])
def test_a_token_that_a_slow_clock_has_seen_end_stays_ended(own, back, end):
    """The clock is behind, is set right for a moment, and is behind again: the token would not have expired by then."""
    people = own()
    person = people.new()
    set_clock(people.instance, -back)
    await_upkeep(people)
    token = people.do("http", "session_login", person.login, PASSWORD).value["access_token"]
    if end == "logout":
        people.expect("http", ANY, "auth_logout", token)
    elif end == "logout_all":
        people.expect("http", ANY, "session_logout_all", token)
    else:
        people.expect("owner", ANY, "user_delete", OWNER, person.login)
    set_clock(people.instance, 0)
    await_upkeep(people)
    people.new()
    await_upkeep(people)
    set_clock(people.instance, -back)
    await_upkeep(people)
    for transport in ADMIN_TRANSPORTS:
        people.expect(transport, Refused("unauthenticated"), "user_me", token)


def test_a_new_follower_whose_clock_is_ahead_keeps_what_was_revoked():
    with Instance(**auth_settings(), **QUICK) as auth:
        at_auth = People(auth)
        tokens = [at_auth.new().access for _ in range(3)]
        for token in tokens:
            at_auth.expect("http", ANY, "auth_logout", token)
        kv = Instance(**kv_settings(auth), **CHEAP_HASHES)
        kv.settings |= clock_settings(kv, 2 * HOUR)
        with kv:
            at_kv = People(kv)
            wait_until(lambda: at_kv.console.evaluate("return box.space.revoked_token:count()") == [3], "the revocations have come")
            await_turns(at_kv)
            set_clock(kv, 0)
            await_turns(at_kv)
            for token in tokens:
                at_kv.expect("http", Refused("unauthenticated"), "kv_list", token, {})
            at_kv.close()
        at_auth.close()
