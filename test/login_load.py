"""What logins cost those who read: `python login_load.py --rounds 5 --seconds 10`.

Reads batches of ten keys over eight connections, quiet and beside sixteen loops of logins in turn. Both loads are wrk's,
so that no client in Python is what is measured. The exit code is 1 where the p99 of reads grows by more than the limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fronts import HttpFront
from harness import HOST, Instance
from lua import lua
from outcome import Ok

PASSWORD = "Unc0mmon-horse"
KEYS = [f"k{n}" for n in range(10)]
# Until every login loop waits for a hash.
LEAD = 1.0
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


def write_scripts(directory: Path, instance: Instance, loops: int) -> tuple[Path, Path]:
    """The scripts of the reads and of the logins, once the users and the keys are there."""
    http = HttpFront(instance)
    for n in range(loops + 1):
        assert http.register(f"user{n}", PASSWORD, "Bob", "Stone") == Ok()
    token = http.login(f"user{loops}", PASSWORD).value
    assert http.put(token, dict.fromkeys(KEYS, "v" * 100)) == Ok([])
    http.close()
    reads, logins = directory / "reads.lua", directory / "logins.lua"
    head = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
    body = json.dumps({"keys": KEYS}, separators=(",", ":"))
    reads.write_text(f'{head}wrk.headers["Authorization"] = "Bearer {token}"\nwrk.body = {lua(body)}\n{DONE}')
    bodies = [json.dumps({"login": f"user{n}", "password": PASSWORD}) for n in range(loops)]
    logins.write_text(
        f"{head}local bodies, n = {lua(bodies)}, 0\n"
        f"request = function() n = n % #bodies + 1 return wrk.format(nil, nil, nil, bodies[n]) end\n{DONE}"
    )
    return reads, logins


def shown(results: list[Result]) -> str:
    return "  ".join(f"{one.p50 / 1000:.2f}/{one.p99 / 1000:.2f}" for one in results)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=8, help="that read")
    parser.add_argument("--loops", type=int, default=16, help="that log in")
    parser.add_argument("--limit", type=float, default=2, help="how many times the quiet p99 is allowed")
    parser.add_argument("--login", default="/api/login/", help="the path of the logins")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the instance")
    given = parser.parse_args()
    settings = {f"AUTHKV_{name}": value for name, _, value in (one.partition("=") for one in given.set)}
    quiet, busy, logins = [], [], []
    with Instance(**settings) as instance, tempfile.TemporaryDirectory() as directory:
        url = f"http://{HOST}:{instance.http_port}"
        read_script, login_script = write_scripts(Path(directory), instance, given.loops)
        Wrk(f"{url}/api/read/", read_script, given.connections, 2).result()  # a warm-up
        for _ in range(given.rounds):
            quiet.append(Wrk(f"{url}/api/read/", read_script, given.connections, given.seconds).result())
            load = Wrk(f"{url}{given.login}", login_script, given.loops, given.seconds + 2 * LEAD)
            time.sleep(LEAD)
            busy.append(Wrk(f"{url}/api/read/", read_script, given.connections, given.seconds).result())
            logins.append(load.result())
            print(
                f"quiet {shown(quiet[-1:])} ms at {quiet[-1].rate:.0f}/s   busy {shown(busy[-1:])} ms at {busy[-1].rate:.0f}/s"
                f"   logins {logins[-1].rate:.1f}/s", flush=True,
            )  # fmt: skip
    print("p50/p99 in ms")
    print("quiet ", shown(quiet))
    print("busy  ", shown(busy))
    print("logins", shown(logins))
    ratios = {}
    for name in ("p50", "p99"):
        before, after = (statistics.median(getattr(one, name) for one in results) for results in (quiet, busy))
        ratios[name] = after / before
        print(f"{name}: {before / 1000:.2f} ms quiet, {after / 1000:.2f} ms with logins, x {ratios[name]:.2f} (medians)")
    return int(ratios["p99"] > given.limit)


if __name__ == "__main__":
    sys.exit(main())
