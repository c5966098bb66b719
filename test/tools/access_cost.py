"""What a read of ten keys costs the process by the permissions of its user: `python -m tools.access_cost --rounds 20`.

The kinds of users take turns, so that a busy machine disturbs all alike. The CPU time is that of all threads of the process.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
from pathlib import Path

from support.harness import HOST, Instance
from support.outcome import Ok
from support.people import People, allow

KEYS = 10
# Requests that are sent before the answers are read.
AHEAD = 32
OWN = allow("rw", prefix="users/{login}/")


def others(count: int) -> list[dict]:
    """Permissions for keys that are not read."""
    return [allow("r", prefix=f"area{number:03}/") for number in range(count)]


# The permissions of a user beside nothing, and which keys are read.
KINDS = {
    "default": (None, "area007/"),
    "one permission": ([allow("r", prefix="area007/")], "area007/"),
    "100 permissions": (others(100), "area007/"),
    "{login}": ([OWN], "users/{login}/"),
    "100 and {login}": ([*others(99), OWN], "users/{login}/"),
    "100 with {login}": ([allow("r", prefix=f"area{number:03}/{{login}}/") for number in range(100)], "area099/{login}/"),
}


def cpu(pid: int) -> int:
    """Nanoseconds of all threads."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir())


class Reader:
    """A user, with a request made beforehand."""

    def __init__(self, people: People, kind: str):
        permissions, prefix = KINDS[kind]
        person = people.new(*([] if permissions is None else [people.role(*permissions)]))
        keys = [f"{prefix}{number}".replace("{login}", person.login) for number in range(KEYS)]
        people.http.put(people.admin, dict.fromkeys(keys, "x" * 20))
        body = json.dumps({"keys": keys})
        head = f"POST /v1/batch/get HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.access}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.request = (head + body).encode()
        self.pid = people.instance.process.pid
        self.port = people.instance.http_port
        self.costs: list[float] = []

    def read(self, count: int) -> None:
        end = b'"missing":[]}'
        with socket.create_connection((HOST, self.port)) as connection:
            begun = cpu(self.pid)
            for _ in range(count // AHEAD):
                connection.sendall(self.request * AHEAD)
                answered, rest = 0, b""
                while answered < AHEAD:
                    piece = connection.recv(1 << 20)
                    assert piece, "the connection was closed"
                    rest += piece
                    assert b'"code"' not in rest, rest
                    answered += rest.count(end)
                    rest = rest.rpartition(end)[2]
            self.costs.append((cpu(self.pid) - begun) / count / 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=3200)
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    given = parser.parse_args()
    with Instance(AUTHKV_HTTP_WORKERS="1") as instance:
        people = People(instance)
        narrow = any(KINDS[kind][0] is not None for kind in given.kinds)
        readers = {kind: Reader(people, kind) for kind in given.kinds}
        for round_ in range(given.rounds + 1):
            for kind, reader in readers.items():
                # With the role `default` every user could read everything, and nothing would be looked at.
                if narrow:
                    of_default = [allow("rw", prefix="")] if kind == "default" else []
                    assert isinstance(people.do("http", "role_set", people.admin, "default", of_default), Ok)
                reader.read(given.requests)
                if round_ == 0:
                    reader.costs.clear()
        least = min(next(iter(readers.values())).costs)
        for kind, reader in readers.items():
            low = min(reader.costs)
            print(f"{kind:18} least {low:6.2f} µs  median {statistics.median(reader.costs):6.2f} µs  {low / least:5.3f} ×")
        people.close()


if __name__ == "__main__":
    main()
