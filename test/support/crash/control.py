"""Damage that has to be found: a log of writes which Tarantool takes for good, and which lacks what was acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.crash import xlog
from support.crash.ledger import Finding
from support.crash.run import SETTINGS, Run
from support.harness import Instance

# A load now and then leaves nothing to damage, as when no batch is among its last writes.
TRIES = 5


@dataclass(frozen=True)
class Damage:
    """What is done to the last log, by the ids of spaces; False if there was nothing to do it to. And the rules, one of which
    has to be found broken, by a look at once or after another load."""

    do: Callable[[Path, dict[str, int]], bool]
    rules: set[str]
    again: bool = False


def _without(space: str, prefix: str = "", alone: bool = False) -> Callable[[Path, dict[str, int]], bool]:
    """The log without transactions, or those of one row, that change the space, at keys with this prefix."""

    def do(log: Path, spaces: dict[str, int]) -> bool:
        return xlog.drop_transactions(
            log, lambda row: row.space == spaces[space] and str(row.key).startswith(prefix) and (row.is_alone or not alone)
        )

    return do


def _cut(log: Path, _: dict[str, int]) -> bool:
    return xlog.cut(log, 40)


def _half(log: Path, spaces: dict[str, int]) -> bool:
    return xlog.drop_row(log, lambda row: row.space == spaces["key_value_store"] and "/group/" in str(row.key))


DAMAGES = {
    "the last 40 records": Damage(_cut, {"lost"}),
    "the last 40 records, before another load": Damage(_cut, {"revision_twice", "revision_back"}, again=True),
    "a row of a batch": Damage(_half, {"half_batch"}),
    "single pairs": Damage(_without("key_value_store", "crash/single/"), {"lost"}),
    "inserted pairs": Damage(_without("key_value_store", "crash/once/"), {"lost"}),
    "counters": Damage(_without("key_value_store", "crash/counter/"), {"counter"}),
    "sessions": Damage(_without("authkv_session"), {"session_lost"}),
    "revocations": Damage(_without("revoked_token"), {"revoked_token_alive"}),
    "grants": Damage(_without("authkv_subject", "holder", alone=True), {"grant_lost", "revoked_grant_alive"}),
    "roles": Damage(_without("authkv_role"), {"role"}),
}


def control(name: str, seed: int) -> list[Finding]:
    """What is found after this damage: it has to break one of its rules."""
    damage = DAMAGES[name]
    instance = Instance(**SETTINGS)
    try:
        with Run(instance, seed, filler=0) as run:
            spaces = run.spaces()
            for _ in range(TRIES):
                died = run.kill_under_load("load", 0.7)
                is_damaged = damage.do(xlog.last_log(instance.data_dir), spaces)
                run.start()
                run.settle(died)
                if is_damaged:
                    break
                assert not run.world.ledger.findings, run.world.ledger.findings
            assert is_damaged, f"in {TRIES} logs there was nothing of {name}"
            if damage.again:
                run.cycle("load")
            return run.world.ledger.findings
    finally:
        instance.dispose()


def is_seen(name: str, findings: list[Finding]) -> bool:
    return bool(DAMAGES[name].rules & {finding.rule for finding in findings})
