"""Replaces the instances of a replica set by newer ones, one by one and under load: `python -m tools.rolling_upgrade`.

`--to-tarantool PATH` replaces the Tarantool of each, from that of `--tarantool`, and upgrades its data at the end.
`--from-authkv DIRECTORY` replaces the library of each, from the one built in that checkout to the one built here.

Prints what the clients saw. The exit code is 1 if an acknowledged write was lost or a value was wrong. The way is that of
documentation/upgrade.md.
"""

from __future__ import annotations

import argparse
import sys
import time

from support.clock import elapse
from support.harness import ADMIN_PASSWORD, ROOT, wait_until
from support.replica_set import REPLICATION_TIMEOUT, Member, ReplicaSet
from support.rolling import Client, Clients

APP = str(ROOT / "test" / "tools" / "rolling_app.lua")


# Settings that the application does without, because old builds do not know them.
OWN = ("REPLICATION", "REPLICATION_PASSWORD", "REPLICATION_TIMEOUT", "ELECTION_MODE", "READ_ONLY", "SYNCHRONOUS", "INSTANCE_NAME")


class Rolling:
    """The replica set, and the steps of the way."""

    def __init__(self, arguments: argparse.Namespace):
        self.seconds = arguments.seconds
        self.binary, self.new_binary = arguments.tarantool, arguments.to_tarantool or arguments.tarantool
        self.by_app = arguments.from_authkv is not None
        self.old, self.new = arguments.from_authkv or str(ROOT), str(ROOT)
        self.members = ReplicaSet(elections=True, AUTHKV_SYNCHRONOUS="true")
        for member in self.members.members:
            self.outfit(member, self.binary, self.old)

    def outfit(self, member: Member, binary: str, checkout: str) -> None:
        """Sets what the next start of a member runs."""
        member.command = (binary, APP if self.by_app else "init.lua")
        if not self.by_app:
            return
        all_of = self.members.members
        for name in (
            "REPLICATION",
            "REPLICATION_PASSWORD",
            "REPLICATION_TIMEOUT",
            "ELECTION_MODE",
            "READ_ONLY",
            "SYNCHRONOUS",
            "INSTANCE_NAME",
        ):
            member.settings.pop(f"AUTHKV_{name}", None)
        member.settings |= {
            "ROLLING_LIBRARY": f"{checkout}/target/release",
            "ROLLING_REPLICATION": ",".join(one.address for one in all_of),
            "ROLLING_TIMEOUT": REPLICATION_TIMEOUT,
        }

    def dwell(self, what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
        elapse(self.seconds)

    def replace(self, member: Member) -> None:
        """Stops a follower, and starts its successor. It need not serve yet: see `promote`."""
        member.stop()
        self.outfit(member, self.new_binary, self.new)
        member.launch()
        wait_until(lambda: member.console_path.exists() and self.follows(member), "the new instance follows")

    def follows(self, member: Member) -> bool:
        code = (
            "for _, peer in pairs(box.info.replication) do local up = peer.upstream "
            "if up and up.status ~= 'follow' then return false end end return box.info.status == 'running'"
        )
        try:
            return member.evaluate(code) == [True]
        except OSError:
            return False

    def promote(self, member: Member) -> None:
        """Hands the lead over. The elections refuse a member that lacks what others have, so it is asked until it leads."""

        def leads() -> bool:
            member.evaluate("return pcall(box.ctl.promote)")
            return member.is_writable()

        wait_until(leads, "the new instance leads", every=0.2)
        wait_until(member.is_ready, "the new leader serves")

    def run(self) -> None:
        first = self.members.leader()
        followers = [member for member in self.members.members if member is not first]
        self.replace(followers[0])
        self.dwell("the first follower is new")
        self.promote(followers[0])
        self.dwell("a new instance leads")
        for member in (followers[1], first):
            self.replace(member)
            wait_until(member.is_ready, "the new instance serves")
            self.dwell("another one is new")
        if self.new_binary != self.binary:
            self.members.leader().evaluate("box.schema.upgrade()")
            self.members.await_sync()
            for member in self.members.members:
                member.evaluate("box.snapshot()")
            self.dwell("the data is upgraded")


def report(clients: Clients, members: ReplicaSet) -> int:
    counts = clients.counts
    print("\n| request | answered | attempts at one instance that failed | rounds over all that failed |\n|---|---|---|---|")
    for kind in ("write", "read", "log in"):
        failed = sum(count for why, count in counts.attempts_failed.items() if why.startswith(kind))
        print(f"| {kind} | {counts.succeeded[kind]:,} | {failed:,} | {counts.rounds_failed[kind]:,} |")
    for why, count in counts.attempts_failed.most_common():
        print(f"  {count:,} × {why}")
    lost = {member.settings.get("AUTHKV_INSTANCE_NAME", member.http_port): clients.lost(member.http_port) for member in members.members}
    print(f"longest time without an acknowledged write: {counts.gap:.2f} s")
    print(f"acknowledged writes: {len(counts.acknowledged):,}; lost, by instance: { {name: len(keys) for name, keys in lost.items()} }")
    print(f"wrong values: {len(counts.wrong)} {counts.wrong[:3]}")
    return 1 if counts.wrong or any(lost.values()) or not counts.acknowledged else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tarantool", default="tarantool", help="the Tarantool of the beginning, 2.11 or newer")
    parser.add_argument("--to-tarantool", help="the Tarantool of the end")
    parser.add_argument("--from-authkv", help="a checkout with a built library, of the beginning")
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5, help="of load after each step")
    arguments = parser.parse_args()
    rolling = Rolling(arguments)
    members = rolling.members
    with members:
        ports = [member.http_port for member in members.members]
        login = {"login": "admin", "password": ADMIN_PASSWORD}
        leader = members.leader()
        _, answer = Client(ports).ask(leader.http_port, "POST", "/api/login/", login, None)
        with Clients(ports, arguments.clients, answer["token"]) as clients:
            rolling.dwell("the load begins")
            rolling.run()
        members.await_sync()
        return report(clients, members)


if __name__ == "__main__":
    sys.exit(main())
