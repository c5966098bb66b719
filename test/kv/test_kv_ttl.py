"""Pairs that end: gone at once for every reader, written over, and swept from the space in the end."""

import random

import pytest

from support.clock import moment, pass_by
from support.harness import CHEAP_HASHES, wait_until
from support.kv_rows import NEW, Run, ahead, batch_put, item
from support.outcome import A_REVISION, ANY, Ok, Refused
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS

SOON = 0.3


def ended(people, token: str, key: str, transport: str = "iproto", value=1, **more) -> int:
    """Writes a pair, waits until it has ended, and gives the revision it had."""
    pairs = [{"key": key, "value": value, "ttl": SOON, **more}]
    (result,) = people.expect(transport, ANY, "batch_put", token, pairs)["results"]
    assert result["outcome"] == "written", result
    pass_by(moment(SOON))
    return result["revision"]


@pytest.mark.parametrize("writer", ADMIN_TRANSPORTS)
def test_a_pair_is_gone_over_every_transport_as_soon_as_it_ends(people, token, key, writer):
    prefix = key + "/"
    keys = [f"{prefix}{n}" for n in range(3)]
    pairs = [{"key": one, "value": 1, "ttl": SOON} for one in keys] + [{"key": f"{prefix}stays", "value": 1, "ttl": 600}]
    assert people.expect(writer, ANY, "batch_put", token, pairs)["committed"]
    pass_by(moment(SOON))
    # At once: what sweeps the space has not been there yet, or it has; no reader can tell.
    for reader in ADMIN_TRANSPORTS:
        seen = people.expect(reader, ANY, "batch_get", token, [*keys, f"{prefix}stays"])
        assert seen["missing"] == keys and [one["key"] for one in seen["pairs"]] == [f"{prefix}stays"]
        people.expect(reader, Refused("no_such_key"), "pair_get", token, keys[0])
        people.expect(reader, Ok({"keys": [f"{prefix}stays"], "next": None}), "kv_list", token, {"prefix": prefix, "keys_only": True})
        people.expect(reader, Ok({"count": 1}), "kv_list", token, {"prefix": prefix, "count": True})
        steps = {"compare": [{"key": keys[0], "exists": False}], "success": [{"op": "get", "key": keys[1]}]}
        missing = {"key": keys[1], "outcome": "missing"}
        people.expect(reader, Ok({"succeeded": True, "results": [missing], "revision": A_REVISION}), "kv_txn", token, steps)
        people.expect(reader, Refused("missing_keys"), "get", token, keys)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_full_page_goes_on_after_its_last_item(people, token, key, transport):
    prefix = key + "/"
    stays = [f"{prefix}1", f"{prefix}2"]
    for _ in range(20):
        pairs = [{"key": one, "value": 1} for one in stays]
        pairs += [{"key": f"{prefix}1/{n}", "value": 1, "ttl": 0.001} for n in range(100)]
        people.expect(transport, ANY, "batch_put", token, pairs)
        pass_by(moment(0.002))
        page = Ok({"keys": stays[:1], "next": stays[0]})
        people.expect(transport, page, "kv_list", token, {"prefix": prefix, "keys_only": True, "limit": 1})


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_pair_is_there_until_it_ends(people, token, key, transport):
    people.expect(transport, ANY, "pair_put", token, key, 1, {"ttl": 60})
    seen = people.expect(transport, ANY, "pair_get", token, key)
    assert ahead(60).holds(seen["expires_at"])
    people.expect(transport, Ok({key: 1}), "get", token, [key])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_old_read_and_write_take_an_ended_pair_as_not_there(people, token, key, transport):
    ended(people, token, key)
    people.expect(transport, Refused("missing_keys", f"These keys don't exist: {key}"), "get", token, [key])
    people.expect(transport, Ok([]), "put", token, {key: 2})
    people.expect(transport, Ok({key: 2}), "get", token, [key])
    seen = people.expect(transport, ANY, "pair_get", token, key)
    assert "expires_at" not in seen, "what was written anew has no end"


def test_the_old_write_keeps_a_pair_that_has_not_ended(people, token, key):
    people.expect("http", ANY, "pair_put", token, key, 1, {"ttl": 60})
    people.everywhere(Ok([key]), "put", token, {key: 2})
    assert "expires_at" in people.expect("http", ANY, "pair_get", token, key)


# operation, arguments after the key, what comes of it where the pair has ended
def puts(mode: str) -> tuple:
    return ("batch_put", lambda key: [[{"key": key, "value": 2}], {"mode": mode}])


OVER = {
    "insert": (*puts("insert"), "written"), "upsert": (*puts("upsert"), "written"), "replace": (*puts("replace"), "missing"),
    "if_revision_0": ("batch_put", lambda key: [[{"key": key, "value": 2, "if_revision": 0}]], "written"),
    "delete": ("batch_delete", lambda key: [[key]], "missing"),
    "delete_if_revision_0": ("batch_delete", lambda key: [[{"key": key, "if_revision": 0}]], "missing"),
}  # fmt: skip


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
@pytest.mark.parametrize("name", OVER)
def test_a_write_takes_an_ended_pair_as_not_there(people, token, key, transport, name):
    operation, arguments, outcome = OVER[name]
    revision = ended(people, token, key, transport)
    (seen,) = people.expect(transport, ANY, operation, token, *arguments(key))["results"]
    assert seen["outcome"] == outcome
    # The end of the pair took a revision of its own.
    assert outcome != "written" or seen["revision"] > revision + 1


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_the_revision_of_an_ended_pair_holds_no_more(people, token, key, transport):
    revision = ended(people, token, key, transport)
    (seen,) = people.expect(transport, ANY, "batch_put", token, [{"key": key, "value": 2, "if_revision": revision}])["results"]
    assert seen == {"key": key, "outcome": "conflict", "revision": 0}
    people.expect(transport, Refused("conflict", f"The key {key} does not exist"), "pair_get", token, key, {"if_revision": revision})


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_counter_that_has_ended_begins_anew(people, token, key, transport):
    ended(people, token, key, transport, value=41)
    assert people.expect(transport, ANY, "kv_incr", token, key, {"ttl": 60})["value"] == 1
    assert ahead(60).holds(people.expect(transport, ANY, "pair_get", token, key)["expires_at"])


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_put_without_a_ttl_makes_a_pair_stay(people, token, key, transport):
    people.expect(transport, ANY, "pair_put", token, key, 1, {"ttl": 1})
    people.expect(transport, ANY, "pair_put", token, key, 2)
    pass_by(moment(1))
    assert people.expect(transport, ANY, "pair_get", token, key)["value"] == 2


def test_a_put_with_another_ttl_replaces_it(people, token, key):
    people.expect("http", ANY, "pair_put", token, key, 1, {"ttl": 1})
    people.expect("http", ANY, "pair_put", token, key, 2, {"ttl": 600})
    pass_by(moment(1))
    people.everywhere(Ok({key: 2}), "get", token, [key])


def test_an_end_holds_after_a_restart(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    late = moment(3600.25)
    for key, ends in (("soon", {"ttl": SOON}), ("late", {"expires_at": late})):
        people.expect("http", ANY, "pair_put", token, key, 1, ends)
    soon = moment(SOON)
    people.restart()
    pass_by(soon)
    for transport in TRANSPORTS:
        seen = people.expect(transport, ANY, "batch_get", token, ["soon", "late"])
        assert seen["missing"] == ["soon"] and seen["pairs"][0]["expires_at"] == late


def count(people) -> int:
    (length,) = people.console.evaluate("return box.space.key_value_store:len()")
    return length


def strays(people) -> list[int]:
    """How many rows of the space of ends have no pair, or pairs with an end have no row; and how many rows there are."""
    return people.console.evaluate(
        "local ends, more = {}, 0 "
        "for _, pair in box.space.key_value_store:pairs() do if pair[4] ~= nil then ends[pair[1]] = pair[4]; more = more + 1 end end "
        "for _, row in box.space.authkv_expiry:pairs() do if ends[row[2]] == row[1] then more = more - 1 else more = more + 1 end end "
        "return more, box.space.authkv_expiry:len()"
    )


# What a mix of writes does to one of a few keys, by its operation and arguments after the token.
def mixed(chance: random.Random, key: str, other: str) -> tuple:
    soon = {"ttl": round(chance.uniform(0.002, 0.3), 3)}
    end = chance.choice([{}, soon, soon, {"ttl": 3600}])
    return chance.choice([
        ("pair_put", key, 1, end), ("pair_put", key, 1, end),
        ("batch_put", [{"key": key, "value": 1} | end, {"key": other, "value": 1} | soon]),
        # Undone, once the first has been written.
        ("batch_put", [{"key": key, "value": 1} | end, {"key": other, "value": 1, "if_revision": 10**9}]),
        ("kv_txn", {"success": [{"op": "put", "key": key, "value": 1} | end, {"op": "delete", "key": other},
                                {"op": "put", "key": key, "value": "x"}, {"op": "incr", "key": key}]}),
        ("batch_put", [{"key": key, "value": 1} | soon], {"mode": chance.choice(["insert", "replace"])}),
        ("kv_txn", {"success": [{"op": "put", "key": key, "value": 1} | end, {"op": "put", "key": key, "value": 2} | soon,
                                {"op": "delete", "key": other}]}),
        ("kv_incr", key, soon), ("kv_incr", key), ("pair_delete", key), ("batch_delete", [key, {"key": other, "if_revision": 7}]),
        ("put", {key: 2}),
    ])  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_each_pair_that_ends_has_one_row_that_says_when(make, visit, seed):
    """Whatever was written, undone, over-written, has ended or was swept, by whom and in which order."""
    people = visit(make(**CHEAP_HASHES).start())
    token, chance = people.new().access, random.Random(seed)
    for n in range(600):
        key, other = chance.sample("abcdefgh", 2)
        transport = chance.choice([*TRANSPORTS])
        operation, *args = mixed(chance, key, other)
        seen = people.do(transport, operation, token, *args)
        assert isinstance(seen, Ok) or seen.name in (None, "no_such_key", "conflict", "not_an_integer"), (operation, args, seen)
        if n % 10 == 0:
            assert strays(people)[0] == 0, (n, operation, args)
    assert strays(people)[0] == 0
    # The tuples of others have no row, and an old write over an end that was not swept leaves none.
    people.expect("iproto", ANY, "batch_put", token, [{"key": key, "value": 1} for key in "abcdefgh"], {"ttl": 0.01})
    people.expect("http", ANY, "put", token, {"a": 1})
    assert strays(people)[0] == 0
    people.expect("iproto", ANY, "batch_delete", token, ["a"])
    wait_until(lambda: count(people) == 0, "what has ended is swept")
    assert strays(people) == [0, 0]


def test_what_has_ended_is_swept_from_the_space(make, visit):
    """Nobody reads it: the instance does it by itself, however many there are."""
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    batch = [{"key": f"k{n}", "value": n} for n in range(5_000)]
    people.expect("http", ANY, "batch_put", token, batch)
    people.expect("http", ANY, "batch_put", token, [{"key": "stays", "value": 1}, {"key": "late", "value": 1, "ttl": 3600}])
    assert count(people) == 5_002
    people.expect("http", ANY, "batch_put", token, batch, {"ttl": 1})
    wait_until(lambda: count(people) == 2, "what has ended is swept")
    assert strays(people) == [0, 1], "the one that ends late"
    seen = people.expect("http", ANY, "kv_list", token, {"keys_only": True})
    assert seen["keys"] == ["late", "stays"]


def test_what_had_ended_before_a_start_is_swept(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    people.expect("http", ANY, "batch_put", token, [{"key": f"k{n}", "value": n, "ttl": SOON} for n in range(100)])
    ends = moment(SOON)
    people.close()
    people.instance.kill()
    pass_by(ends)
    people.instance.start()
    people.everywhere(Refused("missing_keys"), "get", token, ["k0"])
    wait_until(lambda: count(people) == 0, "what has ended is swept")
    assert strays(people) == [0, 0]


def test_a_read_only_instance_hides_what_has_ended(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    people.expect("http", ANY, "pair_put", token, "k", 1, {"ttl": 1})
    ends = moment(1)
    people.restart(AUTHKV_READ_ONLY="true")
    pass_by(ends)
    people.everywhere(Refused("no_such_key"), "pair_get", token, "k")
    people.everywhere(Refused("missing_keys"), "get", token, ["k"])


def test_revisions_rise_over_an_end(people, token, key):
    run = Run(people, "iproto", {"all": token})
    run.succeed(batch_put(item(key, 1, ttl=SOON)))
    ends = moment(SOON)
    pass_by(ends)
    run.expect(
        batch_put(item(key, 2)),
        Ok({"committed": True, "results": [{"key": key, "outcome": "written", "revision": NEW}], "revision": A_REVISION}),
    )
