"""Watching keys: what changes comes in the order of commits, to those who may read it, and no watcher costs the instance."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.clock import moment, pass_by
from support.harness import CHEAP_HASHES, wait_until
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import CALLERS, delete, put, put_elsewhere
from support.people import PASSWORD, fresh, permission
from support.sse import Stream
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, HttpTransport, RockTransport, bearer
from support.v1 import OWNER, assert_members, problem
from support.wire import Wire, descriptors, rss

# Of what authkv keeps of changes, in a test of what it no longer keeps.
SMALL = 65_536


@pytest.fixture
def watch(instance, token, prefix):
    """Opens streams of the keys of this test, and closes them."""
    opened = []

    def watch(**more):
        opened.append(Stream(more.pop("instance", instance), more.pop("token", token), **{"prefix": prefix} | more))
        return opened[-1]

    yield watch
    for one in opened:
        one.close()


def fill(people, token, prefix: str, size: int) -> int:
    """Changes worth at least so many bytes; gives the last revision."""
    value = "x" * 10_000
    for _ in range(size // 10_000 + 2):
        last = put(people, token, f"{prefix}filler", value)
    return last


def test_a_stream_begins_with_where_it_is(people, token, prefix, watch):
    revision = put(people, token, f"{prefix}before")
    stream = watch()
    assert stream.revision >= revision
    after = put(people, token, f"{prefix}a")
    assert stream.changes(1) == [("put", f"{prefix}a", 1)] and stream.last == after


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_changes_of_every_transport_come_in_order(people, token, prefix, watch, transport):
    stream = watch()
    a, b = f"{prefix}a", f"{prefix}b"
    revisions = [
        put(people, token, a, {"n": [1, None]}, transport),
        put(people, token, b, 2, transport),
        put(people, token, a, 3, transport),
    ]
    revisions += [delete(people, token, b, transport), people.expect(transport, ANY, "kv_incr", token, a)["revision"]]
    assert stream.changes(5) == [("put", a, {"n": [1, None]}), ("put", b, 2), ("put", a, 3), ("delete", b), ("put", a, 4)]
    assert stream.last == revisions[-1] and revisions == sorted(revisions)


def test_the_old_write_is_seen_too(people, token, prefix, watch):
    stream = watch()
    for transport in TRANSPORTS:
        people.expect(transport, Ok([]), "put", token, {f"{prefix}{transport}": transport})
        assert stream.changes(1) == [("put", f"{prefix}{transport}", transport)]


def test_what_is_not_written_is_not_seen(people, token, prefix, watch):
    """What comes next is the mark, which was written after all of that."""
    a = f"{prefix}a"
    put(people, token, a)
    stream = watch()
    people.expect("http", Ok([a]), "put", token, {a: 2})
    people.expect("http", ANY, "batch_put", token, [{"key": a, "value": 2}, {"key": f"{prefix}b", "value": 1}], {"mode": "insert"})
    people.expect("http", ANY, "batch_delete", token, [f"{prefix}none"])
    people.expect("http", Refused("conflict"), "pair_put", token, a, 2, {"if_revision": 1})
    people.expect("http", Refused("not_an_integer"), "kv_txn", token, {
        "success": [{"op": "put", "key": a, "value": "x"}, {"op": "incr", "key": a}]})  # fmt: skip
    put(people, token, "elsewhere")
    put(people, token, f"{prefix}mark")
    assert stream.changes(1) == [("put", f"{prefix}mark", 1)]


def test_a_batch_and_a_transaction_come_in_their_order(people, token, prefix, watch):
    stream = watch()
    keys = [f"{prefix}{name}" for name in "cab"]
    people.expect("http", ANY, "batch_put", token, [{"key": key, "value": n} for n, key in enumerate(keys)])
    people.expect("http", ANY, "batch_delete", token, keys[:2])
    steps = [
        {"op": "put", "key": keys[0], "value": 5},
        {"op": "get", "key": keys[0]},
        {"op": "incr", "key": keys[0]},
        {"op": "delete", "key": keys[2]},
    ]
    people.expect("http", ANY, "kv_txn", token, {"success": steps})
    assert stream.changes(8) == [
        *(("put", key, n) for n, key in enumerate(keys)), *(("delete", key) for key in keys[:2]),
        ("put", keys[0], 5), ("put", keys[0], 6), ("delete", keys[2]),
    ]  # fmt: skip


def test_an_end_is_seen_once_without_anybody_asking(people, token, prefix, watch):
    stream = watch()
    a = f"{prefix}a"
    put(people, token, a, 1, ttl=0.2)
    assert stream.changes(2) == [("put", a, 1), ("expire", a)]
    put(people, token, a, 2)
    assert stream.changes(1) == [("put", a, 2)]


def test_an_end_is_seen_before_what_is_written_over_it(people, token, prefix, watch):
    stream = watch()
    a = f"{prefix}a"
    put(people, token, a, 1, ttl=0.2)
    pass_by(moment(0.2))
    put(people, token, a, 2)
    assert stream.changes(3) == [("put", a, 1), ("expire", a), ("put", a, 2)]


def test_a_change_shows_the_pair_whole(people, token, prefix, watch):
    stream = watch()
    put(people, token, f"{prefix}a", b"\x00\xff", "iproto", content_type="image/png", expires_at=4_102_444_800)
    event = stream.event()
    assert event.change == ("put", f"{prefix}a", b"\x00\xff")
    assert list(event.data) == ["type", "key", "revision", "value", "expires_at", "content_type"]
    assert event.data["value"] == {"$binary": "AP8="} and event.data["expires_at"] == 4_102_444_800


def test_a_value_of_any_characters_stays_one_event(people, token, prefix, watch):
    stream = watch()
    for value in ("\n", "\r\n\r\nevent: error\ndata: {}\n\n", "\u2028\u2029\x85", "ж🪲", {"a\nb": "\0"}, "x" * 900_000):
        put(people, token, f"{prefix}a\nb", value)
        assert stream.changes(1) == [("put", f"{prefix}a\nb", value)]


@pytest.mark.parametrize("query,seen", [("a", ["a", "a/b", "ab"]), ("a/", ["a/b"]), ("", ["a", "b", "a/b", "ab"]), ("ab", ["ab"])])
def test_a_prefix_is_of_bytes_of_keys(people, token, prefix, watch, query, seen):
    stream = watch(prefix=prefix + query)
    for key in ("a", "b", "a/b", "ab", f"{query}~mark"):
        put(people, token, prefix + key)
    assert [key for _, key, _ in stream.changes(len(seen) + 1)] == [prefix + key for key in (*seen, f"{query}~mark")]


def test_without_a_prefix_all_keys_are_watched(people, token, prefix, watch):
    stream = watch(prefix=None)
    key = fresh("any")
    put(people, token, key)
    while stream.changes(1)[0][1] != key:
        pass  # what other tests have left to end


@pytest.mark.parametrize("how", ["after", "last_event_id", "both"])
def test_a_stream_goes_on_where_another_ended(people, token, prefix, watch, how):
    revisions = [put(people, token, f"{prefix}{n}", n) for n in range(4)]
    delete(people, token, f"{prefix}0")
    seen = {"after": {"after": revisions[1]}, "last_event_id": {"last_event_id": revisions[1]},
            "both": {"after": revisions[3], "last_event_id": revisions[1]}}  # fmt: skip
    stream = watch(**seen[how])
    assert stream.changes(3) == [("put", f"{prefix}2", 2), ("put", f"{prefix}3", 3), ("delete", f"{prefix}0")]
    put(people, token, f"{prefix}4", 4)
    assert stream.changes(1) == [("put", f"{prefix}4", 4)]


def test_what_is_written_while_nobody_is_connected_is_not_lost(people, token, prefix, watch):
    """Streams that end after each event and go on from its id, while somebody writes: each change once."""
    stream = watch()
    last, seen = stream.revision, []
    stream.close()
    with ThreadPoolExecutor(1) as pool:
        transport = HttpTransport(people.instance)
        writing = pool.submit(lambda: [transport.do("pair_put", token, f"{prefix}{n % 3}", n) for n in range(60)])
        while len(seen) < 60:
            stream = watch(last_event_id=last)
            seen += stream.changes(1)
            last = stream.last
            stream.close()
        assert all(isinstance(one, Ok) for one in writing.result())
        transport.close()
    assert seen == [("put", f"{prefix}{n % 3}", n) for n in range(60)]


@pytest.mark.parametrize(
    "query,name,status",
    [*((one, "malformed", 400) for one in ("after=x", "after=", "after=-1", "after=1.5", "after=1&after=2", "after=99999999999999999999")),
     *((f"after={one}", "bad_option", 422) for one in (10**9, 2**64 - 1))],
)  # fmt: skip
def test_an_after_that_is_no_revision_is_refused(people, token, query, name, status):
    """What is no whole number is not of the form; one that was never given is."""
    seen = problem(people.http.request("GET", f"/v1/watch?{query}", headers=bearer(token)), token)
    assert (seen.name, seen.code) == (name, status), seen


def test_a_watch_needs_a_token(instance):
    for token in (None, "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"):
        with Stream(instance, token, ready=False) as stream:
            assert stream.refusal(token).name == "unauthenticated"


def test_a_change_is_seen_behind_thousands_of_other_keys(people, token, prefix, watch):
    stream = watch()
    put_elsewhere(people, token)
    last = put(people, token, f"{prefix}a")
    assert stream.changes(1) == [("put", f"{prefix}a", 1)] and stream.last == last
    resumed = watch(after=stream.revision)
    assert resumed.changes(1) == [("put", f"{prefix}a", 1)] and resumed.last == last


def test_only_what_may_be_read_is_seen(people, prefix, watch):
    """Also of the past. The mark comes after what may not be seen."""
    default = [permission("", True, True)]
    people.administer("role_set", "default", [])
    try:
        role = people.role(permission(f"{prefix}r/", read=True), permission(f"{prefix}w/", write=True))
        reader, before = people.new(role).access, put(people, people.admin, f"{prefix}first")
        streams = [watch(token=reader)]
        for key in ("w/a", "no", "r/a", "r/"):
            put(people, people.admin, prefix + key)
        streams.append(watch(token=reader, after=before))
        for stream in streams:
            assert stream.changes(2) == [("put", f"{prefix}r/a", 1), ("put", f"{prefix}r/", 1)]
        people.administer("role_set", role, [permission(f"{prefix}n/", read=True)])
        for key in ("r/b", "n/b"):
            put(people, people.admin, prefix + key)
        for stream in streams:
            assert stream.changes(1) == [("put", f"{prefix}n/b", 1)], "a change of a role counts at once"
    finally:
        people.administer("role_set", "default", default)


def ends_with(stream: Stream, code: str) -> None:
    """The next event is the last, and says so."""
    event = stream.event()
    assert event.name == "error" and event.data["code"] == code, event
    assert_members(event.data)
    assert stream.event() is None


def revoke(people, what: str) -> tuple[str, Callable[[], object]]:
    """A token, and what revokes it."""
    person = people.new()
    match what:
        case "logout":
            return person.access, lambda: people.expect("http", ANY, "auth_logout", person.access)
        case "api_logout":
            return person.api_token, lambda: people.http.logout(person.api_token)
        case "logout_all":
            return person.access, lambda: people.expect("iproto", ANY, "session_logout_all", person.access)
    return person.access, lambda: people.administer(f"user_{what}", person.login)


REVOKED = ["logout", "logout_all", "disable", "delete", "api_logout"]


@pytest.mark.parametrize("what", REVOKED)
def test_a_token_that_is_revoked_sees_no_change_any_more(people, prefix, watch, what):
    token, do = revoke(people, what)
    streams, stays = [watch(token=token) for _ in range(2)], watch(token=people.new().access)
    put(people, people.admin, f"{prefix}a")
    assert [stream.changes(1) for stream in (*streams, stays)] == [[("put", f"{prefix}a", 1)]] * 3
    do()
    put(people, people.admin, f"{prefix}b")
    assert stays.changes(1) == [("put", f"{prefix}b", 1)]
    for stream in streams:
        ends_with(stream, "unauthenticated")


def test_a_token_that_expires_sees_no_change_any_more(make, visit, watch):
    people = visit(make(AUTHKV_TOKEN_TTL="5", AUTHKV_TOKEN_LEEWAY="0", **CHEAP_HASHES).start())
    login = fresh("user")
    people.expect("console", ANY, "user_create", OWNER, login, PASSWORD, "Bob", "Stone")

    def log_in() -> str:
        return people.expect("http", ANY, "session_login", login, PASSWORD)["access_token"]

    token = log_in()
    stream = watch(instance=people.instance, token=token, prefix="")
    put(people, token, "a")
    assert stream.changes(1) == [("put", "a", 1)]
    wait_until(lambda: people.sees("http", Refused("unauthenticated"), "user_me", token), "the token has expired")
    put(people, log_in(), "b")
    ends_with(stream, "unauthenticated")


def test_a_stream_that_is_quiet_is_alive_as_long_as_its_token(people, watch):
    """Nobody writes: every 15 seconds there is a line that says nothing, and the tokens are looked at."""
    begun = time.monotonic()
    alive = watch()
    streams = {}
    for what in REVOKED:
        token, do = revoke(people, what)
        streams[what] = watch(token=token)
        do()
    alive.comment()
    assert 10 < time.monotonic() - begun < 25
    for stream in streams.values():
        ends_with(stream, "unauthenticated")
    assert time.monotonic() - begun < 25
    alive.comment()
    assert 25 < time.monotonic() - begun < 45


def test_a_stop_ends_streams_in_words_and_does_not_wait_for_them(make, visit, watch):
    instance = make(AUTHKV_SHUTDOWN_TIMEOUT="120", **CHEAP_HASHES).start()
    people = visit(instance)
    streams = [watch(instance=instance, token=people.new().access) for _ in range(3)]
    people.close()
    with ThreadPoolExecutor(3) as pool:
        endings = [pool.submit(stream.problem, "error") for stream in streams]
        begun = time.monotonic()
        instance.stop()
        assert time.monotonic() - begun < 100
        assert [one.result()["code"] for one in endings] == ["shutting_down"] * 3


def test_serving_http_anew_ends_streams_in_words(make, visit, watch):
    people = visit(make(**CHEAP_HASHES).start())
    stream = watch(instance=people.instance, token=people.new().access)
    people.console.evaluate("return authkv.http.stop()")
    ends_with(stream, "shutting_down")


def test_so_many_streams_and_no_more(make, visit):
    people = visit(make(AUTHKV_WATCH_MAX="3", **CHEAP_HASHES).start())
    token = people.new().access

    def room() -> bool:
        with Stream(people.instance, token, ready=False) as stream:
            return stream.response.status == 200

    streams = [Stream(people.instance, token) for _ in range(3)]
    with Stream(people.instance, token, ready=False) as stream:
        assert stream.response.headers["Retry-After"].isdecimal()
        seen = stream.refusal(token)
        assert seen.name == "overloaded" and "3" in seen.message
    put(people, token, "k")
    assert [stream.changes(1) for stream in streams] == [[("put", "k", 1)]] * 3
    streams.pop().close()
    wait_until(room, "a stream that was closed makes room")
    for stream in streams:
        stream.close()


def test_what_is_no_longer_kept_cannot_be_gone_on_from(make, visit, watch):
    people = visit(make(AUTHKV_WATCH_BUFFER=str(SMALL), **CHEAP_HASHES).start())
    token = people.new().access
    first = put(people, token, "a")
    with Stream(people.instance, token, after=first):
        pass
    last = fill(people, token, "", SMALL * 2)
    for given in ({"after": first}, {"last_event_id": first}, {"after": last, "last_event_id": first}):
        with Stream(people.instance, token, ready=False, **given) as stream:
            seen = stream.refusal(token)
        assert (seen.name, seen.code) == ("too_old", 410)
        kept, _, oldest = seen.message.removeprefix(f"Changes after revision {first} are no longer kept").partition("after is ")
        assert kept == ": the oldest that can be resumed " and first < int(oldest) <= last
    for transport in CALLERS:
        people.expect(transport, Refused("too_old"), "kv_watch", token, {"after": first})
    # What is named as the oldest is kept, and nothing is missing from there on.
    with Stream(people.instance, token, after=oldest) as stream:
        assert len(stream.changes(last - int(oldest))) == last - int(oldest) and stream.last == last


def test_a_slow_reader_is_dropped_and_nothing_is_kept_for_it(make, visit):
    """They read the head of the answer and nothing more, while far more is written than is kept."""
    # They have a second more for each 64 KiB of what they are sent at once, which is no more than is kept; or they were told
    # at once that they are behind, and are as idle as others then.
    limits = {"AUTHKV_HTTP_WRITE_TIMEOUT": "1", "AUTHKV_HTTP_IDLE_TIMEOUT": "2"}
    instance = make(AUTHKV_WATCH_BUFFER="262144", **limits, **CHEAP_HASHES).start()
    people = visit(instance)
    token = people.new().access
    value = "x" * 100_000

    def write(megabytes: int) -> None:
        for n in range(10 * megabytes):
            put(people, token, f"k{n % 4}", value)

    write(64)  # so that the memory of tuples is what it will be
    before, open_before = rss(instance), descriptors(instance)
    slow = [Wire(instance, narrow=True) for _ in range(20)]
    for wire in slow:
        wire.send(f"GET /v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    wait_until(lambda: all(wire.is_readable() for wire in slow), "the streams have begun")
    highest = before
    for _ in range(8):
        write(8)
        highest = max(highest, rss(instance))
    assert highest - before < 48 << 20, f"grew by {highest - before} bytes"
    wait_until(lambda: descriptors(instance) <= open_before, "the slow readers are dropped")
    for wire in slow:
        wire.close()
    with Stream(instance, token) as stream:
        put(people, token, "after", 1)
        assert stream.changes(1) == [("put", "after", 1)]


def test_a_reader_that_falls_behind_is_told_so(make, visit):
    """While one misses nothing, who takes what comes, another takes nothing for so long that what it lacks is not kept."""
    instance = make(AUTHKV_WATCH_BUFFER="1048576", AUTHKV_HTTP_WRITE_TIMEOUT="60", **CHEAP_HASHES).start()
    people = visit(instance)
    token, value = people.new().access, "x" * 500_000
    with Wire(instance) as behind, Stream(instance, token) as prompt:
        behind.send(f"GET /v1/watch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        wait_until(behind.is_readable, "the stream has begun")
        # Far more than the sockets of both sides take in, unread.
        for _ in range(48):
            last = put(people, token, "k", value)
            assert prompt.changes(1) == [("put", "k", value)]
        text = behind.answer().body.decode()
    seen = [int(one) for one in re.findall(r"^id: (\d+)\nevent: put$", text, re.MULTILINE)]
    assert seen and seen == list(range(seen[0], seen[-1] + 1)) and seen[0] == prompt.revision + 1 and seen[-1] < last
    told = json.loads(text.rpartition("\nevent: too_old\ndata: ")[2])
    assert_members(told)
    oldest = int(
        told["detail"].removeprefix(f"Changes after revision {seen[-1]} are no longer kept: the oldest that can be resumed after is ")
    )
    assert seen[-1] < oldest < last
    with Stream(instance, token, after=oldest) as again:
        assert again.changes(last - oldest) == [("put", "k", value)] * (last - oldest)


def test_an_http_rock_does_not_stream(people, token):
    if RockTransport.name not in TRANSPORTS:
        pytest.skip("no http rock")
    rock = people.transport(RockTransport.name)
    for method, path in (("GET", "/v1/watch"), ("GET", "/v1/export"), ("POST", "/v1/import")):
        response = rock.request(method, path, b"" if method == "POST" else None, bearer(token))
        assert problem(response, token) == Refusal("not_streamed", 501, response.problem["detail"])
