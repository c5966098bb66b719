"""The hop: what a read-only instance may ask the leader of its replica set."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.harness import DEADLINE, wait_until
from support.replica_set import ReplicaSet


def run(member, code: str) -> list:
    """What this Lua returns, which may have several lines, in a console that takes one."""
    return member.evaluate(" ".join(code.split("\n")))


# Calls `leader_position` by the hop. Returns the verdict, and the position or the reason.
ASK = """
local verdict, told = require('authkv.hop').ask('leader_position', '', 5)
if verdict ~= 'answered' then return verdict, told end
local position = {}
for _, place in ipairs(require('msgpack').decode(told)) do position['i' .. place[1]] = place[2] end
return verdict, position
"""

PUBLISH = "local verdict, told = require('authkv.hop').ask('key_publish', '%s', 5) return verdict, verdict ~= 'answered' and told or nil"


def pem_of(key) -> str:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


# Tries each line as the user of the hop. Returns those that succeeded, and the error of each other.
TRY = """
local address, lines = ...
local connection = require('net.box').connect(address, {user = 'authkv_forward', password = require('crypto').hmac.sha256_hex(
    'replication-Secret-5c', 'authkv_forward')})
assert(connection.state == 'active', connection.error)
local done, refused = {}, {}
for _, space in ipairs(lines.spaces) do
    for _, act in ipairs({
        function() return connection.space[space]:select() end,
        function() return connection.space[space]:replace({'x', 1, 1, 1, 1, 1}) end,
    }) do
        local ok, why = pcall(act)
        table.insert(ok and done or refused, space)
    end
end
for _, procedure in ipairs(lines.procedures) do
    local ok, why = pcall(connection.call, connection, procedure, {})
    table.insert(ok and done or refused, procedure .. ': ' .. tostring(why))
end
local ok = pcall(connection.eval, connection, 'return 1')
table.insert(ok and done or refused, 'eval')
connection:close()
return done, refused
"""


@pytest.fixture(scope="module")
def pair():
    """A leader and a follower."""
    with ReplicaSet(2) as running:
        yield running


def test_a_follower_asks_the_leader_how_far_it_has_come(pair):
    leader, follower = pair.leader(), pair.followers()[0]
    for number in range(3):
        leader.evaluate(f"return authkv.pair.put('asked', {number})")
        verdict, position = run(follower, ASK)
        assert verdict == "answered"
        # Member 1 has made the data, so it is the leader.
        assert position["i1"] == leader.position()["i1"]
        assert follower.evaluate(f"return require('authkv.hop').await({{{{1, {position['i1']}}}}}, 5)") == [True]
        assert follower.evaluate("return authkv.pair.get('asked').value") == [number]


# Has large requests carried, and meanwhile asks for the position. Returns how many requests were answered by then, and the verdicts.
BEHIND_BODIES = """
local fiber, hop = require('fiber'), require('authkv.hop')
assert(hop.ask('leader_position', '', 5) == 'answered' and hop.ask('carried', 'x', 5) == 'refused')
local body, answered, verdicts = ('x'):rep(16 * 2 ^ 20), 0, {}
local carriers = {}
for number = 1, 8 do
    carriers[number] = fiber.new(function() verdicts[number] = hop.ask('carried', body, 60) answered = answered + 1 end)
    carriers[number]:set_joinable(true)
end
fiber.yield()
local verdict = hop.ask('leader_position', '', 60)
local before = answered
for _, carrier in ipairs(carriers) do carrier:join() end
return before, verdict, verdicts
"""


def test_a_question_does_not_wait_for_large_requests_that_were_sent_before_it(pair):
    before, verdict, carried = run(pair.followers()[0], BEHIND_BODIES)
    assert (verdict, carried) == ("answered", ["refused"] * 8)
    assert before < 8


def test_the_wait_for_a_position_ends(pair):
    assert pair.followers()[0].evaluate("return require('authkv.hop').await({{1, 2^40}}, 0.05)") == [False]


def test_the_leader_asks_nobody(pair):
    assert run(pair.leader(), ASK) == ["unsent", "this instance leads"]


def test_the_user_of_the_hop_may_do_nothing_else(pair):
    leader, follower = pair.leader(), pair.followers()[0]
    names = run(
        leader,
        "local all = {} for _, row in box.space._func:pairs() do table.insert(all, row[3]) end return all",
    )[0]
    hop = run(
        leader,
        """
        local all = {}
        local role = box.space._user.index.name:get('authkv_hop')[1]
        for _, row in box.space._priv.index.primary:pairs({role}) do
            table.insert(all, box.space._func:get(row[4])[3])
        end
        return all
        """,
    )[0]
    assert sorted(hop) == ["authkv.carried", "authkv.key_publish", "authkv.leader_position"]
    # Without the views, which everybody may read: they show what the user may see.
    spaces = run(
        leader,
        """
        local all = {}
        for name, space in pairs(box.space) do
            if type(name) == 'string' and not name:find('^_v') then table.insert(all, name) end
        end
        return all
        """,
    )[0]
    assert "user" in spaces and "_user" in spaces and "key_value_store" in spaces
    others = [name for name in names if name not in hop] + ["box.info", "os.exit", "authkv.stop"]
    listed = ", ".join(f"'{name}'" for name in others), ", ".join(f"'{name}'" for name in spaces)
    done, refused = run(
        follower,
        f"return (function(...) {TRY} end)('{leader.address}', {{procedures = {{{listed[0]}}}, spaces = {{{listed[1]}}}}})",
    )
    # Functions of Tarantool for everybody do nothing without arguments, and everybody has settings of a session.
    done = [name for name in done if name != "_session_settings"]
    assert [name for name in done if name.startswith("authkv") or name == "eval" or name in spaces] == []
    assert len(refused) >= len(others) // 2 + 2 * len(spaces)


def test_only_a_key_that_may_sign_is_published(pair):
    leader, follower = pair.leader(), pair.followers()[0]
    kids = "local all = {} for _, key in ipairs(authkv.keys.list().keys) do table.insert(all, key.kid) end return all"
    before = leader.evaluate(kids)[0]
    # One of each member.
    assert len(before) == 2
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    for text in ("", "no key", pem_of(weak), pem_of(ec.generate_private_key(ec.SECP192R1()).public_key())):
        verdict, why = run(follower, PUBLISH % text.replace("\n", "\\n"))
        assert verdict == "refused" and why.startswith("malformed: "), (text, why)
    assert leader.evaluate(kids)[0] == before
    good = pem_of(ec.generate_private_key(ec.SECP256R1()).public_key())
    for _ in range(2):
        assert run(follower, PUBLISH % good.replace("\n", "\\n"))[0] == "answered"
    added = [kid for kid in leader.evaluate(kids)[0] if kid not in before]
    assert len(added) == 1
    # A retired key stays retired, whoever publishes it again.
    leader.evaluate(f"return authkv.keys.retire('{added[0]}')")
    assert run(follower, PUBLISH % good.replace("\n", "\\n"))[0] == "answered"
    assert leader.evaluate(kids)[0] == before


def test_another_password_lets_nobody_in(pair):
    leader, follower = pair.leader(), pair.followers()[0]
    for password in ("'replication-Secret-5c'", "''", "nil"):
        told = follower.evaluate(
            f"local c = require('net.box').connect('{leader.address}', {{user = 'authkv_forward', password = {password}}}) "
            "local told = c.state c:close() return told"
        )
        assert told == ["error"], password


def test_an_instance_that_does_not_lead_refuses_and_is_not_asked_twice(pair):
    """The one who asks still believes the other one leads."""
    leader, follower = pair.leader(), pair.followers()[0]
    leader.evaluate("box.cfg{read_only = true}")
    try:
        verdict, told = run(follower, ASK)
        assert verdict == "refused" and told.startswith("read_only: ")
    finally:
        leader.evaluate("box.cfg{read_only = false}")


def test_a_leader_that_is_gone_is_not_asked(pair):
    leader, follower = pair.leader(), pair.followers()[0]
    leader.kill()
    try:
        wait_until(lambda: run(follower, ASK)[0] == "unsent", "the leader is out of reach")
    finally:
        leader.start()
    wait_until(lambda: run(follower, ASK)[0] == "answered", "the leader is back")


def test_the_answer_of_a_leader_that_stops_in_between_is_lost(pair):
    leader, follower = pair.leader(), pair.followers()[0]
    leader.pause()
    try:
        assert run(follower, ASK.replace("'', 5)", "'', 0.3)"))[0] == "lost"
    finally:
        leader.resume()
    wait_until(lambda: run(follower, ASK)[0] == "answered", "the leader goes on")


# Asks the leader again and again, each time with a long patience, until an answer is lost. Returns why it was.
ASK_ON = """
while true do
    local verdict, told = require('authkv.hop').ask('leader_position', '', 100000)
    if verdict ~= 'answered' then return verdict, told end
    require('fiber').sleep(0.001)
end
"""


def test_an_answer_is_given_up_when_the_leader_is_taken_for_lost():
    with ReplicaSet(2) as replicas, ThreadPoolExecutor(1) as pool:
        leader, follower = replicas.members
        asking = pool.submit(run, follower, ASK_ON)
        wait_until(lambda: run(follower, ASK)[0] == "answered", "the leader is asked")
        leader.pause()
        assert asking.result(DEADLINE)[0] == "lost"
        leader.resume()
        wait_until(lambda: run(follower, ASK)[0] == "answered", "the leader is asked again")
