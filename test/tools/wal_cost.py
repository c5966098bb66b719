"""What `WAL_MODE=fsync` costs: `python -m tools.wal_cost --rounds 5 --seconds 5`.

Two instances, one in each mode, write batches of ten pairs in turn, over one connection and over 64, so that the machine is the
same for both. Prints latencies, rates and CPU time of a write, and their ratios. The data is below --directory: the disk there is
what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.harness import CHEAP_HASHES, Instance
from support.lua import lua
from support.outcome import Ok
from support.transports import HttpTransport
from tools.wrk import DONE, HEAD, PASSWORD, Result, Wrk

MODES = ("write", "fsync")
CONNECTIONS = (1, 64)
# The pairs are replaced again and again, so that the memory does not grow.
PAIRS = [{"key": f"k{n}", "value": "v" * 100} for n in range(10)]


@dataclass(frozen=True)
class Cost:
    """Of one run: what wrk saw, and microseconds of CPU of the instance for a write."""

    result: Result
    cpu: float


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process, in and outside of the kernel: fields 14 and 15 of its `stat` (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def write_script(script: Path, instance: Instance) -> None:
    http = HttpTransport(instance)
    assert http.register("writer", PASSWORD, "Bob", "Stone") == Ok()
    token = http.login("writer", PASSWORD).value
    http.close()
    body = json.dumps({"pairs": PAIRS}, separators=(",", ":"))
    script.write_text(f'{HEAD}wrk.headers["Authorization"] = "Bearer {token}"\nwrk.body = {lua(body)}\n{DONE}')


def measure(instance: Instance, script: Path, connections: int, seconds: float) -> Cost:
    before = cpu_seconds(instance.process.pid)
    result = Wrk(f"{instance.url}/v1/batch/put", script, connections, seconds).result()
    spent = cpu_seconds(instance.process.pid) - before
    return Cost(result, spent * 1e6 / (result.rate * seconds))


FIGURES = {
    "p50 ms": lambda cost: cost.result.p50 / 1000,
    "p99 ms": lambda cost: cost.result.p99 / 1000,
    "writes/s": lambda cost: cost.result.rate,
    "CPU us": lambda cost: cost.cpu,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--directory", help="on the disk that is measured")
    given = parser.parse_args()
    if given.directory:
        tempfile.tempdir = given.directory
    seen: dict[tuple[str, int], list[Cost]] = {}
    with (
        Instance(**CHEAP_HASHES) as write,
        Instance(**CHEAP_HASHES, AUTHKV_WAL_MODE="fsync") as fsync,
        tempfile.TemporaryDirectory() as directory,
    ):
        instances = dict(zip(MODES, (write, fsync), strict=True))
        scripts = {mode: Path(directory) / f"{mode}.lua" for mode in MODES}
        for mode, instance in instances.items():
            write_script(scripts[mode], instance)
            measure(instance, scripts[mode], 8, 1)  # a warm-up
        for _ in range(given.rounds):
            for connections in CONNECTIONS:
                for mode, instance in instances.items():
                    cost = measure(instance, scripts[mode], connections, given.seconds)
                    seen.setdefault((mode, connections), []).append(cost)
    print("| connections | figure | write | fsync | ratio of a round: median (least to most) |\n|---|---|---|---|---|")
    for connections in CONNECTIONS:
        for name, figure in FIGURES.items():
            columns = [[figure(cost) for cost in seen[mode, connections]] for mode in MODES]
            ratios = sorted(fsync / write for write, fsync in zip(*columns, strict=True))
            medians = " | ".join(f"{statistics.median(column):.2f}" for column in columns)
            print(
                f"| {connections} | {name} | {medians} | {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |",
            )


if __name__ == "__main__":
    main()
