"""What the key-value instance of a split offers, follows and refuses: a test for each row of the table in `how-to-run.md`."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from support.harness import CHEAP_HASHES, ROOT, Instance, wait_until, write_key_pair
from support.outcome import ANY, Ok, Refused
from support.people import FORBIDDEN, INVALID_REFRESH_TOKEN, PASSWORD, UNAUTHENTICATED, Person, allow, forbidden
from support.provider import PREFIX, Provider, trusting
from support.split import UNKNOWN, WITHIN_A_SECOND, Split, auth_settings, kv_settings, refused
from support.tokens import ATTACKS, OPTIONAL, Forge
from support.transports import TRANSPORTS, HttpTransport, Transport
from support.v1 import KEY_VALUES, OPERATIONS

NOT_OFFERED = Refused("not_offered", "This instance does not offer this service")
# What the key-value instance offers beside the operations on keys.
OFFERED = {"auth_access", "server_cluster", "server_metrics", "quota_list"}
# Seconds that no machine is too busy for, but where a test has another number.
LAG = "60"
ARGUMENTS = {
    "role_set": ("x", []), "user_create": ("x", PASSWORD, "Bob", "Stone"), "user_rename": ("Bob", "Stone"),
}  # fmt: skip


@dataclass
class World:
    """A split of which both instances trust two issuers, and where users have their own keys only."""

    split: Split
    provider: Provider
    # Of authkv's own users.
    local: Provider
    role: str

    def member(self) -> Person:
        return self.split.people.new(self.role)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    provider, local = Provider("corp", "ES256"), Provider("local")
    local.keys = {local.kid: write_key_pair(local.directory)}
    issuers = trusting(
        tmp_path_factory.mktemp("issuers"),
        provider.entry(keys={"file": provider.key_file()}),
        local.entry(keys={"file": local.key_file()}, login_prefix="", create=False),
    )
    same = {"AUTHKV_DEFAULT_ROLE": "off", **issuers}
    with (
        Instance(**auth_settings(), **CHEAP_HASHES, **same) as auth,
        Instance(**kv_settings(auth, AUTHKV_FOLLOW_MAX_LAG=LAG), **same) as kv,
    ):
        split = Split(auth, kv)
        role = split.people.role(allow("rw", prefix="users/{login}/"), allow("i", prefix="log/"), allow("r", key="terms"))
        yield World(split, provider, local, role)
        split.close()


def soon(kv: Transport, expected: Ok | Refused, operation: str, *args) -> None:
    """Within a second it is so."""
    if isinstance(expected, Ok):
        is_so = lambda: isinstance(kv.do(operation, *args), Ok)  # noqa: E731
    else:
        is_so = lambda: refused(kv.do(operation, *args), kv, expected)  # noqa: E731
    wait_until(is_so, f"{kv.name}: {operation} {expected}", WITHIN_A_SECOND)


def at_once(kv: Transport, expected: Refused, operation: str, *args) -> None:
    seen = kv.do(operation, *args)
    assert refused(seen, kv, expected), (kv.name, operation, seen)


def own_keys(world: World, kv: Transport) -> None:
    person = world.member()
    mine = f"users/{person.login}/{kv.name}"
    soon(kv, ANY, "pair_put", person.access, mine, 1)
    at_once(kv, forbidden("read", f"users/{person.login}x/a"), "pair_get", person.access, f"users/{person.login}x/a")
    at_once(kv, Refused("no_such_key"), "pair_get", person.access, "terms")
    at_once(kv, FORBIDDEN, "pair_get", person.access, "terms/a")
    assert isinstance(kv.do("pair_put", person.access, f"log/{person.login}", 1, {"mode": "insert"}), Ok)
    at_once(kv, FORBIDDEN, "pair_delete", person.access, f"log/{person.login}")
    world.split.people.administer("role_revoke", person.login, world.role)
    soon(kv, FORBIDDEN, "pair_get", person.access, mine)


def outside_tokens(world: World, kv: Transport) -> None:
    people, sub = world.split.people, f"of{kv.name}"
    token, login = world.provider.token(sub), f"{PREFIX}{sub}"
    # Before the authorization instance has heard of the user.
    assert kv.do("auth_access", token, {}) == Ok({"login": login, "roles": []})
    people.expect("http", ANY, "user_me", token)
    people.administer("role_grant", login, world.role)
    soon(kv, ANY, "pair_put", token, f"users/{PREFIX.replace(':', '%3A')}{sub}/a", 1)
    people.expect("http", Ok({"revoked": True}), "auth_logout", token)
    soon(kv, UNAUTHENTICATED, "auth_access", token, {})
    people.administer("user_disable", login)
    soon(kv, UNAUTHENTICATED, "auth_access", world.provider.token(sub), {})


def api_keys(world: World, kv: Transport) -> None:
    person = world.member()
    narrow = world.split.people.expect("http", ANY, "api_key_create", person.access, "narrow", {"roles": []})["key"]
    soon(kv, ANY, "pair_put", person.key, f"users/{person.login}/a", 1)
    soon(kv, FORBIDDEN, "pair_get", narrow, f"users/{person.login}/a")
    for operation, *args in (("api_key_create", "x"), ("api_key_list",), ("api_key_revoke", person.key_id)):
        at_once(kv, NOT_OFFERED, operation, person.access, *args)
    world.split.people.expect("http", ANY, "api_key_revoke", person.access, person.key_id)
    soon(kv, UNAUTHENTICATED, "auth_access", person.key, {})
    assert isinstance(kv.do("auth_access", narrow, {}), Ok)


def sessions(world: World, kv: Transport) -> None:
    people, person = world.split.people, world.member()
    soon(kv, ANY, "auth_access", person.access, {})
    at_once(kv, NOT_OFFERED, "session_refresh", person.refresh)
    newer = people.expect("http", Ok(people.session_answer()), "session_refresh", person.refresh)
    again = people.expect("http", Ok(people.session_answer()), "session_refresh", person.refresh)
    for one in (newer, again):
        assert isinstance(kv.do("auth_access", one["access_token"], {}), Ok)
    people.expect("http", Ok({"revoked": True}), "session_revoke", person.access, person.session_id)
    for token in (person.access, newer["access_token"], again["access_token"]):
        soon(kv, UNAUTHENTICATED, "auth_access", token, {})
    people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", again["refresh_token"])


def accounts(world: World, kv: Transport) -> None:
    people = world.split.people
    for ending in ("user_reset_password", "user_delete_own"):
        person = world.member()
        soon(kv, ANY, "auth_access", person.access, {})
        args = (person.reset_token, f"{PASSWORD}2") if ending == "user_reset_password" else (person.access, PASSWORD)
        at_once(kv, NOT_OFFERED, ending, *args)
        people.expect("http", ANY, ending, *args)
        soon(kv, UNAUTHENTICATED, "auth_access", person.access, {})
    assert people.http.register(person.login, PASSWORD, "Bob", "Stone") == Ok()
    soon(kv, ANY, "auth_access", Person(people, person.login).access, {})
    # Of its role the next user of that login has nothing.
    at_once(kv, FORBIDDEN, "pair_get", Person(people, person.login).access, f"users/{person.login}/a")


def for_proxies(world: World, kv: Transport) -> None:
    people, person = world.split.people, world.member()
    key = f"users/{person.login}/a"
    for token in (person.access, person.key):
        expected = Ok({"login": person.login, "roles": [world.role]})
        wait_until(lambda token=token: kv.do("auth_access", token, {"role": world.role, "key": key}) == expected, "known", WITHIN_A_SECOND)
        at_once(kv, forbidden("read", "users/"), "auth_access", token, {"key": "users/"})
        at_once(kv, Refused("role_required"), "auth_access", token, {"role": "admin"})
        people.expect(kv.name, NOT_OFFERED, "auth_access", token, {"key": key})
        assert isinstance(people.do(kv.name, "auth_access", token, {"role": world.role}), Ok)


def keys_of_ranges(world: World, kv: Transport) -> None:
    people, person = world.split.people, world.member()
    mine = f"users/{person.login}/"
    for number in range(3):
        soon(kv, ANY, "pair_put", person.access, f"{mine}{number}", number)
    at_once(kv, forbidden("write", "users/"), "kv_delete", person.access, {"prefix": "users/"})
    assert kv.do("kv_delete", person.access, {"from": mine, "to": f"{mine}2"}).value["deleted"] == 2
    by_query = people.http if not isinstance(kv, HttpTransport) else kv
    answer = by_query.request("GET", f"/v1/pair?key={mine}2", None, {"Authorization": f"Bearer {person.access}"})
    assert (answer.body == b"2") if by_query is kv else (answer.problem["code"] == "not_offered")
    for operation, *args in (("kv_delete", {"prefix": mine}), ("pair_get", f"{mine}2")):
        people.expect(kv.name, NOT_OFFERED, operation, person.access, *args)


def everything_else(world: World, kv: Transport) -> None:
    offered = set()
    for name, operation in OPERATIONS.items():
        if name in KEY_VALUES or name in OFFERED:
            continue
        args = ARGUMENTS.get(name, tuple("x" for _ in operation.args))
        at_once(kv, NOT_OFFERED, name, *([world.split.people.admin] if operation.takes_token else []), *args)
        offered.add(name)
    assert len(offered) > 30


def out_of_reach(world: World, kv: Transport) -> None:
    person, sub = world.member(), f"away{kv.name}"
    tokens = (person.access, person.key, world.provider.token(sub))
    for token in tokens:
        soon(kv, ANY, "auth_access", token, {})
    auth, console = world.split.instances[0], world.split.kv["console"]
    console.evaluate("return authkv.reload{FOLLOW_MAX_LAG = 1}")
    auth.send_signal(signal.SIGSTOP)
    try:
        for token in tokens:
            wait_until(lambda token=token: refused(kv.do("auth_access", token, {}), kv, UNKNOWN), "revocations are unknown")
            at_once(kv, UNKNOWN, "pair_get", token, "terms")
    finally:
        auth.send_signal(signal.SIGCONT)
        console.evaluate(f"return authkv.reload{{FOLLOW_MAX_LAG = {LAG}}}")
    wait_until(lambda: isinstance(kv.do("auth_access", tokens[0], {}), Ok), "the instance follows again")
    for token in tokens:
        soon(kv, ANY, "auth_access", token, {})


Row = Callable[[World, Transport], None]
ROWS: dict[str, Row] = {
    "permissions with `{login}`, for one key, for a part of writing": own_keys,
    "tokens of other issuers": outside_tokens,
    "API keys": api_keys,
    "sessions and refreshes": sessions,
    "accounts and one-time tokens": accounts,
    "`GET /v1/auth`": for_proxies,
    "delete a range, `/v1/pair?key=`": keys_of_ranges,
    "all other operations on users, roles and keys that sign": everything_else,
    "the authorization instance is out of reach for `FOLLOW_MAX_LAG`": out_of_reach,
}


def test_the_table_has_these_rows():
    text = (ROOT / "documentation" / "how-to-run.md").read_text()
    (table,) = re.findall(r"^\| what \| at the key-value instance \| what it follows \|\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()] == list(ROWS)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_table_is_true(world, row, transport):
    ROWS[row](world, world.split.kv[transport])


@pytest.fixture(scope="module")
def forges(world) -> dict[str, Forge]:
    """Forgers with a token of a session, and with one of an issuer without a prefix, of the same user."""
    person, local = world.member(), world.local
    session = Forge(world.split.instances[0].data_dir, person.access)
    return {"session": session, "issuer": Forge(local.directory, local.token(person.login, nbf=local.claims()["iat"]))}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("of", ["session", "issuer"])
def test_a_forged_token_is_refused_at_the_key_value_instance_too(world, forges, of, attack):
    """It verifies tokens itself: with the public keys that it has heard of, and with those of the file of issuers."""
    # Here no token is too long for a header.
    forge, kv = forges[of], world.split.kv["iproto"]
    forged, twin = ATTACKS[attack].token(forge), ATTACKS[attack].twin(forge)
    expected = Ok({"login": forge.claims["sub"], "roles": [world.role]})
    if attack in OPTIONAL and of == "issuer":
        assert kv.do("auth_access", forged, {}) == expected
        return
    for _ in range(2):
        at_once(kv, UNAUTHENTICATED, "auth_access", forged, {})
        at_once(kv, UNAUTHENTICATED, "pair_put", forged, "forged", 1)
        # What is remembered of the twin does not help the other.
        wait_until(lambda: kv.do("auth_access", twin, {}) == expected, "the twin is accepted", WITHIN_A_SECOND)
