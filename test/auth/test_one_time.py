"""One-time tokens for a new password: good once, for a while, and for nobody else."""

from __future__ import annotations

import base64

import pytest

from support.clock import elapse
from support.harness import CHEAP_HASHES
from support.load import at_once
from support.outcome import ANY, Ok
from support.people import INVALID_CREDENTIALS, INVALID_ONE_TIME_TOKEN, OTHER_PASSWORD, PASSWORD
from support.transports import TRANSPORTS

QUICK = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"}
CHANGED = Ok({"changed": True})


@pytest.fixture(scope="module")
def settings() -> dict:
    return QUICK


def decoded(token: str) -> bytearray:
    return bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_changed_byte_makes_a_token_worthless(people):
    person = people.new()
    raw = decoded(person.reset_token)
    assert encoded(raw) == person.reset_token
    for place in range(len(raw)):
        forged = bytearray(raw)
        forged[place] ^= 1
        people.expect("http", INVALID_ONE_TIME_TOKEN, "user_reset_password", encoded(forged), OTHER_PASSWORD)
    people.expect("http", CHANGED, "user_reset_password", person.reset_token, OTHER_PASSWORD)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_token_expires(people, transport):
    person = people.new()
    token = people.administer("user_reset_token", person.login, {"ttl": 1})["reset_token"]
    elapse(1.5)
    people.expect(transport, INVALID_ONE_TIME_TOKEN, "user_reset_password", token, OTHER_PASSWORD)
    people.expect(transport, ANY, "session_login", person.login, PASSWORD)


def test_of_many_uses_at_once_one_succeeds(people):
    racers = [TRANSPORTS["http"](people.instance) for _ in range(4)]
    for _ in range(10):
        person = people.new()
        token = person.reset_token
        passwords = [f"{OTHER_PASSWORD}-{number}" for number in range(len(racers))]
        seen = at_once(
            *(
                lambda racer=racer, password=password: racer.do("user_reset_password", token, password)
                for racer, password in zip(racers, passwords, strict=True)
            )
        )
        won = [password for one, password in zip(seen, passwords, strict=True) if one == CHANGED]
        assert len(won) == 1, seen
        people.expect("http", ANY, "session_login", person.login, won[0])
    for racer in racers:
        racer.close()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_ends_no_token(make, visit, end):
    people = visit(make(**QUICK).start())
    used, unused = people.new(), people.new()
    assert used.reset_token and unused.reset_token
    people.expect("http", CHANGED, "user_reset_password", used.reset_token, OTHER_PASSWORD)
    people.close()
    getattr(people.instance, end)()
    people.instance.start()
    people.everywhere(INVALID_ONE_TIME_TOKEN, "user_reset_password", used.reset_token, PASSWORD)
    people.expect("http", CHANGED, "user_reset_password", unused.reset_token, OTHER_PASSWORD)
    people.expect("http", INVALID_CREDENTIALS, "session_login", unused.login, PASSWORD)


def test_a_restore_ends_all_tokens(make, visit):
    people = visit(make(**QUICK).start())
    person = people.new()
    assert person.reset_token
    assert people.console.evaluate("return authkv.restored() ~= nil") == [True]
    people.everywhere(INVALID_ONE_TIME_TOKEN, "user_reset_password", person.reset_token, OTHER_PASSWORD)


def test_a_token_of_one_instance_is_refused_at_another(people, make, visit):
    others = visit(make(keys=False, **QUICK).start())
    login = people.new().login
    others.administer("user_create", login, PASSWORD, "Bob", "Stone", {})
    token = others.administer("user_reset_token", login)["reset_token"]
    people.everywhere(INVALID_ONE_TIME_TOKEN, "user_reset_password", token, OTHER_PASSWORD)


def test_no_token_is_kept_or_logged(make, visit):
    people = visit(make(AUTHKV_HTTP_ACCESS_LOG="all", **QUICK).start())
    person = people.new()
    people.everywhere(INVALID_ONE_TIME_TOKEN, "user_reset_password", person.reset_token + "A", OTHER_PASSWORD)
    held = b"".join(path.read_bytes() for path in people.instance.data_dir.rglob("*") if path.is_file())
    said = people.instance.log()
    (told,) = [line for line in said.splitlines() if '"audit":"user_reset_token"' in line]
    assert f'"who":"admin","whom":"{person.login}"' in told
    assert person.reset_token.encode() not in held and person.reset_token not in said
