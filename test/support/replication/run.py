"""A replica set whose leader meets one fault after another under load, and is looked at after each."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from support.clock import elapse
from support.crash.ledger import Finding
from support.crash.pairs import CounterUnit, Unit
from support.crash.run import SETTINGS
from support.crash.settle import Settlement, prepare
from support.harness import version, wait_until
from support.people import People
from support.replica_set import REPLICATION_TIMEOUT, Member, ReplicaSet
from support.replication.clients import GapWriter, RevocationClient, SetClient, SetPairClient, SetSessionClient, SetWatcher, SetWorld
from support.replication.convergence import REPEATED, SPLIT_BRAIN, NotConverged, converge, is_ready, metrics
from support.replication.faults import FAULTS, Fault, Kill, Promotion
from support.replication.histories import Recorder
from support.transports import HttpTransport, IprotoTransport

LOGINS = [f"session{n}" for n in range(3)]
REVOKED = "revoked0"
# Of each member.
MEMBER = SETTINGS | {
    "AUTHKV_HTTP_HEALTH": "on",
    # Sessions whose logout was refused stay.
    "AUTHKV_SESSIONS_MAX": "10000",
}
# The gap that is promised after a kill, in seconds.
GAP = 5 * float(REPLICATION_TIMEOUT)
# Seconds that another member has to take over, before the fault ends without.
TAKEOVER = 10.0
# Seconds until members that have both written have what the other wrote, or have refused it.
NOTICED = 30.0
# How long to wait for a member to tell that another one has written too. If none has, nobody tells.
TOLD = 5.0
# Seconds until all members have the same again.
CONVERGED = 60.0
# What it says of a leader that it refuses, and the seconds that it is given to get over it.
FAULT_OF_2_11, REFUSED = "got a request with lsn from an already processed range", 15.0
# What asynchronous replication may lose with a leader: it is counted and no failure.
MAY_BE_LOST = {
    "lost", "revision_twice", "revision_back", "counter", "session_lost", "revoked_token_alive", "revoked_token_alive_elsewhere",
    "session_lost_elsewhere", "watch", "refused_was_done", "user",
}  # fmt: skip


# What two leaders have both written, or one alone.
NOBODY_ELSE_HAD = {"lost", "revision_twice", "counter"}


@dataclass
class Row:
    """What came of one kind of fault."""

    faults: int = 0
    gaps: list[float] = field(default_factory=list)
    # The same while members began anew one after another: those that had written alone, and those that had refused their rows.
    gaps_of_restarts: list[float] = field(default_factory=list)
    # Faults after which the same member led.
    stayed: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    split: int = 0
    restarted: int = 0


class Run:
    """`strict`, or a `synchronous` set: nothing may be lost. Otherwise what is lost by a fault that is not planned is counted in its
    row."""

    def __init__(self, members: ReplicaSet, synchronous: bool, seed: int, histories: Path | None, strict: bool | None = None):
        self.members, self.synchronous, self.seed, self.random = members, synchronous, seed, random.Random(seed)
        self.strict = synchronous if strict is None else strict
        self.world = SetWorld(members.members[0], members=members)
        ledger = self.world.ledger
        sizes = [2, 3, 5, 8, 20]
        self.world.share(
            [Unit(ledger, *(f"crash/group/{n:02}/{key:02}" for key in range(sizes[n % len(sizes)]))) for n in range(15)],
            [Unit(ledger, f"crash/single/{n:02}") for n in range(30)],
            [CounterUnit(ledger, f"crash/counter/{n}") for n in range(3)],
        )
        self.recorder = Recorder(self.world, histories, f"{seed}") if histories else None
        self.rows: dict[str, Row] = {}
        self.findings: list[Finding] = []
        self.clients: list[SetClient] = []
        self._epochs = itertools.count()
        # What each member had counted before the present fault.
        self._before: dict[Member, dict[str, float]] = {}
        self._uuids: dict[Member, str] = {}
        # When the present fault was over, if members then have to begin anew.
        self._restarts_from: float | None = None

    def __enter__(self) -> Run:
        people = People(self.members.leader())
        prepare(self.world, people, [*LOGINS, REVOKED], [], [])
        people.close()
        self.members.await_sync()
        return self

    def __exit__(self, *_) -> None:
        self.world.stopping.set()

    # A fault

    def cycle(self, name: str) -> None:
        """Load, a fault of the leader, its end, and a look at what is there."""
        row = self.rows.setdefault(name, Row())
        told = row.repeated + row.split
        self.begin_load()
        elapse(self.random.uniform(0.3, 1.0))
        fault = FAULTS[name](self.members, name)
        self._before = {member: metrics(member) for member in self.members.members}
        self._uuids = {member: member.evaluate("return box.info.uuid")[0] for member in self.members.members}
        self._restarts_from = None
        struck = time.monotonic()
        fault.begin()
        self.take_over(fault, row)
        elapse(self.random.uniform(0.2, 0.8))
        self.heal(fault, row)
        elapse(self.random.uniform(0.3, 0.8))
        end = time.monotonic()
        self.end_load()
        row.faults += 1
        # From shortly before the fault on.
        row.gaps.append(self.gap(struck - 0.5, self._restarts_from or end))
        if self._restarts_from:
            row.gaps_of_restarts.append(self.gap(self._restarts_from, end))
        self.settle(fault, row, told)

    def take_over(self, fault: Fault, row: Row) -> None:
        """Returns once another member may write, or nobody seems to take over."""
        if not self.members.elections and not isinstance(fault, Promotion):
            self.promote(fault)
        others = [member for member in self.members.members if member is not fault.victim]

        def taken_over() -> bool:
            return any(member.is_writable() for member in others)

        end = time.monotonic() + TAKEOVER
        wait_until(lambda: taken_over() or time.monotonic() > end, "another member takes over, or none does")
        row.stayed += not taken_over()

    def promote(self, fault: Fault) -> None:
        """What an operator does who has lost a leader, without elections: the member that has most of it leads."""
        rest = [member for member in self.members.running() if member is not fault.victim]
        chosen = max(rest, key=lambda member: sum(member.position().values()))
        chosen.evaluate("box.cfg{read_only = false}")
        for member in self.members.members:
            member.settings["AUTHKV_READ_ONLY"] = str(member is not chosen).lower()

    def heal(self, fault: Fault, row: Row) -> None:
        """Ends the fault. Where an asynchronous leader was replaced, it may have what nobody else has, which would break the
        replication: so it begins anew without data, as documentation/replication.md says."""
        if self.synchronous or isinstance(fault, Promotion):
            fault.end()
            return
        if type(fault) is Kill:
            self.empty(fault.victim)
            fault.end()
            return
        # Here the others are told first what it alone has.
        fault.end()
        wait_until(lambda: fault.victim.is_ready() or not fault.victim.is_running(), "the member serves or has ended")
        if fault.victim.is_running():
            wait_until(lambda: self.have_heard(fault.victim), "the others have what the member alone had, or refuse it", NOTICED)
        end = time.monotonic() + TOLD
        wait_until(lambda: self.has_told(fault) or time.monotonic() > end, "a member tells that another one has written too")
        self.count(row, fault)
        self._restarts_from = time.monotonic()
        keeper = next((member for member in self.members.leaders() if member is not fault.victim), None) or self.members.leader()
        # It first: the others, with the keeper, are enough to have a leader.
        for member in sorted(self.members.members, key=lambda member: member is not fault.victim):
            if member is not keeper:
                if member.is_running():
                    member.kill()
                self.empty(member)
                member.launch()
                wait_until(lambda member=member: member.is_ready() or not member.is_running(), "a member has the data again")
                self.connect_again(member)
        if metrics(keeper)[SPLIT_BRAIN]:
            keeper.evaluate("return authkv.restart()")

    def connect_again(self, member: Member) -> None:
        """Has the others replicate a member that they have refused until it began anew, as documentation/consistency.md says."""
        for other in self.members.running():
            if other is not member:
                other.evaluate(
                    "local function is_other(one) local at = require('uri').parse(one) "
                    f"return at.host .. ':' .. at.service ~= '{member.address}' end local all = box.cfg.replication "
                    "box.cfg{replication = require('fun').iter(all):filter(is_other):totable()} box.cfg{replication = all}"
                )
                self.members.await_sync()

    def have_heard(self, victim: Member) -> bool:
        """Whether each other member has all changes of this one, or does not replicate it any more."""
        position, number = victim.position(), victim.evaluate("return box.info.id")[0]
        refuses = f"local up = (box.info.replication[{number}] or {{}}).upstream return up ~= nil and up.status == 'stopped'"
        return all(
            all(member.position().get(origin, 0) >= lsn for origin, lsn in position.items()) or member.evaluate(refuses) == [True]
            for member in self.members.running()
            if member is not victim
        )

    def empty(self, member: Member) -> None:
        """Removes the data of a member that does not run, but for its keys, and its place among the members."""
        for file in itertools.chain.from_iterable(member.data_dir.glob(f"*.{kind}") for kind in ("snap", "xlog", "vylog")):
            file.unlink()
        # There are no more than 31 places.
        self.members.leader().evaluate(f"box.space._cluster.index.uuid:delete('{self._uuids[member]}')")

    def witnesses(self, fault: Fault) -> list[Member]:
        """The members that have run through the fault."""
        return [member for member in self._before if member.is_running() and not (isinstance(fault, Kill) and member is fault.victim)]

    def has_told(self, fault: Fault) -> bool:
        now = {member: metrics(member) for member in self.witnesses(fault)}
        return any(told[SPLIT_BRAIN] or told[REPEATED] > self._before[member][REPEATED] for member, told in now.items())

    def count(self, row: Row, fault: Fault) -> None:
        """Adds what the members that have run through the fault count of it."""
        for member in self.witnesses(fault):
            now = metrics(member)
            # The counters of a member that was started again are zero.
            row.repeated += max(0, int(now[REPEATED] - self._before[member][REPEATED]))
            row.split += int(now[SPLIT_BRAIN])
            self._before[member] = now

    def gap(self, start: float, end: float) -> float:
        """The longest time between two moments in which no write was acknowledged."""
        moments = sorted(at for at, _ in self.world.acknowledged if start < at < end)
        return max(later - earlier for earlier, later in itertools.pairwise([start, *moments, end]))

    def restart_refused(self, row: Row) -> None:
        """Restarts a member that does not accept the next leader because of a fault of Tarantool 2.11, as an operator does whom
        `/readyz` tells so; it is counted."""
        if version() != (2, 11):
            return
        with suppress(NotConverged):
            converge(self.members, REFUSED)
            return
        for member in self.members.members:
            if not is_ready(member) and FAULT_OF_2_11 in member.present_log():
                row.restarted += 1
                member.kill()
                member.launch()

    # A look at what is there

    def settle(self, fault: Fault, row: Row, told: int) -> None:
        """`told`: what members had told before this fault."""
        ledger = self.world.ledger
        try:
            self.restart_refused(row)
            converge(self.members, CONVERGED)
        except NotConverged as error:
            ledger.find("not_converged", f"after {fault.name}: {error}")
            self.sort(fault, row)
            raise
        leader = self.members.leader()
        self.world.instance = leader
        transport = HttpTransport(leader)
        if self.recorder:
            self.recorder.settle(transport)
        transport.close()
        people = People(leader)
        try:
            _Settlement(self.world, people, self.random, time.monotonic()).run()
        finally:
            people.close()
        self.count(row, fault)
        if self.strict and row.split:
            ledger.find("split_brain", "a member has told of one")
        lost = {finding.rule for finding in ledger.findings} & NOBODY_ELSE_HAD
        # What was lost with a disk nobody can tell.
        if not self.strict and lost and told == row.repeated + row.split and type(fault) is not Kill:
            self.findings.append(Finding("untold", f"after {fault.name} of {fault.victim.name} no member tells of {lost}"))
        self.sort(fault, row)
        self.world.acknowledged.clear()
        self.world.epoch += 1

    def sort(self, fault: Fault, row: Row) -> None:
        """What was found is a loss that was to be expected, or a failure."""
        found, self.world.ledger.findings = self.world.ledger.findings, []
        for finding in found:
            if self.strict or isinstance(fault, Promotion) or finding.rule not in MAY_BE_LOST:
                self.findings.append(Finding(finding.rule, f"after {fault.name} of {fault.victim.name}: {finding.text}"))
            else:
                row.lost[finding.rule] += 1

    # The load

    def begin_load(self) -> None:
        self.world.stopping.clear()
        names, epoch = itertools.count(), next(self._epochs)

        def make(kind, *args) -> SetClient:
            *more, transport = args
            return kind(self.world, transport, f"{self.seed}-{epoch}-{next(names)}", *more)

        self.clients = [
            make(SetPairClient, HttpTransport), make(SetPairClient, HttpTransport), make(SetPairClient, IprotoTransport),
            make(SetSessionClient, LOGINS[:2], HttpTransport), make(SetSessionClient, LOGINS[2:], IprotoTransport),
            make(RevocationClient, REVOKED, HttpTransport),
            *(GapWriter(self.world, member, f"{self.seed}-{epoch}-{member.name}") for member in self.members.members),
            SetWatcher(self.world, f"{self.seed}-{epoch}-watch"),
        ]  # fmt: skip
        for client in self.clients:
            client.start()
        if self.recorder:
            self.recorder.begin()
        wait_until(lambda: len(self.world.acknowledged) > 20, "writes are acknowledged")

    def end_load(self) -> None:
        self.world.stopping.set()
        for client in self.clients:
            if isinstance(client, SetWatcher):
                client.end()
            client.join()
            if client.fault is not None:
                self.world.ledger.find("failure", f"{type(client).__name__}: {client.fault!r}")
        if self.recorder:
            self.recorder.end()
            for fault in self.recorder.faults:
                self.world.ledger.find("failure", f"a client of the histories: {fault!r}")
            self.recorder.faults.clear()


class _Settlement(Settlement):
    """Of pairs and sessions, at the leader."""

    def run(self) -> None:
        self.world.feed.settle()
        self.pairs()
        self.world.ledger.begin()
        self.sessions()
