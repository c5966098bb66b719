"""A replica set whose leader meets one fault after another under load, and is looked at after each."""

from __future__ import annotations

import itertools
import random
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from support.clock import elapse
from support.crash.ledger import Finding
from support.crash.pairs import CounterUnit, Unit
from support.crash.run import SETTINGS
from support.crash.settle import Settlement, prepare
from support.harness import wait_until
from support.people import People
from support.replica_set import REPLICATION_TIMEOUT, Member, ReplicaSet
from support.replication.clients import GapWriter, RevocationClient, SetClient, SetPairClient, SetSessionClient, SetWatcher, SetWorld
from support.replication.convergence import METRICS, NotConverged, converge, metrics
from support.replication.faults import FAULTS, KILL, PROMOTION, Fault
from support.replication.histories import Recorder
from support.transports import HttpTransport, IprotoTransport

LOGINS = [f"session{n}" for n in range(3)]
REVOKED = "revoked0"
# Of each member.
MEMBER = SETTINGS | {"AUTHKV_HTTP_HEALTH": "on"}
# The gap that is promised after a kill, in seconds.
GAP = 5 * float(REPLICATION_TIMEOUT)
# Seconds that another member has to take over, before the fault ends without.
TAKEOVER = 10.0
# Seconds until all members have the same again.
CONVERGED = 60.0
# What asynchronous replication may lose with a leader: it is counted and no failure.
MAY_BE_LOST = {
    "lost", "revision_twice", "revision_back", "counter", "session_lost", "revoked_token_alive", "revoked_token_alive_elsewhere",
    "session_lost_elsewhere", "watch", "refused_was_done", "user",
}  # fmt: skip


@dataclass
class Row:
    """What came of one kind of fault."""

    faults: int = 0
    gaps: list[float] = field(default_factory=list)
    # Faults after which the same member led.
    stayed: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    split: int = 0


class Run:
    """`synchronous`: nothing may be lost. Otherwise what is lost by a fault that is not planned is counted in its row."""

    def __init__(self, members: ReplicaSet, synchronous: bool, seed: int, histories: Path | None):
        self.members, self.synchronous, self.seed, self.random = members, synchronous, seed, random.Random(seed)
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

    def __enter__(self) -> Run:
        self.members.start()
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
        self.begin_load()
        elapse(self.random.uniform(0.3, 1.0))
        fault = FAULTS[name](self.members, name)
        before = {member: metrics(member) for member in self.members.members}
        struck = time.monotonic()
        fault.begin()
        self.take_over(fault, struck, row)
        elapse(self.random.uniform(0.2, 0.8))
        self.heal(fault)
        elapse(self.random.uniform(0.3, 0.8))
        self.end_load()
        row.faults += 1
        row.gaps.append(self.gap(struck))
        self.settle(fault, row, before)

    def take_over(self, fault: Fault, struck: float, row: Row) -> None:
        """Returns once another member has acknowledged a write, or nobody seems to take over."""
        if not self.members.elections and fault.name != PROMOTION:
            self.promote(fault)

        def others() -> bool:
            return any(at > struck and member is not fault.victim for at, member in self.world.acknowledged[-500:])

        end = time.monotonic() + TAKEOVER
        wait_until(lambda: others() or time.monotonic() > end, "another member takes over, or none does")
        row.stayed += not others()

    def promote(self, fault: Fault) -> None:
        """What an operator does who has lost a leader, without elections: the member that has most of it leads."""
        rest = [member for member in self.members.running() if member is not fault.victim]
        chosen = max(rest, key=lambda member: sum(member.position().values()))
        chosen.evaluate("box.cfg{read_only = false}")
        for member in self.members.members:
            member.settings["AUTHKV_READ_ONLY"] = str(member is not chosen).lower()

    def heal(self, fault: Fault) -> None:
        if fault.name == KILL and not self.synchronous:
            # What it had not sent would break the replication: see documentation/replication.md.
            self.empty(fault.victim)
        fault.end()

    @staticmethod
    def empty(member: Member) -> None:
        """Removes the data of a member that does not run."""
        for file in (*member.data_dir.glob("*.snap"), *member.data_dir.glob("*.xlog"), *member.data_dir.glob("*.vylog")):
            file.unlink()
        shutil.rmtree(member.data_dir / "leader", ignore_errors=True)

    def gap(self, struck: float) -> float:
        """The longest time without an acknowledged write, from shortly before the fault on."""
        moments = sorted(at for at, _ in self.world.acknowledged if at > struck - 0.5)
        return max((later - earlier for earlier, later in itertools.pairwise(moments)), default=float("inf"))

    # A look at what is there

    def settle(self, fault: Fault, row: Row, before: dict[Member, dict[str, float]]) -> None:
        ledger = self.world.ledger
        try:
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
        for member in self.members.members:
            after, base = metrics(member), before[member] if member is not fault.victim or fault.name != KILL else {}
            row.repeated += int(after.get(METRICS[0], 0) - base.get(METRICS[0], 0))
            row.split += int(after.get(METRICS[1], 0))
        if row.split:
            ledger.find("split_brain", f"after {fault.name}")
        self.sort(fault, row)
        self.world.acknowledged.clear()
        self.world.epoch += 1

    def sort(self, fault: Fault, row: Row) -> None:
        """What was found is a loss that was to be expected, or a failure."""
        found, self.world.ledger.findings = self.world.ledger.findings, []
        for finding in found:
            if self.synchronous or fault.name == PROMOTION or finding.rule not in MAY_BE_LOST:
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
