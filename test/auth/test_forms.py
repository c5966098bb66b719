"""Logins that are e-mail addresses, names in any script, and addresses that are verified."""

from __future__ import annotations

import unicodedata

import pytest

from support.contract import LOGIN_TAKEN
from support.harness import CHEAP_HASHES
from support.outcome import ANY, Ok, Refused
from support.people import INVALID_CREDENTIALS, INVALID_ONE_TIME_TOKEN, OTHER_PASSWORD, PASSWORD, fresh, user_answer
from support.transports import TRANSPORTS

FORMS = {"AUTHKV_LOGIN_FORM": "email", "AUTHKV_NAME_FORM": "unicode"}
BAD_LOGIN, BAD_NAME = Refused("bad_login"), Refused("bad_initial")


@pytest.fixture(scope="module")
def settings() -> dict:
    return CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"} | FORMS


def address() -> str:
    return f"{fresh('ann')}@example.com"


def cased(login: str) -> str:
    return login.replace("ann", "ANN").replace("example", "Example")


def verified(login: str) -> dict:
    return user_answer(login) | {"email_verified": True}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_address_is_one_user_in_any_case(people, transport):
    login = address()
    other = cased(login)
    admin = people.admin
    people.expect(transport, Ok({"login": login}), "user_register", other, PASSWORD, "Bob", "Stone")
    for again in (login, other):
        people.expect(transport, LOGIN_TAKEN, "user_register", again, PASSWORD, "Bob", "Stone")
        people.expect(transport, LOGIN_TAKEN, "user_create", admin, again, PASSWORD, "Bob", "Stone")
        people.expect(transport, Ok(user_answer(login)), "user_get", admin, again)
    people.expect(transport, Ok(user_answer(login, "introspect")), "role_grant", admin, other, "introspect")
    session = people.expect(transport, ANY, "session_login", other, PASSWORD)
    me = people.expect(transport, ANY, "user_me", session["access_token"])
    assert me["login"] == login and "introspect" in me["roles"]
    token = people.expect(transport, ANY, "user_reset_token", admin, other)["reset_token"]
    people.expect(transport, Ok({"changed": True}), "user_reset_password", token, OTHER_PASSWORD)
    people.expect(transport, INVALID_CREDENTIALS, "session_login", other, PASSWORD)
    people.expect(transport, Ok(user_answer(login, "introspect", disabled=True)), "user_disable", admin, other)
    people.expect(transport, INVALID_CREDENTIALS, "session_login", login, OTHER_PASSWORD)
    people.expect(transport, Ok({"deleted": True}), "user_delete", admin, other)
    people.expect(transport, Refused("no_such_user"), "user_get", admin, login)


def test_failed_logins_are_counted_for_an_address_in_any_case(people):
    login = people_of(people)
    for number in range(5):
        people.expect("http", INVALID_CREDENTIALS, "session_login", [login, cased(login)][number % 2], OTHER_PASSWORD)
    people.expect("http", Refused("too_many_attempts"), "session_login", cased(login), PASSWORD)


def people_of(people) -> str:
    """A new user with an address."""
    login = address()
    people.administer("user_create", login, PASSWORD, "Bob", "Stone")
    return login


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("login", [
    "ann", ".", "..", "@", "ann@localhost", "ann@127.0.0.1", "a/b@example.com", "a%2fb@example.com", "a..b@example.com",
    "жук@example.com", "a b@example.com", "ann@example.com ", "a" * 65 + "@example.com", "a@" + "b." * 126 + "com",
])  # fmt: skip
def test_what_is_no_address_is_refused(people, transport, login):
    people.expect(transport, BAD_LOGIN, "user_register", login, PASSWORD, "Bob", "Stone")
    people.expect(transport, BAD_LOGIN, "user_create", people.admin, login, PASSWORD, "Bob", "Stone")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_name_is_of_any_script_and_in_nfc(people, transport):
    for name, surname in [("Жанна", "Д’Арк"), ("王", "伟"), (unicodedata.normalize("NFD", "José"), "Núñez"), ("प्रिया", "J. R.")]:
        login = address()
        people.expect(transport, Ok({"login": login}), "user_register", login, PASSWORD, name, surname)
        seen = people.expect(transport, ANY, "user_get", people.admin, login)
        assert [seen["name"], seen["surname"]] == [unicodedata.normalize("NFC", text) for text in (name, surname)]
    for bad in ("", " ", "-", "Ann1", "Ann\u202e", "<b>", "a" * 65):
        people.expect(transport, BAD_NAME, "user_register", address(), PASSWORD, bad, "Stone")


def test_api_keeps_the_contract(people):
    login, api = people_of(people), people.http
    assert api.register(address(), PASSWORD, "Bob", "Stone") == api.register("a-b", PASSWORD, "Bob", "Stone")
    assert isinstance(api.register(fresh("old"), PASSWORD, "Bob", "Stone"), Ok)
    assert not isinstance(api.register(fresh("old"), PASSWORD, "Жанна", "Stone"), Ok)
    token = api.login(cased(login), PASSWORD).value
    people.expect("http", ANY, "user_me", token)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_address_is_verified_once_by_its_own_token(people, transport):
    login, other = people_of(people), people_of(people)
    session = people.expect(transport, ANY, "session_login", login, PASSWORD)["access_token"]
    admin = people.admin
    made = [people.expect(transport, ANY, "user_verification_token", admin, cased(login)) for _ in range(2)]
    token, second = (one["verification_token"] for one in made)
    people.expect(transport, INVALID_ONE_TIME_TOKEN, "user_reset_password", token, OTHER_PASSWORD)
    people.expect(transport, Ok(user_answer(login)), "user_get", admin, login)
    people.expect(transport, Ok({"login": login, "email_verified": True}), "user_verify_email", token)
    for used in (token, second):
        people.expect(transport, INVALID_ONE_TIME_TOKEN, "user_verify_email", used)
    people.expect(transport, Ok(verified(login)), "user_get", admin, login)
    assert people.expect(transport, ANY, "user_me", session)["email_verified"] is True
    assert people.expect(transport, ANY, "session_introspect", admin, session)["email_verified"] is True
    people.expect(transport, Ok(user_answer(other)), "user_get", admin, other)
    assert f'"audit":"user_verify_email","result":"ok","who":null,"whom":"{login}"' in people.instance.log()
    # It is lost with the user.
    later = people.expect(transport, ANY, "user_verification_token", admin, other)["verification_token"]
    for gone in (login, other):
        people.administer("user_delete", gone)
        people.administer("user_create", gone, PASSWORD, "Bob", "Stone")
        people.expect(transport, Ok(user_answer(gone)), "user_get", admin, gone)
    people.expect(transport, INVALID_ONE_TIME_TOKEN, "user_verify_email", later)


def test_a_change_of_the_setting_changes_no_user(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    old = people.new()
    people.expect("http", BAD_LOGIN, "user_register", address(), PASSWORD, "Bob", "Stone")
    people.restart(**FORMS)
    del people.__dict__["admin"]
    people.expect("http", ANY, "session_login", old.login, PASSWORD)
    login = people_of(people)
    token = people.administer("user_verification_token", login)["verification_token"]
    people.expect("http", ANY, "user_verify_email", token)
    people.restart(AUTHKV_LOGIN_FORM="contract", AUTHKV_NAME_FORM="contract")
    people.expect("http", ANY, "session_login", cased(login), PASSWORD)
    people.expect("http", Ok(verified(login)), "user_get", people.admin, login)
    people.expect("http", LOGIN_TAKEN, "user_register", cased(login), PASSWORD, "Bob", "Stone")
    people.expect("http", BAD_LOGIN, "user_register", address(), PASSWORD, "Bob", "Stone")
