"""Runs the conformance table over every front, and shows that the fronts share one store and one set of tokens."""

import pytest

from conformance.cases import ROWS, VALUES, Call, Row, check, logout
from support import tokens
from support.contract import GOOD
from support.fronts import FRONTS, ConsoleFront
from support.harness import CHEAP_HASHES, NO_ROCK, has_rock
from support.outcome import Ok, Refusal, Refused, assert_outcome

TESTER = "tester"


class World:
    """An instance, a connection by every front, and the tokens that the rows name."""

    def __init__(self, instance):
        self.instance = instance
        self.fronts = {name: front(instance) for name, front in FRONTS.items()}
        self.console: ConsoleFront = self.fronts["console"]
        http = self.fronts["http"]
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

    def run(self, front: str, call: Call) -> Ok | Refusal:
        token = () if call.token is None else (self.tokens[call.token],)
        return self.fronts[front].do(call.operation, *token, *call.args)

    def close(self) -> None:
        for front in self.fronts.values():
            front.close()


@pytest.fixture(scope="module")
def settings() -> dict:
    """Rows fail to log in under one login more often than is free of delay."""
    return CHEAP_HASHES | {"AUTHKV_LOGIN_DELAY_MAX": "0"}


@pytest.fixture(scope="module")
def world(instance):
    world = World(instance)
    yield world
    world.close()


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_conformance(world: World, front: str, row: Row):
    world.empty()
    for step in row.given:
        assert isinstance(world.run(front, step), Ok), step
    before = world.console.counts()
    assert_outcome(world.fronts[front], world.run(front, row.call), row.expected)
    if isinstance(row.expected, Refused):
        assert world.console.counts() == before
    for step, expected in row.then:
        assert_outcome(world.fronts[front], world.run(front, step), expected)


@pytest.mark.skipif(not has_rock(), reason=NO_ROCK)
def test_the_table_runs_over_the_http_rock_too():
    assert "rock" in FRONTS


@pytest.mark.parametrize("reader", FRONTS)
@pytest.mark.parametrize("writer", FRONTS)
def test_what_one_front_writes_every_front_reads(world: World, writer: str, reader: str):
    world.empty()
    writing, reading = world.fronts[writer], world.fronts[reader]
    assert writing.put(world.tokens["good"], VALUES) == Ok([])
    seen = reading.get(world.tokens["good"], list(VALUES))
    if writing.exact:
        assert_outcome(reading, seen, Ok(VALUES))
    else:
        assert_outcome(writing, seen, Ok(VALUES))


@pytest.mark.parametrize("other", FRONTS)
@pytest.mark.parametrize("front", FRONTS)
def test_a_token_of_one_front_is_revoked_at_every_other_by_the_next_request(world: World, front: str, other: str):
    world.tokens["fresh"] = world.fronts[front].login(TESTER, GOOD).value
    # Every front has verified the token before, so that a cache of verified tokens would show.
    for one in FRONTS:
        assert world.run(one, check("fresh")) == Ok(True)
    assert world.run(front, logout("fresh")) == Ok()
    assert world.run(other, check("fresh")) == Ok(False)
    assert isinstance(world.fronts[other].get(world.tokens["fresh"], ["k"]), Refusal)


def test_a_token_signed_again_with_the_same_claims_is_accepted(world: World):
    """The bad tokens are made the same way: each is refused for what is wrong with it."""
    again = tokens.resigned(world.instance.data_dir, world.tokens["good"])
    assert world.fronts["http"].check(again) == Ok(True)
