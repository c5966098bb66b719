"""Runs the conformance table of key-value operations over every transport, and shows that the transports share one store."""

import json
import threading
from urllib.parse import quote

import pytest

from conformance.kv_batch_cases import BATCH_MAX, TUPLE_MAX
from conformance.kv_cases import ROWS
from support import kv_rows
from support.harness import CHEAP_HASHES, DEADLINE, wait_until
from support.kv_rows import SOME, Row
from support.kv_writes import WRITES
from support.outcome import A_REVISION, Like, Ok, Refused
from support.people import forbidden, permission
from support.tokens import GARBAGE
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, HttpQueryTransport, HttpTransport
from support.v1 import KEY_VALUES


@pytest.fixture(scope="module")
def settings() -> dict:
    """Nobody may do anything but by the roles they are given; batches and pairs are small."""
    own = {"AUTHKV_BATCH_MAX": str(BATCH_MAX), "AUTHKV_MEMTX_MAX_TUPLE_SIZE": str(TUPLE_MAX), "AUTHKV_DEFAULT_ROLE": "off"}
    return CHEAP_HASHES | own


@pytest.fixture(scope="module")
def tokens(people) -> dict[str, str]:
    everything = people.role(permission("", True, True))
    return {"all": people.new(everything).access, "some": people.new(people.role(*SOME)).access, "garbage": GARBAGE}


@pytest.mark.parametrize(
    "row,transport",
    [
        pytest.param(row, name, id=f"{row.name}-{name}")
        for row in ROWS
        for name, transport in ADMIN_TRANSPORTS.items()
        if row.is_for(transport)
    ],
)
def test_kv(people, tokens, row: Row, transport: str):
    kv_rows.run(people, transport, tokens, row)


@pytest.mark.parametrize("writer", ADMIN_TRANSPORTS)
def test_what_one_transport_writes_every_transport_reads_and_deletes(people, tokens, writer):
    token = tokens["all"]
    for reader in ADMIN_TRANSPORTS:
        keys = [f"{writer}/{reader}/{n}" for n in range(3)]
        pairs = [{"key": key, "value": {"n": [n, None, "ж"]}} for n, key in enumerate(keys)]
        put = people.expect(writer, Ok(Like("written", lambda seen: seen["committed"])), "batch_put", token, pairs)
        shown = [one | {"revision": did["revision"]} for one, did in zip(pairs, put["results"], strict=True)]
        people.expect(reader, Ok({"pairs": shown, "missing": []}), "batch_get", token, keys)
        people.expect(reader, Ok({"pairs": shown, "next": None}), "kv_list", token, {"prefix": f"{writer}/{reader}/"})
        people.expect(reader, Ok(shown[0]), "pair_get", token, keys[0])
        people.expect(reader, Ok({key: one["value"] for key, one in zip(keys, pairs, strict=True)}), "get", token, keys)
        condition = {"key": keys[0], "if_revision": shown[0]["revision"]}
        people.expect(reader, Ok(Like("deleted", lambda seen: seen["committed"])), "batch_delete", token, [condition, *keys[1:]])
        people.expect(writer, Ok({"pairs": [], "missing": keys}), "batch_get", token, keys)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_pages_together_are_the_whole(people, tokens, transport):
    keys = sorted(f"pages/{n:03}" for n in range(2 * BATCH_MAX))
    for at in (0, BATCH_MAX):
        batch = [{"key": key, "value": 1} for key in keys[at : at + BATCH_MAX]]
        people.expect(transport, Ok(Like("written", lambda seen: seen["committed"])), "batch_put", tokens["all"], batch)
    for options in ({"limit": 7}, {"limit": 1000}, {"limit": 50}, {}):
        seen, after = [], None
        while not seen or after is not None:
            page = people.expect(
                transport, Ok(Like("a page", bool)), "kv_list", tokens["all"], {"prefix": "pages/", "after": after, **options}
            )
            assert 0 < len(page["pairs"]) <= options.get("limit", 100) or (not page["pairs"] and page["next"] is None)
            assert page["next"] in (None, page["pairs"][-1]["key"])
            seen, after = seen + [one["key"] for one in page["pairs"]], page["next"]
        assert seen == keys


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_change_of_a_role_counts_on_the_next_request(people, tokens, transport):
    role = people.role(permission("x/", True, True))
    token = people.new(role).access
    people.expect(transport, Ok(Like("written", lambda seen: seen["committed"])), "batch_put", token, [{"key": "x/a", "value": 1}])
    people.administer("role_set", role, [])
    people.expect(transport, forbidden("read", "x/a"), "pair_get", token, "x/a")
    people.expect(transport, Ok({"pairs": [], "next": None}), "kv_list", token)
    people.expect(transport, kv_rows.results(("x/a", "forbidden"), committed=False), "batch_put", token, [{"key": "x/a", "value": 1}])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_page_is_cut_at_a_mebibyte_of_values(make, visit, transport):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    large = "x" * 400_000
    for n in range(5):
        people.expect(transport, Ok(Like("written", bool)), "pair_put", token, f"k{n}", large)
    people.expect(transport, Ok(Like("written", bool)), "pair_put", token, "k9", "x" * 1_000_000)
    seen, after, pages = [], None, 0
    while pages == 0 or after is not None:
        page = people.expect(transport, Ok(Like("a page", bool)), "kv_list", token, {"after": after})
        assert len(page["pairs"]) <= 3 and (page["pairs"] or page["next"] is None)
        seen, after, pages = seen + [one["key"] for one in page["pairs"]], page["next"], pages + 1
    assert seen == [*(f"k{n}" for n in range(5)), "k9"]
    people.expect(transport, Ok({"keys": seen, "next": None}), "kv_list", token, {"keys_only": True})


def test_a_transaction_that_would_answer_too_much_writes_nothing(make, visit):
    people = visit(make(AUTHKV_REPLY_MAX="1048576", **CHEAP_HASHES).start())
    token = people.new().access
    before = people.expect("http", Ok(Like("written", bool)), "pair_put", token, "large", "x" * 100_000)["revision"]
    reads = [{"op": "get", "key": "large"}] * 9
    for transport in ADMIN_TRANSPORTS:
        steps = [{"op": "put", "key": "beside", "value": 1}, *reads, *reads, {"op": "incr", "key": "count"}]
        people.expect(transport, Refused("reply_too_large"), "kv_txn", token, {"success": steps})
        people.expect(transport, Ok({"pairs": [], "missing": ["beside", "count"]}), "batch_get", token, ["beside", "count"])
        shown = people.expect(transport, Ok(Like("succeeded", bool)), "kv_txn", token, {"success": reads})["results"]
        assert [one["outcome"] for one in shown] == ["found"] * len(reads)
    # Nor has it taken a revision.
    assert people.expect("http", Ok(Like("written", bool)), "pair_put", token, "beside", 1)["revision"] == before + 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_large_value_that_is_compared_often_keeps_nobody_waiting(make, visit, transport):
    """Once equal to as many as a request has room for, and once to none of a thousand."""
    people = visit(make(**CHEAP_HASHES).start())
    token, large = people.new().access, [0] * 500_000
    people.expect("iproto", Ok(Like("written", bool)), "pair_put", token, "large", large)
    people.expect("iproto", Ok(Like("written", bool)), "pair_put", token, "small", 1)
    answers, done = [], threading.Event()

    def read() -> None:
        reader = HttpTransport(people.instance)
        while not done.is_set():
            answers.append(reader.do("pair_get", token, "small"))
        reader.close()

    reading = threading.Thread(target=read)
    reading.start()
    try:
        for expected, values in ((True, [large] * 3), (False, [1] * 1000), (False, [large[1:]] * 3), (False, [[0] * 30] * 1000)):
            before = len(answers)
            compare = [{"key": "large", "value": value} for value in values]
            people.expect(
                transport, Ok({"succeeded": expected, "results": [], "revision": A_REVISION}), "kv_txn", token, {"compare": compare}
            )
            wait_until(lambda before=before: len(answers) > before + 5, "others read on")
    finally:
        done.set()
        reading.join(DEADLINE)
    assert all(isinstance(one, Ok) for one in answers)


@pytest.mark.parametrize("name", ["compare", "success", "failure"])
@pytest.mark.parametrize("wrong", [{}, {"op": "get", "key": "k"}, {"1": {"op": "get", "key": "k"}}, "get", 1, True], ids=repr)
def test_a_transaction_takes_lists_and_nothing_else(people, tokens, name, wrong):
    """Msgpack of Lua cannot tell an empty list from an empty map; JSON can."""
    for transport in ("http", "iproto") if wrong != {} else ("http",):
        people.expect(transport, Refused("malformed"), "kv_txn", tokens["all"], {name: wrong})


def test_an_empty_table_of_lua_is_whatever_is_asked_for(people):
    console = people.console
    for line, expected in [
        ("authkv.batch.get({'none'}, {})", {"pairs": [], "missing": ["none"]}),
        ("authkv.batch.put({{key = 'lua', value = {}}}, {})", Like("written", lambda seen: seen["committed"])),
        ("authkv.batch.delete({'lua'}, {})", Like("deleted", lambda seen: seen["committed"])),
        ("authkv.kv.txn{}", Like("done", lambda seen: seen["succeeded"] and seen["results"] == [])),
        ("authkv.kv.txn{compare = {}, success = {}, failure = {}}", Like("done", lambda seen: seen["succeeded"] and seen["results"] == [])),
        ("authkv.kv.list{prefix = 'none'}", {"pairs": [], "next": None}),
        ("authkv.kv.incr('lua', {})", Like("counted", lambda seen: seen["value"] == 1)),
        ("authkv.pair.get('lua', {})", Like("a pair", lambda seen: seen["value"] == 1)),
        ("authkv.pair.put('lua', {1, 2}, {})", Like("written", lambda seen: seen["created"] is False)),
        ("authkv.pair.delete('lua', {})", Like("deleted", lambda seen: seen["deleted"])),
    ]:
        seen = console.outcome(line)
        assert isinstance(seen, Ok), (line, seen)
        assert expected.holds(seen.value) if isinstance(expected, Like) else seen.value == expected, (line, seen)


def test_options_may_be_left_out_in_lua(people):
    console = people.console
    assert console.outcome("authkv.kv.list()").value.keys() == {"pairs", "next"}
    assert console.outcome("authkv.kv.txn{}").value["results"] == []
    assert console.outcome("authkv.kv.incr('lua/left out')").value["value"] == 1
    assert console.outcome("authkv.batch.get{'lua/left out'}").value["missing"] == []


def test_help_names_the_operations_on_keys(people):
    shown = people.console.show("authkv.help()")
    for command in ("batch", "kv", "pair", "export", "import"):
        assert f"authkv.{command}" in shown, command


def test_the_list_of_writes_has_every_operation_that_a_read_only_instance_refuses(people):
    paths = people.http.request("GET", "/openapi.json").json["paths"]
    described = [one for item in paths.values() for one in item.values() if one["operationId"] in KEY_VALUES]
    assert len(described) == len(KEY_VALUES)
    refused = {one["operationId"] for one in described if "read_only" in json.dumps(one["responses"]["503"])}
    assert refused == {write("a", "b")[0] for write in WRITES.values()}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_instance_that_is_read_only_reads_and_refuses_to_write(make, visit, transport):
    instance = make(**CHEAP_HASHES).start()
    people = visit(instance)
    token = people.new().access
    people.expect(transport, Ok(Like("written", bool)), "pair_put", token, "k", 1)
    people.restart(AUTHKV_READ_ONLY="true")
    people.expect(transport, Ok(Like("a pair", lambda seen: seen["value"] == 1)), "pair_get", token, "k")
    people.expect(transport, Ok(Like("a page", bool)), "kv_list", token)
    for write in WRITES.values():
        operation, *args = write("k", "a")
        people.expect(transport, Refused("read_only"), operation, token, *args)
    # Tarantool would write a line for each, with which any client could fill the disk.
    assert "Can't modify data" not in people.instance.present_log()


BY_QUERY = [
    row for row in ROWS if row.call.operation in ("pair_get", "pair_put", "pair_delete", "kv_incr") and row.is_for(HttpQueryTransport)
]


@pytest.mark.parametrize("row", BY_QUERY, ids=lambda row: row.name)
def test_a_key_in_the_query_is_the_same_as_in_the_path(people, tokens, row: Row):
    kv_rows.run(people, "http_query", tokens, row)


@pytest.mark.parametrize("key", [".", "..", "", "a/../b", "/", "a//b", "+", "%2F", "a b"])
def test_any_key_may_be_in_the_query(people, tokens, key):
    """A query is no path: nothing is a dot segment there. What may not be written is refused as over any other way."""
    headers = {"Authorization": f"Bearer {tokens['all']}"}
    path = f"/v1/pair?key={quote(key, safe='')}"
    written = people.http.request("PUT", path, b"5", headers)
    if key in (".", "..", ""):
        assert (written.status, written.problem["code"]) == (422, "bad_key")
        return
    assert written.json["key"] == key
    assert people.http.request("GET", path, None, headers).json == 5
    assert people.http.request("POST", path.replace("pair?", "pair/incr?"), None, headers).json["value"] == 6
    assert people.http.request("DELETE", path, None, headers).json["deleted"]


@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/v1/kv/a?key=a"), ("PUT", "/v1/kv/a?key=b"), ("DELETE", "/v1/kv/a?key="), ("POST", "/v1/kv/a/incr?key=a"),
        ("GET", "/v1/pair"), ("PUT", "/v1/pair"), ("DELETE", "/v1/pair?if_revision=5"), ("POST", "/v1/pair/incr"),
        ("GET", "/v1/pair?key=a&key=a"), ("GET", "/v1/pair?key=%ff"),
    ],
)  # fmt: skip
def test_a_key_comes_once(people, tokens, method, path):
    before = kv_rows.contents(people)
    refused = people.http.request(method, path, b"1" if method == "PUT" else None, {"Authorization": f"Bearer {tokens['all']}"})
    assert (refused.status, refused.problem["code"]) == (400, "malformed")
    assert kv_rows.contents(people) == before


def test_a_key_in_the_path_and_in_a_body_is_refused(people, tokens):
    headers = {"Authorization": f"Bearer {tokens['all']}"}
    for path in ("/v1/kv/a/incr", "/v1/pair/incr?key=a"):
        refused = people.http.request("POST", path, {"key": "b"}, headers)
        assert (refused.status, refused.problem["code"]) == (400, "malformed")


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_range_of_many_slices_is_deleted_and_watches_see_each(people, tokens, transport):
    token, prefix = tokens["all"], f"many/{transport}/"
    keys = [f"{prefix}{n:04}" for n in range(1207)]
    for at in range(0, len(keys), BATCH_MAX):
        people.expect(
            "iproto", Ok(Like("written", bool)), "batch_put", token, [{"key": key, "value": 1} for key in keys[at : at + BATCH_MAX]]
        )
    before = people.do("iproto", "kv_watch", token, {}).value["revision"]
    first = people.do(transport, "kv_delete", token, {"prefix": prefix, "limit": 1100}).value
    assert first == {"deleted": 1100, "more": True, "revision": before + 1100}
    rest = people.do(transport, "kv_delete", token, {"prefix": prefix, "limit": 1100}).value
    assert rest == {"deleted": 107, "more": False, "revision": before + 1207}
    seen, after = [], before
    while after < rest["revision"]:
        page = people.do("iproto", "kv_watch", token, {"prefix": prefix, "after": after}).value
        seen, after = seen + page["events"], page["revision"]
    assert [(event["type"], event["key"], event["revision"]) for event in seen] == [
        ("delete", key, before + 1 + n) for n, key in enumerate(keys)
    ]


def test_a_deletion_of_a_range_ends_where_the_right_to_it_ends(people, tokens):
    """Between two slices the role is changed by the callback of a watch of the space; what was deleted is told."""
    role = people.role(permission("ends/", write=True))
    token = people.new(role).access
    keys = [f"ends/{n:04}" for n in range(1600)]
    for at in range(0, len(keys), BATCH_MAX):
        people.expect(
            "iproto", Ok(Like("written", bool)), "batch_put", tokens["all"], [{"key": key, "value": 1} for key in keys[at : at + BATCH_MAX]]
        )
    people.console.evaluate(
        "local count = 0 box.space.key_value_store:on_replace(function(old, new) count = count + (new == nil and 1 or 0) "
        f"if count == 700 then require('fiber').new(function() authkv.roles.set('{role}', {{}}) end) end end)"
    )
    done = people.do("http", "kv_delete", token, {"prefix": "ends/"}).value
    assert 700 <= done["deleted"] < 1600 and done["more"], done
    people.expect("http", forbidden("write", "ends/"), "kv_delete", token, {"prefix": "ends/"})
    left = people.do("http", "kv_list", tokens["all"], {"prefix": "ends/", "count": True}).value["count"]
    assert left == 1600 - done["deleted"]
    people.console.evaluate(
        "for _, trigger in ipairs(box.space.key_value_store:on_replace()) do box.space.key_value_store:on_replace(nil, trigger) end"
    )
