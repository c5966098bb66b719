"""What a read costs the process by the permissions of its user and by what the request has in `Authorization`:
`python -m tools.access_cost --rounds 20`.

The kinds of requests take turns, so that a busy machine disturbs all alike. The CPU time is that of all threads of the process.
With `--instructions` the process runs under callgrind, which counts the instructions of all threads, without the kernel's: the same
in each run, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import selectors
import socket
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.harness import CHEAP_HASHES, HOST, Instance
from support.outcome import Ok
from support.people import People, allow
from support.provider import PREFIX, Provider, trusting
from tools.callgrind import Callgrind

# Connections, each of which has one request on its way.
CONNECTIONS = 16
# What a token of another issuer says, and the role that it gives.
GROUP, GIVEN = "group", "given"
EVERYTHING = [allow("rw", prefix="")]
OWN = allow("rw", prefix="users/{login}/")
AREA = allow("r", prefix="area007/")


def others(count: int, rest: str = "") -> list[dict]:
    """Permissions for areas, of which most are not read."""
    return [allow("r", prefix=f"area{number:03}/{rest}") for number in range(count)]


@dataclass(frozen=True)
class Kind:
    """A request. `default` and `roles`: the permissions of the role that everybody has, and of the user's own."""

    default: tuple[dict, ...] = ()
    roles: tuple[tuple[dict, ...], ...] = ()
    bearer: str = "token"
    prefix: str = "area007/"


def of_role(*permissions: dict, **members) -> Kind:
    return Kind(roles=(permissions,), **members)


KINDS = {
    "default": Kind(default=(*EVERYTHING,)),
    "one role": of_role(AREA),
    "{login} in default": Kind(default=(OWN,), prefix="users/{login}/"),
    "{login}": of_role(OWN, prefix="users/{login}/"),
    "100 permissions": of_role(*others(100)),
    "100 in default": Kind(default=(*others(100),)),
    "100 and {login}": of_role(*others(99), OWN, prefix="users/{login}/"),
    "100 with {login}": of_role(*others(100, "{login}/"), prefix="area099/{login}/"),
    "100 in 10 roles": Kind(roles=tuple(tuple(others(100)[first::10]) for first in range(10))),
    "API key": Kind(default=(*EVERYTHING,), bearer="key"),
    "API key, one role": of_role(AREA, bearer="key of a role"),
    "issuer": Kind(default=(*EVERYTHING,), bearer="issuer"),
    "issuer with a role": of_role(AREA, bearer="issuer"),
}


def cpu(pid: int) -> int:
    """Nanoseconds of all threads."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


class Reader:
    """A user, with a request made beforehand."""

    def __init__(self, people: People, provider: Provider, kind: Kind, keys: int):
        self.people, self.kind = people, kind
        self.pid, self.port = people.instance.process.pid, people.instance.http_port
        self.set_default()
        if kind.bearer == "issuer":
            for permissions in kind.roles:
                people.administer("role_set", GIVEN, list(permissions))
            login, bearer = f"{PREFIX}alice", provider.token("alice", groups=[GROUP] * len(kind.roles))
        else:
            roles = [people.role(*permissions) for permissions in kind.roles]
            person = people.new(*roles)
            login, bearer = person.login, person.access
            if kind.bearer != "token":
                options = {"roles": roles} if kind.bearer == "key of a role" else {}
                bearer = people.do("http", "api_key_create", person.access, "cost", options).value["key"]
        prefix = kind.prefix.replace("{login}", login.replace(":", "%3A"))
        names = [f"{prefix}{number}" for number in range(keys)]
        people.http.put(people.admin, dict.fromkeys(names, "x" * 20))
        body = json.dumps({"keys": names})
        head = f"POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {bearer}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.request = (head + body).encode()
        self.costs: list[float] = []

    def set_default(self) -> None:
        # With other permissions of the role `default` every user could read everything, and nothing would be looked at.
        assert isinstance(self.people.do("http", "role_set", self.people.admin, "default", list(self.kind.default)), Ok)

    def read(self, count: int) -> None:
        """Sends so many requests, one at a time on each connection."""
        end = b'"missing":[]}'
        with selectors.DefaultSelector() as selector:
            for _ in range(CONNECTIONS):
                connection = socket.create_connection((HOST, self.port))
                selector.register(connection, selectors.EVENT_READ, bytearray())
                connection.sendall(self.request)
            answered, asked = 0, CONNECTIONS
            while answered < count:
                for key, _ in selector.select():
                    piece = key.fileobj.recv(1 << 20)
                    assert piece, "the connection was closed"
                    key.data.extend(piece)
                    assert b'"code"' not in key.data, key.data
                    if not key.data.endswith(end):
                        continue
                    answered += 1
                    key.data.clear()
                    if asked < count:
                        asked += 1
                        key.fileobj.sendall(self.request)
            for key in list(selector.get_map().values()):
                key.fileobj.close()

    def measure(self, count: int, callgrind: Callgrind | None) -> None:
        self.set_default()
        self.read(100)
        if callgrind:
            self.costs.append(callgrind.count(self.pid, lambda: self.read(count)) / count)
            return
        begun = cpu(self.pid)
        self.read(count)
        self.costs.append((cpu(self.pid) - begun) / count / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=3200)
    parser.add_argument("--keys", type=int, default=10, help="in each request")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--instructions", action="store_true")
    given = parser.parse_args()
    callgrind = Callgrind() if given.instructions else None
    unit = "instructions" if callgrind else "µs"
    provider = Provider()
    directory = Path(tempfile.mkdtemp(prefix="authkv-cost-"))
    entry = provider.entry(keys={"file": provider.key_file()}, roles_claim=["groups"], roles={GROUP: GIVEN})
    instance = Instance(AUTHKV_HTTP_WORKERS="1", **CHEAP_HASHES, **trusting(directory, entry))
    if callgrind:
        instance.command = (*callgrind.command, *instance.command)
    with instance:
        people = People(instance)
        readers = {name: Reader(people, provider, KINDS[name], given.keys) for name in given.kinds}
        for _ in range(given.rounds):
            for reader in readers.values():
                reader.measure(given.requests, callgrind)
        base = next(iter(readers.values()))
        for name, reader in readers.items():
            ratios = [cost / of_base for cost, of_base in zip(reader.costs, base.costs, strict=True)]
            print(
                f"{name:20} least {min(reader.costs):9.2f} {unit}  median {statistics.median(reader.costs):9.2f} {unit}"
                f"  of the rounds {statistics.median(ratios):5.3f} ×"
            )
        people.close()


if __name__ == "__main__":
    main()
