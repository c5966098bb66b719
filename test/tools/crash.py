"""Kills an instance again and again under mixed load, and looks for what was lost: `python -m tools.crash --kills 200`.

Prints what was acknowledged by kind of request, the kills by their moment, and every rule that was broken. Then it damages logs
of other runs, which has to be found. The exit code is 1 if a rule was broken, or a damage was not found.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time
import warnings
from collections import Counter

import tarantool

from support.crash.control import DAMAGES, control, is_seen
from support.crash.run import MOMENTS, SETTINGS, Run, killed_in_its_first_start
from support.harness import Instance, version
from support.mvcc import MVCC

# Moments that come more often than others: most kills are at any moment of the load.
WEIGHTS = {"load": 4, "snapshot": 2, "rotation": 1, "restart": 1, "start": 1}
EVERY = 20


def kill(run: Run, kills: int, chosen: random.Random) -> None:
    """Kills until there were as many, or something was found that makes more of them pointless."""
    for number in itertools.count(1):
        run.cycle(chosen.choices(MOMENTS, [WEIGHTS[moment] for moment in MOMENTS])[0])
        done, findings = run.kills.total(), len(run.world.ledger.findings)
        if number % EVERY == 0 or done >= kills:
            acknowledged = sum(count for (_, fate), count in run.world.ledger.requests.items() if fate == "acknowledged")
            print(f"{done} kills, {acknowledged:,} acknowledged, {findings} findings", flush=True)
        if done >= kills or findings > 50:
            return


def report(run: Run) -> None:
    requests = run.world.ledger.requests
    fates = Counter()
    print("\n| request | acknowledged | refused | no answer |\n|---|---|---|---|")
    for kind in sorted({kind for kind, _ in requests}):
        row = Counter()
        for (of, fate), count in requests.items():
            if of == kind:
                row[fate.partition(":")[0]] += count
        fates += row
        print(f"| {kind} | {row['acknowledged']:,} | {row['refused']:,} | {row['no answer']:,} |")
    print(f"| all | {fates['acknowledged']:,} | {fates['refused']:,} | {fates['no answer']:,} |")
    refused = {
        f"{kind}: {fate.partition(': ')[2]}": count for (kind, fate), count in sorted(requests.items()) if fate.startswith("refused")
    }
    print("\nrefused:", ", ".join(f"{what} {count:,}" for what, count in refused.items()))
    print(f"changes that the watch was told: {run.world.feed.events:,}")
    print("kills:", ", ".join(f"{moment} {count}" for moment, count in run.kills.items()))


def controls(seed: int) -> list[str]:
    """The damages that were not found."""
    missed = []
    for name in DAMAGES:
        findings = control(name, seed)
        rules = Counter(finding.rule for finding in findings)
        print(
            f"control, a log without {name}:", ", ".join(f"{rule} {count}" for rule, count in rules.items()) or "nothing found", flush=True
        )
        if not is_seen(name, findings):
            missed.append(name)
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mvcc", type=int, default=0, help="1: with memtx_use_mvcc_engine")
    options = parser.parse_args()
    began = time.monotonic()
    print(f"Tarantool {'.'.join(map(str, version()))}{' with MVCC' * options.mvcc}, seed {options.seed}", flush=True)
    # Its connector says so when a connection has ended.
    warnings.simplefilter("ignore", tarantool.error.NetworkWarning)
    instance = Instance(**SETTINGS, **(MVCC if options.mvcc else {}))
    try:
        with Run(instance, options.seed) as run:
            kill(run, options.kills, random.Random(options.seed))
            run.look_at_all()
            assert not options.mvcc or "memtx_use_mvcc_engine is on" in instance.log()
        report(run)
    except BaseException:
        print(instance.log()[-6000:])
        raise
    finally:
        instance.dispose()
    findings = run.world.ledger.findings
    first = [killed_in_its_first_start(f"{options.seed}-{n}") for n in range(options.kills // 10)]
    print(f"kills in the first start: {len(first)}, of which {sum(map(bool, first))} did not start again")
    if lacking := run.lacking():
        run.world.ledger.find("failure", f"no request was acknowledged of {lacking}")
    findings += itertools.chain(*first)
    for finding in findings:
        print(f"FOUND {finding.rule}: {finding.text}")
    missed = controls(options.seed)
    for name in missed:
        print(f"FOUND nothing, though a log lacked {name}")
    print(f"\n{len(findings)} findings, {len(missed)} damages not found, in {time.monotonic() - began:.0f} s")
    return 1 if findings or missed else 0


if __name__ == "__main__":
    sys.exit(main())
