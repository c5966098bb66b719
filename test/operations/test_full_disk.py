"""A full disk: what cannot be kept is refused, reads and checks of tokens go on, failed logins count, and all comes back by itself."""

from __future__ import annotations

import os
import shutil

import pytest

from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, Instance, wait_until, write_key_pair
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import put
from support.people import INVALID_CREDENTIALS, OTHER_PASSWORD, PASSWORD, People, fresh, permission
from support.small_disk import OnSmallDisk, fill
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, ConsoleTransport
from support.v1 import OPERATIONS

WRONG = "Wr0ng-horse!"
# Failures that cost nothing, and the first that costs a delay.
FREE = 5
NOT_DURABLE = Refused("not_durable")
QUICK = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"}
# Every address of this machine counts.
EXEMPT_NOBODY = {"AUTHKV_LOGIN_DELAY_EXEMPT": "10.0.0.0/8"}
WAYS = ("session_login", "login")
# What the log says.
SHORT = "memory is full up to the reserve"
FAILS, WORKS = "the log of writes cannot be written", "the log of writes can be written again"


@pytest.fixture
def own(visit):
    """People at an instance of this test's own, on a small disk."""
    made = []

    def own(**settings) -> People:
        made.append(OnSmallDisk(**(QUICK | settings)))
        return visit(made[-1].start())

    yield own
    for one in made:
        one.dispose()


@pytest.fixture(scope="module")
def full():
    """People at an instance whose disk is full. They have a key `k`, and a token that may read and write it."""
    with OnSmallDisk(**QUICK) as instance:
        people = People(instance)
        people.writer = people.new().access
        people.spare = [people.new() for _ in range(40)]
        people.gone = [people.new() for _ in range(4)]
        for one in people.gone:
            assert one.access and one.api_token and one.key and one.reset_token
        # Whose password is never wrong, and who is disabled.
        people.clean, people.disabled, people.role = people.new(), people.new(), people.role()
        assert people.clean.access
        people.administer("user_disable", people.disabled.login)
        people.administer("role_grant", people.gone[-1].login, "recovery")
        assert people.admin
        put(people, people.writer, "k", 1)
        fill(people, people.writer)
        yield people
        people.close()


def is_delayed(seen) -> bool:
    return isinstance(seen, Refusal) and (seen.code in (429, 20041) or seen.message.startswith("Too many failed logins"))


def failures(people: People, transport: str, login: str, way: str = "session_login", times: int = 30) -> int:
    """How many of so many wrong passwords were looked at."""
    seen = [people.do(transport, way, login, WRONG) for _ in range(times)]
    assert all(isinstance(one, Refusal) and (is_delayed(one) or one.code in (401, 404, 20005)) for one in seen), seen
    return sum(not is_delayed(one) for one in seen)


def written(people: People) -> list:
    return people.console.evaluate(
        "local all = {} for _, row in box.space.authkv_login_attempt:pairs() do all[#all + 1] = row[3] end return all"
    )[0]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_wrong_passwords_are_counted_though_the_disk_is_full(full, transport, way, known):
    login = full.spare.pop().login if known else fresh("nobody")
    # The delay is short at first: a slow machine may outlast some.
    assert failures(full, transport, login, way) < 3 * FREE
    for other in TRANSPORTS:
        wait_until(lambda: is_delayed(full.do(other, "login", login, WRONG)), "another transport knows the count")


def test_a_wrong_old_password_is_counted_too(full):
    person = full.spare.pop()
    token = full.gone[0].access
    seen = [full.do("http", "user_password", token, WRONG, "An0ther-horse") for _ in range(30)]
    assert sum(is_delayed(one) for one in seen) > 30 - 3 * FREE, seen
    assert person.login


# Whatever changes something: the arguments, of a person that is there and an administrator.
REFUSED = {
    "put": lambda full, one: (one.access, {"new": 1}),
    "pair_put": lambda full, one: (one.access, "new", 1),
    "pair_put_ttl": lambda full, one: (one.access, "new", 1, {"ttl": 60}),
    "pair_delete": lambda full, one: (one.access, "k"),
    "batch_put": lambda full, one: (one.access, [{"key": "new", "value": 1}]),
    "batch_delete": lambda full, one: (one.access, ["k"]),
    "kv_incr": lambda full, one: (one.access, "k"),
    "kv_delete": lambda full, one: (one.access, {"prefix": "k"}),
    "register": lambda full, one: (fresh("other"), PASSWORD, "Bob", "Stone"),
    "user_create": lambda full, one: (full.admin, fresh("other"), PASSWORD, "Bob", "Stone"),
    "user_delete": lambda full, one: (full.admin, one.login),
    "user_disable": lambda full, one: (full.admin, one.login),
    "user_logout": lambda full, one: (full.admin, one.login),
    "user_set_password": lambda full, one: (full.admin, one.login, OTHER_PASSWORD),
    "role_set": lambda full, one: (full.admin, fresh("role"), [permission("k", read=True)]),
    "role_grant": lambda full, one: (full.admin, one.login, "introspect"),
    "key_rotate": lambda full, one: (full.admin, {"publish": 0}),
    "logout": lambda full, one: (one.api_token,),
    "auth_logout": lambda full, one: (one.access,),
    "session_logout_all": lambda full, one: (one.access,),
    "session_refresh": lambda full, one: (one.refresh,),
    "session_login": lambda full, one: (one.login, PASSWORD),
    "session_revoke": lambda full, one: (one.access, one.session_id),
    "user_session_revoke": lambda full, one: (full.admin, one.login, one.session_id),
    "user_register": lambda full, one: (fresh("other"), PASSWORD, "Bob", "Stone"),
    "user_password": lambda full, one: (full.clean.access, PASSWORD, OTHER_PASSWORD),
    "user_rename": lambda full, one: (one.access, "Other", "Name"),
    "user_delete_own": lambda full, one: (full.clean.access, PASSWORD),
    "user_reset_password": lambda full, one: (one.reset_token, OTHER_PASSWORD),
    "user_enable": lambda full, one: (full.admin, full.disabled.login),
    "user_create_service": lambda full, one: (full.admin, fresh("other")),
    "api_key_create": lambda full, one: (one.access, "more"),
    "api_key_revoke": lambda full, one: (one.access, one.key_id),
    "user_api_key_create": lambda full, one: (full.admin, one.login, "more"),
    "user_api_key_revoke": lambda full, one: (full.admin, one.login, one.key_id),
    "role_revoke": lambda full, one: (full.admin, one.login, "recovery"),
    "role_delete": lambda full, one: (full.admin, full.role),
    "kv_txn": lambda full, one: (one.access, {"success": [{"op": "put", "key": "new", "value": 1}]}),
}
# What writes nothing; and two that write what this instance has none of: an address that is not verified, a second key.
WRITE_NOTHING = {
    "session_list", "user_me", "session_introspect", "user_reset_token", "user_verification_token", "api_key_list", "key_set",
    "auth_access", "user_list", "user_get", "user_session_list", "user_api_key_list", "role_list", "server_metrics", "key_list",
    "server_cluster", "quota_list", "batch_get", "kv_list", "pair_get", "kv_watch",
}  # fmt: skip
ELSEWHERE = {"user_verify_email", "key_retire"}


def test_every_operation_that_writes_has_a_row():
    assert {name for name in REFUSED if name in OPERATIONS} == OPERATIONS.keys() - WRITE_NOTHING - ELSEWHERE


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_kept_is_refused_and_not_done(full, transport, name):
    """HTTP says 503 and `Retry-After`: `support.v1` looks at that in every refusal."""
    one = full.gone[-1]
    operation = name.removesuffix("_ttl")
    full.expect(transport, NOT_DURABLE, operation, *REFUSED[name](full, one))
    for token in (one.access, one.api_token, one.key, full.clean.access):
        full.everywhere(Ok(True), "check", token)
    full.everywhere(Refused("no_such_key"), "pair_get", one.access, "new")
    user = full.administer("user_get", one.login)
    assert (user["name"], user["disabled"], user["roles"]) == ("Bob", False, ["recovery"])
    assert full.administer("user_get", full.disabled.login)["disabled"]
    assert len(full.do("http", "api_key_list", one.access).value["api_keys"]) == 1
    assert full.role in {role["name"] for role in full.administer("role_list")["roles"]}
    assert len(full.administer("key_list")["keys"]) == 1
    assert list((full.instance.data_dir / "keys").glob("*")) == []


def test_what_is_there_is_read(full):
    for transport in TRANSPORTS:
        assert full.expect(transport, ANY, "pair_get", full.writer, "k")["value"] == 1
        full.expect(transport, Ok({"k": 1}), "get", full.writer, ["k"])
        assert full.expect(transport, ANY, "kv_list", full.writer, {"prefix": "k"})["pairs"]
        assert full.expect(transport, ANY, "session_introspect", full.admin, full.writer)["active"] is True
        assert full.expect(transport, ANY, "key_set")["keys"]
    full.assert_holds(full.writer)


def test_counts_before_on_and_after_a_full_disk_are_one(own):
    people = own()
    one, two, token = people.new(), people.new(), people.new().access
    for login in (one.login, two.login):
        assert failures(people, "http", login, times=3) == 3
    fill(people, token)
    assert failures(people, "http", one.login, times=10) <= FREE
    assert FAILS in people.instance.log() and "they are counted in memory" in people.instance.log()
    people.instance.free()
    wait_until(lambda: "failed logins are written again" in people.instance.log(), "the counts are in the space")
    assert WORKS in people.instance.log()
    assert max(written(people)) >= FREE
    people.restart()
    wait_until(lambda: is_delayed(people.do("http", "session_login", one.login, WRONG)), "the delay holds after a restart")


def test_a_restart_of_authkv_keeps_the_counts_that_could_not_be_written(own):
    people = own()
    one, token = people.new(), people.new().access
    fill(people, token)
    while not is_delayed(people.do("http", "session_login", one.login, WRONG)):
        pass
    console = ConsoleTransport(people.instance)
    console.evaluate("authkv.restart()")
    console.close()
    # Each failure makes the next delay twice as long.
    assert failures(people, "http", one.login, times=FREE) <= FREE - 3


def test_an_address_is_counted_too(own):
    people = own(**EXEMPT_NOBODY)
    fill(people, people.new().access)
    seen = [people.do("http", "session_login", fresh("nobody"), WRONG) for _ in range(30)]
    assert sum(is_delayed(one) for one in seen) > 30 - 3 * FREE, seen


def test_the_right_password_clears_what_was_counted_before(own):
    people = own()
    one, token = people.new(), people.new().access
    assert failures(people, "http", one.login, times=FREE - 1) == FREE - 1
    fill(people, token)
    people.expect("http", NOT_DURABLE, "session_login", one.login, PASSWORD)
    assert failures(people, "http", one.login, times=FREE) == FREE
    people.instance.free()
    wait_until(lambda: max(written(people)) == FREE, "the counts are in the space")


def test_wrong_passwords_are_counted_on_a_read_only_instance_too(own):
    people = own()
    token = people.new().access
    fill(people, token)
    people.console.evaluate("box.cfg{read_only = true}")
    assert failures(people, "iproto", fresh("nobody")) < 3 * FREE


def test_wrong_passwords_are_counted_though_the_store_is_full(make, visit):
    people = visit(make(**QUICK, AUTHKV_MEMTX_MEMORY="67108864").start())
    token = people.new().access
    full = Refused("storage_full")
    numbers = iter(range(1_000_000))
    for size in (500_000, 50_000, 5_000, 500, 50):
        wait_until(lambda: people.sees("http", full, "pair_put", token, f"{next(numbers)}", "v" * size), "the store is full", every=0)
    # Administrators use up the reserve.
    permissions = [permission(f"{number:04}" * 50, read=True) for number in range(80)]
    wait_until(
        lambda: people.do("http", "role_set", people.admin, fresh("role"), permissions) and SHORT in people.instance.log(),
        "a part of the reserve is in use",
        every=0,
    )
    for transport in TRANSPORTS:
        assert failures(people, transport, fresh("nobody")) < 3 * FREE, transport


def test_a_login_that_cannot_be_noted_is_refused(own):
    people = own(AUTHKV_TOKEN_TTL="8", AUTHKV_TOKEN_LEEWAY="300")
    one = people.new()
    assert one.api_token
    fill(people, one.access)
    noted = "return box.space.authkv_sequence:get('tokens_until')[2] < require('fiber').time() + 7"
    wait_until(lambda: people.console.evaluate(noted) == [True], "a new token outlives the time that was noted")
    for transport in TRANSPORTS:
        people.expect(transport, NOT_DURABLE, "login", one.login, PASSWORD)
    people.instance.free()
    wait_until(lambda: isinstance(people.do("http", "login", one.login, PASSWORD), Ok), "logins are taken again")


def without_the_public_file(instance: Instance) -> None:
    (instance.data_dir / "jwt_public.pem").unlink()


def with_another_key(instance: Instance) -> None:
    """A private key that the data does not know. The disk is full: the files are written over."""
    other = instance.data_dir.with_suffix(".keys")
    other.mkdir()
    write_key_pair(other)
    for name in ("jwt_private.pem", "jwt_public.pem"):
        data = (other / name).read_bytes()
        with (instance.data_dir / name).open("r+b") as file:
            file.truncate(os.fstat(file.fileno()).st_size)
            file.write(data)
            file.truncate()
    shutil.rmtree(other)


def without_admin(people: People) -> None:
    """As a first start leaves the data that was killed before it made the user."""
    people.console.evaluate("box.space.user:delete('admin') box.space.authkv_subject:delete('admin')")


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("change", [None, without_the_public_file, with_another_key, without_admin])
def test_a_start_on_a_full_disk_serves_what_is_there(own, change, end):
    people = own()
    if not people.instance.is_mounted:
        pytest.skip("this user cannot mount a file system: a limit on the size of files stops Tarantool from loading a library")
    one = people.new()
    put(people, one.access, "k", 1)
    kept, ended = one.api_token, people.new().api_token
    people.do("http", "logout", ended)
    if change is without_admin:
        change(people)
    fill(people, one.access)
    people.close()
    getattr(people.instance, end)()
    if change not in (None, without_admin):
        change(people.instance)
        people.instance.fill()
    people.instance.start()
    for transport in TRANSPORTS:
        assert people.expect(transport, ANY, "pair_get", one.access, "k")["value"] == 1
        people.expect(transport, NOT_DURABLE, "pair_put", one.access, "k", 2)
        people.expect(transport, Ok(True), "check", kept)
        people.expect(transport, Ok(False), "check", ended)
    assert failures(people, "http", fresh("nobody")) < 3 * FREE
    assert FAILS in people.instance.log()
    people.instance.free()
    for transport in ADMIN_TRANSPORTS:
        wait_until(lambda: people.sees(transport, ANY, "pair_put", one.access, "k", 2), "writes are taken again")
    wait_until(lambda: people.sees("http", ANY, "session_login", one.login, PASSWORD), "logins are taken again")
    wait_until((people.instance.data_dir / "jwt_public.pem").exists, "the file of public keys is written")
    wait_until(lambda: people.sees("http", ANY, "session_login", "admin", ADMIN_PASSWORD), "there is an administrator")


def test_a_start_and_a_restart_need_no_room_for_temporary_files(own):
    """Tarantool copies the library there: the directory may be on the same disk."""
    people = own(size="80m", TMPDIR=None)
    if not people.instance.is_mounted:
        pytest.skip("this user cannot mount a file system")
    people.close()
    people.instance.stop()
    people.instance.settings["TMPDIR"] = str(people.instance.data_dir)
    people.instance.start()
    one = people.new()
    put(people, one.access, "k", 1)
    fill(people, one.access)
    people.console.evaluate("return authkv.restart().http ~= nil")
    people.everywhere(Ok(True), "check", one.access)
    people.close()
    people.instance.kill()
    # The space of the copies is free now.
    people.instance.fill()
    people.instance.start()
    assert people.expect("http", ANY, "pair_get", one.access, "k")["value"] == 1
    assert "has no room for a copy of the library" in people.instance.log()
    people.instance.free()
    wait_until(lambda: people.sees("http", ANY, "session_login", one.login, PASSWORD), "logins are taken again")


def test_a_start_that_has_to_change_a_password_says_what_it_needs(own):
    people = own()
    fill(people, people.new().access)
    people.close()
    people.instance.stop()
    people.instance.settings["AUTHKV_CLIENT_PASSWORD"] = "another-secret-77"
    said = people.instance.refuse_to_start()
    assert "the disk cannot be written, but this start has to change the data" in said, said
    people.instance.free()
    people.instance.start()


def test_wrong_credentials_are_told_as_ever(full):
    full.expect("http", INVALID_CREDENTIALS, "session_login", full.spare.pop().login, WRONG)
