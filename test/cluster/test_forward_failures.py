"""WRITES=forward where something fails between a follower and the leader: nothing is written twice, and nobody waits for ever."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import h2.events
import msgpack
import pytest

from support.harness import ADMIN_PASSWORD, CLIENT_PASSWORD, HOST, free_port, wait_until
from support.http2 import Client
from support.load import Load, at_once, jobs
from support.outcome import Ok
from support.people import PASSWORD, fresh
from support.provider import Provider, trusting
from support.replica_set import REPLICATION_PASSWORD, ReplicaSet
from support.slow_link import SlowLink
from support.tls import Authority
from support.transports import Console, HttpTransport, IprotoTransport, NetBoxTransport, bearer

# The answer of a leader that is silent is given up after six seconds. Tokens hold though nothing is heard of it.
FORWARD = {
    "AUTHKV_WRITES": "forward", "AUTHKV_COMMIT_TIMEOUT": "1", "AUTHKV_SHUTDOWN_TIMEOUT": "2", "AUTHKV_FOLLOW_MAX_LAG": "unlimited",
}  # fmt: skip


@pytest.fixture(scope="module")
def replicas():
    """A leader and two followers, which forward."""
    with ReplicaSet(3, **FORWARD) as running:
        yield running


@pytest.fixture(scope="module")
def token(replicas) -> str:
    """An access token of a new user, who may read and write all keys."""
    login = fresh("user")
    client = HttpTransport(replicas.members[0])
    assert client.register(login, PASSWORD, "Bob", "Stone") == Ok()
    told = client.do("session_login", login, PASSWORD).value["access_token"]
    client.close()
    replicas.await_sync()
    return told


@contextmanager
def paused(member) -> Iterator[None]:
    """The process of this member says nothing to anybody."""
    member.pause()
    try:
        yield
    finally:
        if member.is_running():
            member.resume()
        else:
            member.start()


def increment(client, token: str, key: str):
    return client.request("POST", f"/v1/kv/{key}/incr", {}, bearer(token))


def count(client, token: str, key: str) -> int:
    answer = client.request("GET", f"/v1/kv/{key}", headers=bearer(token))
    return answer.json if answer.status == 200 else 0


def forwarded(member) -> dict[str, int]:
    """What the metrics of a member count."""
    told = member.evaluate("return authkv.metrics()")[0]["metrics"]
    (family,) = [one for one in told if one["name"] == "authkv_forwarded_total"]
    return {sample["labels"]["result"]: sample["value"] for sample in family["samples"]}


def is_read_only(response, leader: str | None) -> bool:
    """Whether this is the refusal of a read-only instance that names this leader."""
    problem = response.problem
    named = problem["detail"].partition("leader, ")[2].partition(" ")[0]
    return response.status == 503 and problem["code"] == "read_only" and response.headers["Retry-After"] == "1" and (leader or "") == named


def test_a_body_as_large_as_may_be_is_carried_and_a_larger_one_refused_here(replicas, token):
    client = HttpTransport(replicas.members[1])
    largest, key = 8 << 20, fresh("large")
    pairs = json.dumps({"pairs": [{"key": f"{key}{number}", "value": "x" * 1_000_000} for number in range(8)]}).encode()
    body = pairs[:-1] + b" " * (largest - len(pairs)) + b"}"
    assert len(body) == largest
    headers = {"Content-Type": "application/json"} | bearer(token)
    assert client.request("POST", "/v1/batch/put", body, headers).json["committed"] is True
    assert client.get(token, [f"{key}7"]) == Ok({f"{key}7": "x" * 1_000_000})
    before = forwarded(replicas.members[1])
    above = client.request("POST", "/v1/batch/put", body + b" ", headers)
    assert above.status == 413 and forwarded(replicas.members[1]) == before
    for number in range(8):
        client.request("DELETE", f"/v1/kv/{key}{number}", headers=bearer(token))
    client.close()


def test_a_request_that_is_larger_than_all_that_may_be_on_their_way_is_carried_alone():
    with ReplicaSet(2, **FORWARD, AUTHKV_KV_INPUT_MAX=str(72 << 20)) as members:
        client, key = HttpTransport(members.members[1]), fresh("large")
        token = client.login("admin", ADMIN_PASSWORD).value
        body = json.dumps({"pairs": [{"key": key, "value": 1}]}).encode()
        answer = client.request("POST", "/v1/batch/put", body[:-1] + b" " * (70 << 20) + b"}", bearer(token))
        assert answer.status == 200 and answer.json["committed"] is True, answer
        assert members.leader().evaluate(f"return authkv.pair.get('{key}').value") == [1]
        client.close()


def test_answers_come_back_as_large_as_they_are(replicas, token):
    """A transaction may read, so its answer is carried back."""
    client, key = HttpTransport(replicas.members[2]), fresh("large")
    values = {f"{key}{number}": "y" * 900_000 for number in range(5)}
    assert client.put(token, values) == Ok([])
    steps = [{"op": "get", "key": one} for one in values] + [{"op": "put", "key": f"{key}0", "value": 1}]
    told = client.request("POST", "/v1/txn", {"success": steps}, bearer(token)).json
    assert [one["value"] for one in told["results"][:5]] == list(values.values())
    client.close()


def test_nobody_but_the_hop_may_carry(replicas, token):
    """A client with Tarantool's right to call procedures of clients cannot claim to be somebody else."""
    leader = replicas.members[0]
    for user, password in (("authkv", CLIENT_PASSWORD), ("authkv_replication", REPLICATION_PASSWORD)):
        client = IprotoTransport(leader, user, password)
        for name in ("carried", "key_publish", "leader_position"):
            with pytest.raises(Exception, match=r"Execute access to function .* is denied"):
                client.connection.call(f"authkv.{name}", ["x"])
        client.close()


def test_what_cannot_be_read_does_nothing(replicas):
    follower = replicas.members[1]
    for request in ("", "h", "c", "x", "hello", "h\\x95", "c\\x94\\xa1a"):
        ask = f"local verdict, why = require('authkv.hop').ask('carried', \"{request}\", 5) return verdict, why"
        verdict, why = follower.evaluate(ask)
        assert verdict == "refused" and why.startswith("malformed: "), (request, verdict, why)


def test_a_leader_that_stops_has_done_nothing(make):
    """It refuses the call itself, and does not answer it with a refusal: so the follower knows that nothing was done."""
    leader = make().start()
    console = Console(leader.console_path)
    carried = b"c" + msgpack.packb(["kv_put", "http", "10.0.0.1", True, None, msgpack.packb(["a.b.c", {"k": 1}])])
    text = "".join(f"\\{byte:03}" for byte in carried)
    call = f"pcall(box.func['authkv.carried'].call, box.func['authkv.carried'], {{'{text}'}})"
    assert console.evaluate(f"return ({call})") == [True]
    code = "local fiber = require('fiber') fiber.create(authkv.stop) "
    assert console.evaluate(f"{code} local done, why = {call} return done, done or why.code") == [False, 20019]
    console.close()


def test_the_console_of_a_follower_names_the_leader(replicas):
    told = replicas.members[1].evaluate("local ok, why = authkv.pair.put('k', 1) return tostring(ok), tostring(why)")
    assert told[0] == "nil" and "read_only" in told[1] and replicas.members[0].url in told[1]


def test_a_leader_that_changes_is_followed(replicas, token):
    """Requests go to the new leader from the moment at which it leads, and only then."""
    one, two, _ = replicas.members
    clients = [HttpTransport(member) for member in replicas.members]
    key = fresh("count")
    for leader in (two, one):
        replicas.promote(leader)
        for number, client in enumerate(clients):
            wait_until(lambda client=client: increment(client, token, key).status == 200, f"{number} reaches the new leader")
    replicas.await_sync()
    counts = {count(client, token, key) for client in clients}
    # Each refusal was none of a write that was done.
    assert counts == {6}
    for client in clients:
        client.close()


def test_two_that_take_each_other_for_the_leader_refuse_at_once(replicas, token):
    """The one that was the leader is read-only, and the others have not heard of another one: nothing goes round."""
    one = replicas.members[0]
    one.evaluate("box.cfg{read_only = true}")
    clients = [HttpTransport(member) for member in replicas.members]
    before = [forwarded(member) for member in replicas.members]
    try:
        key = fresh("count")
        for client, leader in zip(clients, (None, "one", "one"), strict=True):
            assert is_read_only(increment(client, token, key), leader)
        after = [forwarded(member) for member in replicas.members]
        for member_before, member_after in zip(before, after, strict=True):
            assert member_after == member_before | {"refused": member_before["refused"] + 1}
    finally:
        one.evaluate("box.cfg{read_only = false}")
    assert increment(clients[1], token, key).json["value"] == 1
    for client in clients:
        client.close()


def test_a_revision_that_does_not_come_keeps_no_fiber_waiting(replicas, token):
    """Only 32 requests that write are on their way from a follower. The leader has every revision that a client may know of."""
    client, key = HttpTransport(replicas.members[1]), fresh("count")
    far = {"Authkv-Min-Revision": str(2**64 - 1)}
    begun = time.monotonic()
    answer = client.request("POST", f"/v1/kv/{key}/incr", {}, bearer(token) | far)
    assert answer.problem["code"] == "behind"
    # A read waits for two seconds.
    assert time.monotonic() - begun < 1.5
    assert count(client, token, key) == 0
    client.close()


def test_a_leader_that_gives_up_its_role_does_not_carry_on(replicas):
    """The role changes while a request that was carried here is being checked: nothing goes round."""
    one, two, _ = replicas.members
    client = HttpTransport(two)
    refused = 0
    for _ in range(10):
        # Signed by the follower, so that the leader has to check the signature, on another thread.
        two.evaluate("require('authkv.hop').stop()")
        alone = client.login("admin", ADMIN_PASSWORD).value
        two.evaluate(f"require('authkv.hop').start({{replication_password = '{REPLICATION_PASSWORD}'}})")
        carried = b"h" + msgpack.packb(["PUT", b"/v1/kv/hop", [["authorization", f"Bearer {alone}".encode()]], "10.0.0.1", b"1"])
        text = "".join(f"\\{byte:03}" for byte in carried)
        before = forwarded(one)
        refused += one.evaluate(
            f"local fiber, told = require('fiber') fiber.new(function() told = {{pcall(function() return "
            f"box.func['authkv.carried']:call{{\"{text}\"}} end)}} end) "
            "fiber.yield() box.cfg{read_only = true} while not told do fiber.sleep(0.001) end box.cfg{read_only = false} "
            "local answer = type(told[2]) == 'table' and told[2][1] or told[2] "
            "return told[1] and answer:find('read_only') ~= nil"
        )[0]
        assert forwarded(one) == before
    assert refused >= 3
    client.close()


def test_a_leader_that_is_gone_is_named_at_once(replicas, token):
    one, two, _ = replicas.members
    client, binary = HttpTransport(two), NetBoxTransport(two)
    key = fresh("count")
    assert increment(client, token, key).status == 200
    one.kill()
    try:
        begun = time.monotonic()
        answers = [increment(client, token, key) for _ in range(20)]
        # The first may have been on the connection that broke.
        assert all(is_read_only(answer, "one") for answer in answers[1:]), [answer.body for answer in answers]
        assert time.monotonic() - begun < 5
        seen = binary.do("kv_incr", token, key)
        assert (seen.name, seen.code) == ("read_only", 20016)
        # What needs no write goes on.
        assert count(client, token, key) == 1 and client.check(token) == Ok(True)
        # So does a login without a session: the key of the follower is published.
        with_own_key = client.login("admin", ADMIN_PASSWORD)
        assert isinstance(with_own_key, Ok) and client.check(with_own_key.value) == Ok(True)
        other = HttpTransport(replicas.members[2])
        assert other.check(with_own_key.value) == Ok(True)
        other.close()
    finally:
        one.start()
    wait_until(lambda: increment(client, token, key).status == 200, "the leader is asked again")
    assert count(client, token, key) == 2
    client.close()
    binary.close()


def test_a_write_whose_answer_is_lost_is_not_done_twice(replicas, token):
    """The leader stops while writes are on their way. Each is answered outcome_unknown or done, and done once at most."""
    one, two, three = replicas.members
    key = fresh("count")
    clients = [HttpTransport(member) for member in (two, three) for _ in range(8)]
    done, unknown = [], []

    def work(client) -> None:
        for _ in range(1_000_000):
            answer = increment(client, token, key)
            if answer.status == 200:
                done.append(answer.json["value"])
                continue
            assert answer.problem["code"] == "outcome_unknown", answer.body
            assert answer.headers["Retry-After"] == "1"
            unknown.append(answer)
            return

    with ExitStack() as stopping, ThreadPoolExecutor(len(clients)) as pool:
        works = [pool.submit(work, client) for client in clients]
        wait_until(lambda: len(done) > 200, "writes are under way")
        stopping.enter_context(paused(one))
        for running in works:
            running.result()
        assert len(unknown) == len(clients)
        # Replication notices the silence: from then on nothing is sent any more.
        wait_until(lambda: is_read_only(increment(clients[0], token, key), "one"), "the leader is taken for lost")
        begun = time.monotonic()
        assert is_read_only(increment(clients[0], token, key), "one") and time.monotonic() - begun < 1
    wait_until(lambda: increment(clients[0], token, key).status == 200, "the leader is asked again")
    replicas.await_sync()
    total = count(clients[0], token, key)
    # No number was told twice.
    lost = forwarded(two)["unknown"] + forwarded(three)["unknown"]
    assert len(set(done)) == len(done) and len(done) + 1 <= total <= len(done) + 1 + lost
    assert lost >= len(unknown)
    for client in clients:
        client.close()


def test_a_connection_that_breaks_after_a_write_was_sent_is_an_unknown_outcome(replicas, token):
    one, two, _ = replicas.members
    client, key = HttpTransport(two), fresh("count")
    assert increment(client, token, key).status == 200
    with paused(one), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(increment, client, token, key)
        wait_until(lambda: jobs(two) > 0, "the request was sent")
        one.kill()
        answer = asked.result()
    assert answer.problem["code"] == "outcome_unknown"
    wait_until(lambda: increment(client, token, key).status == 200, "the leader is asked again")
    assert count(client, token, key) in (2, 3)
    client.close()


def test_a_request_whose_answer_is_lost_is_not_sent_again_though_the_leader_is_there():
    """The leader has done it, and its answer is cut off. A connection to the leader can be made again at once."""
    made = ReplicaSet(2, **FORWARD)
    one, two = made.members
    link = SlowLink(one.iproto_port, slow=b"authkv_forward")
    two.settings["AUTHKV_REPLICATION"] = f"{link.address},{two.address}"
    with made:
        client, leader, binary = HttpTransport(two), HttpTransport(one), NetBoxTransport(two)
        token = client.login("admin", ADMIN_PASSWORD).value
        for number, ask in enumerate(
            (
                lambda: increment(client, token, "k").problem["code"],
                lambda: binary.do("kv_incr", token, "k").name,
            )
        ):
            assert increment(client, token, "k").status == 200
            link.hold()
            with ThreadPoolExecutor(1) as pool:
                asked = pool.submit(ask)
                wait_until(lambda number=number: count(leader, token, "k") == 2 * number + 2, "the leader has done it")
                link.release_and_cut()
                assert asked.result() == "outcome_unknown"
            assert count(leader, token, "k") == 2 * number + 2
        # Nor later.
        assert increment(client, token, "k").json["value"] == 5
        for one_of_them in (client, leader, binary):
            one_of_them.close()
    link.close()


def test_a_follower_that_stops_does_not_wait_for_a_leader_that_is_silent(replicas, token):
    one, _, three = replicas.members
    client, key = HttpTransport(three), fresh("count")
    assert increment(client, token, key).status == 200
    try:
        with paused(one), ThreadPoolExecutor(1) as pool:
            asked = pool.submit(increment, client, token, key)
            wait_until(lambda: jobs(three) > 0, "the request was sent")
            begun = time.monotonic()
            three.stop()
            assert time.monotonic() - begun < 5
            assert asked.exception() is not None or asked.result().status == 503
    finally:
        three.start()
    client.close()


def test_restarts_on_both_sides_lose_no_request(replicas, token):
    one, two, three = replicas.members
    loads = [Load(member, [HttpTransport, IprotoTransport], token) for member in (two, three)]
    with loads[0], loads[1]:
        for _ in range(3):
            for member in (two, one, three):
                member.evaluate("return authkv.restart() ~= nil")
        wait_until(lambda: all(done > 20 for load in loads for done in load.done), "all clients have worked")
    assert [load.wrong for load in loads] == [[], []]


def test_what_is_too_much_for_a_follower_is_refused(token, replicas):
    """The queue of a follower whose leader is silent fills up, and the rest is refused at once."""
    one, two, _ = replicas.members
    settings = dict(two.settings)
    two.stop()
    two.settings["AUTHKV_QUEUE"] = "40"
    two.start()
    try:
        clients, key = [HttpTransport(two) for _ in range(60)], fresh("count")
        assert increment(clients[0], token, key).status == 200
        with paused(one):
            answers = at_once(*[lambda client=client: increment(client, token, key) for client in clients])
        codes = [answer.problem["code"] for answer in answers]
        assert set(codes) <= {"overloaded", "outcome_unknown", "read_only"} and codes.count("overloaded") >= 15, codes
        for client in clients:
            client.close()
    finally:
        two.stop()
        two.settings = settings
        two.start()


def test_another_password_is_said_in_the_log_and_refused(replicas, token):
    two = replicas.members[1]
    client, key = HttpTransport(two), fresh("count")
    two.evaluate("require('authkv.hop').start({replication_password = 'another'})")
    assert is_read_only(increment(client, token, key), "one")
    assert "the leader cannot be asked" in two.present_log()
    two.evaluate(f"require('authkv.hop').start({{replication_password = '{REPLICATION_PASSWORD}'}})")
    wait_until(lambda: increment(client, token, key).status == 200, "the leader is asked again")
    client.close()


def test_a_commit_without_a_quorum_is_unknown_through_a_follower_too(replicas, token):
    one, two, _ = replicas.members
    client, key = HttpTransport(two), fresh("count")
    assert increment(client, token, key).status == 200
    flags = "box.space._space:update(box.space.key_value_store.id, {{'=', 6, setmetatable({is_sync = %s}, {__serialize = 'map'})}})"
    # From 2.10 on, only the owner of the queue of synchronous transactions may write those.
    one.evaluate("if box.ctl.promote then box.ctl.promote() end")
    one.evaluate(flags % "true")
    try:
        assert increment(client, token, key).status == 200
        one.evaluate("box.cfg{replication_synchro_quorum = 4, replication_synchro_timeout = 86400}")
        before = forwarded(two)
        answer = increment(client, token, key)
        assert answer.problem["code"] == "outcome_unknown", answer.body
        # The leader's own words.
        assert "1 seconds" in answer.problem["detail"]
        assert forwarded(two) == before | {"answered": before["answered"] + 1}
        one.evaluate("box.cfg{replication_synchro_quorum = 2}")
        wait_until(lambda: increment(client, token, key).status == 200, "writes are confirmed again")
    finally:
        one.evaluate("box.cfg{replication_synchro_quorum = 2, replication_synchro_timeout = 5}")
        one.evaluate(flags % "nil")
        one.evaluate("if box.ctl.demote then box.ctl.demote() end")
    client.close()


def test_a_user_of_another_issuer_who_comes_to_a_follower_is_made_by_the_leader(tmp_path):
    with Provider() as provider, ReplicaSet(2, **trusting(tmp_path, provider.entry()), **FORWARD) as replicas:
        two = replicas.members[1]
        client, binary = HttpTransport(two), NetBoxTransport(two)
        admin = client.login("admin", ADMIN_PASSWORD).value
        for name, come in (
            ("alice", lambda token: client.request("GET", "/v1/me", headers=bearer(token)).json["login"]),
            ("bob", lambda token: binary.do("user_me", token).value["login"]),
        ):
            token = provider.token(name)
            before = forwarded(two)["answered"]
            assert come(token) == f"corp:{name}"
            assert client.do("user_get", admin, f"corp:{name}").value["login"] == f"corp:{name}"
            assert forwarded(two)["answered"] == before + 1
            # Whoever is there is read here.
            assert come(token) == f"corp:{name}" and forwarded(two)["answered"] == before + 1
        client.close()
        binary.close()


def test_a_token_of_a_new_leader_holds_at_once(replicas, token):
    """Its key was published before."""
    one, two, _ = replicas.members
    kids = [member.evaluate("return authkv.keys.list().keys[1].kid ~= nil, #authkv.keys.list().keys") for member in replicas.members]
    assert all(told[0] and told[1] >= 3 for told in kids), kids
    replicas.promote(two)
    first, second, third = (HttpTransport(member) for member in replicas.members)
    try:
        told = second.login("admin", ADMIN_PASSWORD).value
        assert third.check(told) == Ok(True) and first.check(told) == Ok(True)
    finally:
        replicas.promote(one)
    for client in (first, second, third):
        client.close()


def test_a_client_over_http_2_gets_the_answers_of_the_leader(tmp_path):
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    made = ReplicaSet(2, AUTHKV_HTTP_TLS_CERT_FILE=str(cert), AUTHKV_HTTP_TLS_KEY_FILE=str(key), **FORWARD)
    for member in made.members:
        member.port, member.authority = free_port(), authority
        member.settings["AUTHKV_HTTP_LISTEN"] += f",https://{HOST}:{member.port}"
    with made as replicas:
        one, two = (Client(member) for member in replicas.members)
        login = {"login": "admin", "password": ADMIN_PASSWORD}
        status, body = two.whole(two.ask("/v1/login", login))
        assert status == 200
        token = json.loads(body)["access_token"]
        assert two.whole(two.ask_value("/v1/kv/k", b"[1]", token))[0] == 201
        replicas.await_sync()
        for bad in (b"[", b"[" * 100 + b"]" * 100):
            expected = one.whole(one.ask_value("/v1/kv/k", bad, token))
            assert expected[0] >= 400 and two.whole(two.ask_value("/v1/kv/k", bad, token)) == expected
        # Several streams at a time.
        streams = [two.ask(f"/v1/kv/n{number}/incr", {}, token) for number in range(20)]
        heads = [two.until(h2.events.ResponseReceived) for _ in streams]
        assert sorted(head.stream_id for head in heads) == streams
        assert {dict(head.headers)[":status"] for head in heads} == {"200"}
        assert forwarded(replicas.members[1])["answered"] >= 22
        one.close()
        two.close()
