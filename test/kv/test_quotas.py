"""Quotas of prefixes: what exceeds one is refused and named, and what is counted is what there is, whatever happens."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading

import msgpack
import pytest

from support.bulk import chunks, counts, line, refused, send
from support.fallible import Fallible
from support.harness import CHEAP_HASHES, DEADLINE, HOST, settled, wait_until
from support.kv_writes import WRITES, steps
from support.load import at_once
from support.mvcc import MVCC, mvcc_instance, needs_mvcc
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import delete, put
from support.people import NEEDS_ADMIN, fresh
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, HttpTransport, IprotoTransport, bearer

PAIRS, BYTES = 4, 200
QUOTAS = f"each/*/:{PAIRS}:{BYTES},deep/*/in/:1:unlimited,open/:unlimited:unlimited,none/:0:unlimited"
EXCEEDED = Refused("quota_exceeded")


@pytest.fixture(scope="module")
def instance():
    with Fallible(AUTHKV_KV_QUOTAS=QUOTAS, **CHEAP_HASHES) as running:
        yield running


@pytest.fixture
def prefix() -> str:
    """A prefix with a quota of its own."""
    return f"each/{fresh('p')}/"


def size(key: str, value, content_type: str | None = None) -> int:
    """The bytes of a pair that count."""
    return sum(len(msgpack.packb(one)) for one in (key, value, content_type) if one is not None)


def used(people, prefix: str, transport: str = "http") -> tuple[int, int]:
    """The pairs and bytes that are counted for a prefix."""
    token = people.admin
    after = prefix[:-1] or None
    quotas = people.expect(transport, ANY, "quota_list", token, {"after": after, "limit": 10})["quotas"]
    return next(((one["pairs"], one["bytes"]) for one in quotas if one["prefix"] == prefix), (0, 0))


def there(people, token: str, prefix: str) -> tuple[int, int]:
    """The pairs and bytes that there are."""
    pairs, after = [], None
    while True:
        page = people.expect("http", ANY, "kv_list", token, {"prefix": prefix, "after": after, "limit": 1000})
        pairs += page["pairs"]
        if (after := page["next"]) is None:
            return len(pairs), sum(size(one["key"], one["value"], one.get("content_type")) for one in pairs)


def fill(people, token: str, prefix: str) -> None:
    people.expect("http", ANY, "batch_put", token, [{"key": f"{prefix}{n}", "value": n} for n in range(PAIRS)])


# What adds a pair, by a call with its key.
ADDS = {
    "pair_put": lambda key: ("pair_put", key, 1),
    "batch_put": lambda key: ("batch_put", [{"key": key, "value": 1}]),
    "batch_put_in_part": lambda key: ("batch_put", [{"key": key, "value": 1}], {"atomic": False}),
    "kv_incr": lambda key: ("kv_incr", key),
    "kv_txn": lambda key: ("kv_txn", steps(("put", key, 1))),
    "kv_txn_failure": lambda key: (
        "kv_txn",
        {"compare": [{"key": key, "exists": True}], "failure": [{"op": "put", "key": key, "value": 1}]},
    ),
    "put": lambda key: ("put", {key: 1}),
}


@pytest.mark.parametrize(
    "name,transport", [(name, transport) for name in ADDS for transport in (TRANSPORTS if name == "put" else ADMIN_TRANSPORTS)]
)
def test_one_pair_too_many_is_refused_and_the_prefix_is_named(people, token, prefix, name, transport):
    fill(people, token, prefix)
    operation, *args = ADDS[name](f"{prefix}more")
    seen = people.do(transport, operation, token, *args)
    assert isinstance(seen, Refusal) and seen.code in (507, 20072), seen
    assert seen.message == f"The quota of the prefix {prefix} is {PAIRS} pairs, and {PAIRS} are used: nothing has been written", seen
    assert used(people, prefix) == there(people, token, prefix) == (PAIRS, PAIRS * size(f"{prefix}0", 0))
    # Keys beside the prefix are not concerned.
    for key in (prefix[:-1], f"each//{prefix}", fresh("other/")):
        put(people, token, key, 1)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_bytes_are_those_of_keys_values_and_types(people, token, prefix, transport):
    key = f"{prefix}k"
    room = BYTES - size(key, "")
    people.expect(transport, ANY, "pair_put", token, key, "x" * 10)
    assert used(people, prefix, transport) == (1, size(key, "x" * 10))
    text = "x" * (room - 1)
    assert size(key, text) == BYTES
    people.expect(transport, ANY, "pair_put", token, key, text)
    assert used(people, prefix, transport) == (1, BYTES)
    seen = people.do(transport, "pair_put", token, key, text + "x")
    assert isinstance(seen, Refusal) and f"is {BYTES} bytes, and {BYTES} are used" in seen.message, seen
    # The revision has more digits each time, and does not count.
    for _ in range(300 if transport == "iproto" else 3):
        people.expect(transport, ANY, "pair_put", token, key, text)
    # Lua has no bytes beside strings.
    if people.transport(transport).exact:
        people.expect(transport, ANY, "pair_put", token, key, b"x", {"content_type": "a/b"})
        assert used(people, prefix, transport) == (1, size(key, b"x", "a/b"))


def test_a_quota_of_nothing_and_one_without_limits(people, token):
    people.expect("http", EXCEEDED, "pair_put", token, "none/a", 1)
    people.expect("http", ANY, "batch_put", token, [{"key": f"open/{n}", "value": n} for n in range(100)])
    assert used(people, "open/")[0] == 100
    delete_all = [f"open/{n}" for n in range(100)]
    people.expect("http", ANY, "batch_delete", token, delete_all)
    assert used(people, "open/") == (0, 0)


def test_a_pattern_ends_where_it_says(people, token):
    name = fresh("p")
    put(people, token, f"deep/{name}/in/a", 1)
    people.expect("http", EXCEEDED, "pair_put", token, f"deep/{name}/in/b", 1)
    put(people, token, f"deep/{name}/out/b", 1)
    put(people, token, f"deep/{name}2/in/b", 1)


def test_deletes_and_smaller_values_are_possible_in_a_full_prefix(people, token, prefix):
    fill(people, token, prefix)
    for transport in ADMIN_TRANSPORTS:
        people.expect(transport, ANY, "pair_put", token, f"{prefix}0", 5)
        people.expect(transport, ANY, "batch_put", token, [{"key": f"{prefix}1", "value": 6}])
        people.expect(transport, ANY, "kv_incr", token, f"{prefix}2", {"by": 1})
        people.expect(transport, ANY, "pair_delete", token, f"{prefix}3")
        assert used(people, prefix) == there(people, token, prefix)
        people.expect(transport, ANY, "pair_put", token, f"{prefix}3", 1)


def test_a_transaction_counts_as_a_whole(people, token, prefix):
    fill(people, token, prefix)
    # What it adds before it deletes is no matter.
    moved = steps(("put", f"{prefix}new", 1), ("delete", f"{prefix}0"))
    people.expect("http", ANY, "kv_txn", token, moved)
    people.expect("http", EXCEEDED, "kv_txn", token, steps(("put", f"{prefix}0", 1), ("delete", f"{prefix}none")))
    # The same key twice, and one that comes and goes.
    people.expect("http", ANY, "kv_txn", token, steps(("put", f"{prefix}x", 1), ("put", f"{prefix}x", 2), ("delete", f"{prefix}x")))
    assert used(people, prefix) == there(people, token, prefix)


def test_of_a_request_that_exceeds_a_quota_nothing_is_written(people, token, prefix):
    other = fresh("other/")
    for atomic in (True, False):
        pairs = [{"key": f"{other}{n}", "value": 1} for n in range(3)] + [{"key": f"{prefix}{n}", "value": 1} for n in range(PAIRS + 1)]
        people.expect("http", EXCEEDED, "batch_put", token, pairs, {"atomic": atomic})
        assert there(people, token, prefix) == there(people, token, other) == used(people, prefix) == (0, 0)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_what_is_rolled_back_is_not_counted(people, token, prefix, transport):
    put(people, token, f"{prefix}a", 1)
    batch = [{"key": f"{prefix}b", "value": 1}, {"key": f"{prefix}a", "value": 1, "if_revision": 1}]
    seen = people.expect(transport, ANY, "batch_put", token, batch)
    assert seen["committed"] is False
    people.expect(transport, Refused("not_an_integer"), "kv_txn", token, steps(("put", f"{prefix}c", "x"), ("incr", f"{prefix}c")))
    assert used(people, prefix) == there(people, token, prefix) == (1, size(f"{prefix}a", 1))


@pytest.mark.parametrize("name", WRITES)
def test_what_the_log_of_writes_does_not_take_is_not_counted(people, token, prefix, name):
    a, b = f"{prefix}a", f"{prefix}b"
    put(people, token, a, 1)
    before = used(people, prefix)
    operation, *args = WRITES[name](a, b)
    with people.instance.failing():
        for transport in TRANSPORTS:
            people.expect(transport, Refused("not_durable"), operation, token, *args)
    assert used(people, prefix) == there(people, token, prefix) == before
    people.expect("http", ANY, operation, token, *args)
    assert used(people, prefix) == there(people, token, prefix)


def test_what_expires_makes_room(people, token, prefix):
    people.expect("http", ANY, "batch_put", token, [{"key": f"{prefix}{n}", "value": n} for n in range(PAIRS)], {"ttl": 0.3})
    wait_until(lambda: used(people, prefix) == (0, 0), "what has expired is not counted")
    fill(people, token, prefix)


def test_an_import_stops_at_the_quota_and_keeps_what_it_wrote(people, token, prefix):
    # In batches of a thousand lines.
    others = b"".join(line(f"{fresh('other')}/{n}") for n in range(1500))
    body = others + b"".join(line(f"{prefix}{n}", n) for n in range(PAIRS + 1))
    error = refused(people, token, body, {"line"})
    assert error.name == "quota_exceeded" and prefix in error.message, error
    assert used(people, prefix) == there(people, token, prefix) == (0, 0)
    body = b"".join(line(f"{prefix}{n}", n) for n in range(PAIRS))
    assert send(people, token, chunks(body)).done == counts(lines=PAIRS, written=PAIRS)
    assert used(people, prefix)[0] == PAIRS


def test_an_administrator_and_the_owner_are_not_exempt(people, token, prefix):
    fill(people, token, prefix)
    for transport in ADMIN_TRANSPORTS:
        people.expect(transport, EXCEEDED, "pair_put", people.admin, f"{prefix}more", 1)


def test_the_use_is_for_administrators(people, token, prefix):
    put(people, token, f"{prefix}a", 1)
    for transport in TRANSPORTS:
        people.expect(transport, NEEDS_ADMIN, "quota_list", token)
    expected = {"quota": "each/*/", "prefix": prefix, "pairs": 1, "pairs_max": PAIRS, "bytes": size(f"{prefix}a", 1), "bytes_max": BYTES}
    for transport in ADMIN_TRANSPORTS:
        seen = people.expect(transport, ANY, "quota_list", people.admin, {"after": prefix[:-1], "limit": 1})
        assert seen["quotas"] == [expected], seen
        none = people.expect(transport, ANY, "quota_list", people.admin, {"after": "none", "limit": 1})["quotas"]
        assert none == [{"quota": "none/", "prefix": "none/", "pairs": 0, "pairs_max": 0, "bytes": 0, "bytes_max": None}]


def test_a_long_list_comes_in_pages(own):
    people = own(AUTHKV_KV_QUOTAS="*/:9:900,b/:8:800,~/:7:700")
    token = people.new().access
    names = ["a", "b", *(f"n{n:03}" for n in range(30))]
    people.expect("http", ANY, "batch_put", token, [{"key": f"{name}/x", "value": 1} for name in names])
    seen, after = [], None
    for _ in range(100):
        page = people.administer("quota_list", {"after": after, "limit": 3})
        seen += [(one["prefix"], one["quota"]) for one in page["quotas"]]
        after = page["next"]
        if after is None:
            break
        assert page["quotas"][-1]["prefix"] == after
    expected = [(f"{name}/", "*/") for name in names] + [("b/", "b/"), ("~/", "~/")]
    assert seen == sorted(expected) and len(set(seen)) == len(seen)


# Instances of a test's own.


@pytest.fixture
def own(make, visit):
    """People at an instance with these settings."""
    return lambda **settings: visit(make(**(CHEAP_HASHES | settings)).start())


def test_a_start_and_a_restart_count_what_there_is(own):
    people = own(AUTHKV_KV_QUOTAS="a/:3000:unlimited,u/*/:2:unlimited")
    token = people.new().access
    people.expect("http", ANY, "batch_put", token, [{"key": f"a/{n:05}", "value": n} for n in range(3000)])
    people.expect("http", ANY, "batch_put", token, [{"key": f"u/{n // 2:05}/{n}", "value": n} for n in range(5000)])

    def assert_counted():
        assert used(people, "a/") == there(people, token, "a/") and used(people, "a/")[0] == 3000
        for key in ("a/more", "u/01234/more"):
            people.expect("http", EXCEEDED, "pair_put", token, key, 1)
        assert used(people, "u/01234/") == there(people, token, "u/01234/")

    assert_counted()
    people.restart()
    # The first thing is a write: it waits until it is known what is used.
    people.expect("http", EXCEEDED, "pair_put", token, "a/more", 1)
    assert_counted()
    for _ in range(3):
        people.console.evaluate("return authkv.restart()")
        people.close()
        assert_counted()


def test_a_quota_below_what_is_used_refuses_what_grows_only(own):
    people = own()
    token = people.new().access
    people.expect("http", ANY, "batch_put", token, [{"key": f"a/{n}", "value": "x" * 20} for n in range(10)])
    people.restart(AUTHKV_KV_QUOTAS="a/:5:50")
    for transport in TRANSPORTS:
        seen = people.do(transport, "pair_put", token, "a/more", 1)
        assert isinstance(seen, Refusal) and "is 5 pairs, and 10 are used" in seen.message, seen
        people.expect(transport, EXCEEDED, "pair_put", token, "a/0", "x" * 21)
        people.expect(transport, ANY, "pair_put", token, "a/0", "x" * 20)
    for n in range(6):
        delete(people, token, f"a/{n}")
    people.expect("http", EXCEEDED, "pair_put", token, "a/more", 1)
    for n in range(6, 9):
        put(people, token, f"a/{n}", "")
    put(people, token, "a/more", 1)
    assert used(people, "a/") == there(people, token, "a/")


def test_all_keys_may_have_a_quota(own):
    people = own(AUTHKV_KV_QUOTAS=":3:unlimited")
    token = people.new().access
    for key in ("a", "b/c", "d"):
        put(people, token, key, 1)
    seen = people.do("http", "pair_put", token, "e", 1)
    assert isinstance(seen, Refusal) and "The quota of the prefix  is 3 pairs" in seen.message
    assert used(people, "") == (3, sum(size(key, 1) for key in ("a", "b/c", "d")))


@pytest.mark.parametrize("settings", [{}, pytest.param(MVCC, marks=needs_mvcc)], ids=["plain", "mvcc"])
def test_writers_that_race_for_the_last_places_do_not_exceed_a_quota(own, settings):
    people = own(AUTHKV_KV_QUOTAS="a/:50:unlimited,b/:unlimited:500", **settings)
    token = people.new().access
    transports = [kind(people.instance) for kind in (HttpTransport, IprotoTransport) * 8]

    def work(number: int) -> int:
        written = 0
        for n in range(10):
            pairs = [{"key": f"a/{number}/{n}/{k}", "value": k} for k in range(3)] + [{"key": f"b/{number}/{n}", "value": "x" * 20}]
            seen = transports[number].do("batch_put", token, pairs)
            assert isinstance(seen, Ok) or seen.name == "quota_exceeded", seen
            written += isinstance(seen, Ok)
        return written

    written = sum(at_once(*(lambda n=n: work(n) for n in range(len(transports)))))
    assert written > 0
    for prefix in ("a/", "b/"):
        assert used(people, prefix) == there(people, token, prefix)
    pairs, _ = used(people, "a/")
    _, in_bytes = used(people, "b/")
    assert pairs == 3 * written and pairs <= 50 and in_bytes <= 500
    assert pairs > 47 or in_bytes > 500 - 40, "there was no room for another"
    for one in transports:
        one.close()


def test_a_log_that_fails_again_and_again_under_load_leaves_the_counts_right(visit):
    with Fallible(AUTHKV_KV_QUOTAS="*/:40:2000", **CHEAP_HASHES) as instance:
        people = visit(instance)
        token = people.new().access
        stop = threading.Event()
        wrong = []

        def work(number: int) -> None:
            chance = random.Random(number)
            transport = (HttpTransport if number % 2 else IprotoTransport)(instance)
            while not stop.is_set():
                keys = [f"{chance.choice('ab')}/{chance.randrange(60)}" for _ in range(3)]
                call = chance.choice(
                    [
                        ("batch_put", [{"key": key, "value": "x" * chance.randrange(60)} for key in set(keys)]),
                        ("batch_delete", list(set(keys))),
                        ("kv_txn", steps(("put", keys[0], "y"), ("delete", keys[1]))),
                    ]
                )
                seen = transport.do(call[0], token, *call[1:])
                if isinstance(seen, Refusal) and seen.name not in ("not_durable", "quota_exceeded"):
                    wrong.append(seen)
            transport.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(15):
            with instance.failing():
                wait_until(
                    lambda: isinstance(seen := people.do("http", "pair_put", token, "c", 1), Refusal) and seen.name == "not_durable",
                    "it fails",
                )
            wait_until(lambda: people.sees("http", ANY, "pair_put", token, "c", 1), "it is written again")
        stop.set()
        for thread in threads:
            thread.join()
        assert not wrong
        for prefix in ("a/", "b/"):
            assert used(people, prefix) == there(people, token, prefix)
            assert used(people, prefix)[0] <= 40


def test_what_others_change_meanwhile_is_counted(own):
    """An application that writes as authkv does, with a number of the sequence; as a leader before a switch."""
    people = own(AUTHKV_KV_QUOTAS="a/:5:unlimited")
    token = people.new().access
    put(people, token, "a/0", 1)
    people.console.evaluate(
        "box.begin() local last = box.space.authkv_sequence:get('kv')[2] "
        "for n = 1, 4 do box.space.key_value_store:replace{'a/' .. n, n, last + n} end "
        "box.space.authkv_sequence:replace{'kv', last + 4} box.commit()"
    )
    people.expect("http", EXCEEDED, "pair_put", token, "a/more", 1)
    assert used(people, "a/") == there(people, token, "a/") and used(people, "a/")[0] == 5


def test_counts_stay_right_while_ranges_pairs_and_imports_end_in_every_way_and_the_instance_restarts(own):
    people = own(AUTHKV_KV_QUOTAS="*/:300:20000")
    token, instance = people.new().access, people.instance
    stop, wrong = threading.Event(), []

    def write(number: int) -> None:
        chance, transport = random.Random(number), HttpTransport(instance)
        while not stop.is_set():
            name = chance.choice("ab")
            keys = [f"{name}/{chance.randrange(500):03}" for _ in range(20)]
            pairs = [{"key": key, "value": "x" * chance.randrange(60)} for key in set(keys)]
            call = chance.choice(
                [
                    ("batch_put", pairs),
                    # Expires while others write over it, delete it or count.
                    ("batch_put", pairs, {"ttl": chance.choice([0.01, 0.05, 0.2])}),
                    ("batch_delete", keys[:1] + list(set(keys[1:]) - {keys[0]})),
                    ("kv_delete", {"prefix": f"{name}/{chance.randrange(50):02}", "limit": chance.choice([None, 3])}),
                ]
            )
            seen = transport.do(call[0], token, *call[1:])
            if isinstance(seen, Refusal) and seen.name not in ("quota_exceeded", "shutting_down", "overloaded", "cancelled"):
                wrong.append((call[0], seen))
        transport.close()

    def import_in_part(number: int) -> None:
        """Imports whose clients go away in the middle of a line, of a batch, or before the answer."""
        chance = random.Random(number)
        while not stop.is_set():
            body = b"".join(line(f"{chance.choice('ab')}/{chance.randrange(500):03}", n) for n in range(chance.randrange(1, 3000)))
            head = f"POST /v1/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\n"
            with contextlib.suppress(OSError), socket.create_connection((HOST, instance.http_port), DEADLINE) as client:
                client.sendall(f"{head}Content-Length: {len(body) + 100}\r\n\r\n".encode() + body[: chance.randrange(len(body))])
                if chance.random() < 0.5:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    threads = [threading.Thread(target=work, args=(n,)) for n, work in enumerate([write] * 4 + [import_in_part] * 2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            people.console.evaluate("return authkv.restart()")
            # Counts while others write.
            for prefix in ("a/", "b/"):
                assert used(people, prefix)[0] <= 300
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]
    for prefix in ("a/", "b/"):
        wait_until(lambda prefix=prefix: used(people, prefix) == there(people, token, prefix), "what has expired is removed")
    # A start counts the same. Until then, imports without a client may go on, and pairs that hold for a moment end.
    before = settled(lambda: [used(people, prefix) for prefix in ("a/", "b/")])
    people.restart()
    assert [used(people, prefix) for prefix in ("a/", "b/")] == before


@needs_mvcc
def test_with_mvcc_it_is_the_same(visit):
    with mvcc_instance(AUTHKV_KV_QUOTAS="a/:5:unlimited") as instance:
        people = visit(instance)
        token = people.new().access
        people.expect("http", ANY, "batch_put", token, [{"key": f"a/{n}", "value": n} for n in range(5)])
        people.expect("http", EXCEEDED, "pair_put", token, "a/more", 1)
        people.console.evaluate("return authkv.restart()")
        people.close()
        people.expect("http", EXCEEDED, "pair_put", token, "a/more", 1)
        assert used(people, "a/") == there(people, token, "a/")


def test_without_quotas_there_is_none(own):
    people = own()
    assert people.administer("quota_list") == {"quotas": [], "next": None}
    assert people.http.request("GET", "/v1/admin/quotas", headers=bearer(people.admin)).status == 200
