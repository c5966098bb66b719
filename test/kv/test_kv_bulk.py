"""Export and import over HTTP: NDJSON of all kinds of values, in many transactions, whatever comes between."""

import contextlib
import http.client
import itertools
import json
import time
from urllib.parse import urlencode

import pytest

from support import v1
from support.bulk import COUNTS, MANY, MODES, NDJSON, Imported, ask, chunks, counts, export, keep, line, lines, read, refused, send
from support.clock import FAR, PAST, moment, paced, pass_by
from support.harness import CHEAP_HASHES, DEADLINE, HOST, Instance
from support.kv_rows import ahead
from support.outcome import ANY
from support.people import permission
from support.replica_set import ReplicaSet
from support.tokens import GARBAGE
from support.transports import TRANSPORTS, bearer
from support.values import from_json, to_json


@pytest.fixture(scope="module", params=["alone", "a follower that forwards"])
def instance(settings, request):
    """All is the same at a follower: the leader writes what is imported there."""
    if request.param == "alone":
        with Instance(**settings) as running:
            yield running
    else:
        # A read that comes right after the answer has to see what was written, also on a busy machine.
        with ReplicaSet(2, AUTHKV_WRITES="forward", **settings | {"AUTHKV_REPLICATION_TIMEOUT": "5"}) as members:
            yield members.members[1]


def test_all_kinds_of_pairs_go_out_and_come_back(people, token, prefix):
    keep(people, token, prefix)
    before = read(people, token, prefix)
    exported = export(people, token, prefix)
    told = lines(exported.body)
    assert [one["key"] for one in told] == sorted(before, key=str.encode)
    for one in told:
        assert list(one) == [name for name in ("key", "value", "revision", "expires_at", "content_type") if name in one]
        assert from_json(one["value"]) == before[one["key"]]["value"] and one["value"] == to_json(before[one["key"]]["value"])
    people.expect("http", ANY, "batch_delete", token, list(before))
    assert read(people, token, prefix) == {}
    assert send(people, token, chunks(exported.body)).done == counts(lines=len(told), written=len(told))
    after = read(people, token, prefix)
    assert after == before and {key: repr(one["value"]) for key, one in after.items()} == {
        key: repr(one["value"]) for key, one in before.items()
    }
    again = lines(export(people, token, prefix).body)
    assert all(new["revision"] > old["revision"] for new, old in zip(again, told, strict=True)), "an import gives revisions of its own"


def test_an_import_tells_from_which_revision_on_it_is_seen(people, token, prefix):
    imported = send(people, token, b"".join(line(f"{prefix}{number:04}") for number in range(2500)))
    page = people.expect("iproto", ANY, "kv_list", token, {"prefix": f"{prefix}24", "limit": 1000})
    highest = max(pair["revision"] for pair in page["pairs"])
    assert imported.last["revision"] == highest == int(imported.response.headers["Authkv-Revision"])
    # What exists already was written with that revision at the latest.
    again = send(people, token, line(f"{prefix}0000"), mode="insert")
    assert again.done == counts(lines=1, exists=1) and again.last["revision"] <= highest
    # An import that fails has written some.
    body = b"".join(line(f"{prefix}b{number:04}") for number in range(2000)) + b"x\n"
    failed = ask(people, "POST", "/v1/import", token, body)
    page = people.expect("iproto", ANY, "kv_list", token, {"prefix": f"{prefix}b", "limit": 1000, "after": f"{prefix}b1500"})
    assert failed.status >= 400 and int(failed.headers["Authkv-Revision"]) == max(pair["revision"] for pair in page["pairs"])
    nothing = send(people, token, b"")
    assert "revision" not in nothing.last and "Authkv-Revision" not in nothing.response.headers


def test_many_pairs_go_out_and_come_back_in_many_transactions(people, token, prefix):
    body = b"".join(line(f"{prefix}{n:06}", {"n": n, "text": "ж" * (n % 50)}) for n in range(MANY))
    seen = send(people, token, chunks(body))
    assert seen.done == counts(lines=MANY, written=MANY)
    for earlier, later in itertools.pairwise([*seen.progress, seen.done]):
        assert all(earlier[name] <= later[name] for name in COUNTS)
    assert people.expect("http", ANY, "kv_list", token, {"prefix": prefix, "count": True}) == {"count": MANY}
    told = lines(export(people, token, prefix).body)
    assert [one["key"] for one in told] == [f"{prefix}{n:06}" for n in range(MANY)]
    assert all(one["value"] == {"n": n, "text": "ж" * (n % 50)} for n, one in enumerate(told))


def test_an_import_that_takes_long_tells_of_itself_once_a_second(people, token, prefix):
    """The client sends for three seconds; what it has sent is not held back until the end."""
    begun = time.monotonic()

    def slowly():
        for n in paced(30, 0.1):
            yield b"".join(line(f"{prefix}{n}/{m}") for m in range(100))

    seen = send(people, token, slowly())
    assert seen.done == counts(lines=3000, written=3000)
    assert 1 <= len(seen.progress) <= time.monotonic() - begun and seen.progress[0]["lines"] < 3000, seen.progress


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_may_come_in_pieces(people, token, prefix, size):
    body = b"".join(line(f"{prefix}ж{n}", "🪲\n" * n) for n in range(20))
    assert send(people, token, chunks(body, size)).done == counts(lines=20, written=20)
    assert len(read(people, token, prefix)) == 20


def test_a_body_of_a_known_size_is_taken_too(people, token, prefix):
    """As `curl --data-binary` sends it; the last line needs no end."""
    body = b"".join(line(f"{prefix}{n}") for n in range(3)).rstrip(b"\n")
    assert send(people, token, body).done == counts(lines=3, written=3)


def test_a_body_larger_than_any_other_input_is_taken(people, token, prefix):
    """KV_INPUT_MAX is 8 MiB: it is for what is held at once."""
    body = b"".join(line(f"{prefix}{n:03}", "x" * 500_000) for n in range(40))
    assert send(people, token, chunks(body, 1 << 20)).done == counts(lines=40, written=40)
    exported = export(people, token, prefix).body
    assert len(exported) > 20_000_000 and [one["key"] for one in lines(exported)] == [f"{prefix}{n:03}" for n in range(40)]


def test_nothing_is_imported_by_nothing(people, token):
    for body in (b"", b"\n", b"\r\n \n\n"):
        assert send(people, token, body).done == counts()


def test_blank_lines_and_revisions_are_passed_over(people, token, prefix):
    body = b"\n\n" + line(f"{prefix}a", 1, revision=77) + b"  \r\n\n" + line(f"{prefix}b", 2).replace(b"\n", b"\r\n")
    assert send(people, token, body).done == counts(lines=2, written=2)
    assert read(people, token, prefix) == {f"{prefix}a": {"value": 1}, f"{prefix}b": {"value": 2}}


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_that_of_a_put(people, token, prefix, mode):
    people.expect("http", ANY, "pair_put", token, f"{prefix}old", 1)
    outcomes = MODES[mode]
    expected = counts(lines=2, **{name: outcomes.count(name) for name in set(outcomes)})
    assert send(people, token, line(f"{prefix}old", 2) + line(f"{prefix}new", 2), mode=mode).done == expected
    there = read(people, token, prefix)
    assert there[f"{prefix}old"]["value"] == (2 if outcomes[0] == "written" else 1)
    assert (f"{prefix}new" in there) == (outcomes[1] == "written")


@pytest.mark.parametrize("mode", ["overwrite", "", "INSERT"])
def test_a_mode_of_no_such_name_is_refused(people, token, prefix, mode):
    assert refused(people, token, line(f"{prefix}a"), mode=mode).name in ("bad_option", "malformed")
    assert read(people, token, prefix) == {}


def test_a_key_may_come_again_and_the_last_line_holds(people, token, prefix):
    """An import is not a batch: lines are written one after the other."""
    body = b"".join(line(f"{prefix}a", n) for n in range(5))
    assert send(people, token, body).done == counts(lines=5, written=5)
    assert read(people, token, prefix) == {f"{prefix}a": {"value": 4}}


def test_what_has_ended_is_skipped_and_counted(people, token, prefix):
    body = line(f"{prefix}old", 1, expires_at=PAST) + line(f"{prefix}ends", 1, expires_at=FAR + 0.25)
    body += line(f"{prefix}ttl", 1, ttl=600) + line(f"{prefix}stays", 1, expires_at=None, ttl=None)
    assert send(people, token, body).done == counts(lines=4, written=3, expired=1)
    there = read(people, token, prefix)
    assert ahead(600).holds(there.pop(f"{prefix}ttl")["expires_at"])
    assert there == {f"{prefix}ends": {"value": 1, "expires_at": FAR + 0.25}, f"{prefix}stays": {"value": 1}}


def test_a_line_that_has_ended_leaves_what_exists(people, token, prefix):
    people.expect("http", ANY, "pair_put", token, f"{prefix}a", 1)
    assert send(people, token, line(f"{prefix}a", 2, expires_at=PAST)).done == counts(lines=1, expired=1)
    assert read(people, token, prefix) == {f"{prefix}a": {"value": 1}}


def test_what_ended_is_not_exported(people, token, prefix):
    people.expect("http", ANY, "pair_put", token, f"{prefix}a", 1, {"ttl": 0.01})
    people.expect("http", ANY, "pair_put", token, f"{prefix}b", 1)
    pass_by(moment(0.02))
    assert [one["key"] for one in lines(export(people, token, prefix).body)] == [f"{prefix}b"]


def test_what_is_too_large_is_counted_and_the_rest_is_written(people, token, prefix):
    body = line(f"{prefix}a") + line(f"{prefix}b", "x" * 1_048_576) + line(f"{prefix}c")
    assert send(people, token, chunks(body)).done == counts(lines=3, written=2, too_large=1)
    assert read(people, token, prefix).keys() == {f"{prefix}a", f"{prefix}c"}


def test_a_line_may_be_shorter_as_text_than_as_it_is_stored(people, token, prefix):
    """Of a number as 0.5 a text has four bytes with its comma, and msgpack nine. The limit of the input, 8 MiB, is for the text."""
    body = line(f"{prefix}a") + line(f"{prefix}b", [0.5] * 1_500_000).replace(b", ", b",") + line(f"{prefix}c")
    assert len(body) < 8 << 20
    assert send(people, token, chunks(body)).done == counts(lines=3, written=2, too_large=1)
    assert read(people, token, prefix).keys() == {f"{prefix}a", f"{prefix}c"}


BAD_LINES = [
    (b"{", {"malformed"}), (b"nonsense", {"malformed"}), (b"[]", {"malformed"}), (b"null", {"malformed"}), (b"5", {"malformed"}),
    (b"{}", {"malformed"}),
    (b"\xff", {"malformed"}), (b'{"key": "x"}', {"malformed"}), (b'{"value": 1}', {"malformed"}),
    (b'{"key": 1, "value": 1}', {"malformed"}),
    (b'{"key": "x", "value": 1} {"key": "y", "value": 1}', {"malformed"}), (b'{"key": "x", "value": 1, "expires_at": "x"}', {"malformed"}),
    (b'{"key": "x", "value": 1, "content_type": 5}', {"malformed"}), (b'{"key": "x", "value": 1, "content_type": "\\n"}', {"bad_option"}),
    (b'{"key": "x", "value": 1, "ttl": "x"}', {"malformed"}),
    (b'{"key": "x", "value": 1, "ttl": 0}', {"bad_option"}),
    (b'{"key": "x", "value": 1, "ttl": 5, "expires_at": 4102444800}', {"bad_option"}),
    (b'{"key": "", "value": 1}', {"bad_key"}), (b'{"key": "' + b"k" * 1025 + b'", "value": 1}', {"bad_key"}),
    (b'{"key": "x", "value": {"$binary": 5}}', {"bad_value", "malformed"}),
    (b'{"key": "x", "value": ' + b"[" * 65 + b"]" * 65 + b"}", {"too_deep"}),
]  # fmt: skip


@pytest.mark.parametrize("bad,allowed", BAD_LINES, ids=[bad[:30].decode("latin1") for bad, _ in BAD_LINES])
def test_a_bad_line_stops_the_import_and_is_named(people, token, prefix, bad, allowed):
    """Blank lines count: it is the line that an editor shows."""
    body = line(f"{prefix}a") + b"\n" + bad + b"\n" + line(f"{prefix}b")
    response = ask(people, "POST", "/v1/import", token, body)
    if response.status == 200:
        (last,) = lines(response.body)
        code, number, done = Imported(response, [], last).failure
        assert done["lines"] in (1, 2) and done["written"] == len(read(people, token, prefix))
    else:
        code, number = v1.problem(response, token, {"line"}).name, response.problem["line"]
    assert code in allowed and number == 3
    assert f"{prefix}b" not in read(people, token, prefix) and "x" not in read(people, token, "x")


def test_a_bad_line_far_inside_leaves_what_was_written_and_says_how_much(people, token, prefix):
    good = [line(f"{prefix}{n:05}") for n in range(5_000)]
    seen = ask(people, "POST", "/v1/import", token, chunks(b"".join([*good, b"nonsense\n", *good])))
    there = read(people, token, prefix)
    if seen.status == 200:
        code, number, done = Imported(seen, [], lines(seen.body)[-1]).failure
        assert done["written"] == len(there) and done["lines"] in (5_000, 5_001)
    else:
        code, number = v1.problem(seen, token, {"line"}).name, seen.problem["line"]
    assert (code, number) == ("malformed", 5_001)
    assert set(there) <= {f"{prefix}{n:05}" for n in range(5_000)}
    assert len(there) >= 4_000, "transactions before the bad line stay"


def test_a_client_that_breaks_off_leaves_whole_lines(people, token, prefix):
    connection = http.client.HTTPConnection(HOST, people.instance.http_port, timeout=DEADLINE)
    connection.putrequest("POST", "/v1/import")
    for name, value in (bearer(token) | {"Content-Type": NDJSON, "Content-Length": "10000000"}).items():
        connection.putheader(name, value)
    connection.endheaders(b"".join(line(f"{prefix}{n:05}", "whole") for n in range(3_000)) + b'{"key": "' + prefix.encode() + b"cut")
    connection.close()
    # It goes on serving, and no half of a line has become a pair.
    assert send(people, token, line(f"{prefix}mark", "whole")).done == counts(lines=1, written=1)
    there = read(people, token, prefix)
    assert f"{prefix}mark" in there and all(one["value"] == "whole" for one in there.values())


@pytest.mark.parametrize("token", [None, GARBAGE])
def test_without_a_token_nothing_goes_in_or_out(people, prefix, token):
    """Not even the first line is looked at."""
    for body in (line(f"{prefix}a"), b"nonsense\n", chunks(line(f"{prefix}a") * 1000)):
        with contextlib.suppress(ConnectionError, http.client.HTTPException):  # it may close before it has read a body that nobody may send
            assert refused(people, token, body).name == "unauthenticated"
    assert v1.problem(ask(people, "GET", "/v1/export", token), token).name == "unauthenticated"
    assert read(people, people.admin, prefix) == {}


@pytest.fixture
def restricted(people, prefix):
    """Someone who may read and write some of the keys of the test."""
    people.administer("role_set", "default", [])
    role = people.role(permission(f"{prefix}rw/", True, True), permission(f"{prefix}r/", read=True), permission(f"{prefix}w/", write=True))
    yield people.new(role).access
    people.administer("role_set", "default", [permission("", True, True)])


def test_what_may_not_be_written_is_counted_and_the_rest_is_written(people, prefix, restricted):
    body = b"".join(line(f"{prefix}{key}") for key in ("rw/a", "r/a", "no", "w/a"))
    assert send(people, restricted, body).done == counts(lines=4, written=2, forbidden=2)
    assert read(people, people.admin, prefix).keys() == {f"{prefix}rw/a", f"{prefix}w/a"}


def test_what_may_not_be_read_is_not_exported(people, prefix, restricted):
    keys = [f"{prefix}{key}" for key in ("no", "r/a", "rw/a", "w/a")]
    people.expect("http", ANY, "batch_put", people.admin, [{"key": key, "value": 1} for key in keys])
    for asked in (None, "", prefix):
        response = export(people, restricted, asked)
        assert [one["key"] for one in lines(response.body)] == [f"{prefix}r/a", f"{prefix}rw/a"]
        assert response.headers["X-Total-Count"] is None, "how many keys there are is not for them"


def test_an_export_of_all_says_how_many_there_are(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    body = b"".join(line(f"k{n}") for n in range(2_500))
    assert send(people, token, body).done == counts(lines=2500, written=2500)
    for asked in (None, ""):
        response = export(people, token, asked)
        assert response.headers.get_all("X-Total-Count") == ["2500"] and len(lines(response.body)) == 2_500
    assert export(people, token, "none").body == b""


@pytest.mark.parametrize("query", [{"prefix": "ж/"}, {"prefix": "*"}])
def test_a_prefix_is_no_pattern(people, token, query):
    people.expect("http", ANY, "batch_put", token, [{"key": key, "value": 1} for key in ("ж/a", "жb", "*x")])
    told = [one["key"] for one in lines(export(people, token, query["prefix"]).body)]
    assert told == (["ж/a"] if query["prefix"] == "ж/" else ["*x"])


def test_an_export_while_others_write_is_whole_for_what_does_not_change(people, token, prefix):
    body = b"".join(line(f"{prefix}{n:05}", "stays") for n in range(0, 10_000, 2))
    send(people, token, chunks(body))
    connection = http.client.HTTPConnection(HOST, people.instance.http_port, timeout=DEADLINE)
    connection.request("GET", f"/v1/export?{urlencode({'prefix': prefix})}", headers=bearer(token))
    response = connection.getresponse()
    first = response.readline()
    people.expect("http", ANY, "batch_put", token, [{"key": f"{prefix}{n:05}", "value": "new"} for n in range(1, 10_000, 2)])
    told = [json.loads(first), *lines(response.read())]
    connection.close()
    keys = [one["key"] for one in told]
    assert keys == sorted(set(keys)) and [one["key"] for one in told if one["value"] == "stays"] == [
        f"{prefix}{n:05}" for n in range(0, 10_000, 2)
    ]


def test_others_are_served_while_much_is_imported(people, token, prefix):
    """The import goes on for as long as its client sends: all the while everybody else is answered."""
    answered = []

    def slowly():
        for n in range(20):
            yield b"".join(line(f"{prefix}{n}/{m}", "x" * 500) for m in range(500))
            for transport in TRANSPORTS:
                people.expect(transport, ANY, "pair_put", token, f"{prefix}mine", n)
            answered.append(n)

    assert send(people, token, slowly()).done["written"] == 10_000
    assert answered == list(range(20))
