"""The operations that write pairs, in one list. A read-only instance, a replica and a log of writes that fails refuse them."""

from __future__ import annotations


def steps(*kinds: tuple) -> dict:
    return {"success": [dict(zip(("op", "key", "value"), one, strict=False)) for one in kinds]}


# How each is called for a key with a number and for one that does not exist: its arguments after the token. A name begins with
# that of the operation.
WRITES = {
    "pair_put": lambda a, b: ("pair_put", a, 2), "pair_put_anew": lambda a, b: ("pair_put", b, 2),
    "pair_put_ttl": lambda a, b: ("pair_put", a, 2, {"ttl": 600}), "pair_delete": lambda a, b: ("pair_delete", a),
    "kv_incr": lambda a, b: ("kv_incr", a), "kv_incr_anew": lambda a, b: ("kv_incr", b, {"ttl": 600}),
    "batch_put": lambda a, b: ("batch_put", [{"key": b, "value": 2}, {"key": a, "value": 2}]),
    "batch_put_in_part": lambda a, b: ("batch_put", [{"key": a, "value": 2, "if_revision": 0}, {"key": b, "value": 2}], {"atomic": False}),
    "batch_delete": lambda a, b: ("batch_delete", [b, a]),
    "kv_delete": lambda a, b: ("kv_delete", {"from": a, "to": f"{a}\0"}),
    "kv_txn": lambda a, b: ("kv_txn", steps(("put", b, 1), ("incr", a), ("get", a), ("delete", a), ("incr", a))),
}  # fmt: skip
