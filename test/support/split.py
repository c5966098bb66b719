"""Two processes, as the old system was laid out, for the tests of what the second follows of the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.contract import GOOD
from support.harness import HOST, Instance, wait_until
from support.outcome import A_TOKEN, Ok, Refused, assert_outcome
from support.people import UNAUTHENTICATED, People
from support.transports import TRANSPORTS, HttpTransport, Transport

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


class Split:
    """People at the authorization instance, and every transport of the key-value instance."""

    def __init__(self, auth: Instance, kv: Instance):
        self.instances = auth, kv
        self.people = People(auth)
        self.kv = {name: transport(kv) for name, transport in TRANSPORTS.items()}
        for transport in self.kv.values():
            when_following(transport, self.people.admin)

    def accepts(self, transport: Transport, token: str) -> bool:
        """Whether a token counts; a key that is missing, or may not be read, is none of its faults."""
        seen = transport.get(token, ["k"])
        return isinstance(seen, Ok) or any(refused(seen, transport, Refused(name)) for name in ("missing_keys", "forbidden"))

    def wait_until_refused(self, token: str, expected: Refused = UNAUTHENTICATED) -> None:
        """At every transport, and for good."""
        for transport in self.kv.values():
            wait_until(lambda: refused(transport.get(token, ["k"]), transport, expected), f"{transport.name} refuses it", WITHIN_A_SECOND)
        for transport in self.kv.values():
            assert refused(transport.put(token, {"never": 1}), transport, expected), transport.name

    def wait_until_accepted(self, token: str) -> None:
        for transport in self.kv.values():
            wait_until(lambda: self.accepts(transport, token), f"{transport.name} accepts it", WITHIN_A_SECOND)

    def assert_accepted(self, token: str) -> None:
        assert [name for name, transport in self.kv.items() if not self.accepts(transport, token)] == []

    def close(self) -> None:
        self.people.close()
        for transport in self.kv.values():
            transport.close()
