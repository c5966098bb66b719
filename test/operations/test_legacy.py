"""Data directories of the services before authkv, built as the contract describes them: they open, log in, upgrade."""

import subprocess

import pytest

from support.contract import GOOD, INVALID_CREDENTIALS, LOGIN_TAKEN, UNAUTHENTICATED
from support.harness import ADMIN_PASSWORD, DEADLINE, wait_until
from support.iproto import ACCESS_DENIED, RawIproto
from support.lua import lua
from support.old_system import HASH, PASSWORD, build
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import TRANSPORTS, ConsoleTransport, HttpTransport

# All with one hash, as in the old system, which had one salt.
# Logins that the rules of today would not let in are there all the same.
USERS = [["olduser", HASH, "Old", "User"], ["twin", HASH, "Twin", "User"], ["x", HASH, "X", "Y"]]
VALUES = {
    "text": "old text",
    "null": None,
    "number": -7,
    "u64": 2**64 - 1,
    "double": 0.1,
    "nested": {"a": [1, {"b": None}, []], "c": {}},
    "old key": [True, False],
}
VARIANTS = {
    "as_described": {"format": True, "index": "TREE", "guest": "read,write,execute"},
    "without_format": {"format": False, "index": "TREE", "guest": "super"},
    "with_hash_indexes": {"format": True, "index": "HASH", "guest": "read,write,execute,create,alter,drop"},
}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS)
def legacy(make, request):
    """An instance, not started yet, over old data."""
    instance = make()
    build(instance.data_dir, users=USERS, values=VALUES, **request.param)
    return instance


def test_old_data_opens_logs_in_upgrades_and_survives_a_restart(legacy):
    legacy.start()
    http, console = HttpTransport(legacy), ConsoleTransport(legacy)

    assert_outcome(http, http.login("olduser", "Wr0ng-Passw0rd"), INVALID_CREDENTIALS)
    assert console.stored_hash("olduser") == HASH

    token = http.login("olduser", PASSWORD).value
    upgraded = console.stored_hash("olduser")
    assert upgraded.startswith("$argon2id$")
    assert_outcome(http, http.login("olduser", PASSWORD), Ok(A_TOKEN))
    assert console.stored_hash("olduser") == upgraded, "a modern hash is not replaced"
    assert_outcome(http, http.login("olduser", "Wr0ng-Passw0rd"), INVALID_CREDENTIALS)

    assert http.get(token, list(VALUES)) == Ok(VALUES)
    listed = console.outcome("authkv.kv.list{keys_only = true}").value
    assert listed == {"keys": sorted(VALUES), "next": None}
    assert [user["login"] for user in console.outcome("authkv.users.list()").value["users"]] == ["admin", "olduser", "twin", "x"]
    assert http.put(token, {"text": "new", "new": 1}) == Ok(["text"])
    assert_outcome(http, http.register("olduser", GOOD, "Old", "User"), LOGIN_TAKEN)
    assert http.register("newuser", GOOD, "New", "User") == Ok()
    assert console.stored_hash("twin") == HASH, "only the user who logged in is upgraded"
    http.close()
    console.close()
    legacy.stop()

    legacy.start()
    transports = {name: transport(legacy) for name, transport in TRANSPORTS.items()}
    for one in transports.values():
        assert_outcome(one, one.get(token, [*VALUES, "new"]), Ok(VALUES | {"new": 1}))
        assert_outcome(one, one.login("newuser", GOOD), Ok(A_TOKEN))
        assert_outcome(one, one.login("olduser", PASSWORD), Ok(A_TOKEN))
    assert transports["console"].stored_hash("olduser") == upgraded
    for one in transports.values():
        one.close()


@pytest.mark.parametrize("legacy", [VARIANTS["as_described"]], ids=["as_described"], indirect=True)
def test_every_transport_logs_an_old_user_in(legacy):
    legacy.start()
    console = ConsoleTransport(legacy)
    hashes = set()
    for name, (login, *_) in zip(("iproto", "console", "netbox"), USERS, strict=False):
        transport = TRANSPORTS[name](legacy)
        assert_outcome(transport, transport.login(login, PASSWORD), Ok(A_TOKEN))
        transport.close()
        hashes.add(console.stored_hash(login))
    assert len(hashes) == 3 and all(one.startswith("$argon2id$") for one in hashes), "each has a salt of its own"
    console.close()


@pytest.mark.parametrize("legacy", [VARIANTS["as_described"]], ids=["as_described"], indirect=True)
def test_an_old_login_is_taken_whatever_the_rules_say_today(legacy):
    legacy.start()
    http = HttpTransport(legacy)
    assert_outcome(http, http.register("x", "", "", ""), LOGIN_TAKEN)
    http.close()


@pytest.mark.parametrize("legacy", [VARIANTS["as_described"]], ids=["as_described"], indirect=True)
def test_an_old_user_logs_in_where_the_hash_cannot_be_replaced(legacy):
    legacy.start()
    legacy.stop()
    legacy.settings["AUTHKV_READ_ONLY"] = "true"
    legacy.start()
    http, console = HttpTransport(legacy), ConsoleTransport(legacy)
    token = http.login("olduser", PASSWORD).value
    assert http.get(token, ["text"]) == Ok({"text": "old text"})
    assert console.stored_hash("olduser") == HASH
    http.close()
    console.close()


def test_the_rights_that_the_old_system_gave_to_guests_are_gone(legacy):
    legacy.start()
    console = ConsoleTransport(legacy)
    spaces = console.evaluate("return {box.space.user.id, box.space.key_value_store.id, box.space._user.id}")[0]
    with RawIproto(legacy, user=None) as guest:
        for space in spaces:
            assert guest.select(space).code == ACCESS_DENIED
            assert guest.insert(space, ["k", 1]).code == ACCESS_DENIED
        assert guest.evaluate("return 1").code == ACCESS_DENIED
        assert guest.call("box.space.user:select", b"\x90").code == ACCESS_DENIED
        assert guest.call("authkv.kv_get", b"\x90").code == ACCESS_DENIED
    http = HttpTransport(legacy)
    assert_outcome(http, http.get("x", ["text"]), UNAUTHENTICATED)
    http.close()
    console.close()


def test_a_first_start_that_was_cut_short_is_finished_by_the_next(make):
    instance = make()
    half = (
        f"box.cfg{{memtx_dir='{instance.data_dir}', wal_dir='{instance.data_dir}', log='/dev/null'}} "
        "box.schema.space.create('user') os.exit(0)"
    )
    subprocess.run(["tarantool", "-e", half], check=True, timeout=DEADLINE)
    http = HttpTransport(instance.start())
    assert_outcome(http, http.login("admin", ADMIN_PASSWORD), Ok(A_TOKEN))
    http.close()


@pytest.mark.parametrize("name", ["session", "role", "subject", "token_key", "login_attempt"])
def test_a_space_of_the_application_is_left_alone(make, name):
    # The search for an RSA key may take long.
    instance = make(AUTHKV_TOKEN_ALGORITHM="ES256")
    tuples = [[f"k{n}", 42, "x", 1, 2] for n in range(3)]
    lines = f"box.cfg{{memtx_dir = '{instance.data_dir}', wal_dir = '{instance.data_dir}', log = '/dev/null'}} "
    lines += f"local s = box.schema.create_space('{name}') s:create_index('pk', {{parts = {{1, 'string'}}}}) "
    lines += " ".join(f"s:insert{lua(one)}" for one in tuples) + " os.exit(0)"
    subprocess.run(["tarantool", "-e", lines], check=True, timeout=DEADLINE)
    console = ConsoleTransport(instance.start())
    wait_until(lambda: console.evaluate("return authkv.keys.rotate{publish = 0} ~= nil") == [True], "upkeep has run")
    assert console.evaluate(f"return box.space['{name}']:select()") == [tuples]
    console.close()
