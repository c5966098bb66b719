"""What has to be so once a fault is over: all members serve, have the same data, and nobody tells of a split brain."""

from __future__ import annotations

import contextlib
import http.client

from support.harness import wait_until
from support.metrics import read_told
from support.replica_set import Member, ReplicaSet
from support.transports import HttpTransport

# Each space of authkv with its number of tuples and a digest of them. Not those of Tarantool, nor what is not replicated.
_DATA = (
    "local all, digest, msgpack = {}, require('digest'), require('msgpack') "
    "for id, space in pairs(box.space) do "
    "if type(id) == 'number' and id >= 512 and space.index[0] and not space.temporary and not space.is_local then "
    "local sum, count = digest.crc32.new(), 0 "
    "for _, tuple in space:pairs() do sum:update(msgpack.encode(tuple)) count = count + 1 end "
    "all[space.name] = count .. ' ' .. sum:result() end end return all"
)
REPEATED, SPLIT_BRAIN = "authkv_revisions_repeated_total", "authkv_split_brain"


def is_ready(member: Member) -> bool:
    """Whether it says so to who balances the load."""
    transport = HttpTransport(member, timeout=5)
    try:
        return transport.request("GET", "/readyz").status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        transport.close()


def why_not_ready(member: Member) -> str:
    transport = HttpTransport(member, timeout=5)
    try:
        return transport.request("GET", "/readyz?verbose").body.decode()
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        transport.close()


def data(member: Member) -> dict[str, str]:
    return member.evaluate(_DATA)[0]


def metrics(member: Member) -> dict[str, float]:
    """What it counts of replication."""
    numbers = read_told(member.evaluate("return authkv.metrics()")[0])
    return {name: value for (name, _), value in numbers.items() if name in (REPEATED, SPLIT_BRAIN)}


class NotConverged(AssertionError):
    """What is wrong with whom."""


def converge(members: ReplicaSet, deadline: float) -> None:
    """Returns once all members serve, follow one leader and have the same data. Errors: NotConverged."""
    everyone = members.members
    try:
        for member in everyone:
            wait_until(lambda member=member: member.is_ready() or not member.is_running(), "a member serves or has ended", deadline)
        wait_until(lambda: len(members.leaders()) == 1, "one member leads", deadline)
        for member in everyone:
            wait_until(lambda member=member: is_ready(member), f"{member.name} is ready", deadline, every=0.05)
        members.await_sync()
        wait_until(lambda: len({tuple(sorted(data(member).items())) for member in everyone}) == 1, "all have the same", deadline, every=0.1)
    except AssertionError as error:
        raise NotConverged(f"{error}\n{describe(members)}") from None


def describe(members: ReplicaSet) -> str:
    """Each member: whether it runs, its readiness, what it counts, and where its data differs from that of the first."""
    lines, first = [], None
    for member in members.members:
        lines.append(f"{member.name}: {member.state()}, writable: {member.is_writable()}")
        if not member.is_running():
            continue
        lines.append(why_not_ready(member).replace("\n", "; "))
        with contextlib.suppress(OSError, AssertionError, TypeError):
            lines.append(str(metrics(member)))
            seen = data(member)
            first = first or seen
            lines.append(
                f"differs in { ({name: (seen.get(name), first.get(name)) for name in first | seen if seen.get(name) != first.get(name)}) }"
            )
            lines.append(str(member.evaluate("return box.info.replication")[0]))
    return "\n".join(lines)
