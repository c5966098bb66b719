"""Pairs that a test writes and deletes in a line, and who calls kv_watch as a procedure."""

from __future__ import annotations

from support.outcome import ANY
from support.transports import ADMIN_TRANSPORTS

CALLERS = [name for name in ADMIN_TRANSPORTS if not ADMIN_TRANSPORTS[name].is_http]

# More than one look of a watch at what was changed takes in.
ELSEWHERE = 6_000


def put(people, token, key, value=1, transport="http", **options) -> int:
    return people.expect(transport, ANY, "pair_put", token, key, value, *([options] if options else []))["revision"]


def put_elsewhere(people, token) -> None:
    """Changes of keys that nobody watches, in a few transactions."""
    for at in range(0, ELSEWHERE, 1000):
        people.expect("http", ANY, "batch_put", token, [{"key": f"elsewhere/{n}", "value": 1} for n in range(at, at + 1000)])


def delete(people, token, key, transport="http") -> int:
    return people.expect(transport, ANY, "pair_delete", token, key)["revision"]
