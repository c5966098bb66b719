"""What the tests with `memtx_use_mvcc_engine` share: the setting, who has it, and crowds that come at the same moment."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from support.harness import CHEAP_HASHES, Instance, version
from support.load import at_once
from support.outcome import Ok
from support.transports import TRANSPORTS, Transport

MVCC = {"TT_MEMTX_USE_MVCC_ENGINE": "true"}
# At once, all at one tuple.
CROWD = 32

needs_mvcc = pytest.mark.skipif(version() < (2, 10), reason="this Tarantool has no memtx_use_mvcc_engine with levels of isolation")


@contextmanager
def mvcc_instance(kind=Instance, **settings):
    """A running instance with MVCC, as an application may set it."""
    with kind(**MVCC, **CHEAP_HASHES, **settings) as running:
        assert "memtx_use_mvcc_engine is on" in running.log()
        yield running


class Crowd:
    """Many connections over one transport."""

    def __init__(self, instance: Instance, transport: str, size: int = CROWD):
        self.members: list[Transport] = [TRANSPORTS[transport](instance) for _ in range(size)]

    def do(self, *calls: tuple) -> list:
        """Each call by a member of its own, all at the same moment."""
        members = zip(self.members, calls, strict=False)
        return at_once(*(lambda member=member, call=call: member.do(*call) for member, call in members))

    def all(self, *call) -> list:
        """The same call by every member."""
        return self.do(*[call] * len(self.members))

    def succeed(self, *calls: tuple) -> list:
        """The values; none of them may fail."""
        seen = self.do(*calls)
        assert all(isinstance(one, Ok) for one in seen), [one for one in seen if not isinstance(one, Ok)]
        return [one.value for one in seen]

    def close(self) -> None:
        for member in self.members:
            member.close()
