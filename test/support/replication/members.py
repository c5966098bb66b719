"""How a client of a replica set asks: any member, at random, knowing nothing of who leads; and what an outcome says."""

from __future__ import annotations

import random
import socket
import struct
from enum import Enum

import tarantool

from support.outcome import Ok, Refusal
from support.replica_set import Member
from support.transports import HttpTransport, IprotoTransport, Transport

# Seconds after which a client goes on without an answer.
PATIENCE = 3.0
# How often a client stays at the member that answered last.
FAITH = 0.6
# Nothing was done, and the same may be done elsewhere or later.
SURELY_NOT = {
    "read_only", "not_durable", "transaction_aborted", "unconfirmed", "split_brain", "overloaded", "shutting_down", "not_started",
    "revocations_unknown", "behind", "no_signing_key",
    "not_sent",
    # Tarantool's, of a process that takes its data from another.
    "Instance bootstrap hasn't finished yet",
}  # fmt: skip
# What a connection ends with that breaks, or that takes too long.
NO_ANSWER = (OSError, tarantool.NetworkError)
# Outcomes of keys that a batch or a transaction has changed.
WRITTEN = {"written", "deleted"}


class Fate(Enum):
    """What an outcome says about a write."""

    DONE = "acknowledged"
    # As a transaction of which a condition does not hold.
    REFUSED = "refused"
    ELSEWHERE = "not here"
    UNKNOWN = "unknown"


def fate(seen: Ok | Refusal) -> Fate:
    if isinstance(seen, Ok):
        return Fate.DONE
    if seen.name == "outcome_unknown":
        return Fate.UNKNOWN
    return Fate.ELSEWHERE if seen.name in SURELY_NOT else Fate.REFUSED


def has_written(seen: Ok | Refusal) -> bool:
    """Whether an outcome of a request that may write says that it has. One that finds nothing to write is answered by any member."""
    if not isinstance(seen, Ok) or not isinstance(seen.value, dict):
        return False
    told = seen.value
    if "results" in told:
        return told.get("succeeded") is not False and any(one["outcome"] in WRITTEN for one in told["results"])
    return "access_token" in told or "revision" in told


class NotSent(Exception):
    """Nobody is there."""


def reset_at_close(connection, attribute: str, connect: str) -> None:
    """Has each socket of a connection ended by a reset. Otherwise the system would go on sending a request whose client has given up,
    and a member that is reached again executes it after what is there was looked at."""
    original = getattr(connection, connect)

    def mark() -> None:
        if getattr(connection, attribute) is not None:
            getattr(connection, attribute).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def connected() -> None:
        original()
        mark()

    mark()
    setattr(connection, connect, connected)


def connect(kind: type[Transport], member: Member, patience: float) -> Transport:
    """A connection that does not wait for longer. Errors: NotSent."""
    try:
        if kind is IprotoTransport:
            transport = IprotoTransport(member, timeout=patience)
            # Otherwise it would try to connect for as long ten times.
            transport.connection.reconnect_max_attempts = 1
            reset_at_close(transport.connection, "_socket", "connect_tcp")
            return transport
        transport = HttpTransport(member, timeout=patience)
        reset_at_close(transport.connection, "sock", "connect")
        transport.connection.connect()
        return transport
    except NO_ANSWER as error:
        raise NotSent(str(error)) from None


class AnyMember:
    """A connection to each of these members, over one transport. `member` is the one that was asked last."""

    def __init__(self, members: list[Member], kind: type[Transport], chosen: random.Random, patience: float = PATIENCE):
        self.members, self.kind, self.random, self.patience = members, kind, chosen, patience
        self.member = chosen.choice(members)
        self._stays = False
        self._open: dict[Member, Transport] = {}

    def do(self, operation: str, *args) -> Ok | Refusal:
        if not (self._stays and self.random.random() < FAITH):
            self.member = self.random.choice(self.members)
        return self.ask(self.member, operation, *args)

    def ask(self, member: Member, operation: str, *args) -> Ok | Refusal:
        """The outcome at this member. Errors: no answer, as OSError and the like."""
        self.member, self._stays = member, False
        try:
            if member not in self._open:
                self._open[member] = connect(self.kind, member, self.patience)
            seen = self._open[member].do(operation, *args)
        except (NotSent, ConnectionRefusedError) as error:
            self._drop(member)
            return Refusal("not_sent", 0, str(error))
        except Exception:
            self._drop(member)
            raise
        self._stays = isinstance(seen, Ok)
        return seen

    def _drop(self, member: Member) -> None:
        if member in self._open:
            self._open.pop(member).close()

    def close(self) -> None:
        for member in list(self._open):
            self._drop(member)
