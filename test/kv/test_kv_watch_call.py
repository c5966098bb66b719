"""kv_watch over iproto and in Lua: what has come since, or what comes in time."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.harness import CHEAP_HASHES, wait_until
from support.outcome import ANY, Refusal, Refused
from support.pairs import CALLERS, delete, put, put_elsewhere
from support.people import permission
from support.transports import ADMIN_TRANSPORTS


@pytest.fixture(params=CALLERS)
def transport(request) -> str:
    return request.param


def call_watch(people, transport: str, token: str, **options) -> dict:
    return people.expect(transport, ANY, "kv_watch", token, options)


def changes(answer: dict) -> list[tuple]:
    return [(one["type"], one["key"], *([one["value"]] if one["type"] == "put" else [])) for one in answer["events"]]


def test_a_call_answers_at_once_with_where_to_go_on(people, token, prefix, transport):
    revision = put(people, token, f"{prefix}a")
    answer = call_watch(people, transport, token, prefix=prefix)
    assert answer["events"] == [] and answer["revision"] >= revision
    later = put(people, token, f"{prefix}b", [1])
    answer = call_watch(people, transport, token, prefix=prefix, after=answer["revision"])
    assert answer == {"events": [{"type": "put", "key": f"{prefix}b", "revision": later, "value": [1]}], "revision": answer["revision"]}
    assert answer["revision"] >= later
    assert call_watch(people, transport, token, prefix=prefix, after=answer["revision"])["events"] == []


def test_a_call_shows_all_kinds_in_order(people, token, prefix, transport):
    after = call_watch(people, transport, token)["revision"]
    a = f"{prefix}a"
    put(people, token, a, b"\xff", "iproto", content_type="x/y", ttl=600)
    delete(people, token, a)
    put(people, token, a, 2, ttl=0.05)
    wait_until(lambda: len(call_watch(people, transport, token, prefix=prefix, after=after)["events"]) == 4, "the end is told")
    events = call_watch(people, transport, token, prefix=prefix, after=after)["events"]
    assert [one["type"] for one in events] == ["put", "delete", "put", "expire"]
    assert events[0].keys() == {"type", "key", "revision", "value", "expires_at", "content_type"}
    revisions = [one["revision"] for one in events]
    assert revisions == sorted(set(revisions)) and revisions[0] > after


def test_a_call_waits_for_what_comes(people, token, prefix, transport):
    after = call_watch(people, transport, token)["revision"]
    begun = time.monotonic()
    writer = threading.Timer(0.5, put, (people, token, f"{prefix}a", 7))
    writer.start()
    answer = call_watch(people, transport, token, prefix=prefix, after=after, timeout=30)
    assert changes(answer) == [("put", f"{prefix}a", 7)] and 0.3 < time.monotonic() - begun < 20
    writer.join()


def test_a_call_waits_for_changes_from_the_moment_of_the_call_on(people, token, prefix, transport):
    before = put(people, token, f"{prefix}before")
    answered, written = threading.Event(), {}

    def write() -> None:
        # Again and again: nobody knows when the call has come.
        while not answered.wait(0.2):
            value = len(written)
            written[value] = put(people, token, f"{prefix}a", value)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        answer = call_watch(people, transport, token, prefix=prefix, timeout=30)
    finally:
        answered.set()
        writer.join()
    # What has come, and no more than that.
    (event,) = answer["events"]
    assert (event["type"], event["key"]) == ("put", f"{prefix}a") and before < event["revision"] == written[event["value"]]


def test_a_call_waits_no_longer_than_asked(people, token, prefix, transport):
    begun = time.monotonic()
    answer = call_watch(people, transport, token, prefix=prefix, timeout=0.5)
    assert answer["events"] == [] and 0.4 < time.monotonic() - begun < 15


def test_a_wait_keeps_nobody_else_waiting(people, token, prefix, transport):
    with ThreadPoolExecutor(1) as pool:
        other = ADMIN_TRANSPORTS[transport](people.instance)
        after = call_watch(people, transport, token)["revision"]
        waiting = pool.submit(other.do, "kv_watch", token, {"prefix": prefix, "after": after, "timeout": 60})
        for n in range(20):
            put(people, token, f"elsewhere{n}")
        assert not waiting.done()
        put(people, token, f"{prefix}a")
        assert changes(waiting.result().value) == [("put", f"{prefix}a", 1)]
        other.close()


def test_a_wait_ends_with_a_change_behind_thousands_of_other_keys(people, token, prefix, transport):
    """And not only once its time is over, when it would give nothing."""
    other = ADMIN_TRANSPORTS[transport](people.instance)
    after = call_watch(people, transport, token)["revision"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.do, "kv_watch", token, {"prefix": prefix, "after": after, "timeout": 30})
        put_elsewhere(people, token)
        last = put(people, token, f"{prefix}a")
        answer = waiting.result().value
    other.close()
    assert changes(answer) == [("put", f"{prefix}a", 1)] and answer["revision"] == last


def test_a_call_gives_a_thousand_at_most_and_goes_on(people, token, prefix, transport):
    after = call_watch(people, transport, token)["revision"]
    keys = [f"{prefix}{n}" for n in range(2_500)]
    people.expect("http", ANY, "batch_put", token, [{"key": key, "value": 1} for key in keys])
    seen, sizes = [], []
    while len(seen) < len(keys):
        answer = call_watch(people, transport, token, prefix=prefix, after=after)
        after = answer["revision"]
        sizes.append(len(answer["events"]))
        seen += [one["key"] for one in answer["events"]]
    assert seen == keys and sizes == [1000, 1000, 500]


@pytest.mark.parametrize(
    "options,allowed",
    [({"timeout": -1}, ("bad_option", "malformed")), ({"timeout": 61}, ("bad_option",)), ({"timeout": "1"}, ("malformed",)),
     ({"after": "5"}, ("malformed",)), ({"after": -1}, ("bad_option", "malformed")), ({"prefix": 5}, ("malformed",)),
     ({"key": "a"}, ("malformed",))],
    ids=repr,
)  # fmt: skip
def test_a_call_refuses_options_that_cannot_be(people, token, transport, options, allowed):
    seen = people.do(transport, "kv_watch", token, options)
    assert isinstance(seen, Refusal) and seen.name in allowed, seen


def test_a_call_takes_nulls(people, token, transport):
    answer = call_watch(people, transport, token, prefix=None, after=None, timeout=None)
    assert answer["events"] == []


@pytest.mark.parametrize("transport", [name for name in CALLERS if name != "owner"])
def test_a_procedure_shows_only_what_may_be_read(people, prefix, transport):
    people.administer("role_set", "default", [])
    try:
        reader = people.new(people.role(permission(f"{prefix}r/", read=True))).access
        after = call_watch(people, transport, reader)["revision"]
        for key in ("no", "r/a"):
            last = put(people, people.admin, prefix + key)
        put(people, people.admin, f"{prefix}no")
        answer = call_watch(people, transport, reader, after=after)
        assert changes(answer) == [("put", f"{prefix}r/a", 1)] and answer["revision"] >= last
        people.expect(transport, Refused("unauthenticated"), "kv_watch", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", {"after": after})
    finally:
        people.administer("role_set", "default", [permission("", True, True)])


def test_a_wait_ends_when_the_instance_stops(make, visit):
    instance = make(AUTHKV_SHUTDOWN_TIMEOUT="120", **CHEAP_HASHES).start()
    people = visit(instance)
    token = people.new().access
    with ThreadPoolExecutor(1) as pool:
        transport = ADMIN_TRANSPORTS["iproto"](instance)

        def wait():
            try:
                return transport.do("kv_watch", token, {"timeout": 60})
            except Exception as lost:  # noqa: BLE001 - the connection may end before the answer
                return lost

        waiting = pool.submit(wait)
        put(people, token, "k")  # which it may see
        people.close()
        begun = time.monotonic()
        instance.stop()
        assert time.monotonic() - begun < 50
        seen = waiting.result()
        assert not isinstance(seen, Refusal) or seen.name == "shutting_down", seen
