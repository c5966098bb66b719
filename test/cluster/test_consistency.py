"""What a read of a follower sees: what is there, what a client has written, what the leader has."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from support.harness import CHEAP_HASHES, HOST, free_port, version, wait_until
from support.http2 import Client
from support.load import in_background, jobs
from support.mvcc import MVCC
from support.outcome import Ok, Refusal
from support.people import People
from support.replica_set import ReplicaSet
from support.slow_link import SlowLink
from support.tls import Authority
from support.transports import HttpTransport, IprotoTransport, bearer

# Above every revision that a test writes.
FAR = 2**53
# Longer than a read takes that has nothing to wait for, and shorter than what a test waits.
SHORT = 0.3


needs_linearizable = pytest.mark.skipif(version() < (2, 11), reason="this Tarantool has no linearizable transactions")


class Apart:
    """A leader and a follower that gets the changes of the leader over one slow link, and answers of the leader over another."""

    def __init__(self, directory):
        self.set = ReplicaSet(2)
        leader, follower = self.set.members
        self.link = SlowLink(leader.iproto_port, slow=b"authkv_replication")
        self.answers = SlowLink(self.link.port, slow=b"authkv_forward")
        follower.settings["AUTHKV_REPLICATION"] = f"{self.answers.address},{follower.address}"
        self.authority = Authority(directory)
        cert, key = self.authority.issue("server")
        self.tls_port = free_port()
        follower.settings |= {
            "AUTHKV_HTTP_TLS_CERT_FILE": str(cert),
            "AUTHKV_HTTP_TLS_KEY_FILE": str(key),
            "AUTHKV_HTTP_LISTEN": f"{HOST}:{follower.http_port},https://{HOST}:{self.tls_port}",
        }
        for member in self.set.members:
            # A link that is held does not end the replication.
            member.settings["AUTHKV_REPLICATION_TIMEOUT"] = "10"
        self.set.start()
        self.leader, self.follower = People(leader), People(follower)
        self.token = self.leader.new().access
        wait_until(lambda: self.follower.http.check(self.token) == Ok(True), "the follower knows the user")

    def put(self, key: str, value) -> int:
        """Writes at the leader. Returns the revision of the answer."""
        response = self.leader.http.request("PUT", f"/v1/kv/{key}", value, bearer(self.token))
        assert response.status in (200, 201), response
        return int(response.headers["Authkv-Revision"])

    def read(self, path: str, headers: dict | None = None, people: People | None = None):
        """A read, with a connection of its own."""
        http = HttpTransport((people or self.follower).instance)
        try:
            return http.request("GET", path, headers=bearer(self.token) | (headers or {}))
        finally:
            http.close()

    def h2(self) -> Client:
        return Client(SimpleNamespace(authority=self.authority, port=self.tls_port))

    def evaluate(self, code: str):
        return self.follower.instance.evaluate(code)

    def close(self) -> None:
        self.link.release()
        self.answers.release()
        self.leader.close()
        self.follower.close()
        self.set.dispose()
        self.answers.close()
        self.link.close()


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    running = Apart(tmp_path_factory.mktemp("consistency"))
    yield running
    running.close()


@pytest.fixture(autouse=True)
def level(request):
    """Nothing is held or late, and the follower has everything, when a test begins."""
    if "apart" not in request.fixturenames:
        yield
        return
    apart = request.getfixturevalue("apart")
    apart.link.release()
    apart.answers.release()
    apart.link.delay = 0.0
    apart.set.await_sync()
    yield
    apart.link.release()
    apart.link.delay = 0.0


def over_h2(apart, path: str, headers=()) -> tuple[int, bytes]:
    client = apart.h2()
    try:
        return client.whole(client.begin(path, apart.token, end=True, extra=headers, method="GET"))
    finally:
        client.close()


def over_iproto(apart, operation: str, *args):
    iproto = IprotoTransport(apart.follower.instance)
    try:
        return iproto.do(operation, apart.token, *args)
    finally:
        iproto.close()


def old(apart, revision: int):
    http = HttpTransport(apart.follower.instance)
    try:
        headers = bearer(apart.token) | {"Authkv-Min-Revision": str(revision)}
        return http.request("POST", "/api/read", {"keys": ["k"]}, headers).json["data"]["k"]
    finally:
        http.close()


def batch(apart, revision: int):
    http = HttpTransport(apart.follower.instance)
    try:
        body = {"keys": ["k"], "min_revision": revision, "timeout": 20}
        return http.request("POST", "/v1/batch/get", body, bearer(apart.token)).json["pairs"][0]["value"]
    finally:
        http.close()


def of_list(answer: dict):
    return answer["pairs"][0]["value"]


def exported(apart, revision: int):
    lines = apart.read(f"/v1/export?min_revision={revision}&timeout=20").body.splitlines()
    return json.loads(lines[0])["value"]


def asked(revision: int) -> dict:
    return {"min_revision": revision, "timeout": 20}


# How to read the key `k` at a revision, by name.
READS = {
    "query": lambda apart, revision: apart.read(f"/v1/kv/k?min_revision={revision}&timeout=20").json,
    "key in the query": lambda apart, revision: apart.read(f"/v1/pair?key=k&min_revision={revision}&timeout=20").json,
    "header": lambda apart, revision: apart.read("/v1/kv/k", {"Authkv-Min-Revision": str(revision)}).json,
    "list": lambda apart, revision: of_list(apart.read(f"/v1/kv?min_revision={revision}&timeout=20").json),
    "export": exported,
    "batch": batch,
    "old path": old,
    "HTTP/2": lambda apart, revision: json.loads(over_h2(apart, f"/v1/kv/k?min_revision={revision}&timeout=20")[1]),
    "HTTP/2 header": lambda apart, revision: json.loads(over_h2(apart, "/v1/kv/k", [("authkv-min-revision", str(revision))])[1]),
    "iproto": lambda apart, revision: over_iproto(apart, "pair_get", "k", asked(revision)).value["value"],
    "iproto batch": lambda apart, revision: of_list(over_iproto(apart, "batch_get", ["k"], asked(revision)).value),
    "iproto list": lambda apart, revision: of_list(over_iproto(apart, "kv_list", asked(revision)).value),
    "console": lambda apart, revision: apart.evaluate(f"return authkv.pair.get('k', {{min_revision = {revision}, timeout = 20}}).value")[0],
}  # fmt: skip


@pytest.mark.parametrize("way", READS)
def test_a_read_waits_for_what_was_written(apart, way):
    before = apart.put("k", "old")
    assert READS[way](apart, before) == "old"
    apart.link.hold()
    revision = apart.put("k", way)
    assert revision > before
    read = in_background(lambda: READS[way](apart, revision))
    # It has been read meanwhile what is here, so it was not too fast for the wait.
    assert apart.read("/v1/kv/k").json == "old" and not read.is_there()
    assert apart.read(f"/v1/kv/k?min_revision={revision}&timeout=0").problem["code"] == "behind"
    assert not read.is_there()
    apart.link.release()
    assert read() == way


@pytest.mark.parametrize("side", ["leader", "follower"])
def test_a_read_of_a_revision_that_does_not_come_is_told_so_in_time(apart, side):
    people = getattr(apart, side)
    begun = time.monotonic()
    response = apart.read(f"/v1/kv/k?min_revision={FAR}&timeout={SHORT}", people=people)
    took = time.monotonic() - begun
    assert response.status == 503 and response.problem["code"] == "behind" and response.headers["Retry-After"] == "1", response
    assert "up to revision" in response.problem["detail"] and SHORT <= took < 10
    seen = IprotoTransport(people.instance).do("pair_get", apart.token, "k", {"min_revision": FAR, "timeout": SHORT})
    assert isinstance(seen, Refusal) and seen.name == "behind"


WRONG = {
    "min_revision=-1": (400, "min_revision"),
    "min_revision=x": (400, "min_revision"),
    "min_revision=": (400, "min_revision"),
    "min_revision=1.5": (400, "min_revision"),
    "min_revision=18446744073709551616": (400, "min_revision"),
    "min_revision=1&min_revision=1": (400, "min_revision"),
    "timeout=x": (400, "timeout"),
    "timeout=-1": (422, "timeout"),
    "timeout=61": (422, "timeout"),
    "timeout=nan": (422, "timeout"),
    "timeout=inf": (422, "timeout"),
    "consistency=": (422, "consistency"),
    "consistency=strong": (422, "consistency"),
    "consistency=LEADER": (422, "consistency"),
}


@pytest.mark.parametrize("query", WRONG)
def test_what_cannot_be_asked_for_is_named(apart, query):
    status, name = WRONG[query]
    for path in ("/v1/kv/k", "/v1/kv", "/v1/export"):
        response = apart.read(f"{path}?{query}")
        assert response.status == status and name in response.problem["detail"], (path, response)
    # Whoever has no token learns nothing of rules.
    refused = apart.read(f"/v1/kv/k?{query}", {"Authorization": "Bearer x"})
    assert refused.status == (400 if status == 400 else 401)


def test_header_and_query_may_not_differ(apart):
    revision = apart.put("k", 1)
    for headers, query, status in [
        ({"Authkv-Min-Revision": str(revision)}, f"min_revision={revision}", 200),
        ({"Authkv-Min-Revision": "1"}, f"min_revision={revision}", 400),
        ({"Authkv-Min-Revision": "1.0"}, "", 400),
        ({"Authkv-Min-Revision": "18446744073709551616"}, "", 400),
        ({"Authkv-Consistency": "leader"}, "consistency=leader", 200),
        ({"Authkv-Consistency": "leader"}, "consistency=stale_ok", 400),
        ({"Authkv-Consistency": "strong"}, "", 422),
    ]:
        response = apart.read(f"/v1/kv/k?{query}", headers)
        assert response.status == status, (headers, query, response)


@pytest.mark.parametrize("value", ["x", -1, 1.5, 2**64, True, [1], {"a": 1}])
def test_a_body_has_numbers_and_names(apart, value):
    http = apart.follower.http
    for member, other in (("min_revision", None), ("timeout", 1.5), ("consistency", "x")):
        if type(value) is type(other):
            # It is of the right kind, and refused for other reasons.
            assert member != "min_revision"
            continue
        response = http.request("POST", "/v1/batch/get", {"keys": ["k"], member: value}, bearer(apart.token))
        assert response.status in (400, 422) and member in response.problem["detail"], (member, response)


@pytest.mark.parametrize("way", ["query", "header", "HTTP/2", "iproto"])
def test_a_leader_read_sees_every_write_that_was_answered(apart, way):
    reads = {
        "query": lambda: apart.read("/v1/kv/k?consistency=leader").json,
        "header": lambda: apart.read("/v1/kv/k", {"Authkv-Consistency": "leader"}).json,
        "HTTP/2": lambda: json.loads(over_h2(apart, "/v1/kv/k?consistency=leader")[1]),
        "iproto": lambda: over_iproto(apart, "pair_get", "k", {"consistency": "leader"}).value["value"],
    }
    apart.put("k", "before")
    apart.set.await_sync()
    apart.link.delay = 0.1
    late = 0
    for value in range(8):
        apart.put("k", [way, value])
        late += apart.read("/v1/kv/k?consistency=stale_ok").json != [way, value]
        assert reads[way]() == [way, value]
    assert late >= 6, "the link was not slow, so nothing was shown"


def test_an_answer_on_its_way_counts_for_no_later_read(apart):
    """The leader has answered a question before a write. A read after the write has it asked again."""
    path = "/v1/kv/k?consistency=leader&timeout=20"

    def attempt() -> bool:
        """Whether the first answer came before it was given up, which takes half a second."""
        apart.put("k", "old")
        apart.set.await_sync()
        apart.link.hold()
        apart.answers.hold()
        begun = time.monotonic()
        before = in_background(lambda: apart.read(path))
        wait_until(apart.answers.holds, "the leader has answered")
        apart.put("k", "new")
        after = in_background(lambda: apart.read(path))
        wait_until(lambda: jobs(apart.follower.instance) == 2, "both reads wait")
        apart.answers.release()
        is_in_time = time.monotonic() - begun < 0.4
        if is_in_time:
            assert before().json == "old"
        apart.link.release()
        assert after().json == "new"
        return before().status == 200 and is_in_time

    wait_until(attempt, "an answer comes in time")


def test_a_leader_read_that_does_not_get_the_changes_in_time_is_told_so(apart):
    apart.put("k", 1)
    apart.set.await_sync()
    apart.link.hold()
    apart.put("k", 2)
    response = apart.read(f"/v1/kv/k?consistency=leader&timeout={SHORT}")
    assert response.status == 503 and "did not get in time what its leader has" in response.problem["detail"], response
    assert apart.read("/v1/kv/k").json == 1


def test_a_leader_that_does_not_answer_is_named_as_the_reason(apart):
    leader = apart.set.members[0]
    leader.pause()
    try:
        response = apart.read("/v1/kv/k?consistency=leader&timeout=1.2")
        assert response.status == 503 and response.problem["code"] == "behind", response
        assert "leader" in response.problem["detail"]
        assert apart.read("/v1/kv/k?consistency=stale_ok").status == 200
    finally:
        leader.resume()
    wait_until(lambda: apart.read("/v1/kv/k?consistency=leader").status == 200, "the leader answers again")


def test_many_reads_wait_for_one_question(apart):
    apart.put("k", "old")
    apart.set.await_sync()
    apart.link.hold()
    revision = apart.put("k", "new")
    reads = [in_background(lambda: apart.read("/v1/kv/k?consistency=leader&timeout=20")) for _ in range(60)]
    reads += [in_background(lambda: apart.read(f"/v1/kv/k?min_revision={revision}&timeout=20")) for _ in range(60)]
    assert apart.read("/v1/kv/k").json == "old"
    assert not any(read.is_there() for read in reads)
    apart.link.release()
    assert [read().json for read in reads] == ["new"] * 120


def test_the_setting_says_what_a_read_sees_that_does_not_say_so(apart):
    assert apart.evaluate("return authkv.reload{CONSISTENCY = 'leader'}.applied") == [["CONSISTENCY"]]
    try:
        person, admin = apart.leader.new(), apart.leader.admin
        assert apart.follower.http.check(person.access) == Ok(True)
        apart.link.delay = 0.1
        for value in range(4):
            apart.put("k", value)
            assert apart.read("/v1/kv/k").json == value
            assert apart.follower.http.get(apart.token, ["k"]) == Ok({"k": value})
            assert over_iproto(apart, "pair_get", "k").value["value"] == value
        # A session that has begun, a user who is new, a token that was revoked: what the leader knows counts.
        again = apart.leader.new()
        assert apart.follower.http.check(again.access) == Ok(True)
        assert apart.follower.http.do("user_me", again.access).value["login"] == again.login
        assert apart.leader.http.logout(again.access) == Ok(None)
        assert apart.follower.http.check(again.access) == Ok(False)
        # A request may ask for less.
        apart.link.hold()
        apart.put("k", "held")
        assert apart.read("/v1/kv/k?consistency=stale_ok").json == 3
        assert apart.read("/v1/kv/k?timeout=0.1").problem["code"] == "behind"
        # What an instance knows itself needs no leader.
        assert apart.follower.http.do("server_cluster", admin).value["leads"] is False
    finally:
        apart.link.release()
        apart.evaluate("return authkv.reload{CONSISTENCY = 'stale_ok'}")


def test_the_leader_asks_nobody(apart):
    for consistency in ("stale_ok", "leader"):
        apart.put("k", consistency)
        assert apart.read(f"/v1/kv/k?consistency={consistency}", people=apart.leader).json == consistency


def lacks(people, token) -> str:
    """What a linearizable read is refused for."""
    response = people.http.request("GET", "/v1/kv/k?consistency=linearizable", headers=bearer(token))
    assert response.status == 409 and response.problem["code"] == "consistency_unavailable", response
    seen = IprotoTransport(people.instance).do("pair_get", token, "k", {"consistency": "linearizable"})
    assert seen.name == "consistency_unavailable", seen
    # The token comes first.
    assert people.http.request("GET", "/v1/kv/k?consistency=linearizable", headers=bearer("x")).status == 401
    return response.problem["detail"]


def test_a_linearizable_read_is_refused_with_what_is_missing(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    token = people.new().access
    if version() < (2, 11):
        assert "Tarantool 2.11 or newer" in lacks(people, token)
        return
    assert "memtx_use_mvcc_engine" in lacks(people, token)
    people = visit(make(**CHEAP_HASHES, **MVCC).start())
    assert "AUTHKV_SYNCHRONOUS=true" in lacks(people, people.new().access)


@needs_linearizable
class TestLinearizable:
    @pytest.fixture(scope="class")
    def three(self):
        """Three members that elect a leader, with all that linearizable reads need; and a token."""
        with ReplicaSet(3, elections=True, AUTHKV_SYNCHRONOUS="true", **MVCC) as running:
            people = [People(member) for member in running.members]
            leader = people[running.members.index(running.leader())]
            token = leader.new().access
            for one in people:
                wait_until(lambda one=one: one.http.check(token) == Ok(True), "a member knows the user")
            yield running, people, token
            for one in people:
                one.close()

    def test_every_member_sees_what_was_answered(self, three):
        running, people, token = three
        leader = people[running.members.index(running.leader())]
        for value in range(30):
            written = leader.http.request("PUT", "/v1/kv/k", value, bearer(token))
            assert written.status in (200, 201), written
            for one in people:
                for consistency in ("linearizable", "leader"):
                    read = one.http.request("GET", f"/v1/kv/k?consistency={consistency}&timeout=10", headers=bearer(token))
                    assert read.status == 200 and read.json == value, (consistency, read)
                listed = one.http.request("GET", "/v1/kv?count=true&consistency=linearizable&timeout=10", headers=bearer(token))
                assert listed.json == {"count": 1}

    def test_a_member_that_reaches_no_other_does_not_answer(self, three):
        running, people, token = three
        leader = running.leader()
        others = [member for member in running.members if member is not leader]
        one = people[running.members.index(leader)]
        for member in others:
            member.pause()
        try:
            read = one.http.request("GET", "/v1/kv/k?consistency=linearizable&timeout=1", headers=bearer(token))
            assert read.status == 503 and read.problem["code"] == "behind" and "most instances" in read.problem["detail"], read
            assert one.http.request("GET", "/v1/kv/k?consistency=stale_ok", headers=bearer(token)).status == 200
        finally:
            for member in others:
                member.resume()
        path = "/v1/kv/k?consistency=linearizable&timeout=10"
        wait_until(lambda: one.http.request("GET", path, headers=bearer(token)).status == 200, "the others answer again")
