"""Clients of a replica set: those of `support/crash`, each of which asks any member, and writers that tell how long nobody acknowledges."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import socket
import time
from dataclasses import dataclass, field

from support.clock import elapse
from support.crash.account_clients import SessionClient
from support.crash.accounts import TOKEN_RULES, Session
from support.crash.client import Client, Lost, World
from support.crash.pair_clients import PairClient, Watcher
from support.outcome import Ok, Refusal
from support.people import PASSWORD
from support.replica_set import Member, ReplicaSet
from support.replication.members import NO_ANSWER, PATIENCE, SURELY_NOT, AnyMember, Fate, fate, has_written
from support.sse import Stream
from support.transports import HttpTransport

READS = {"batch_get", "pair_get", "kv_list", "check"}
# Seconds that a member without the revocation of a token may accept it: FOLLOW_MAX_LAG, and some for the machine.
LAG, SLACK = 5.0, 1.0
# Seconds between two tries of a client where it was refused.
AGAIN = 0.02


@dataclass
class SetWorld(World):
    """What the clients of a replica set share."""

    members: ReplicaSet | None = None
    # The moments at which writes were acknowledged, and by whom.
    acknowledged: list[tuple[float, Member]] = field(default_factory=list)
    # How long after a logout each other member refused the token, in seconds.
    revocations: list[float] = field(default_factory=list)

    def transport(self, kind, chosen: random.Random) -> AnyMember:
        return AnyMember(self.members.members, kind, chosen)


class SetClient(Client):
    """One that asks any member. A write that was refused here is another write elsewhere; one without an answer stays open."""

    world: SetWorld

    def __init__(self, world: SetWorld, kind, seed: str, *more):
        super().__init__(world, lambda _: world.transport(kind, self.random), seed, *more)
        self.transport_name = kind.name

    def ask(self, operation: str, *args) -> Ok | Refusal:
        try:
            seen = self.transport.do(operation, *args)
        except Exception:
            self.world.ledger.count(operation, "no answer")
            raise
        self.note(operation, seen)
        if fate(seen) is Fate.UNKNOWN:
            raise Lost(operation)
        if fate(seen) is Fate.ELSEWHERE:
            elapse(AGAIN)
        return seen

    def note(self, operation: str, seen: Ok | Refusal) -> None:
        """Counts an outcome."""
        self.world.ledger.count(operation, fate(seen).value if isinstance(seen, Ok) else f"{fate(seen).value}: {seen.name or seen.code}")
        if operation not in READS and has_written(seen):
            self.world.acknowledged.append((time.monotonic(), self.transport.member))
        if isinstance(seen, Refusal) and (seen.code == 500 or seen.name == "internal"):
            self.world.ledger.find("failure", f"{operation} at {self.transport.member.name}: {seen}")


class SetPairClient(SetClient, PairClient):
    """Batches, transactions, pairs and counters. It reads at any member, which may be behind, but never shows half a batch."""

    def put_pair(self) -> None:
        unit = self.random.choice(self.world.singles)
        write = unit.begin(self.write())
        seen = self.ask("pair_put", self.world.token, unit.keys[0], self.value(write.tag))
        self.finish(unit, write, seen, {unit.keys[0]: seen.value["revision"]} if isinstance(seen, Ok) else None)

    def read(self) -> None:
        unit = self.random.choice(self.world.groups)
        seen = self.ask("batch_get", self.world.token, list(unit.keys))
        if isinstance(seen, Ok):
            values = {one["value"][0] if one.get("value") else None for one in seen.value["pairs"]}
            if len(values) > 1 or (None not in values and len(seen.value["pairs"]) not in (0, len(unit.keys))):
                self.world.ledger.find("half_batch", f"{unit.keys} have {values} at {self.transport.member.name}")


class GapWriter(SetPairClient):
    """Writes single pairs at one member, without a break: so a member that takes over is noticed at once."""

    def __init__(self, world: SetWorld, member: Member, seed: str):
        super().__init__(world, HttpTransport, seed)
        self.kind = lambda _: AnyMember([member], HttpTransport, self.random, patience=1.0)
        self.pause = 0.01

    def step(self) -> None:
        self.put_pair()


class SetSessionClient(SetClient, SessionClient):
    """Logs in, refreshes and logs out at any member, and looks whether each says of a token what is so."""

    def __init__(self, *args):
        super().__init__(*args)
        # When what is known of a session came to be known.
        self.since: dict[Session, float] = {}

    def log_in(self, login: str) -> None:
        if isinstance(seen := self.ask("session_login", login, PASSWORD), Ok):
            session = self.world.accounts.begun(login, seen.value["access_token"], seen.value["refresh_token"])
            self.since[session] = time.monotonic()
        elif seen.name == "invalid_credentials":
            self.world.ledger.find("user", f"the login of {login}: {seen}")

    def refresh(self, session: Session) -> None:
        if session.refresh is None or session.is_refreshing:
            return
        session.is_refreshing = True
        match self.ask("session_refresh", session.refresh):
            case Ok(value):
                session.refreshed(value["access_token"], value["refresh_token"])
                self.since[session] = time.monotonic()
            case _:
                # A member that is behind does not know the newest. What is so is looked at once all have the same.
                session.is_refreshing = False

    def end(self, operation: str, token: str, *sessions: Session) -> None:
        for session in sessions:
            session.holds.begin(False)
        seen = self.ask(operation, token)
        for session in sessions:
            (session.holds.done if isinstance(seen, Ok) else session.holds.refused)(False)
            if isinstance(seen, Ok):
                self.since[session] = time.monotonic()

    def check(self) -> None:
        own = [one for one in self.since if one.holds.is_certain]
        if not own:
            return
        session = self.random.choice(own[-30:])
        token, asked, holds = self.random.choice(session.access), time.monotonic(), session.holds.value
        seen = self.ask("check", token)
        if isinstance(seen, Ok) and seen.value != holds and asked > self.since[session] + LAG + SLACK:
            rule = TOKEN_RULES[holds]
            self.world.ledger.find(f"{rule}_elsewhere", f"{session.holds.name}: {seen} at {self.transport.member.name} after {LAG} s")


class RevocationClient(SetClient):
    """Logs in and out, and asks for the token at once: who has revoked it refuses it on the next request, the others soon."""

    def __init__(self, world: SetWorld, kind, seed: str, login: str):
        super().__init__(world, kind, seed)
        self.kind = lambda _: AnyMember(world.members.members, kind, self.random, patience=1.0)
        self.login = login

    def step(self) -> None:
        seen = self.ask("session_login", self.login, PASSWORD)
        if not isinstance(seen, Ok):
            return
        token = seen.value["access_token"]
        session = self.world.accounts.begun(self.login, token)
        session.holds.begin(False)
        ended = self.ask("auth_logout", token)
        if not isinstance(ended, Ok):
            session.holds.refused(False)
            return
        member, at = self.transport.member, time.monotonic()
        session.holds.done(False)
        leads = member.is_writable()
        seen = self.transport.ask(member, "check", token)
        if leads and seen != Ok(False) and isinstance(seen, Ok):
            self.world.ledger.find("revoked_token_alive", f"{session.holds.name} is accepted by {member.name}, which has revoked it")
        for other in self.world.members.members:
            if other is not member or not leads:
                self.watch(session, token, other, at)

    def watch(self, session: Session, token: str, member: Member, revoked: float) -> None:
        """Asks until the member refuses the token, or does not answer."""
        for _ in itertools.count():
            asked = time.monotonic()
            try:
                seen = self.transport.ask(member, "check", token)
            except (*NO_ANSWER, http.client.HTTPException):
                return
            if seen != Ok(True):
                if isinstance(seen, Ok):
                    self.world.revocations.append(asked - revoked)
                return
            if asked > revoked + LAG + SLACK:
                self.world.ledger.find(
                    "revoked_token_alive_elsewhere",
                    f"{session.holds.name} is accepted by {member.name} {asked - revoked:.1f} s after it was revoked",
                )
                return
            if self.world.stopping.is_set():
                return
            elapse(AGAIN)


class SetWatcher(Watcher):
    """A client of a watch, which goes on at another member where it stopped."""

    world: SetWorld
    patience = PATIENCE
    passing = Watcher.passing | SURELY_NOT

    def stream(self, _) -> Stream:
        return super().stream(self.random.choice(self.world.members.members))

    def end(self) -> None:
        """Ends the stream that the client waits for."""
        if self.transport is not None and (connection := self.transport.connection.sock) is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
