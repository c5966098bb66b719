"""Two processes, as the old system was laid out, for the tests of what the second follows of the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.contract import GOOD
from support.harness import HOST, Instance, wait_until
from support.outcome import A_TOKEN, Ok, Refused, assert_outcome
from support.transports import HttpTransport

FOLLOWER_PASSWORD = "f0llower-Secret"
UNKNOWN = Refused("revocations_unknown")
# The contract's second, and another for a machine that runs more than this test.
WITHIN_A_SECOND = 2


def auth_settings() -> dict:
    return {"AUTHKV_SERVICES": "auth", "AUTHKV_FOLLOWER_PASSWORD": FOLLOWER_PASSWORD}


def kv_settings(auth: Instance, **more) -> dict:
    return {
        "keys": False,
        "AUTHKV_SERVICES": "kv",
        "AUTHKV_PUBLIC_KEY_FILE": str(auth.data_dir / "jwt_public.pem"),
        "AUTHKV_FOLLOW": f"{HOST}:{auth.iproto_port}",
        "AUTHKV_FOLLOWER_PASSWORD": FOLLOWER_PASSWORD,
        **more,
    }


@contextmanager
def two_instances() -> Iterator[tuple[Instance, Instance]]:
    """The authorization instance, and the key-value instance that follows it."""
    with Instance(**auth_settings()) as auth, Instance(**kv_settings(auth)) as kv:
        yield auth, kv


@contextmanager
def http_to(auth: Instance, kv: Instance) -> Iterator[tuple[HttpTransport, HttpTransport]]:
    """HTTP to both, once the second has heard of the first."""
    transports = HttpTransport(auth), HttpTransport(kv)
    when_following(transports[1], log_in(transports[0]))
    yield transports
    for transport in transports:
        transport.close()


def log_in(auth: HttpTransport, login: str = "bob1") -> str:
    auth.register(login, GOOD, "Bob", "Stone")
    seen = auth.login(login, GOOD)
    assert_outcome(auth, seen, Ok(A_TOKEN))
    return seen.value


def when_following(kv, token: str) -> None:
    """Returns when the instance has caught up: until then it cannot judge a token."""
    wait_until(lambda: not refused(kv.get(token, ["k"]), kv, UNKNOWN), "the instance follows revocations")


def once_known(kv, operation: str, *args):
    """The outcome, if that of all before it is that revocations are unknown: a busy machine may keep a follower from its turn."""
    seen = []
    wait_until(lambda: seen.append(kv.do(operation, *args)) or not refused(seen[-1], kv, UNKNOWN), "revocations are known")
    return seen[-1]


def refused(seen, transport, expected: Refused) -> bool:
    try:
        assert_outcome(transport, seen, expected)
    except AssertionError:
        return False
    return True
