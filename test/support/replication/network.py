"""A network namespace for each member of a replica set, joined by a bridge, in which a member can be cut off from the others.

Needs root, `ip` and `nft`. This process moves to a network namespace of its own first, and the namespaces of the members are held
by processes that end with this one. So all of it is gone when this process ends, whatever ends it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from support.harness import wait_until

CLONE_NEWNET = 0x40000000
BRIDGE = "10.77.0.1"
# Which packets of a member are dropped, those that it sends or those that come; and with whom: the other members, or everybody.
WHAT_IT_SENDS = "what it sends"
CUTS = {
    "both ways": ("input", "output"),
    WHAT_IT_SENDS: ("output",),
    "what it gets": ("input",),
    "both ways, clients too": ("input", "output", "clients"),
}


class Network:
    """`count` namespaces with an address each. Clients in this process reach all of them."""

    def __init__(self, count: int):
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "a network namespace needs root")
        for program in ("ip", "nft", "nsenter", "setpriv"):
            assert shutil.which(program), f"a network for members needs {program}"
        _run("ip link set lo up")
        _run("ip link add members type bridge")
        _run(f"ip address add {BRIDGE}/24 dev members")
        _run("ip link set members up")
        self.holders: list[subprocess.Popen] = []
        self.hosts = [f"10.77.0.{number + 10}" for number in range(count)]
        for number, host in enumerate(self.hosts):
            self._join(number, host)

    def _join(self, number: int, host: str) -> None:
        # The holder waits for a line that never comes.
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo && exec cat"]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holders.append(holder)
        assert holder.stdout.readline(), "a namespace could not be made"
        ours = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != ours, "the holder is in a namespace of its own")
        _run(f"ip link add member{number} type veth peer name eth0 netns {holder.pid}")
        _run(f"ip link set member{number} master members up")
        for command in ("ip link set lo up", f"ip address add {host}/24 dev eth0", "ip link set eth0 up"):
            _run(" ".join([*self.enter(number), command]))

    def enter(self, number: int) -> tuple[str, ...]:
        """What runs a command in the namespace of a member."""
        return "nsenter", f"--net=/proc/{self.holders[number].pid}/ns/net"

    def cut(self, number: int, how: str) -> None:
        """Drops packets between this member and the others."""
        peers = [host for host in self.hosts if host != self.hosts[number]]
        if "clients" in CUTS[how]:
            peers.append(BRIDGE)
        lines = ["table inet cut {"]
        for hook, side in (("input", "saddr"), ("output", "daddr")):
            if hook in CUTS[how]:
                lines += [
                    f"chain {hook} {{",
                    f"type filter hook {hook} priority 0; policy accept;",
                    f"ip {side} {{ {', '.join(peers)} }} drop",
                    "}",
                ]
        self._filter(number, "\n".join([*lines, "}"]))

    def mend(self, number: int) -> None:
        """Lets all packets through again."""
        self._filter(number, "flush ruleset")

    def _filter(self, number: int, rules: str) -> None:
        subprocess.run([*self.enter(number), "nft", "-f", "-"], input=f"{rules}\n", text=True, check=True)

    def dropped(self, number: int) -> str:
        """The rules that are in force."""
        return subprocess.run([*self.enter(number), "nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout

    def close(self) -> None:
        for holder in self.holders:
            holder.kill()
            holder.wait()
        _run("ip link del members")

    @staticmethod
    def is_possible() -> bool:
        """Whether this process may make namespaces."""
        return (
            os.geteuid() == 0
            and all(shutil.which(program) for program in ("ip", "nft", "nsenter", "setpriv"))
            and Path("/proc/self/ns/net").exists()
        )


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
