"""Has the leader of a replica set killed, paused and cut off again and again under load, and looks for what was lost:
`python -m tools.replication --kills 50 --pauses 20 --cuts 20 --mode synchronous`.

Prints the requests by kind, and for each kind of fault the gap without an acknowledged write and what was lost. The exit code is 1
if a rule was broken. With asynchronous replication, what is lost is counted, and is no failure. `--expect asynchronous` applies
the rules of synchronous replication to a set without it: they have to find something.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

import tarantool

from support.harness import ROOT, version
from support.mvcc import MVCC
from support.replica_set import NO_ELECTIONS, ReplicaSet, has_elections
from support.replication.faults import KILL, KILL_BEHIND, PAUSE, PROMOTION
from support.replication.network import CUTS, Network
from support.replication.run import GAP, MEMBER, Run

CHECKER = ROOT / "target/check/debug/recorded"


def plan(options: argparse.Namespace) -> list[str]:
    """The faults in the order in which they come."""
    cuts = list(CUTS)
    # With synchronous replication nothing is acknowledged while the others are behind.
    behind = 0 if options.mode == "synchronous" else options.kills // 2
    faults = [KILL] * (options.kills - behind) + [KILL_BEHIND] * behind + [PAUSE] * options.pauses + [PROMOTION] * options.promotions
    faults += [cuts[number % len(cuts)] for number in range(options.cuts)]
    random.Random(options.seed).shuffle(faults)
    return faults


def requests(run: Run) -> None:
    fates: dict[str, Counter[str]] = {}
    for (kind, fate), count in run.world.ledger.requests.items():
        fates.setdefault(kind, Counter())[fate.partition(":")[0]] += count
    columns = ("acknowledged", "refused", "not here", "unknown", "no answer")
    print(f"\n| request | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for kind, row in [*sorted(fates.items()), ("all", sum(fates.values(), Counter()))]:
        print(f"| {kind} | {' | '.join(f'{row[column]:,}' for column in columns)} |")
    refusals = Counter()
    for (_, fate), count in run.world.ledger.requests.items():
        if ": " in fate:
            refusals[fate.partition(": ")[2]] += count
    print("\nrefusals:", ", ".join(f"{name} {count:,}" for name, count in refusals.most_common()))


def faults(run: Run) -> None:
    columns = (
        "fault of the leader",
        "times",
        "gap, median",
        "gap, longest",
        "while members begin anew, longest",
        "it led again",
        "lost",
        "revisions repeated",
        "split brain",
        "restarted",
    )
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for name, row in run.rows.items():
        lost = ", ".join(f"{rule} {count}" for rule, count in row.lost.items()) or "nothing"
        gaps = f"{statistics.median(row.gaps):.2f} s | {max(row.gaps):.2f} s" if row.gaps else "- | -"
        anew = f"{max(row.gaps_of_restarts):.2f} s" if row.gaps_of_restarts else "-"
        print(f"| {name} | {row.faults} | {gaps} | {anew} | {row.stayed} | {lost} | {row.repeated} | {row.split} | {row.restarted} |")
    kills = [gap for name, row in run.rows.items() if name in (KILL, KILL_BEHIND) for gap in row.gaps]
    late = sum(gap > GAP for gap in kills)
    print(f"\ngaps after a kill above 5 x REPLICATION_TIMEOUT ({GAP:.1f} s): {late} of {len(kills)}")
    if run.world.revocations:
        seen = sorted(run.world.revocations)
        median, longest = statistics.median(seen) * 1000, seen[-1] * 1000
        print(f"a revoked token was refused elsewhere after {median:.0f} ms, at most {longest:.0f} ms ({len(seen):,} times)")


def check_histories(run: Run) -> bool:
    """Whether the histories are linearizable. Those that are not are shown if they have to be."""
    recorder = run.recorder
    print(f"\nhistories: {recorder.histories:,} of {recorder.operations:,} operations, {recorder.unknown} of unknown outcome", flush=True)
    done = subprocess.run([CHECKER, recorder.path], check=False, stdout=subprocess.PIPE, text=True)
    print(done.stdout if run.strict else done.stdout.splitlines()[-1])
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--pauses", type=int, default=20)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--promotions", type=int, default=0)
    parser.add_argument("--mode", choices=("synchronous", "asynchronous"), default="synchronous")
    parser.add_argument("--expect", choices=("synchronous", "asynchronous"), help="the rules that are applied, if not those of the mode")
    parser.add_argument("--writes", choices=("forward", "refuse"), default="forward", help="what a member does that does not lead")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mvcc", type=int, default=0, help="1: with memtx_use_mvcc_engine")
    options = parser.parse_args()
    began = time.monotonic()
    synchronous = options.mode == "synchronous"
    if synchronous and not has_elections():
        print(f"{NO_ELECTIONS}, which synchronous replication needs: nothing was done")
        return 0
    if not has_elections():
        # Nobody tells a leader that was cut off that another one was promoted, and nobody elects the members' next one.
        options.promotions, options.cuts = options.promotions or options.cuts, 0
    print(f"Tarantool {'.'.join(map(str, version()))}, {options.mode}, writes of others: {options.writes}, seed {options.seed}", flush=True)
    warnings.simplefilter("ignore", tarantool.error.NetworkWarning)
    network = Network(3) if options.cuts else None
    settings = MEMBER | (MVCC if options.mvcc else {}) | {"AUTHKV_SYNCHRONOUS": str(synchronous).lower()}
    settings |= {"AUTHKV_WRITES": options.writes}
    members = ReplicaSet(elections=has_elections(), network=network, **settings)
    path = ROOT / "target" / f"histories-{'.'.join(map(str, version()))}-{options.mode}.jsonl"
    path.parent.mkdir(exist_ok=True)
    run = Run(members, synchronous, options.seed, path, strict=(options.expect or options.mode) == "synchronous")
    is_whole = False
    try:
        members.start()
        with run:
            for number, name in enumerate(plan(options), 1):
                known = len(run.findings)
                run.cycle(name)
                for finding in run.findings[known:]:
                    print(f"FOUND {finding.rule}: {finding.text[:400]}")
                acknowledged = sum(count for (_, fate), count in run.world.ledger.requests.items() if fate == "acknowledged")
                gaps = ", then ".join(f"{gaps[-1]:.2f} s" for gaps in (run.rows[name].gaps, run.rows[name].gaps_of_restarts) if gaps)
                print(f"{number} {name}: gap {gaps}; {acknowledged:,} acknowledged, {len(run.findings)} findings", flush=True)
                if len(run.findings) > 50:
                    break
        is_whole = True
    finally:
        if not is_whole:
            for member in members.members:
                Path(f"/tmp/authkv-{member.name}.log").write_text(member.log())
        members.dispose()
        if network:
            network.close()
        requests(run)
        faults(run)
        for finding in run.findings:
            print(f"FOUND {finding.rule}: {finding.text[:3000]}", flush=True)
    is_linear = check_histories(run)
    rules = Counter(finding.rule for finding in run.findings)
    print(f"\n{len(run.findings)} findings {dict(rules) or ''} in {time.monotonic() - began:.0f} s")
    return 0 if (is_linear or not run.strict) and not run.findings else 1


if __name__ == "__main__":
    sys.exit(main())
