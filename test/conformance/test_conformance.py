"""Runs the conformance table over every transport, and shows that the transports share one store and one set of tokens."""

import pytest

from conformance.cases import ROWS, VALUES, Call, Row, check, logout
from support import tokens
from support.contract import GOOD
from support.harness import CHEAP_HASHES, NO_ROCK, has_rock
from support.outcome import Ok, Refusal, Refused, assert_outcome
from support.transports import TRANSPORTS, ConsoleTransport

TESTER = "tester"


class World:
    """An instance, a connection over every transport, and the tokens that the rows name."""

    def __init__(self, instance):
        self.instance = instance
        self.transports = {name: transport(instance) for name, transport in TRANSPORTS.items()}
        self.console: ConsoleTransport = self.transports["console"]
        http = self.transports["http"]
        assert http.register(TESTER, GOOD, "Test", "Tester") == Ok()
        good, revoked = (http.login(TESTER, GOOD).value for _ in range(2))
        assert http.logout(revoked) == Ok()
        self.tokens = {"good": good} | tokens.bad_tokens(instance.data_dir, good, revoked)

    def empty(self) -> None:
        """Removes what an earlier row left."""
        self.console.evaluate(
            "for _, row in ipairs(box.space.user:select()) do "
            f"if row[1] ~= 'admin' and row[1] ~= '{TESTER}' then box.space.user:delete(row[1]) end end "
            "for _, row in ipairs(box.space.key_value_store:select()) do box.space.key_value_store:delete(row[1]) end"
        )

    def run(self, transport: str, call: Call) -> Ok | Refusal:
        token = () if call.token is None else (self.tokens[call.token],)
        return self.transports[transport].do(call.operation, *token, *call.args)

    def close(self) -> None:
        for transport in self.transports.values():
            transport.close()


@pytest.fixture(scope="module")
def settings() -> dict:
    """Rows fail to log in under one login more often than is free of delay."""
    return CHEAP_HASHES | {"AUTHKV_LOGIN_DELAY_MAX": "0"}


@pytest.fixture(scope="module")
def world(instance):
    world = World(instance)
    yield world
    world.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_conformance(world: World, transport: str, row: Row):
    world.empty()
    for step in row.given:
        assert isinstance(world.run(transport, step), Ok), step
    before = world.console.counts()
    assert_outcome(world.transports[transport], world.run(transport, row.call), row.expected)
    if isinstance(row.expected, Refused):
        assert world.console.counts() == before
    for step, expected in row.then:
        assert_outcome(world.transports[transport], world.run(transport, step), expected)


@pytest.mark.skipif(not has_rock(), reason=NO_ROCK)
def test_the_table_runs_over_the_http_rock_too():
    assert "rock" in TRANSPORTS


@pytest.mark.parametrize("reader", TRANSPORTS)
@pytest.mark.parametrize("writer", TRANSPORTS)
def test_what_one_transport_writes_every_transport_reads(world: World, writer: str, reader: str):
    world.empty()
    writing, reading = world.transports[writer], world.transports[reader]
    assert writing.put(world.tokens["good"], VALUES) == Ok([])
    seen = reading.get(world.tokens["good"], list(VALUES))
    if writing.exact:
        assert_outcome(reading, seen, Ok(VALUES))
    else:
        assert_outcome(writing, seen, Ok(VALUES))


@pytest.mark.parametrize("other", TRANSPORTS)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_token_of_one_transport_is_revoked_at_every_other_by_the_next_request(world: World, transport: str, other: str):
    world.tokens["fresh"] = world.transports[transport].login(TESTER, GOOD).value
    # Every transport has verified the token before, so that a cache of verified tokens would show.
    for one in TRANSPORTS:
        assert world.run(one, check("fresh")) == Ok(True)
    assert world.run(transport, logout("fresh")) == Ok()
    assert world.run(other, check("fresh")) == Ok(False)
    assert isinstance(world.transports[other].get(world.tokens["fresh"], ["k"]), Refusal)


def test_a_token_signed_again_with_the_same_claims_is_accepted(world: World):
    """The bad tokens are made the same way: each is refused for what is wrong with it."""
    again = tokens.resigned(world.instance.data_dir, world.tokens["good"])
    assert world.transports["http"].check(again) == Ok(True)
