"""Imports at a follower with WRITES=forward: the leader writes each batch. `test_kv_bulk.py` has imports that end well, there too."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from support.bulk import NDJSON, Imported, ask, counts, line, lines
from support.faketime import clock_settings, set_clock
from support.harness import ADMIN_PASSWORD, wait_until
from support.outcome import Ok
from support.people import PASSWORD, fresh
from support.replica_set import ReplicaSet
from support.transports import HttpTransport, Response, bearer

FORWARD = {
    "AUTHKV_WRITES": "forward", "AUTHKV_FOLLOW_MAX_LAG": "unlimited", "AUTHKV_KV_INPUT_MAX": "65536", "AUTHKV_HTTP_ACCESS_LOG": "all",
    "AUTHKV_LOG_FORMAT": "json",
}  # fmt: skip
DAY = 86400


@pytest.fixture(scope="module")
def replicas():
    """A leader and two followers, which forward."""
    with ReplicaSet(3, **FORWARD) as running:
        yield running


@pytest.fixture(scope="module")
def ahead():
    """A leader whose clock is a minute ahead, and a follower."""
    members = ReplicaSet(2, **FORWARD)
    members.members[0].settings |= clock_settings(members.members[0], 60)
    with members:
        yield members


@pytest.fixture
def token(replicas) -> str:
    """An access token of a new user, who may read and write all keys."""
    client, login = HttpTransport(replicas.members[0]), fresh("user")
    assert client.register(login, PASSWORD, "Bob", "Stone") == Ok()
    told = client.do("session_login", login, PASSWORD).value["access_token"]
    client.close()
    replicas.await_sync()
    return told


def numbered(prefix: str, numbers: range) -> bytes:
    return b"".join(line(f"{prefix}{number:04}", number) for number in numbers)


def floats(count: int, text: bytes = b"0.5") -> bytes:
    """A value whose text is shorter than its form in msgpack."""
    return b'{"key":"floats","value":[' + b",".join([text] * count) + b"]}\n"


def send(member, token: str | None, body: bytes, headers: dict | None = None, **query: str) -> Response:
    return ask(SimpleNamespace(instance=member), "POST", "/v1/import", token, body, headers, **query)


def told(answer: Response) -> tuple:
    """What an answer says, without its revision, and the headers of one that is a refusal. An import that takes long has a status
    and headers before it fails."""
    last = json.loads(answer.body.splitlines()[-1])
    if "done" in last and "error" not in last:
        return answer.status, last["done"]
    problem = dict(last.get("error", last))
    line = last.get("line")
    problem.pop("line", None)
    names = ("Retry-After", "WWW-Authenticate") if "error" not in last else ()
    return problem, line, [answer.headers[name] for name in names]


FAR = str(2**60)
# A body, the headers and the query.
IMPORTS = {
    "more bytes than one input": (b"".join(line(f"small/{number}", "x" * 100) for number in range(1200)), {}, {}),
    "two lines that are together more than one input": (line("two/a", "x" * 40_000) + line("two/b", "x" * 40_000), {}, {}),
    "a line as long as may be": (line("long", "x" * (65536 - len(line("long", "")) + 1)), {}, {}),
    "a line that is too long": (line("longer", "x" * 65536), {}, {}),
    "a text that is shorter than what is stored": (line("before") + floats(15_000) + line("after"), {}, {}),
    "a bad line far inside": (numbered("bad/", range(700)) + b"x\n" + numbered("bad/", range(700, 800)), {}, {}),
    "a bad pair far inside": (numbered("worse/", range(1300)) + line("", 1) + numbered("worse/", range(1300, 1400)), {}, {}),
    "a value that is none": (line("none", {"$binary": 5}), {}, {}),
    "a value that is none, of a pair that has expired": (line("none", {"$binary": 5}, expires_at=1), {}, {}),
    "no such mode": (line("a"), {}, {"mode": "overwrite"}),
    "no such consistency": (line("a"), {"Authkv-Consistency": "bogus"}, {}),
    "a revision that is far ahead": (line("a"), {"Authkv-Min-Revision": FAR}, {}),
    "a token that is none": (line("a"), {"Authorization": "Bearer a.b.c"}, {}),
    "another type": (line("a"), {"Content-Type": "text/plain"}, {}),
    "nothing": (b"", {}, {}),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_the_answer_is_that_of_the_leader(replicas, token, name):
    body, headers, query = IMPORTS[name]
    expected = told(send(replicas.members[0], token, body, headers, **query))
    for follower in replicas.members[1:]:
        assert told(send(follower, token, body, headers, **query)) == expected


def test_an_api_key_imports_too(replicas, token):
    client = HttpTransport(replicas.members[0])
    key = client.do("api_key_create", token, "import", {}).value["key"]
    answer = send(replicas.members[1], key, numbered(fresh("key") + "/", range(700)))
    assert (answer.status, lines(answer.body)[-1]["done"]) == (200, counts(lines=700, written=700)), answer
    client.close()


def test_a_pair_that_has_expired_by_the_clock_of_the_leader_is_counted_so(ahead):
    leader, follower = ahead.members
    client, prefix = HttpTransport(leader), fresh("expired") + "/"
    token = client.login("admin", ADMIN_PASSWORD).value
    # The token has to hold by both clocks.
    set_clock(leader, 0)
    (now,) = follower.evaluate("return require('fiber').time()")
    set_clock(leader, 60)
    body = line(f"{prefix}a") + line(f"{prefix}b", 1, expires_at=now + 30) + line(f"{prefix}c", 1, expires_at=now + 3600)
    answer = send(follower, token, body)
    assert (answer.status, lines(answer.body)[-1].get("done")) == (200, counts(lines=3, written=2, expired=1)), answer
    # What is wrong with a pair that expires is no matter of clocks.
    answer = send(follower, token, line(f"{prefix}d", 1, expires_at=now + 3600, content_type="\n"))
    assert (answer.status, answer.problem["code"], answer.problem["line"]) == (422, "bad_option", 1), answer
    client.close()


def imported(follower, token: str, prefix: str, between) -> Imported:
    """An import of 3000 pairs, with this done once half of them are sent and 1000 are written."""

    def body() -> Iterator[bytes]:
        yield numbered(prefix, range(1500))
        reader = HttpTransport(follower)
        wait_until(lambda: reader.get(token, [f"{prefix}0999"]) == Ok({f"{prefix}0999": 999}), "1000 are written")
        reader.close()
        between()
        yield numbered(prefix, range(1500, 3000))

    answer = send(follower, token, body())
    *progress, last = lines(answer.body) if answer.status == 200 else [{"error": answer.problem, "line": answer.problem["line"]}]
    return Imported(answer, progress, last)


def pairs_below(member, token: str, prefix: str) -> list[str]:
    """The keys, without the prefix."""
    answer = ask(SimpleNamespace(instance=member), "GET", "/v1/export", token, prefix=prefix)
    return [one["key"].removeprefix(prefix) for one in lines(answer.body)]


def numbers(end: int) -> list[str]:
    return [f"{number:04}" for number in range(end)]


@pytest.mark.parametrize("number", [1, 2])
def test_it_ends_at_a_line_if_the_leader_goes(replicas, token, number):
    """All lines before it are written. Those after it are not, or it is not known whether the first of them are. The answer to what is
    seen already may be lost too."""
    one, follower = replicas.members[0], replicas.members[number]
    prefix = fresh("import") + "/"
    try:
        seen = imported(follower, token, prefix, one.kill)
    finally:
        one.start()
    code, stopped = seen.last["error"]["code"], seen.last["line"]
    assert code in ("read_only", "outcome_unknown") and stopped - 1 < 3000, seen.last
    replicas.await_sync()
    there = pairs_below(follower, token, prefix)
    assert there[: stopped - 1] == numbers(stopped - 1)
    assert len(there) == stopped - 1 or code == "outcome_unknown", (len(there), seen.last)


def test_it_ends_at_a_line_if_nobody_leads(replicas, token):
    one, follower = replicas.members[0], replicas.members[1]
    prefix = fresh("import") + "/"
    try:
        seen = imported(follower, token, prefix, lambda: one.evaluate("box.cfg{read_only = true}"))
        assert seen.last["error"]["code"] == "read_only" and 1000 <= seen.last["line"] - 1 < 3000, seen.last
        assert pairs_below(follower, token, prefix) == numbers(seen.last["line"] - 1)
    finally:
        one.evaluate("box.cfg{read_only = false}")


def test_it_goes_on_after_a_moment_without_a_leader(replicas, token):
    one, two, three = replicas.members
    prefix = fresh("import") + "/"
    promotion = threading.Timer(1.5, two.evaluate, ["box.cfg{read_only = false}"])

    def resign() -> None:
        one.evaluate("box.cfg{read_only = true}")
        promotion.start()

    try:
        assert imported(three, token, prefix, resign).done == counts(lines=3000, written=3000)
        assert pairs_below(three, token, prefix) == numbers(3000)
    finally:
        promotion.join()
        replicas.promote(one)
        replicas.await_sync()


def test_it_goes_on_if_the_leader_is_restarted(replicas, token):
    one, follower = replicas.members[0], replicas.members[1]
    prefix = fresh("import") + "/"
    seen = imported(follower, token, prefix, lambda: one.evaluate("return authkv.restart()"))
    assert seen.done == counts(lines=3000, written=3000)
    assert pairs_below(follower, token, prefix) == numbers(3000)


def test_it_goes_on_if_its_own_instance_leads_no_more(replicas, token):
    one, two, _ = replicas.members
    prefix = fresh("import") + "/"
    try:
        assert imported(one, token, prefix, lambda: replicas.promote(two)).done == counts(lines=3000, written=3000)
        assert pairs_below(one, token, prefix) == numbers(3000)
    finally:
        replicas.promote(one)
        replicas.await_sync()


def test_it_ends_at_a_line_if_its_token_does(replicas, token):
    one, follower = replicas.members[0], replicas.members[1]
    prefix, client = fresh("import") + "/", HttpTransport(replicas.members[2])
    other = client.do("session_login", "admin", ADMIN_PASSWORD).value["access_token"]
    seen = imported(follower, token, prefix, lambda: client.logout(token))
    assert seen.last["error"]["code"] == "unauthenticated" and 1000 <= seen.last["line"] - 1 < 3000, seen.last
    replicas.await_sync()
    assert pairs_below(one, other, prefix) == numbers(seen.last["line"] - 1)
    client.close()


@pytest.mark.parametrize("stops", [False, True])
def test_it_goes_on_at_the_next_leader(replicas, token, stops):
    """Also if the old one stops as an operator stops it."""
    one, two, three = replicas.members
    prefix = fresh("import") + "/"

    def promote() -> None:
        replicas.promote(two)
        if stops:
            one.stop()
        leader = "return (authkv.cluster().leader or {}).name"
        wait_until(lambda: three.evaluate(leader) == [two.name], "the follower knows the new leader")

    try:
        assert imported(three, token, prefix, promote).done == counts(lines=3000, written=3000)
        assert pairs_below(three, token, prefix) == numbers(3000)
    finally:
        if stops:
            one.start()
        replicas.promote(one)
        replicas.await_sync()


def test_the_log_of_the_follower_says_that_it_was_forwarded(replicas, token):
    follower, request_id = replicas.members[1], fresh("request")
    assert send(follower, token, numbered(fresh("log") + "/", range(10)), {"X-Request-Id": request_id}).status == 200

    def entries() -> list[dict]:
        said = [json.loads(text) for text in follower.present_log().splitlines() if request_id in text]
        return [one | json.loads(one["message"]) if str(one.get("message")).startswith("{") else one for one in said]

    (entry,) = wait_until(entries, "the follower has logged it")
    assert entry["forwarded"] is True and entry["status"] == 200, entry


def test_it_counts_once_for_the_limit_of_its_user():
    """The leader counts it, however many calls there are: here one for each pair, because a batch is too large for the leader. Only
    the leader knows what is left."""
    with ReplicaSet(2, **FORWARD, AUTHKV_REQUESTS_PER_USER=f"3/{DAY}", own={0: {"AUTHKV_BATCH_MAX": "500"}}) as members:
        leader, follower = members.members
        client = HttpTransport(follower)
        token = client.login("admin", ADMIN_PASSWORD).value
        body = numbered("k", range(1500))
        answer = send(follower, token, body)
        assert (answer.status, lines(answer.body)[-1]["done"]["written"]) == (200, 1500), answer
        assert "RateLimit" not in answer.headers
        typed = {"Content-Type": "application/json"} | bearer(token)
        assert [client.request("PUT", "/v1/kv/k", b"1", typed).status for _ in range(3)] == [201, 200, 429]
        for member in (leader, follower):
            refused = send(member, token, body)
            assert (refused.status, refused.problem["code"]) == (429, "too_many_requests") and int(refused.headers["Retry-After"]) > 0
            assert NDJSON not in refused.headers["Content-Type"]
        client.close()
