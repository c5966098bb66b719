"""Revisions: one sequence, which no deletion, restart or crash takes back; and pairs of the old system, which have none."""

import itertools

import pytest

from support.harness import CHEAP_HASHES
from support.load import at_once
from support.lua import lua
from support.outcome import ANY, Ok, Refused
from support.pairs import put
from support.people import People, fresh
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, HttpTransport


def store(people: People, *row) -> None:
    """Puts a tuple into the space as something else than authkv does."""
    people.console.evaluate(f"box.space.key_value_store:replace({lua(list(row))})")


def test_a_new_instance_begins_at_2_and_takes_each_number_once(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    assert put(people, token, "a") == 2
    assert [put(people, token, key) for key in "bab"] == [3, 4, 5]
    assert people.expect("iproto", ANY, "pair_delete", token, "a") == {"deleted": True, "revision": 6}
    assert put(people, token, "a", transport="console") == 7
    results = people.expect("http", ANY, "batch_put", token, [{"key": key, "value": 1} for key in "zyx"])["results"]
    assert [one["revision"] for one in results] == [8, 9, 10]


def test_what_changes_nothing_takes_no_revision(people, token):
    key = fresh("k")
    before = put(people, token, key)
    people.expect("http", ANY, "batch_put", token, [{"key": key, "value": 1}], {"mode": "insert"})
    people.expect("http", Refused("conflict"), "pair_put", token, key, 1, {"if_revision": before + 9})
    people.expect("http", ANY, "batch_delete", token, [fresh("none")])
    people.expect("http", ANY, "kv_txn", token, {"compare": [{"key": key, "exists": False}], "success": [{"op": "delete", "key": key}]})
    assert put(people, token, key) == before + 1


def test_every_transport_takes_from_one_sequence(people, token):
    seen = [put(people, token, fresh("k"), transport=transport) for _, transport in itertools.product(range(3), ADMIN_TRANSPORTS)]
    assert seen == list(range(seen[0], seen[0] + len(seen)))


def test_the_old_write_takes_revisions_too(people, token):
    key, before = fresh("k"), put(people, token, fresh("k"))
    for number, transport in enumerate(TRANSPORTS, 1):
        people.expect(transport, Ok([]), "put", token, {f"{key}{transport}": 1})
        assert people.expect("http", ANY, "pair_get", token, f"{key}{transport}")["revision"] == before + number


def test_no_two_writers_take_the_same_revision(people, token):
    transports = [HttpTransport(people.instance) for _ in range(4)]

    def write(number: int, transport: HttpTransport) -> list[int]:
        return [transport.do("pair_put", token, f"race{number if n % 2 else ''}", n).value["revision"] for n in range(100)]

    seen = at_once(*(lambda number=number, transport=transport: write(number, transport) for number, transport in enumerate(transports)))
    for transport in transports:
        transport.close()
    assert all(one == sorted(one) for one in seen)
    assert len(set(itertools.chain(*seen))) == 400


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_no_revision_comes_again_after_an_end(make, visit, end):
    """What has the highest revision is a deletion: nothing in the space tells of it any more."""
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    highest = 0
    for n in range(4):
        for key in ("a", "b"):
            revision = put(people, token, key)
            assert revision > highest
            highest = people.expect("http", ANY, "pair_delete", token, key)["revision"] if n % 2 else revision
            assert highest >= revision
        people.close()
        people.instance.kill() if end == "kill" else people.instance.stop()
        people.instance.start()
    assert put(people, token, "c") > highest


def test_no_revision_comes_again_after_a_reload_of_the_library(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    highest = put(people, token, "a")
    highest = max(highest, people.expect("http", ANY, "pair_delete", token, "a")["revision"])
    people.console.evaluate("return authkv.restart() ~= nil")
    assert put(people, token, "a") > highest


def test_pairs_keep_their_revisions_over_a_restart(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    before = {key: put(people, token, key) for key in "abc"}
    people.restart()
    for transport in TRANSPORTS:
        pairs = people.expect(transport, ANY, "batch_get", token, list(before))["pairs"]
        assert {one["key"]: one["revision"] for one in pairs} == before


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_tuple_that_something_else_has_written_is_at_revision_1(people, token, transport):
    key = fresh("legacy")
    store(people, key, {"old": [1]})
    pair = {"key": key, "value": {"old": [1]}, "revision": 1}
    people.expect(transport, Ok({"pairs": [pair], "missing": []}), "batch_get", token, [key])
    people.expect(transport, Ok(pair), "pair_get", token, key)
    people.expect(transport, Ok({"pairs": [pair], "next": None}), "kv_list", token, {"prefix": key})
    people.expect(transport, Ok({key: pair["value"]}), "get", token, [key])
    people.expect(transport, Ok([key]), "put", token, {key: 2})
    people.expect(transport, Refused("conflict", f"The key {key} is at revision 1"), "pair_put", token, key, 2, {"if_revision": 0})
    written = people.expect(transport, ANY, "pair_put", token, key, 2, {"if_revision": 1})
    assert written["created"] is False and written["revision"] > 1
    people.expect(transport, Ok({"key": key, "value": 2, "revision": written["revision"]}), "pair_get", token, key)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_tuple_that_something_else_has_written_is_counted_and_deleted_as_any(people, token, transport):
    key = fresh("legacy")
    store(people, key, 41)
    assert people.expect(transport, ANY, "kv_incr", token, key)["value"] == 42
    store(people, key, 1)
    condition = {"compare": [{"key": key, "revision": 1}], "success": [{"op": "delete", "key": key}]}
    seen = people.expect(transport, ANY, "kv_txn", token, condition)
    assert seen["succeeded"] and seen["results"][0]["outcome"] == "deleted"


def test_a_directory_of_the_old_layout_is_served(make, visit):
    """Written before there were revisions, and then started anew: still at revision 1."""
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    for n in range(100):
        store(people, f"k{n:02}", n)
    people.restart()
    for transport in TRANSPORTS:
        pairs = people.expect(transport, ANY, "kv_list", token, {"prefix": "k"})["pairs"]
        assert pairs == [{"key": f"k{n:02}", "value": n, "revision": 1} for n in range(100)]
    assert put(people, token, "k00") > 1
