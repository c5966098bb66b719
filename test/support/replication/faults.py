"""What befalls the leader of a replica set: it is killed, paused, cut off, or replaced on purpose."""

from __future__ import annotations

import random

from support.clock import elapse
from support.replica_set import Member, ReplicaSet
from support.replication.network import CUTS, WHAT_IT_SENDS
from support.transports import ConsoleTransport

KILL, KILL_BEHIND, PAUSE, PROMOTION = "kill", "kill, others behind", "pause", "promotion"
# Seconds that the others are behind.
BEHIND = 0.3


class Fault:
    """One fault of the member that leads: `begin`, then `end`, after which the member serves again or will soon."""

    def __init__(self, members: ReplicaSet, name: str):
        self.members, self.name = members, name
        self.victim: Member = members.leader()

    def begin(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class Kill(Fault):
    """SIGKILL, and a start."""

    def begin(self) -> None:
        self.victim.kill()

    def end(self) -> None:
        self.victim.launch()


class KillBehind(Kill):
    """SIGKILL of a leader that the others have not heard for a moment: what it acknowledged alone meanwhile is lost."""

    def begin(self) -> None:
        network = self.members.network
        if network:
            number = self.members.members.index(self.victim)
            network.cut(number, WHAT_IT_SENDS)
            elapse(BEHIND)
            self.write_alone()
            super().begin()
            return
        for member in self.others():
            member.evaluate("rawset(_G, 'kept', box.cfg.replication) box.cfg{replication = {}}")
        elapse(BEHIND)
        self.write_alone()
        super().begin()
        if self.members.elections:
            self.connect()

    def end(self) -> None:
        for member in self.others():
            if member.is_running():
                assert member.evaluate("return (authkv.pair.get('crash/alone') or {}).value") != [self.alone]
        if self.members.network:
            self.members.network.mend(self.members.members.index(self.victim))
        super().end()
        if not self.members.elections and not self.members.network:
            self.connect()

    def write_alone(self) -> None:
        """What is lost in any case."""
        self.alone = random.randrange(2**40)
        assert self.victim.evaluate(f"return authkv.pair.put('crash/alone', {self.alone}) ~= nil") == [True]

    def others(self) -> list[Member]:
        return [member for member in self.members.members if member is not self.victim]

    def connect(self) -> None:
        # It returns once all are connected, one of which may not run.
        for member in self.others():
            console = ConsoleTransport(member)
            console.send("box.cfg{replication = kept}")
            console.close()


class Pause(Fault):
    """SIGSTOP, and SIGCONT."""

    def begin(self) -> None:
        self.victim.pause()

    def end(self) -> None:
        self.victim.resume()


class Cut(Fault):
    """Packets between the leader and the others are dropped, those of one direction or of both."""

    def __init__(self, members: ReplicaSet, name: str):
        super().__init__(members, name)
        self.number = members.members.index(self.victim)

    def begin(self) -> None:
        self.members.network.cut(self.number, self.name)

    def end(self) -> None:
        self.members.network.mend(self.number)


class Promotion(Fault):
    """A planned change of the leader, without elections: nothing may be lost."""

    def begin(self) -> None:
        self.members.promote(self.members.followers()[0])

    def end(self) -> None:
        pass


FAULTS: dict[str, type[Fault]] = {KILL: Kill, KILL_BEHIND: KillBehind, PAUSE: Pause, PROMOTION: Promotion} | dict.fromkeys(CUTS, Cut)
