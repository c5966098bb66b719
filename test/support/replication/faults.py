"""What befalls the leader of a replica set: it is killed, paused, cut off, or replaced on purpose."""

from __future__ import annotations

from support.replica_set import Member, ReplicaSet
from support.replication.network import CUTS

KILL, PAUSE, PROMOTION = "kill", "pause", "promotion"


class Fault:
    """One fault of the member that leads: `begin`, then `end`, after which the member serves again or will soon."""

    # Whether another member has to take over while the fault lasts.
    replaces = True

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


FAULTS: dict[str, type[Fault]] = {KILL: Kill, PAUSE: Pause, PROMOTION: Promotion} | dict.fromkeys(CUTS, Cut)
