"""Where the time of a batch read goes: `python -m tools.flame --seconds 10`, or `make profile`.

Reads batches of ten keys over 64 connections with wrk, while perf looks at the instance, and makes two flame graphs:
of the tx thread, and of the HTTP workers. The library is the one that is shipped: it has no frame pointers, so perf
copies stacks, and unwinds them by the library's own tables (DWARF).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from support.clock import elapse
from support.harness import ROOT, Instance
from tools.wrk import Wrk, shown, write_reads

LIBRARY = ROOT / "target/release/libauthkv.so"
TOOLS = ROOT / "target/tools/bin"
# Not a divisor of anything that is done a thousand times a second.
HERTZ = 999
# Bytes of stack that are copied with each sample, the most that perf takes. With half of it the outer functions of the
# workers are missing.
STACK = 65_528
# Until all connections are there.
LEAD = 1
PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")


def check_perf() -> None:
    """Ends where the kernel does not let this user look at threads and at the kernel's part of their time."""
    if os.geteuid() != 0 and int(PARANOID.read_text()) > 1:
        sys.exit(f"perf may not look: {PARANOID} is {PARANOID.read_text().strip()}. As root: sysctl kernel.perf_event_paranoid=1")


def record(pid: int, seconds: int, file: Path) -> None:
    done = subprocess.run(
        ["perf", "record", "-F", str(HERTZ), "--call-graph", f"dwarf,{STACK}", "--no-buildid-cache",
         "-p", str(pid), "-o", str(file), "--", "sleep", str(seconds)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        sys.exit(f"perf record failed:\n{done.stderr}")


def give_back_library(pid: int) -> None:
    """Puts the library where perf looks for it: Tarantool loads a copy, which it removes at once."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        path = Path(line.split(maxsplit=5)[-1])
        if path.name == "authkv.so (deleted)" and not path.is_symlink():
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(LIBRARY)


def fold(file: Path) -> Counter[str]:
    """Samples by stack: the name of the thread, and the functions from the outermost one, with semicolons between."""
    script = subprocess.run(
        ["perf", "script", "-i", str(file), "--no-inline", "-F", "comm,pid,tid,time,event,ip,sym,dso"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    folded = subprocess.run(
        [str(TOOLS / "inferno-collapse-perf")],
        input=script.stdout, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    stacks: Counter[str] = Counter()
    for line in folded.stdout.decode(errors="replace").splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[stack.replace(" ;", ";").rstrip()] += int(count)
    assert stacks, "perf has seen nothing"
    return stacks


def draw(stacks: Counter[str], title: str, directory: Path) -> None:
    """Writes the stacks and their picture, and prints what is at the tip of most."""
    name = title.replace(" ", "-")
    folded = directory / f"{name}.folded"
    folded.write_text("".join(f"{stack} {count}\n" for stack, count in sorted(stacks.items())))
    picture = directory / f"flame-{name}.svg"
    with picture.open("w") as out:
        subprocess.run(
            [str(TOOLS / "inferno-flamegraph"), "--title", f"authkv, {title}", "--colors", "rust", "--hash",
             str(folded)],
            stdout=out, check=True,
        )  # fmt: skip
    tips: Counter[str] = Counter()
    for stack, count in stacks.items():
        tips[stack.rpartition(";")[2]] += count
    print(f"{picture.relative_to(ROOT)}: {stacks.total()} samples, of which in")
    for tip, count in tips.most_common(8):
        print(f"  {count / stacks.total():6.1%}  {tip[:100]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, default=64)
    given = parser.parse_args()
    check_perf()
    results = ROOT / "target/profile"
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, tempfile.NamedTemporaryFile(dir=results) as file:
        script, samples = Path(scratch, "reads.lua"), Path(file.name)
        # Tarantool's copies of the library go to TMPDIR.
        with Instance(TMPDIR=scratch) as instance:
            pid = instance.process.pid
            write_reads(script, instance, "reader")
            url = f"{instance.url}/api/read/"
            Wrk(url, script, given.connections, 2).result()  # a warm-up
            load = Wrk(url, script, given.connections, given.seconds + 2 * LEAD)
            elapse(LEAD)
            record(pid, given.seconds, samples)
            give_back_library(pid)
            tx = Path(f"/proc/{pid}/comm").read_text().strip()
            result = load.result()
        print(f"{result.rate:.0f} reads a second while perf looked on, p50/p99 {shown([result])} ms")
        stacks = fold(samples)
    threads: Counter[str] = Counter()
    for stack, count in stacks.items():
        threads[stack.partition(";")[0]] += count
    print("samples: " + ", ".join(f"{name} {count}" for name, count in threads.most_common()))
    for title, is_of in (("tx", tx.__eq__), ("workers", lambda name: name.startswith("authkv-http-"))):
        chosen = Counter({stack: count for stack, count in stacks.items() if is_of(stack.partition(";")[0])})
        draw(chosen, title, results)


if __name__ == "__main__":
    main()
