"""What a password has to be under /v1, by the rules of the contract, of the settings, and none of the most common."""

from __future__ import annotations

import pytest

from support.contract import GOOD, without_class
from support.harness import CHEAP_HASHES, wait_until
from support.outcome import Ok, Refused
from support.people import COMMON, INVALID_CREDENTIALS, PASSWORD, People, fresh, session_answer, user_answer
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS
from support.wire import rss

# Common, and good enough for the rules of the contract; any case of the letters is the same.
COMMON_ONES = ["Passw0rd!", "P@ssw0rd", "pASSW0RD!", "P@SSw0RD"]
CHANGED = Ok({"changed": True})


# Every way to give a password: what it is answered with, and its arguments.
WAYS = {
    "user_register": lambda people, login, password: (Ok({"login": login}), login, password, "Bob", "Stone"),
    "user_create": lambda people, login, password: (Ok(user_answer(login)), people.admin, login, password, "Bob", "Stone"),
    "user_password": lambda people, login, password: (CHANGED, people.new().access, PASSWORD, password),
    "user_set_password": lambda people, login, password: (CHANGED, people.admin, people.new().login, password),
}  # fmt: skip


def expect(people: People, transport: str, way: str, password: str, refusal: Refused | None) -> None:
    """Gives a password in this way."""
    accepted, *args = WAYS[way](people, fresh("user"), password)
    people.expect(transport, refusal or accepted, way, *args)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("password", COMMON_ONES)
def test_a_common_password_is_refused(people, transport, way, password):
    expect(people, transport, way, password, COMMON)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_api_takes_a_common_password_as_the_contract_does(people, transport):
    login = fresh("user")
    assert people.transport(transport).register(login, GOOD, "Bob", "Stone") == Ok()
    people.expect(transport, Ok(session_answer()), "session_login", login, GOOD)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("password", ["Passw0rd!Passw0rd!", "xPassw0rd!", "Unc0mmon-"])
def test_what_only_holds_a_common_password_is_taken(people, way, password):
    expect(people, "http", way, password, None)


def test_the_rules_come_before_the_list(people):
    for password, missing in (
        ("password", "UPPER_CASE"), ("PASSWORD", "LOWER_CASE"), ("Password", "DIGITS"), ("Password1", "SPECIAL_SYMBOLS"),
    ):  # fmt: skip
        expect(people, "http", "user_register", password, without_class(missing))


# settings, and passwords with what they are refused for
RULES = [
    ({"PASSWORD_MIN": "12"}, {"aA1!aA1!aA1": Refused("bad_password", "Incorrect password: the length should be no less than 12 symbols"),
                              "aA1!aA1!aA1!": None}),
    ({"PASSWORD_MAX": "10", "ADMIN_PASSWORD": "Adm1n-HORS"}, {
        "aA1!aA1!xyz": Refused("bad_password", "Incorrect password: the length should be no more than 10 symbols"),
                              "aA1!aA1!xy": None}),
    ({"PASSWORD_CLASSES": "lower", "PASSWORD_MIN": "6"}, {
        "UNCOMMON-9": without_class("LOWER_CASE"), "uncommonhorse": None,
        "password": COMMON, "Password": COMMON, "qwerty": COMMON, "QWERTy": COMMON, "iloveyou": COMMON}),
    ({"PASSWORD_CLASSES": "digit", "PASSWORD_MIN": "6"},
     {"uncommon": without_class("DIGITS"), "123456": COMMON, "12345678": COMMON, "927364518203": None}),
    ({"PASSWORD_CLASSES": "special,upper"},
     {"uncommon-horse": without_class("UPPER_CASE"), "UNCOMMONHORSE": without_class("SPECIAL_SYMBOLS"), "UNCOMMON-HORSE": None}),
]  # fmt: skip


@pytest.mark.parametrize("settings,passwords", RULES, ids=[",".join(settings) for settings, _ in RULES])
def test_the_rules_are_settings(make, visit, settings, passwords):
    given = {f"AUTHKV_{name}": value for name, value in settings.items()}
    people = visit(make(**given, **CHEAP_HASHES).start())
    for password, refusal in passwords.items():
        for transport in TRANSPORTS:
            login = fresh("user")
            people.expect(transport, refusal or Ok({"login": login}), "user_register", login, password, "Bob", "Stone")


def parameters(people: People, login: str) -> str:
    """The part of a stored hash that says what it costs."""
    stored = people.console.stored_hash(login)
    assert stored.startswith("$argon2id$"), stored
    return stored.split("$")[3]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_hash_of_other_parameters_is_renewed_at_the_login(make, visit, transport):
    people = visit(make(AUTHKV_ARGON2_MEMORY="64", AUTHKV_ARGON2_ITERATIONS="1").start())
    persons = {operation: people.new() for operation in ("session_login", "login", "wrong", "absent")}
    for person in persons.values():
        assert parameters(people, person.login) == "m=64,t=1,p=1"
    people.restart(AUTHKV_ARGON2_MEMORY="128", AUTHKV_ARGON2_ITERATIONS="2")
    for person in persons.values():
        assert parameters(people, person.login) == "m=64,t=1,p=1", "nobody has logged in yet"
    for operation in ("session_login", "login"):
        assert isinstance(people.do(transport, operation, persons[operation].login, PASSWORD), Ok)
        assert parameters(people, persons[operation].login) == "m=128,t=2,p=1"
        renewed = people.console.stored_hash(persons[operation].login)
        assert isinstance(people.do(transport, operation, persons[operation].login, PASSWORD), Ok)
        assert people.console.stored_hash(persons[operation].login) == renewed
        people.expect(transport, INVALID_CREDENTIALS, "session_login", persons[operation].login, "Wr0ng-horse!")
    people.expect(transport, INVALID_CREDENTIALS, "session_login", persons["wrong"].login, "Wr0ng-horse!")
    for kept in ("wrong", "absent"):
        assert parameters(people, persons[kept].login) == "m=64,t=1,p=1"
    people.restart(AUTHKV_ARGON2_MEMORY="64", AUTHKV_ARGON2_ITERATIONS="1")
    assert isinstance(people.do(transport, "session_login", persons["session_login"].login, PASSWORD), Ok)
    assert parameters(people, persons["session_login"].login) == "m=64,t=1,p=1"


def test_the_memory_of_hashes_is_given_back(make, visit):
    mebibytes = 256
    instance = make(AUTHKV_ARGON2_MEMORY=str(mebibytes << 10), AUTHKV_ARGON2_ITERATIONS="1").start()
    person = visit(instance).new()
    for _ in range(2):
        wait_until(lambda: person.log_in() and rss(instance) > mebibytes << 20, "it is kept for the next hash")
        wait_until(lambda: rss(instance) < (mebibytes << 20) / 2, "an idle thread has given it back")


def test_a_renewed_hash_ends_no_session(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    person = people.new()
    people.assert_holds(person.access)
    people.restart(AUTHKV_ARGON2_MEMORY="128")
    people.assert_holds(person.log_in()["access_token"])
    people.assert_holds(person.access)


def test_equal_passwords_have_different_hashes(people):
    one, other = people.new(), people.new()
    assert people.console.stored_hash(one.login) != people.console.stored_hash(other.login)
