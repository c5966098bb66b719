"""Leaked passwords: with `PASSWORD_DENYLIST` a new password may not be in the file, except under /api."""

from __future__ import annotations

import hashlib

import pytest

from support.harness import CHEAP_HASHES
from support.outcome import ANY, Ok, Refused
from support.people import PASSWORD, fresh
from support.transports import TRANSPORTS

LEAKED = Refused("bad_password", "Incorrect password: it is in a list of leaked ones")
LINES = 20_000


def digest(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


def leaked(number: int) -> str:
    return f"Leaked-{number}-password"


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> dict:
    """A file of the form that haveibeenpwned-downloader writes."""
    path = tmp_path_factory.mktemp("denylist") / "pwnedpasswords.txt"
    lines = sorted(f"{digest(leaked(number))}:{number % 97 + 1}" for number in range(LINES))
    path.write_text("\r\n".join(lines) + "\r\n")
    return CHEAP_HASHES | {"AUTHKV_PASSWORD_DENYLIST": str(path), "AUTHKV_TOKEN_ALGORITHM": "ES256"}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_leaked_password_is_refused_under_v1(people, transport):
    for number in (0, 1, LINES // 2, LINES - 1):
        password, person = leaked(number), people.new()
        people.expect(transport, LEAKED, "user_register", fresh("user"), password, "Bob", "Stone")
        people.expect(transport, LEAKED, "user_create", people.admin, fresh("user"), password, "Bob", "Stone")
        people.expect(transport, LEAKED, "user_set_password", people.admin, person.login, password)
        people.expect(transport, LEAKED, "user_password", person.access, PASSWORD, password)
        people.expect(transport, LEAKED, "user_reset_password", person.reset_token, password)
        # Nothing came of it, and the one-time token is good still.
        people.expect(transport, Ok(True), "check", person.access)
        people.expect(transport, Ok({"changed": True}), "user_reset_password", person.reset_token, leaked(LINES + number))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_api_takes_a_leaked_password_as_the_contract_does(people, transport):
    login = fresh("user")
    assert people.transport(transport).register(login, leaked(7), "Bob", "Stone") == Ok()
    people.expect(transport, ANY, "session_login", login, leaked(7))


WRONG_LISTS = {
    "missing": None,
    "empty": "",
    "of_another_form": "password\n",
    "in_the_order_of_the_counts": "".join(f"{digest(leaked(number))}:{9999 - number}\n" for number in range(500)),
}


@pytest.mark.parametrize("what", WRONG_LISTS)
def test_a_start_without_a_list_of_the_form_is_refused(make, tmp_path, what):
    path = tmp_path / "list"
    if WRONG_LISTS[what] is not None:
        path.write_text(WRONG_LISTS[what])
    instance = make(AUTHKV_PASSWORD_DENYLIST=str(path), **CHEAP_HASHES)
    with pytest.raises(AssertionError):
        instance.start()
    assert str(path) in instance.log()
