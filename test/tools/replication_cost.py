"""What a write and a read cost one instance, and members of a replica set with and without synchronous replication:
`python -m tools.replication_cost --rounds 10`.

Prints the CPU time of the process that answers, of all its threads, for each request, and that of the other members; then how many
reads all members answer together for each second of CPU that a member may use, against one instance. The subjects take turns, so that
a busy machine disturbs all alike; a ratio is that of two measurements of one round. The library has to be built as for users, with
link-time optimisation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from support.harness import CHEAP_HASHES, Instance, version
from support.lua import lua
from support.outcome import Ok
from support.replica_set import ReplicaSet, has_elections
from support.transports import HttpTransport
from tools.access_cost import cpu
from tools.wrk import DONE, HEAD, KEYS, PASSWORD, Wrk

SETTINGS = {**CHEAP_HASHES, "AUTHKV_TOKEN_TTL": "86400", "AUTHKV_HTTP_CONNECTIONS_PER_ADDRESS": "unlimited"}
WRITE, WRITE_TEN, READ = "write of a pair", "write of ten", "read of ten"
PATHS = {WRITE: "/v1/batch/put", WRITE_TEN: "/v1/batch/put", READ: "/v1/batch/get"}
BODIES = {
    WRITE: {"pairs": [{"key": "one", "value": "v" * 100}]},
    WRITE_TEN: {"pairs": [{"key": key, "value": "v" * 100} for key in KEYS]},
    READ: {"keys": KEYS},
}


@dataclass
class Cost:
    """Of each round, in microseconds of a request: of the process that was asked, and of the others together."""

    own: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)


class Subject:
    """Instances of which one is asked."""

    def __init__(self, name: str, instances: list[Instance], asked: Instance, directory: Path):
        self.name, self.instances, self.asked = name, instances, asked
        self.directory = directory
        self.costs: dict[str, Cost] = {}

    def prepare(self, token: str) -> None:
        for work, body in BODIES.items():
            head = f'{HEAD}wrk.headers["Authorization"] = "Bearer {token}"\n'
            self.script(work).write_text(f"{head}wrk.body = {lua(json.dumps(body, separators=(',', ':')))}\n{DONE}")

    def script(self, work: str) -> Path:
        return self.directory / f"{self.name}-{work}.lua".replace(" ", "-")

    def begin(self, work: str, connections: int, seconds: float) -> Wrk:
        return Wrk(self.asked.url + PATHS[work], self.script(work), connections, seconds)

    def measure(self, work: str, connections: int, seconds: float) -> None:
        before = [cpu(one.process.pid) for one in self.instances]
        rate = self.begin(work, connections, seconds).result().rate
        spent = {one: (cpu(one.process.pid) - begun) / 1000 for one, begun in zip(self.instances, before, strict=True)}
        requests = rate * seconds
        cost = self.costs.setdefault(work, Cost())
        cost.own.append(spent.pop(self.asked) / requests)
        cost.others.append(sum(spent.values()) / requests)
        cost.rate.append(rate)


def log_in(instance: Instance) -> str:
    """The token of a new user, who has written what is read."""
    http = HttpTransport(instance)
    assert http.register("cost", PASSWORD, "Bob", "Stone") == Ok()
    token = http.login("cost", PASSWORD).value
    assert http.put(token, dict.fromkeys(KEYS, "v" * 100)) == Ok([])
    http.close()
    return token


def subjects(single: Instance, sets: dict[str, ReplicaSet], directory: Path) -> list[Subject]:
    """The single instance, and the leader and the followers of each replica set."""
    made = [Subject("single", [single], single, directory)]
    made[0].prepare(log_in(single))
    for name, members in sets.items():
        leader, followers = members.leader(), members.followers()
        token = log_in(leader)
        members.await_sync()
        for role, asked in (("leader", leader), *((f"follower {n + 1}", one) for n, one in enumerate(followers))):
            made.append(Subject(f"{name}, {role}", members.members, asked, directory))
            made[-1].prepare(token)
    return made


def together(group: list[Subject], connections: int, seconds: float) -> tuple[float, list[float]]:
    """Reads of all members at the same time: how many a second, and the µs of CPU of each member for a read."""
    before = {one: cpu(one.asked.process.pid) for one in group}
    runs = {one: one.begin(READ, connections, seconds) for one in group}
    rates = {one: run.result().rate for one, run in runs.items()}
    return sum(rates.values()), [(cpu(one.asked.process.pid) - before[one]) / 1000 / (rates[one] * seconds) for one in group]


def ratios(of: list[float], base: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(of, base, strict=True))


def report(made: list[Subject], all_together: dict[str, list[tuple[float, list[float]]]]) -> None:
    single = made[0]
    print("| request | asked | CPU of it, µs | × single | CPU of the others, µs | requests/s |\n|---|---|---|---|---|---|")
    for work in PATHS:
        for subject in made:
            if (cost := subject.costs.get(work)) is None:
                continue
            own, others, rate = (statistics.median(figures) for figures in (cost.own, cost.others, cost.rate))
            by_single = ratios(cost.own, single.costs[work].own)
            print(f"| {work} | {subject.name} | {own:.1f} | {by_single:.2f} | {others:.1f} | {rate:,.0f} |")
    print("\n| three members together | µs of CPU a read | reads/s by CPU, × single |\n|---|---|---|")
    for name, rounds in all_together.items():
        costs = [statistics.median(costs) for _, costs in rounds]
        # Each member may use as much CPU as the single one.
        times = [sum(base / cost for cost in costs) for (_, costs), base in zip(rounds, single.costs[READ].own, strict=True)]
        print(f"| {name} | {statistics.median(costs):.1f} | {statistics.median(times):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=16)
    given = parser.parse_args()
    print(f"Tarantool {'.'.join(map(str, version()))}, {given.rounds} rounds of {given.seconds:.0f} s, {given.connections} connections\n")
    directory = Path(tempfile.mkdtemp(prefix="authkv-cost-"))
    sets = {"asynchronous": ReplicaSet(elections=has_elections(), **SETTINGS)}
    if has_elections():
        sets["synchronous"] = ReplicaSet(elections=True, AUTHKV_SYNCHRONOUS="true", **SETTINGS)
    single = Instance(**SETTINGS)
    try:
        for one in (single, *sets.values()):
            one.start()
        made = subjects(single, sets, directory)
        groups = {name: [one for one in made if one.name.startswith(f"{name},")] for name in sets}
        all_together: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in sets}
        writers = [single, *(members.leader() for members in sets.values())]
        for _ in range(given.rounds):
            for work in PATHS:
                for subject in made:
                    if work == READ or subject.asked in writers:
                        subject.measure(work, given.connections, given.seconds)
            assert writers[1:] == [members.leader() for members in sets.values()], "another member leads now"
            for name, group in groups.items():
                all_together[name].append(together(group, given.connections, given.seconds))
        report(made, all_together)
    finally:
        for one in (single, *sets.values()):
            one.dispose()


if __name__ == "__main__":
    main()
