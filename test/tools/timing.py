"""Whether the time of a failed login tells who is known: `python -m tools.timing --samples 2000`.

Logs in with an unknown login and with a wrong password in turn, over one connection, and compares the two distributions.
The same comparison between the halves of each shows what chance alone does on this machine.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import socket
import statistics
import sys
import time
from bisect import bisect_right

from support.harness import DEADLINE, HOST, Instance
from support.outcome import Ok
from support.transports import HttpTransport

PASSWORD = "Unc0mmon-horse"
WRONG = "Wr0ng-horses!!"
WARM_UP = 50
KINDS = ("unknown login", "wrong password")


class Client:
    """One kept connection that sends bytes made beforehand, so that nothing of this process is timed but the sockets."""

    def __init__(self, instance: Instance, path: str):
        self.socket = socket.create_connection((HOST, instance.http_port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.path = path

    def request(self, login: str) -> bytes:
        body = json.dumps({"login": login, "password": WRONG})
        return (
            f"POST {self.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Nanoseconds until the answer begins, and the answer."""
        begun = time.perf_counter_ns()
        self.socket.sendall(request)
        answer = self.socket.recv(65_536)
        took = time.perf_counter_ns() - begun
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < _length(answer):
            answer += self.socket.recv(65_536)
        return took, answer


def _length(answer: bytes) -> int:
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise AssertionError(f"an answer of unknown length: {answer!r}")


def kolmogorov_smirnov(first: list[float], second: list[float]) -> tuple[float, float, float]:
    """The greatest distance between the two distributions, where it is, and how likely chance alone makes it as great."""
    first, second = sorted(first), sorted(second)
    distance, where = max((abs(bisect_right(first, x) / len(first) - bisect_right(second, x) / len(second)), x) for x in {*first, *second})
    size = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    if scaled < 0.2:
        return distance, where, 1.0
    p = 2 * sum((-1) ** (n - 1) * math.exp(-2 * (n * scaled) ** 2) for n in range(1, 101))
    return distance, where, min(max(p, 0.0), 1.0)


def mann_whitney(first: list[float], second: list[float]) -> tuple[float, float, float]:
    """U of the first, how likely one of the first is slower than one of the second, and how likely chance alone is as far off."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    total, ties, start = 0.0, 0.0, 0
    while start < len(ranked):
        end = start
        while end < len(ranked) and ranked[end][0] == ranked[start][0]:
            end += 1
        rank = (start + 1 + end) / 2
        total += rank * sum(1 for _, kind in ranked[start:end] if kind == 0)
        ties += (end - start) ** 3 - (end - start)
        start = end
    n, m = len(first), len(second)
    u = total - n * (n + 1) / 2
    spread = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    z = (u - n * m / 2) / spread if spread else 0.0
    return u, u / (n * m), math.erfc(abs(z) / math.sqrt(2))


def compare(name: str, first: list[float], second: list[float]) -> None:
    distance, where, ks_p = kolmogorov_smirnov(first, second)
    u, auc, mw_p = mann_whitney(first, second)
    print(
        f"{name:32} KS D {distance:.4f} p {ks_p:.3f}   Mann-Whitney U {u:.0f} p {mw_p:.3f}   AUC {auc:.4f}   "
        f"best threshold {where / 1e6:.3f} ms is right {(1 + distance) / 2:.2%}"
    )


def describe(name: str, times: list[float]) -> None:
    low, middle, high = statistics.quantiles(times, n=4)
    print(
        f"{name:16} n {len(times)}  min {min(times) / 1e6:8.3f}  quartiles {low / 1e6:8.3f} {middle / 1e6:8.3f} {high / 1e6:8.3f}"
        f"  mean {statistics.fmean(times) / 1e6:8.3f}  deviation {statistics.stdev(times) / 1e6:7.3f} ms"
    )


def measure(instance: Instance, samples: int, users: int, path: str, seed: int) -> dict[str, list[float]]:
    """The times by kind. The order within each pair is drawn, so that neither kind comes first more often."""
    draw = random.Random(seed)
    http = HttpTransport(instance)
    # Equally long, and drawn from the same letters.
    names = iter({"".join(draw.choices("abcdefghijkmnpqrstuvwxyz23456789", k=12)) for _ in range(users + samples + WARM_UP + 100)})
    known = [next(names) for _ in range(users)]
    for login in known:
        assert http.register(login, PASSWORD, "Bob", "Stone") == Ok()
    http.close()
    client = Client(instance, path)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    answers = set()
    for n in range(samples + WARM_UP):
        pair = list(zip(KINDS, (client.request(next(names)), client.request(draw.choice(known))), strict=True))
        draw.shuffle(pair)
        for kind, request in pair:
            took, answer = client.ask(request)
            answers.add((answer.split(b" ", 2)[1], answer.partition(b"\r\n\r\n")[2]))
            if n >= WARM_UP:
                times[kind].append(took)
    assert len(answers) == 1, f"the answers differ: {answers}"
    client.socket.close()
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=2000, help="of each kind")
    parser.add_argument("--users", type=int, default=50, help="who are known")
    parser.add_argument("--path", default="/v1/login")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--values", help="a file for all times, in nanoseconds")
    given = parser.parse_args()
    with Instance(AUTHKV_LOGIN_DELAY_MAX="0") as instance:
        times = measure(instance, given.samples, given.users, given.path, given.seed)
    for kind in KINDS:
        describe(kind, times[kind])
    compare(" against ".join(KINDS), *times.values())
    for kind, values in times.items():
        compare(f"{kind}, by halves", values[::2], values[1::2])
    if given.values:
        with open(given.values, "w", encoding="ascii") as file:
            json.dump(times, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
