"""wrk, so that no client in Python is what is measured."""

from __future__ import annotations

import json
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.harness import Instance
from support.lua import lua
from support.outcome import Ok
from support.transports import HttpTransport

PASSWORD = "Unc0mmon-horse"
KEYS = [f"k{n}" for n in range(10)]
HEAD = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
DONE = """
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format("RESULT %d %d %d %d %d\\n", latency:percentile(50), latency:percentile(99), summary.requests,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
"""


@dataclass(frozen=True)
class Result:
    """Of one run of wrk: microseconds, and how many a second."""

    p50: int
    p99: int
    rate: float


class Wrk:
    """A run of wrk with a script, which has begun."""

    def __init__(self, url: str, script: Path, connections: int, seconds: float):
        self.seconds = seconds
        self.process = subprocess.Popen(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", str(script), url],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def result(self) -> Result:
        output, _ = self.process.communicate()
        line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
        assert line, output
        p50, p99, requests, statuses, lost = map(int, line.split()[1:])
        assert requests and not statuses and not lost, f"not every answer was good:\n{output}"
        return Result(p50, p99, requests / self.seconds)


def write_reads(script: Path, instance: Instance, login: str) -> str:
    """The script that reads ten keys, which it writes, as a new user. Gives the token."""
    http = HttpTransport(instance)
    assert http.register(login, PASSWORD, "Bob", "Stone") == Ok()
    token = http.login(login, PASSWORD).value
    assert http.put(token, dict.fromkeys(KEYS, "v" * 100)) == Ok([])
    http.close()
    body = json.dumps({"keys": KEYS}, separators=(",", ":"))
    script.write_text(f'{HEAD}wrk.headers["Authorization"] = "Bearer {token}"\nwrk.body = {lua(body)}\n{DONE}')
    return token


def shown(results: list[Result]) -> str:
    return "  ".join(f"{one.p50 / 1000:.2f}/{one.p99 / 1000:.2f}" for one in results)


def ratio(name: str, quiet: list[Result], busy: list[Result]) -> float:
    """How many times as long the median of a figure is."""
    before, after = (statistics.median(getattr(one, name) for one in results) for results in (quiet, busy))
    print(f"{name}: {before / 1000:.2f} ms quiet, {after / 1000:.2f} ms busy, x {after / before:.2f} (medians)")
    return after / before
