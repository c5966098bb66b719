"""Instances that are one replica set, by Tarantool's own replication: with one leader by setting, or with elections."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from support.harness import CHEAP_HASHES, HOST, Started, version, wait_until
from support.transports import WithConsole

if TYPE_CHECKING:
    from support.replication.network import Network

# Seconds without a sign of life after which a member is taken for dead.
REPLICATION_TIMEOUT = "0.5"
REPLICATION_PASSWORD = "replication-Secret-5c"
NAMES = ("one", "two", "three", "four", "five")
NO_ELECTIONS = f"Tarantool {'.'.join(map(str, version()))} has no elections"


def has_elections() -> bool:
    """Whether this Tarantool has `election_mode`."""
    return version() > (2, 6)


class Member(WithConsole):
    """An instance of a replica set."""

    is_paused = False

    @property
    def name(self) -> str:
        return self.settings["AUTHKV_INSTANCE_NAME"]

    @property
    def address(self) -> str:
        """Where the others find it."""
        return f"{self.host}:{self.iproto_port}"

    def is_writable(self) -> bool:
        """Whether it may write. False if it does not run."""
        if not self.is_running() or self.is_paused:
            return False
        with suppress(OSError):
            return self.evaluate("return box.info.ro") == [False]
        return False

    def position(self) -> dict:
        """How many changes of each member it has, without those that are not replicated."""
        return self.evaluate(
            "local all = {} for id, lsn in pairs(box.info.vclock) do all['i' .. id] = id > 0 and lsn or nil end return all"
        )[0]

    def pause(self) -> None:
        """Stops the process (SIGSTOP), which then says nothing to anybody."""
        self.is_paused = True
        self.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a paused process go on."""
        self.send_signal(signal.SIGCONT)
        self.is_paused = False

    def kill(self) -> None:
        super().kill()
        self.is_paused = False


class ReplicaSet(Started):
    """`count` members, of which the first leads until another is promoted. With `elections`, all are candidates. `settings` are
    those of each member, `own` those of a member, by its number. With a `network`, each member is in a namespace of its own."""

    def __init__(
        self,
        count: int = 3,
        elections: bool = False,
        own: dict[int, dict] | None = None,
        network: Network | None = None,
        **settings: str | None,
    ):
        assert has_elections() or not elections, NO_ELECTIONS
        self.elections, self.network = elections, network
        hosts = network.hosts if network else [HOST] * count
        self.members = [Member(host=hosts[number], **{**CHEAP_HASHES, **settings}) for number in range(count)]
        addresses = ",".join(member.address for member in self.members)
        for number, member in enumerate(self.members):
            if network:
                member.command = (*network.enter(number), *member.command)
            member.settings |= {
                "AUTHKV_REPLICATION": addresses,
                "AUTHKV_REPLICATION_PASSWORD": REPLICATION_PASSWORD,
                "AUTHKV_REPLICATION_TIMEOUT": REPLICATION_TIMEOUT,
                "AUTHKV_INSTANCE_NAME": NAMES[number],
                "AUTHKV_ELECTION_MODE": "candidate" if elections else "off",
                "AUTHKV_READ_ONLY": "true" if number > 0 and not elections else "false",
                **(own or {}).get(number, {}),
            }

    def start(self) -> ReplicaSet:
        """Starts the members at the same time, and returns when each serves and has all changes."""
        for member in self.members:
            member.launch()
        return self.await_start()

    def await_start(self) -> ReplicaSet:
        """Returns when each member that was launched serves, and has all changes."""
        for member in self.running():
            wait_until(lambda member=member: member.is_ready() or not member.is_running(), "a member is ready or has ended")
            assert member.is_running() and member.is_ready(), f"the start failed:\n{member.log()}"
        self.leader()
        self.await_sync()
        return self

    def running(self) -> list[Member]:
        """The members that run and are not paused."""
        return [member for member in self.members if member.is_running() and not member.is_paused]

    def leaders(self) -> list[Member]:
        """Those that may write now."""
        return [member for member in self.members if member.is_writable()]

    def leader(self) -> Member:
        """The member that leads, once there is one."""
        return wait_until(lambda: next(iter(self.leaders()), None), "a member leads")

    def followers(self) -> list[Member]:
        """The members that run and do not lead."""
        leader = self.leader()
        return [member for member in self.running() if member is not leader]

    def await_sync(self, *members: Member) -> None:
        """Returns when these members, or all that run, have what the leader has now."""
        wanted = self.leader().position()

        def is_there(member: Member) -> bool:
            position = member.position()
            return all(position.get(origin, 0) >= lsn for origin, lsn in wanted.items())

        for member in members or self.running():
            wait_until(lambda member=member: is_there(member), "a member has all changes of the leader")

    def promote(self, member: Member) -> None:
        """A planned change of the leader, without elections: nothing is lost."""
        old = self.leader()
        old.evaluate("box.cfg{read_only = true}")
        wait_until(lambda: old.position() == member.position(), "the new leader has all changes of the old one")
        member.evaluate("box.cfg{read_only = false}")
        old.settings["AUTHKV_READ_ONLY"], member.settings["AUTHKV_READ_ONLY"] = "true", "false"

    def dispose(self) -> None:
        """Ends all members and removes their data."""
        for member in self.members:
            member.dispose()


@contextmanager
def replica_set(count: int = 3, **settings: str | None) -> Iterator[ReplicaSet]:
    """A replica set of so many members with these settings."""
    with ReplicaSet(count, **settings) as running:
        yield running
