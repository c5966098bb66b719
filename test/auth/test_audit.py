"""The audit: a line of JSON in the log for each event, who did what to whom, from where, and never a secret."""

from __future__ import annotations

import json
import re

import pytest

from support.clock import elapse
from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, CLIENT_PASSWORD, Instance, wait_until
from support.outcome import Ok, Refusal
from support.people import OTHER_PASSWORD, PASSWORD, People, fresh
from support.tokens import Forge
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, OwnerTransport
from support.wire import Wire

WRONG = "Wr0ng-horse!"
REQUIRED = {"audit", "result", "who", "from", "front"}
FORMATS = ["plain", "json"]
# What a line of the log in JSON says beside.
OF_THE_LOG = {"time", "level", "pid", "cord_name", "fiber_id", "fiber_name", "file", "line", "message", "module"}


def events(instance: Instance) -> list[dict]:
    """The audit in the instance's log, in order, in either format of the log."""
    found = []
    for line in instance.log().splitlines():
        if '"audit' not in line.replace("\\", ""):
            continue
        entry = json.loads(line[line.index("{") :])
        if "audit" not in entry:
            entry = json.loads(entry["message"])
        found.append({name: value for name, value in entry.items() if name not in OF_THE_LOG})
    return found


def concerns(event: dict, name: str) -> bool:
    """Whether the event is by a person or about them: a login is both."""
    return name in (event.get("who"), event.get("whom"))


class Journal:
    """What an instance's audit has said since this was made."""

    def __init__(self, people: People):
        self.people = people
        # All that happened before is in the log once this is.
        mark = fresh("mark")
        people.http.do("session_login", mark, WRONG)
        wait_until(lambda: any(concerns(one, mark) for one in events(people.instance)), "the audit tells of the mark")
        self.before = len(events(people.instance))

    def said(self, **members) -> list[dict]:
        """The events that have these members."""
        return [one for one in events(self.people.instance)[self.before :] if members.items() <= one.items()]

    def expect(self, **members) -> dict:
        """The one event that has these members, which may take a moment to be in the log."""
        wait_until(lambda: self.said(**members), f"the audit says {members}")
        (event,) = self.said(**members)
        assert REQUIRED <= event.keys() <= REQUIRED | {"whom", "role", "session", "api_key", "again", "jti", "operation"}, event
        return event


@pytest.fixture(scope="module", params=FORMATS)
def settings(request) -> dict:
    """Hashes cost what they do, so that the tests do not make more events in a second than are told."""
    return {"AUTHKV_LOG_FORMAT": request.param, "AUTHKV_HTTP_ACCESS_LOG": "all", "AUTHKV_LOGIN_DELAY_MAX": "0"}


def place(transport: str) -> str:
    """What the audit calls a transport."""
    return {"iproto": "iproto", "netbox": "iproto", "console": "console", "owner": "console"}.get(transport, "http")


def assert_from(event: dict, transport: str) -> None:
    assert event["front"] == place(transport), event
    pattern = r"unix\b.*|console\b.*" if place(transport) == "console" else r"127\.0\.0\.1:\d+"
    assert re.fullmatch(pattern, event["from"]), event


def jti(people: People, token: str) -> str:
    return Forge(people.instance.data_dir, token).claims["jti"]


# An operation of a user: its arguments after the token, by a person who has just logged in.
OF_USERS = {
    "auth_logout": lambda person: (),
    "session_logout_all": lambda person: (),
    "user_password": lambda person: (PASSWORD, OTHER_PASSWORD),
    "session_revoke": lambda person: (person.session_id,),
    "user_rename": lambda person: ("Ann", "Poe"),
    "user_delete_own": lambda person: (PASSWORD,),
    "api_key_create": lambda person: ("nightly",),
    "api_key_revoke": lambda person: (person.key_id,),
}
# An operation of an administrator: its arguments, and whom it is about.
OF_ADMINISTRATORS = {
    "user_create": lambda people: (login := fresh("user"), [login, PASSWORD, "Bob", "Stone"]),
    "user_delete": lambda people: (login := people.new().login, [login]),
    "user_disable": lambda people: (login := people.new().login, [login]),
    "user_enable": lambda people: (login := people.new().login, [login]),
    "user_logout": lambda people: (login := people.new().login, [login]),
    "user_set_password": lambda people: (login := people.new().login, [login, OTHER_PASSWORD]),
    "user_session_revoke": lambda people: ((one := people.new()).login, [one.login, one.session_id]),
    "user_api_key_create": lambda people: (login := people.new().login, [login, "nightly"]),
    "user_api_key_revoke": lambda people: ((one := people.new()).login, [one.login, one.key_id]),
    "user_create_service": lambda people: (login := fresh("user"), [login]),
    "role_grant": lambda people: (login := people.new().login, [login, "introspect"]),
    "role_revoke": lambda people: (login := people.new("introspect").login, [login, "introspect"]),
    "role_set": lambda people: (role := fresh("role"), [role, []]),
    "role_delete": lambda people: (role := people.role(), [role]),
}


@pytest.mark.parametrize("operation", OF_USERS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_a_user_does_is_told(people, transport, operation):
    person = people.new()
    token, args = person.access, OF_USERS[operation](person)
    journal = Journal(people)
    assert isinstance(people.do(transport, operation, token, *args), Ok)
    event = journal.expect(audit=operation, result="ok")
    assert (event["who"], event["jti"]) == (person.login, jti(people, token))
    assert_from(event, transport)


@pytest.mark.parametrize("operation", OF_ADMINISTRATORS)
@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_what_an_administrator_does_is_told_with_whom_it_is_about(people, transport, operation):
    whom, args = OF_ADMINISTRATORS[operation](people)
    journal = Journal(people)
    assert isinstance(people.do(transport, operation, people.admin, *args), Ok)
    event = journal.expect(audit=operation, result="ok")
    assert event["whom"] == whom
    if transport == OwnerTransport.name:
        # No login: there may be a user who is called owner.
        assert event["who"] == "(owner)" and not event.get("jti")
    else:
        assert (event["who"], event["jti"]) == ("admin", jti(people, people.admin))
    assert_from(event, transport)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_logins_and_sessions_are_told(people, transport):
    login = fresh("user")
    for operation, args, result in [
        ("user_register", (login, PASSWORD, "Bob", "Stone"), "ok"),
        ("user_register", (login, PASSWORD, "Bob", "Stone"), "login_taken"),
        ("session_login", (login, WRONG), "invalid_credentials"),
        ("session_login", (login, PASSWORD), "ok"),
    ]:
        journal = Journal(people)
        assert isinstance(people.do(transport, operation, *args), Ok) == (result == "ok")
        event = journal.expect(audit=operation, result=result)
        assert concerns(event, login), event
        assert_from(event, transport)
    session = people.do(transport, "session_login", login, PASSWORD).value
    given = session["refresh_token"]
    newer = people.do(transport, "session_refresh", given).value["refresh_token"]
    for token, result, again in [(given, "ok", True), (newer, "ok", None), (given, "invalid_refresh_token", None)]:
        journal = Journal(people)
        people.do(transport, "session_refresh", token)
        event = journal.expect(audit="session_refresh", result=result)
        assert concerns(event, login), event
        assert event.get("again") == again, event


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_goes_by_api_is_told_too(people, transport):
    login = fresh("user")
    one = people.transport(transport)
    journal = Journal(people)
    assert one.register(login, PASSWORD, "Bob", "Stone") == Ok()
    assert isinstance(one.login(login, WRONG), Refusal)
    token = one.login(login, PASSWORD).value
    assert one.logout(token) == Ok()

    def told() -> list:
        return [event["result"] for event in journal.said() if concerns(event, login)]

    wait_until(lambda: len(told()) >= 4, "the audit tells of all four")
    assert told() == ["ok", "invalid_credentials", "ok", "ok"]


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_keys_are_told_by_their_ids(make, visit, transport):
    people = visit(make(AUTHKV_TOKEN_ALGORITHM="ES256", **CHEAP_HASHES).start())
    journal = Journal(people)
    (old,) = [key["kid"] for key in people.administer("key_list")["keys"]]
    new = people.do(transport, "key_rotate", people.admin, {"publish": 0}).value["kid"]
    assert journal.expect(audit="key_rotate", result="ok")["whom"] == new
    del people.admin
    assert isinstance(people.do(transport, "key_retire", people.admin, old), Ok)
    assert journal.expect(audit="key_retire", result="ok")["whom"] == old


# A refusal: what is called with a token that does not hold, or by whom it is not for.
REFUSED = [
    ("get", (["k"],), "garbage", "unauthenticated"), ("put", ({"k": 1},), "garbage", "unauthenticated"),
    ("user_me", (), "garbage", "unauthenticated"), ("user_list", (), "garbage", "unauthenticated"),
    ("user_list", (), "user", "role_required"), ("role_set", ("x", []), "user", "role_required"),
    ("session_introspect", ("x",), "user", "role_required"), ("get", (["forbidden"],), "reader", "forbidden"),
]  # fmt: skip


@pytest.mark.parametrize("operation,args,by,result", REFUSED, ids=[f"{row[0]}_by_{row[2]}" for row in REFUSED])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_refusal_is_told_with_the_operation(people, transport, operation, args, by, result):
    person = people.new()
    assert person.session, "the login comes before the journal begins"
    token = "x.y.z" if by == "garbage" else person.access
    people.administer("role_set", "default", [] if by == "reader" else [{"prefix": "", "read": True, "write": True}])
    journal = Journal(people)
    assert isinstance(people.do(transport, operation, token, *args), Refusal)
    event = journal.expect(audit="refused", result=result)
    assert event["operation"] and (operation in event["operation"] or operation in ("get", "put")), event
    assert_from(event, transport)
    if by != "garbage":
        assert (event["who"], event["jti"]) == (person.login, jti(people, token))


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_only_looks_is_not_told(people, transport):
    person = people.new()
    assert person.session, "the login comes before the journal begins"
    people.administer("role_set", "default", [{"prefix": "", "read": True, "write": True}])
    journal = Journal(people)
    for operation, *args in [
        ("check", person.access), ("check", "garbage"), ("put", person.access, {fresh("key"): 1}), ("get", person.access, ["k"]),
        ("user_me", person.access), ("key_set",), ("user_list", people.admin), ("role_list", people.admin), ("key_list", people.admin),
        ("server_metrics", people.admin),
    ]:  # fmt: skip
        people.do(transport, operation, *args)
    # What comes after is in the log after.
    people.do(transport, "auth_logout", person.access)
    journal.expect(audit="auth_logout")
    assert [event["audit"] for event in journal.said()] == ["auth_logout"]


def test_a_name_cannot_forge_a_line(people):
    """What a stranger may choose is in the log as JSON text."""
    journal = Journal(people)
    names = ['x"}\n{"audit":"user_delete","result":"ok","who":"owner"}', "a\r\nb", "\x1b[31m", "\u2028", "%s%n", "x" * 5000, "\\", "\0"]
    for name in names:
        people.http.do("session_login", name, WRONG)
    end = fresh("nobody")
    people.http.do("session_login", end, WRONG)
    wait_until(lambda: [one for one in journal.said() if concerns(one, end)], "the last is in the log")
    assert {one["audit"] for one in journal.said()} == {"session_login"} and len(journal.said()) == len(names) + 1
    assert "\x1b" not in people.instance.log()


def test_no_secret_is_ever_in_the_log(people):
    """Every operation over every transport, in success and in failure."""
    secrets = [ADMIN_PASSWORD, CLIENT_PASSWORD, PASSWORD, OTHER_PASSWORD, WRONG, people.admin]
    for transport in TRANSPORTS:
        person, other = people.new(), people.new()
        secrets += [person.access, person.refresh, person.api_token, other.refresh]
        session = people.do(transport, "session_login", person.login, PASSWORD).value
        refreshed = people.do(transport, "session_refresh", session["refresh_token"]).value
        secrets += [one[name] for one in (session, refreshed) for name in ("access_token", "refresh_token")]
        for operation, *args in [
            ("session_refresh", session["refresh_token"]), ("session_login", person.login, WRONG), ("login", person.login, WRONG),
            ("user_register", person.login, PASSWORD, "Bob", "Stone"), ("user_register", fresh("user"), "short" + WRONG, WRONG, WRONG),
            ("session_introspect", people.admin, person.access), ("session_introspect", people.admin, person.refresh),
            ("session_introspect", people.admin, PASSWORD), ("user_me", person.refresh), ("user_list", person.access),
            ("user_password", person.access, WRONG, OTHER_PASSWORD), ("user_password", person.access, PASSWORD, OTHER_PASSWORD),
            ("user_set_password", people.admin, person.login, PASSWORD),
            ("auth_logout", person.api_token), ("auth_logout", other.access), ("logout", person.refresh),
        ]:  # fmt: skip
            people.do(transport, operation, *args)
    people.restart()
    log = people.instance.log()
    parts = {part for secret in secrets for part in (secret, secret.rpartition(".")[2])}
    assert [line for line in log.splitlines() if any(part in line for part in parts)] == []


def test_the_id_of_a_token_opens_nothing(people):
    """It stands in the log."""
    person = people.new()
    people.everywhere(Ok(False), "check", jti(people, person.access))


def test_lines_of_a_kind_are_limited_and_counted(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    person = people.new()
    journal = Journal(people)
    sent = 0

    def send(count: int) -> None:
        """All at once, so that they are of a second or two however slow this client is."""
        nonlocal sent
        with Wire(people.instance) as wire:
            wire.send(b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x.y.z\r\n\r\n" * count)
            assert [wire.answer().status for _ in range(count)] == [401] * count
        sent += count

    send(1000)
    # Another kind is not kept out by this one.
    people.http.do("auth_logout", person.access)
    journal.expect(audit="auth_logout", result="ok")

    def counted() -> tuple[int, int]:
        dropped = [event for event in journal.said(audit="dropped") if event["kind"] == "refused"]
        assert all(event.keys() == {"audit", "kind", "count"} and event["count"] > 0 for event in dropped), dropped
        return len(journal.said(audit="refused")), sum(event["count"] for event in dropped)

    # Told at the latest with the next of its kind, in a second of its own.
    elapse(1.1)
    send(1)
    wait_until(lambda: sum(counted()) == sent, "every refusal is told or counted")
    told, dropped = counted()
    assert dropped > 0 and told < sent


def test_the_audit_may_be_turned_off(make, visit):
    people = visit(make(AUTHKV_AUDIT_LOG="off", **CHEAP_HASHES).start())
    person = people.new()
    people.expect("http", Ok({"revoked": True}), "auth_logout", person.access)
    people.http.get("x.y.z", ["k"])
    people.close()
    people.instance.stop()
    assert events(people.instance) == []
