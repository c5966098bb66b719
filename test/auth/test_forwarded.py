"""`authkv.forwarded`: an application tells the address of its client over iproto."""

from __future__ import annotations

import itertools

import msgpack
import pytest

from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, CLIENT_PASSWORD, Instance, wait_until
from support.iproto import ACCESS_DENIED, RawIproto
from support.outcome import Ok, Refusal
from support.transports import ConsoleTransport

SHOP = ("shop", "Sh0p-secret")


@pytest.fixture(scope="module")
def instance():
    with Instance(**CHEAP_HASHES, AUTHKV_LOGIN_DELAY_EXEMPT="none") as running:
        console = ConsoleTransport(running)
        console.evaluate(
            f"box.schema.user.create('{SHOP[0]}', {{password = '{SHOP[1]}'}}) "
            f"box.schema.user.grant('{SHOP[0]}', 'execute', 'role', 'authkv_proxy')"
        )
        console.close()
        yield running


@pytest.fixture(scope="module")
def shop(instance):
    """Calls as the application."""
    with RawIproto(instance, *SHOP) as connection:

        def call(address, procedure, *arguments) -> Ok | Refusal:
            return connection.call("authkv.forwarded", msgpack.packb([address, procedure, *arguments]))

        yield call


logins = (f"nobody{number}" for number in itertools.count())


def fail(shop, address: str, login: str | None = None) -> str:
    """The name of the error of a login with a wrong password."""
    seen = shop(address, "session_login", login or next(logins), "Wr0ng-horse!")
    assert isinstance(seen, Refusal), seen
    return seen.name


@pytest.mark.parametrize("guesser,neighbour", [("192.0.2.1", "192.0.2.2"), ("2001:db8:1::7", "2001:db8:2::7")])
def test_failed_logins_are_counted_for_the_address_that_the_application_tells(shop, guesser, neighbour):
    wait_until(lambda: fail(shop, guesser) == "too_many_attempts", "the guesser is delayed")
    assert fail(shop, neighbour) == "invalid_credentials"


def test_the_audit_log_has_the_address(instance, shop):
    fail(shop, "198.51.100.9", "audited")
    line = wait_until(
        lambda: [one for one in instance.log().splitlines() if "audited" in one],
        "the audit log has the login",
    )[0]
    assert '"from":"198.51.100.9"' in line and '"front":"iproto"' in line


def test_results_and_errors_are_those_of_the_procedure(shop):
    token = shop("192.0.2.20", "session_login", "admin", ADMIN_PASSWORD).value[0][0]["access_token"]
    written = shop("192.0.2.20", "kv_put", token, {"forwarded": 1})
    assert written == Ok([[{"written": 1, "existing": []}]])
    assert shop("192.0.2.20", "kv_get", token, ["forwarded"]) == Ok([[{"data": {"forwarded": 1}}]])
    for arguments, name in [
        (("kv_get", token, ["none"]), "missing_keys"),
        (("kv_get", "x", ["forwarded"]), "unauthenticated"),
        (("kv_get", token), "malformed"),
        (("user_me",), "malformed"),
    ]:
        seen = shop("192.0.2.20", *arguments)
        assert isinstance(seen, Refusal) and seen.name == name, (arguments, seen)


@pytest.mark.parametrize(
    "address", ["", "unix", "192.0.2.1:80", "[2001:db8::1]", "192.0.2.256", "example.org", 7, None, b"\xff\xfe", ["192.0.2.1"]]
)
def test_what_is_no_address_is_refused(shop, address):
    seen = shop(address, "session_login", "admin", ADMIN_PASSWORD)
    assert isinstance(seen, Refusal) and seen.name == "malformed" and "IPv4 or IPv6" in seen.message


@pytest.mark.parametrize("procedure", ["", "owner", "start", "forwarded", "authkv.kv_get", "no_such", 7, None])
def test_only_procedures_of_clients_can_be_called(shop, procedure):
    seen = shop("192.0.2.1", procedure, "admin", ADMIN_PASSWORD)
    assert isinstance(seen, Refusal) and seen.name == "malformed" and "procedure" in seen.message


def test_arguments_that_are_cut_short_or_too_large_are_refused(instance, shop):
    with RawIproto(instance, *SHOP) as connection:
        for arguments in [[], ["192.0.2.1"]]:
            seen = connection.call("authkv.forwarded", msgpack.packb(arguments))
            assert isinstance(seen, Refusal) and seen.name == "malformed"
    seen = shop("192.0.2.1", "session_login", "x" * 20_000, "y")
    assert isinstance(seen, Refusal) and seen.name == "input_too_large"


def test_only_an_application_with_the_role_tells_addresses(instance):
    arguments = msgpack.packb(["192.0.2.1", "session_login", "admin", ADMIN_PASSWORD])
    with RawIproto(instance, "authkv", CLIENT_PASSWORD) as client:
        assert client.call("authkv.forwarded", arguments).code == ACCESS_DENIED
    with RawIproto(instance, *SHOP) as shop:
        # The role gives nothing else.
        for procedure in ["authkv.session_login", "authkv.owner", "authkv.kv_get"]:
            assert shop.call(procedure, b"\x90").code == ACCESS_DENIED
