"""An instance whose pairs are synchronous, and whose quorum a test takes away: its commits do not end until it comes back."""

from __future__ import annotations

from support.people import People

# From 2.10 on somebody has to own the queue of synchronous transactions.
_OWN = "if box.ctl.promote ~= nil then box.ctl.promote() end"


def make_synchronous(people: People, space: str = "key_value_store") -> None:
    """Makes changes of the space wait for a quorum, which is there."""
    # `alter` of Tarantool 2.6 does not know the flag.
    people.console.evaluate(
        f"box.cfg{{replication_synchro_quorum = 1, replication_synchro_timeout = 86400}} {_OWN} local row = "
        f"box.space._space.index.name:get('{space}') local flags = row[6] flags.is_sync = true "
        "box.space._space:update(row[1], {{'=', 6, flags}})"
    )


def lose_quorum(people: People) -> None:
    people.console.evaluate("box.cfg{replication_synchro_quorum = 2}")


def regain_quorum(people: People) -> None:
    people.console.evaluate("box.cfg{replication_synchro_quorum = 1}")
