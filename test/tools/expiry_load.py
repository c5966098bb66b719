"""What pairs that expire cost those who read: `python -m tools.expiry_load --pairs 1000000 --seconds 60`.

Imports pairs whose times to live end within a minute, reads batches of ten keys over eight connections before that and
meanwhile, and looks how many are left in the space in the end. The exit code is 1 where the p99 of reads grows by more
than the limit, or pairs are left.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
from pathlib import Path

from support.clock import elapse, pass_by
from support.harness import HOST, Instance
from support.transports import ConsoleTransport
from tools.wrk import Wrk, ratio, shown, write_reads


def import_pairs(instance: Instance, token: str, pairs: int, begin: float, seconds: float) -> None:
    def lines():
        for first in range(0, pairs, 1000):
            numbers = range(first, min(first + 1000, pairs))
            batch = [
                json.dumps({"key": f"key{n:013}", "value": "v" * 32, "expires_at": round(begin + seconds * n / pairs, 3)}) for n in numbers
            ]
            yield "".join(line + "\n" for line in batch).encode()

    connection = http.client.HTTPConnection(HOST, instance.http_port, timeout=600)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}
    connection.request("POST", "/v1/import", lines(), headers, encode_chunked=True)
    response = connection.getresponse()
    last = response.read().decode().splitlines()[-1]
    assert json.loads(last)["done"]["written"] == pairs, last
    connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=60, help="within which they expire")
    parser.add_argument("--lead", type=int, default=150, help="seconds for the import and the quiet rounds")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--connections", type=int, default=8, help="that read")
    parser.add_argument("--limit", type=float, default=2, help="how many times the quiet p99 is allowed")
    given = parser.parse_args()
    seconds = (given.seconds - 4) / given.rounds
    busy = []
    with Instance(AUTHKV_MEMTX_MEMORY=str(1 << 30)) as instance, tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "reads.lua"
        token = write_reads(script, instance, "reader")
        url = f"{instance.url}/api/read/"
        begin = time.time() + given.lead
        import_pairs(instance, token, given.pairs, begin, given.seconds)
        console = ConsoleTransport(instance)
        count = "return box.space.key_value_store:len()"
        print(f"{console.evaluate(count)[0]} pairs, imported in {time.time() - begin + given.lead:.0f} s", flush=True)
        Wrk(url, script, given.connections, 2).result()  # a warm-up
        quiet = [Wrk(url, script, given.connections, seconds).result() for _ in range(given.rounds)]
        print("quiet ", shown(quiet), flush=True)
        assert time.time() < begin, "the lead is too short"
        pass_by(begin + 1)
        for _ in range(given.rounds):
            busy.append(Wrk(url, script, given.connections, seconds).result())
            print(f"{console.evaluate(count)[0]} pairs left after {time.time() - begin:.0f} s", flush=True)
        print("busy  ", shown(busy))
        ended = begin + given.seconds
        pass_by(ended)
        while (left := console.evaluate(count)[0]) > 10 and time.time() < ended + 30:
            elapse(0.5)
        print(f"{time.time() - ended:.0f} s after the last has expired")
        console.close()
    print(f"{left} pairs left, the ten that are read among them; p50/p99 in ms")
    ratio("p50", quiet, busy)
    return int(ratio("p99", quiet, busy) > given.limit or left != 10)


if __name__ == "__main__":
    sys.exit(main())
