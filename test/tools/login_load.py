"""What logins cost those who read: `python -m tools.login_load --rounds 5 --seconds 10`.

Reads batches of ten keys over eight connections, quiet and beside sixteen loops of logins in turn. Both loads are wrk's,
so that no client in Python is what is measured. The exit code is 1 where the p99 of reads grows by more than the limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from support.clock import elapse
from support.harness import Instance
from support.lua import lua
from support.outcome import Ok
from support.transports import HttpTransport
from tools.wrk import DONE, HEAD, PASSWORD, Wrk, ratio, shown, write_reads

# Until every login loop waits for a hash.
LEAD = 1.0


def write_scripts(directory: Path, instance: Instance, loops: int) -> tuple[Path, Path]:
    """The scripts of the reads and of the logins, once the users and the keys are there."""
    reads, logins = directory / "reads.lua", directory / "logins.lua"
    write_reads(reads, instance, "reader")
    http = HttpTransport(instance)
    for n in range(loops):
        assert http.register(f"user{n}", PASSWORD, "Bob", "Stone") == Ok()
    http.close()
    bodies = [json.dumps({"login": f"user{n}", "password": PASSWORD}) for n in range(loops)]
    logins.write_text(
        f"{HEAD}local bodies, n = {lua(bodies)}, 0\n"
        f"request = function() n = n % #bodies + 1 return wrk.format(nil, nil, nil, bodies[n]) end\n{DONE}"
    )
    return reads, logins


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
        url = instance.url
        read_script, login_script = write_scripts(Path(directory), instance, given.loops)
        Wrk(f"{url}/api/read/", read_script, given.connections, 2).result()  # a warm-up
        for _ in range(given.rounds):
            quiet.append(Wrk(f"{url}/api/read/", read_script, given.connections, given.seconds).result())
            load = Wrk(f"{url}{given.login}", login_script, given.loops, given.seconds + 2 * LEAD)
            elapse(LEAD)
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
    ratio("p50", quiet, busy)
    return int(ratio("p99", quiet, busy) > given.limit)


if __name__ == "__main__":
    sys.exit(main())
