"""Failed logins: some are free, then each costs a delay that grows, per login and per address, and nobody is locked out."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.harness import CHEAP_HASHES, Instance, free_port, wait_until
from support.outcome import Ok, Refusal, Refused
from support.people import INVALID_CREDENTIALS, PASSWORD, People, fresh, session_answer
from support.transports import TRANSPORTS, HttpTransport, Transport
from support.v1 import seconds

FREE = 5
WRONG = "Wr0ng-horse!"
SESSION = Ok(session_answer())
# Every address of this machine counts.
EXEMPT_NOBODY = {"AUTHKV_LOGIN_DELAY_EXEMPT": "10.0.0.0/8"}
# How an attempt is made: /v1, and /api with its own statuses.
WAYS = ["session_login", "login"]


def delay(seen) -> int:
    """The seconds to wait that an outcome tells, or 0."""
    if isinstance(seen, Refusal) and seen.message.startswith("Too many failed logins"):
        assert seen.name in (None, "too_many_attempts") and seen.code in (429, 20041), seen
        return seconds(seen.message)
    return 0


def fail(transport: Transport, login: str, operation: str = "session_login") -> int:
    """A login with a wrong password; gives the delay where it was not looked at."""
    seen = transport.do(operation, login, WRONG)
    assert isinstance(seen, Refusal), seen
    assert delay(seen) or seen.code in (401, 404, 20005), seen
    return delay(seen)


def free_failures(transport: Transport, login: str, operation: str = "session_login") -> int:
    """How many failures in a row are looked at before the first that is not."""
    count = 0
    while not fail(transport, login, operation):
        count += 1
        assert count < 50, "failures cost nothing"
    return count


def fail_until_delayed(transport: Transport, login: str, at_least: int = 4) -> int:
    """Fails to log in until the delay is as long as this; gives it. Long enough that a slow machine is in time."""
    return wait_until(lambda: (now := fail(transport, login)) >= at_least and now, f"a delay of {at_least} s")


@pytest.mark.parametrize("operation", WAYS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_five_failures_are_free_and_the_next_but_one_is_not_looked_at(people, transport, operation):
    assert free_failures(people.transport(transport), people.new().login, operation) in (FREE, FREE + 1)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_unknown_login_is_counted_alike(people, transport):
    """Or the delay would tell who is known."""
    known, unknown = (free_failures(people.transport(transport), login) for login in (people.new().login, fresh("nobody")))
    assert known == unknown


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_right_password_is_not_looked_at_meanwhile_and_counts_after(people, transport):
    person = people.new()
    one = people.transport(transport)
    told = fail_until_delayed(one, person.login)
    for other in TRANSPORTS:
        for operation in WAYS:
            assert 0 < delay(people.do(other, operation, person.login, PASSWORD)) <= told, (other, operation)
    wait_until(lambda: people.sees(transport, SESSION, "session_login", person.login, PASSWORD), "the delay is over", told + 5)


def test_attempts_that_are_not_looked_at_do_not_count(people):
    person = people.new()
    told = fail_until_delayed(people.http, person.login)
    assert all(0 < fail(people.transport(transport), person.login) <= told for _ in range(20) for transport in TRANSPORTS)
    wait_until(lambda: people.sees("http", SESSION, "session_login", person.login, PASSWORD), "the delay is over", told + 5)


def test_the_delay_doubles_and_has_an_end(make, visit):
    people = visit(make(AUTHKV_LOGIN_DELAY_MAX="3", **CHEAP_HASHES).start())
    person = people.new()

    def looked_at() -> float | None:
        now = time.monotonic()
        return None if fail(people.http, person.login) else now

    def is_next(expected: int) -> bool:
        begun = wait_until(looked_at, "an attempt is looked at")
        # What is left of it.
        left = fail(people.http, person.login)
        return expected - (time.monotonic() - begun) <= left <= expected

    free_failures(people.http, person.login)
    assert [is_next(expected) for expected in (2, 3, 3)] == [True] * 3
    wait_until(lambda: people.sees("http", SESSION, "session_login", person.login, PASSWORD), "the delay is over")


def test_a_success_is_a_new_beginning(people):
    person = people.new()
    free = free_failures(people.http, person.login)
    wait_until(lambda: people.sees("http", SESSION, "session_login", person.login, PASSWORD), "the delay is over")
    assert free_failures(people.http, person.login) == free


def test_other_logins_are_not_delayed(people):
    person, other = people.new(), people.new()
    fail_until_delayed(people.http, person.login)
    for transport in TRANSPORTS:
        people.expect(transport, SESSION, "session_login", other.login, PASSWORD)
        people.expect(transport, INVALID_CREDENTIALS, "session_login", other.login, WRONG)


def test_tokens_and_sessions_are_not_delayed(people):
    person = people.new()
    people.assert_holds(person.access)
    fail_until_delayed(people.http, person.login)
    people.assert_holds(person.access)
    people.expect("http", SESSION, "session_refresh", person.refresh)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_wrong_old_password_is_a_failed_login(people, transport):
    person = people.new()
    change = "user_password", person.access, WRONG, "An0ther-horse"
    seen = []
    wait_until(lambda: seen.append(people.do(transport, *change)) or delay(seen[-1]), "the change is delayed")
    assert len(seen) - 1 in (FREE, FREE + 1)
    people.assert_holds(person.access)


def test_a_failed_login_may_be_forgiven_by_nobody_but_the_one_who_knows_the_password(people):
    """A refresh, a token that holds or another's success are no success of this login."""
    person, other = people.new(), people.new()
    session = person.session
    for _ in range(FREE - 1):
        assert not fail(people.http, person.login)
    session = people.expect("http", SESSION, "session_refresh", session["refresh_token"])
    people.assert_holds(session["access_token"])
    other.log_in()
    assert free_failures(people.http, person.login) <= 2


def test_failures_at_once_are_counted_each(people):
    """Many connections do not buy many guesses."""
    login = people.new().login
    transports = [HttpTransport(people.instance) for _ in range(16)]
    barrier = threading.Barrier(len(transports))

    def guess(transport: Transport) -> int:
        barrier.wait()
        return sum(not fail(transport, login) for _ in range(5))

    with ThreadPoolExecutor(len(transports)) as pool:
        looked_at = sum(pool.map(guess, transports))
    # Those that are being hashed when the last free one fails are looked at still.
    assert looked_at <= FREE + 1 + len(transports)
    for transport in transports:
        transport.close()


@pytest.mark.parametrize("stop", ["stop", "kill"])
def test_the_delay_survives_a_restart(make, visit, stop):
    people = visit(make(**CHEAP_HASHES).start())
    person = people.new()
    told = fail_until_delayed(people.http, person.login, 8)
    people.close()
    getattr(people.instance, stop)()
    people.instance.start()
    for transport in TRANSPORTS:
        assert 0 < delay(people.do(transport, "session_login", person.login, PASSWORD)) <= told
    wait_until(lambda: people.sees("http", SESSION, "session_login", person.login, PASSWORD), "the delay is over", told + 5)


@pytest.mark.parametrize("failures", ["1", "3"])
def test_how_many_failures_are_free_is_a_setting(make, visit, failures):
    people = visit(make(AUTHKV_LOGIN_FAILURES=failures, **CHEAP_HASHES).start())
    assert free_failures(people.http, people.new().login) in (int(failures), int(failures) + 1)


def test_the_delay_may_be_turned_off(make, visit):
    people = visit(make(AUTHKV_LOGIN_DELAY_MAX="0", **EXEMPT_NOBODY, **CHEAP_HASHES).start())
    person = people.new()
    for transport in TRANSPORTS:
        for operation in WAYS:
            assert not any(fail(people.transport(transport), person.login, operation) for _ in range(10))
    people.expect("http", SESSION, "session_login", person.login, PASSWORD)


# Addresses. This machine answers at all of 127.0.0.0/8, which is exempt unless told otherwise.


@pytest.fixture(scope="module")
def town():
    """An instance to which every address counts, and a way to come from one."""
    with Instance(**EXEMPT_NOBODY, **CHEAP_HASHES) as running:
        town = Town(running)
        yield town
        town.close()


class Town(People):
    """People who come from addresses of their own."""

    def __init__(self, instance: Instance):
        super().__init__(instance)
        self._visitors: list[HttpTransport] = []
        self._next = 1

    def visitor(self) -> HttpTransport:
        """Someone at an address that nobody has come from before."""
        self._next += 1
        self._visitors.append(HttpTransport(self.instance, source=f"127.0.1.{self._next}"))
        return self._visitors[-1]

    def close(self) -> None:
        super().close()
        for one in self._visitors:
            one.close()


def logs_in(transport: Transport, person) -> bool:
    return isinstance(transport.do("session_login", person.login, PASSWORD), Ok)


def test_an_address_is_counted_over_all_logins(town):
    attacker, stranger, person = town.visitor(), town.visitor(), town.new()
    logins = iter([fresh("nobody") for _ in range(50)])
    count = 0
    while not fail(attacker, next(logins)):
        count += 1
    assert count in (FREE, FREE + 1)
    # A long delay, so that the rest is in time.
    wait_until(lambda: fail(attacker, next(logins, "nobody")) >= 4, "a delay of 4 s")
    assert delay(attacker.do("session_login", person.login, PASSWORD))
    assert logs_in(stranger, person)
    assert not fail(stranger, fresh("nobody"))


def test_an_address_is_the_one_of_the_connection(town):
    """Whatever a client says of where it comes from."""
    attacker = town.visitor()
    delays = []
    for n in range(FREE + 3):
        spoofed = {"X-Forwarded-For": f"203.0.113.{n}", "Forwarded": f"for=203.0.113.{n}", "X-Real-IP": f"203.0.113.{n}"}
        response = attacker.request("POST", "/v1/login", {"login": fresh("nobody"), "password": WRONG}, spoofed)
        delays.append(response.status == 429)
    assert any(delays)


def test_an_address_is_counted_over_all_transports():
    with Instance(**EXEMPT_NOBODY, **CHEAP_HASHES) as instance:
        iproto, http = TRANSPORTS["iproto"](instance), HttpTransport(instance)
        wait_until(lambda: fail(iproto, fresh("nobody")) >= 4, "a delay of 4 s")
        assert fail(http, fresh("nobody"))
        iproto.close()
        http.close()


def test_the_console_is_no_address(town):
    """It is a unix socket, and its owner needs no password to do harm."""
    logins = [fresh("nobody") for _ in range(3 * FREE)]
    assert not any(fail(town.console, login) for login in logins)


def test_an_address_that_is_exempt_is_not_counted(people):
    visitor = HttpTransport(people.instance, source="127.0.0.77")
    assert not any(fail(visitor, fresh("nobody")) for _ in range(3 * FREE))
    visitor.close()


def test_a_user_who_has_logged_in_from_an_address_is_not_locked_out_of_it_by_others(town):
    home, attacker, elsewhere = (town.visitor() for _ in range(3))
    person = town.new()
    assert logs_in(home, person)
    told = fail_until_delayed(attacker, person.login)
    assert delay(elsewhere.do("session_login", person.login, PASSWORD)), "nobody knows this address"
    assert logs_in(home, person)
    # Coming home forgives the attacker nothing.
    assert 0 < fail(attacker, person.login) <= told


def test_an_address_that_is_known_has_a_count_of_its_own(town):
    home, person = town.visitor(), town.new()
    assert logs_in(home, person)
    assert free_failures(home, person.login) in (FREE, FREE + 1)


def test_an_address_is_known_for_its_own_login_only(town):
    """An attacker's success with a login of their own buys no guesses at another."""
    attacker, person, own = town.visitor(), town.new(), town.new()
    assert logs_in(attacker, own)
    looked_at = 0
    for _ in range(4):
        while not fail(attacker, person.login):
            looked_at += 1
        if not logs_in(attacker, own):
            break
    assert looked_at <= 2 * (FREE + 1)


def test_a_known_address_is_known_after_a_restart(make):
    instance = make(**EXEMPT_NOBODY, **CHEAP_HASHES).start()
    town = Town(instance)
    home, attacker, person = town.visitor(), town.visitor(), town.new()
    assert logs_in(home, person)
    fail_until_delayed(attacker, person.login, 8)
    town.close()
    town.instance.stop()
    town.instance.start()
    assert delay(attacker.do("session_login", person.login, PASSWORD))
    assert logs_in(home, person)
    town.close()


def test_a_refusal_for_now_is_said_in_the_way_of_each(people):
    """/api has its message and the header, /v1 its problem: the transport checks both, and that they agree."""
    person = people.new()
    fail_until_delayed(people.http, person.login)
    people.expect("http", Refused("too_many_attempts"), "session_login", person.login, PASSWORD)
    people.expect("http", Refused("too_many_attempts"), "login", person.login, PASSWORD)


def test_the_loopback_of_ipv6_is_exempt_too(make, visit):
    port = free_port()
    instance = make(**CHEAP_HASHES)
    instance.settings["AUTHKV_HTTP_LISTEN"] += f",[::1]:{port}"
    people = visit(instance.start())
    transport = HttpTransport(people.instance, port, host="::1")
    for _ in range(3 * FREE):
        assert not fail(transport, fresh("nobody"))
    transport.close()


def test_without_a_longest_delay_there_is_none_that_was_there_before(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    person = people.new()
    fail_until_delayed(people.http, person.login)
    people.restart(AUTHKV_LOGIN_DELAY_MAX="0")
    assert not fail(people.http, person.login)
    person.log_in()
