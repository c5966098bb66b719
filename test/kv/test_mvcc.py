"""Pairs with `memtx_use_mvcc_engine`: who meets at a key waits for nobody's mistake, and sees what he would see without it."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.bulk import counts, line, send
from support.fallible import Fallible
from support.harness import CHEAP_HASHES, Instance, wait_until
from support.mvcc import Crowd, mvcc_instance, needs_mvcc
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import delete, put
from support.sse import Stream
from support.transports import bearer

pytestmark = needs_mvcc
ROUNDS = 4
ABORTED = Refused("transaction_aborted")


@pytest.fixture(scope="module")
def instance():
    with mvcc_instance() as running:
        yield running


@pytest.fixture(scope="module", params=["http", "iproto"])
def crowd(instance, request):
    crowd = Crowd(instance, request.param)
    yield crowd
    crowd.close()


def told(stream: Stream, count: int) -> list[tuple[int, str, str]]:
    """Revision, kind and key of the next changes."""
    events = [stream.event() for _ in range(count)]
    return [(one.data["revision"], one.name, one.data["key"]) for one in events]


def test_increments_at_once_are_all_counted(crowd, people, token, key):
    counted = []
    with Stream(people.instance, token, prefix=key) as stream:
        for _ in range(ROUNDS):
            counted += crowd.succeed(*[("kv_incr", token, key)] * len(crowd.members))
        counted.sort(key=lambda one: one["value"])
        assert [one["value"] for one in counted] == list(range(1, len(counted) + 1))
        revisions = [one["revision"] for one in counted]
        assert revisions == sorted(set(revisions))
        assert [one[0] for one in told(stream, len(counted))] == revisions


def test_of_conditional_writes_at_once_one_succeeds(crowd, people, token, key):
    revision = put(people, token, key, "first")
    for _ in range(ROUNDS):
        seen = crowd.do(*[("pair_put", token, key, n, {"if_revision": revision}) for n in range(len(crowd.members))])
        (won,) = [one for one in seen if isinstance(one, Ok)]
        assert {one.name for one in seen if one is not won} == {"conflict"}, seen
        assert won.value["revision"] > revision
        revision = won.value["revision"]
        assert people.expect("http", ANY, "pair_get", token, key)["value"] == seen.index(won)


def test_of_old_writes_at_once_one_inserts(crowd, people, token, prefix):
    keys = [f"{prefix}{n}" for n in range(3)]
    seen = crowd.succeed(*[("put", token, dict.fromkeys(keys, n)) for n in range(len(crowd.members))])
    winner = seen.index([])
    assert all(one == keys for one in seen[:winner] + seen[winner + 1 :]), seen
    assert people.expect("http", ANY, "get", token, keys) == dict.fromkeys(keys, winner)


def test_batches_over_the_same_keys_are_seen_whole_and_told_in_order(crowd, people, token, prefix):
    keys = [f"{prefix}{n}" for n in range(6)]
    choose = random.Random(7)
    calls = []
    for n in range(len(crowd.members)):
        some = choose.sample(keys, choose.randint(2, 6))
        if n % 4 == 3:
            calls.append(("batch_delete", token, some))
        else:
            calls.append(("batch_put", token, [{"key": one, "value": n} for one in some]))
    with Stream(people.instance, token, prefix=prefix) as stream:
        done = [result for answer in crowd.succeed(*calls) for result in answer["results"]]
        changed = {one["revision"]: (one["outcome"], one["key"]) for one in done if one["outcome"] != "missing"}
        assert len(changed) == sum(one["outcome"] != "missing" for one in done), "a revision was given twice"
        kinds = {"written": "put", "deleted": "delete"}
        expected = [(revision, kinds[outcome], name) for revision, (outcome, name) in sorted(changed.items())]
        assert told(stream, len(expected)) == expected
    last = {name: (kind, revision) for revision, kind, name in expected}
    there = {one["key"]: one["revision"] for one in people.expect("http", ANY, "batch_get", token, keys)["pairs"]}
    assert there == {name: revision for name, (kind, revision) in last.items() if kind == "put"}
    assert people.expect("http", ANY, "kv_list", token, {"prefix": prefix, "count": True}) == {"count": len(there)}


def test_who_reads_two_keys_sees_both_of_one_moment(crowd, people, token, prefix):
    a, b = f"{prefix}a", f"{prefix}b"
    writes = [("batch_put", token, [{"key": one, "value": n} for one in (a, b)]) for n in range(len(crowd.members) // 2)]
    reads = [("batch_get", token, [a, b]), ("kv_list", token, {"prefix": prefix})] * (len(crowd.members) // 4)
    for _ in range(ROUNDS * 4):
        for answer in crowd.succeed(*writes, *reads)[len(writes) :]:
            assert len({one["value"] for one in answer["pairs"]}) <= 1 and len(answer["pairs"]) in (0, 2), answer


def test_transactions_keep_a_sum(crowd, people, token, prefix):
    """Each moves one from a key to another if both are as it has read them."""
    keys = [f"{prefix}{n}" for n in range(3)]
    for one in keys:
        put(people, token, one, 100)
    moved = 0
    for n in range(ROUNDS * 4):
        start, end = keys[n % 3], keys[(n + 1) % 3]
        pairs = {one["key"]: one for one in people.expect("http", ANY, "batch_get", token, keys)["pairs"]}
        call = {
            "compare": [{"key": one, "revision": pairs[one]["revision"]} for one in (start, end)],
            "success": [{"op": "incr", "key": start, "by": -1}, {"op": "incr", "key": end}],
            "failure": [{"op": "get", "key": start}],
        }
        seen = crowd.succeed(*[("kv_txn", token, call)] * len(crowd.members))
        moved += sum(one["succeeded"] for one in seen)
    assert moved == ROUNDS * 4
    assert sum(one["value"] for one in people.expect("http", ANY, "batch_get", token, keys)["pairs"]) == 300


def test_what_expires_under_writes_is_removed_and_told_once(crowd, people, token, prefix):
    keys = [f"{prefix}{n}" for n in range(len(crowd.members))]
    with Stream(people.instance, token, prefix=prefix) as stream:
        count = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            # Half of them are written again at about the moment they end.
            crowd.succeed(*[("pair_put", token, one, count, {"ttl": 0.1 if n % 2 else 0.25}) for n, one in enumerate(keys)])
            count += 1
        here = people.console
        wait_until(lambda: here.evaluate("return box.space.authkv_expiry:len()") == [0], "all of them are removed")
        mark = put(people, token, f"{prefix}mark")
        there: set[str] = set()
        puts, last = 0, 0
        while last < mark:
            ((last, kind, name),) = told(stream, 1)
            assert kind != "expire" or name in there, f"{name} ended and was not there"
            puts += kind == "put"
            (there.add if kind == "put" else there.discard)(name)
        assert there == {f"{prefix}mark"} and puts == count * len(keys) + 1
    delete(people, token, f"{prefix}mark")
    assert people.expect("http", ANY, "kv_list", token, {"prefix": prefix, "count": True}) == {"count": 0}


def test_data_goes_from_one_mode_to_the_other(visit):
    with Instance(**CHEAP_HASHES) as own:
        people = visit(own)
        token = people.new().access
        last = put(people, token, "a", 1)
        for mode in ("true", "false", "true"):
            people.restart(TT_MEMTX_USE_MVCC_ENGINE=mode)
            assert people.console.evaluate("return box.cfg.memtx_use_mvcc_engine") == [mode == "true"]
            crowd = Crowd(own, "http", 8)
            seen = crowd.succeed(*[("kv_incr", token, "a")] * 8)
            assert sorted(one["revision"] for one in seen) == list(range(last + 1, last + 9))
            last += 8
            crowd.close()


def test_reads_do_not_wait_for_a_log_that_fails(visit):
    """They see what is durable only, so nothing that they have seen is undone."""
    with mvcc_instance(Fallible) as own:
        people = visit(own)
        token = people.new().access
        before = put(people, token, "a", 1)
        crowd = Crowd(own, "http", 16)
        calls = [("pair_put", token, "a", 2), ("pair_delete", token, "a"), ("pair_get", token, "a"), ("kv_list", token, {})] * 4
        with own.failing():
            for _ in range(ROUNDS * 4):
                for call, seen in zip(calls, crowd.do(*calls), strict=True):
                    if call[0] == "pair_get":
                        assert seen == Ok({"key": "a", "value": 1, "revision": before})
                    elif call[0] == "kv_list":
                        assert seen == Ok({"pairs": [{"key": "a", "value": 1, "revision": before}], "next": None})
                    else:
                        assert isinstance(seen, Refusal) and seen.name == "not_durable", seen
        with Stream(own, token) as stream:
            assert told(stream, 0) == [] and stream.revision == before
            revision = put(people, token, "a", 3)
            assert told(stream, 1) == [(revision, "put", "a")] and revision > before
        crowd.close()


TRIGGER = "local fiber = require('fiber') local space = box.space.key_value_store "


@pytest.fixture
def trigger(people):
    """Has an application's trigger run at every change of a pair."""
    here = people.console
    here.evaluate("tries, busy = 0, false")

    def trigger(body: str) -> None:
        here.evaluate(TRIGGER + f"meddler = function(old, new) {body} end space:on_replace(meddler)")

    yield trigger
    here.evaluate("box.space.key_value_store:on_replace(nil, meddler)")


def test_transactions_that_a_trigger_lets_others_into_are_tried_again(crowd, people, token, prefix, trigger):
    trigger("tries = tries + 1 fiber.sleep(0.001)")
    few = len(crowd.members) // 4
    keys = [f"{prefix}{n % 2}" for n in range(few)]
    with Stream(people.instance, token, prefix=prefix) as stream:
        seen = crowd.succeed(*[("kv_incr", token, one) for one in keys])
        assert sorted(one["value"] for one in seen) == sorted([*range(1, few // 2 + 1)] * 2)
        revisions = sorted(one["revision"] for one in seen)
        assert len(set(revisions)) == few
        assert [one[0] for one in told(stream, few)] == revisions
    assert people.console.evaluate("return tries")[0] > few


@pytest.mark.parametrize("transport", ["http", "iproto", "console"])
def test_what_is_aborted_at_every_try_is_given_up(people, token, key, transport, trigger):
    """Whatever this key is set to, an application changes it in the middle of that."""
    before = put(people, token, key, 1)
    others = f"other/{key}"
    meddle = f"if not busy and new and new[1] == '{key}' then busy = true tries = tries + 1 "
    meddle += (
        f"local f = fiber.new(function() space:update('{key}', {{{{'=', 2, tries}}}}) end) f:set_joinable(true) f:join() busy = false end"
    )
    with Stream(people.instance, token) as stream, ThreadPoolExecutor(1) as pool:
        trigger(meddle)
        contended = pool.submit(people.do, transport, "pair_put", token, key, "mine")
        # Meanwhile others go on: it does not keep the thread.
        count = 0
        while not contended.done():
            put(people, token, others, count, "console" if transport == "http" else "http")
            count += 1
        seen = contended.result()
        assert isinstance(seen, Refusal) and (seen.name, seen.code) in [(ABORTED.name, 503), (ABORTED.name, 20056)], seen
        assert people.console.evaluate("return tries") == [10] and count > 10
        assert people.expect("http", ANY, "pair_get", token, key) == {"key": key, "value": 10, "revision": before}
        assert {one[2] for one in told(stream, count)} == {others}, "what was not written is not told"


def test_over_http_it_says_when_to_try_again(people, token, key, trigger):
    meddle = f"space:replace{{'{key}', 0}} space:delete('{key}')"
    trigger(
        f"if not busy and new and new[1] == '{key}' then busy = true "
        f"local f = fiber.new(function() {meddle} end) f:set_joinable(true) f:join() busy = false end"
    )
    for method, path, body in (("PUT", f"/v1/kv/{key.replace('/', '%2F')}", 1), ("POST", "/api/write/", {"data": {key: 1}})):
        response = people.http.request(method, path, body, bearer(token))
        assert (response.status, response.headers["Retry-After"]) == (503, "1"), response
    people.expect("http", Refused("no_such_key"), "pair_get", token, key)


def test_an_import_that_is_aborted_goes_on_once_it_can(people, token, prefix, trigger):
    """It would end as a single write does, after ten tries."""
    meddle = f"space:replace{{'{prefix}a', 0}} space:delete('{prefix}a')"
    trigger(
        f"if not busy and new and new[1] == '{prefix}a' and tries < 15 then busy = true tries = tries + 1 "
        f"local f = fiber.new(function() {meddle} end) f:set_joinable(true) f:join() busy = false end"
    )
    imported = send(people, token, line(f"{prefix}a", 1) + line(f"{prefix}b", 2))
    assert imported.done == counts(lines=2, written=2), imported
    assert people.console.evaluate("return tries") == [15]
    there = people.expect("http", ANY, "kv_list", token, {"prefix": prefix})["pairs"]
    assert [(one["key"], one["value"]) for one in there] == [(f"{prefix}a", 1), (f"{prefix}b", 2)]


def test_a_transaction_of_the_application_does_not_stand_in_the_way(people, token, key):
    """One that stays open over yields is the one that is aborted: the first to commit wins."""
    put(people, token, key, 1)
    theirs = (
        f"box.begin() local was = box.space.key_value_store:get('{key}')[2] rawset(_G, 'theirs', 'open') "
        "while theirs == 'open' do require('fiber').sleep(0.001) end "
        f"local ok = pcall(box.space.key_value_store.update, box.space.key_value_store, '{key}', {{{{'=', 2, was + 100}}}}) "
        "ok = pcall(box.commit) and ok box.rollback() return ok"
    )
    with ThreadPoolExecutor(1) as pool:
        committed = pool.submit(people.console.evaluate, theirs)
        owner = people.transport("owner")
        wait_until(lambda: owner.evaluate("return rawget(_G, 'theirs')") == ["open"], "their transaction is open")
        for _ in range(3):
            people.expect("http", ANY, "kv_incr", token, key)
        owner.evaluate("theirs = 'ends'")
        assert committed.result() == [False]
    assert people.expect("http", ANY, "pair_get", token, key)["value"] > 2
