"""What each connector gets for the same calls, with every setting of `compat.c_func_iproto_multireturn`.

The call is the one that the pages show. Connectors that send IPROTO_CALL get `[[result]]` everywhere; those that send the old
IPROTO_CALL_16 get an array less where Tarantool puts one around the results of C functions.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading

import pytest
import tarantool

from support.blocks import blocks
from support.compat import COMPAT, has_compat, set_compat
from support.connectors import CONNECTORS, Failed, PyPi, PyPiPool
from support.contract import GOOD
from support.harness import CHEAP_HASHES, CLIENT_PASSWORD, DEADLINE, ROOT, Instance, wait_until
from support.iproto import RawIproto
from support.outcome import Ok, Refusal, assert_outcome, identical
from support.transports import ConsoleTransport, IprotoTransport
from support.values import pack

LEAST, GREATEST = -(2**63), 2**64 - 1
JSON_VALUES = {
    "big": GREATEST, "small": LEAST, "none": None, "nested": {"list": [1, "two", [None, {"three": 3.5}]], "empty": {}},
}  # fmt: skip
VALUES = JSON_VALUES | {"bytes": b"\x00\xff\x80"}


class World:
    """An instance whose compat is set as asked."""

    def __init__(self, instance: Instance):
        self.instance = instance
        self.console = ConsoleTransport(instance)
        self.numbers = itertools.count()

    def set(self, compat: str | None) -> bool:
        return set_compat(self.console, compat)

    def prefix(self) -> str:
        """For keys that no other test has."""
        return f"{next(self.numbers)}/"


@pytest.fixture(scope="module")
def settings() -> dict:
    return CHEAP_HASHES


@pytest.fixture(scope="module")
def world(instance):
    world = World(instance)
    yield world
    world.set(None)
    world.console.close()


def rows(pairs: dict) -> list[dict]:
    return [{"key": key, "value": value} for key, value in pairs.items()]


@pytest.fixture(params=CONNECTORS)
def connector(world, request):
    one = CONNECTORS[request.param](world.instance)
    yield one
    one.close()


@pytest.fixture(scope="module")
def tester(instance):
    transport = IprotoTransport(instance)
    assert transport.register("tester", GOOD, "Test", "Tester") == Ok()
    transport.close()
    return "tester"


@pytest.mark.parametrize("compat", COMPAT)
def test_every_connector_gets_the_documented_shape(world, connector, tester, compat):
    bare = world.set(compat)
    seen = connector.call("authkv.auth_check", "no token")
    expected = [[{"authorized": False}]]
    assert seen == (expected if bare or not connector.old else expected[0])
    login = connector.value("auth_login", tester, GOOD)
    assert login.keys() == {"token", "token_type", "expires_in"}


@pytest.mark.parametrize("compat", COMPAT)
def test_every_connector_writes_and_reads_every_value(world, connector, tester, compat):
    world.set(compat)
    token = connector.value("auth_login", tester, GOOD)["token"]
    prefix = world.prefix()
    old = {prefix + name: value for name, value in JSON_VALUES.items()}
    assert connector.value("kv_put", token, old) == {"written": len(old), "existing": []}
    new = {f"{prefix}new/{name}": value for name, value in VALUES.items()}
    assert connector.value("batch_put", token, rows(new))["committed"] is True
    for pairs in (old, new):
        # Exactly what was sent is there.
        exact = IprotoTransport(world.instance)
        assert_outcome(exact, exact.get(token, list(pairs)), Ok(pairs), exact=connector.has_bytes)
        exact.close()
        seen = connector.value("kv_get", token, list(pairs))["data"]
        expected = {name: connector.kept(value) for name, value in pairs.items()}
        assert identical(seen, expected, exact=connector.has_bytes), seen


@pytest.mark.parametrize("compat", COMPAT)
def test_every_connector_shows_the_same_error(world, connector, tester, compat):
    world.set(compat)
    token = connector.value("auth_login", tester, GOOD)["token"]
    for procedure, args, code, message in [
        ("auth_login", (tester, "wrong"), 20005, "invalid_credentials: You have entered an incorrect login or password"),
        ("kv_get", ("x", ["k"]), 20004, "unauthenticated: You are not authorized! Please, sign in or sign up"),
        ("kv_get", (token, ["nope"]), 20012, "missing_keys: These keys don't exist: nope"),
        ("kv_incr", (token, "k", {"unknown": 1}), 20001, None),
    ]:
        with pytest.raises(Failed) as seen:
            connector.value(procedure, *args)
        assert seen.value.code == (code if connector.has_codes else None)
        assert message is None or seen.value.message == message
        assert seen.value.message.startswith("malformed: ") or message


def test_a_pool_uses_the_instance_without_a_warning(world, tester, recwarn):
    pool = PyPiPool(world.instance)
    for mode in (tarantool.Mode.ANY, tarantool.Mode.RW, tarantool.Mode.PREFER_RO):
        assert pool.connection.call("authkv.auth_check", ("x",), mode=mode).data == [[{"authorized": False}]]
    # Asked again each 0.1 s, by each of the other connectors too.
    assert pool.call("box.info") == [{"ro": False, "status": "running"}]
    pool.close()
    assert [str(one.message) for one in recwarn if "box.info" in str(one.message)] == []


@pytest.mark.parametrize("to", ["old", "new"])
def test_what_counts_is_the_moment_of_the_answer(world, tester, to):
    """A watch waits meanwhile."""
    world.set({"old": "new", "new": "old"}[to])
    caller, other = PyPi(world.instance), IprotoTransport(world.instance)
    token = caller.value("auth_login", tester, GOOD)["token"]
    prefix = world.prefix()
    seen = []
    watch = threading.Thread(target=lambda: seen.append(caller.call("authkv.kv_watch", token, {"prefix": prefix, "timeout": 10})))
    watch.start()
    in_progress = "return box.stat.net().REQUESTS_IN_PROGRESS ~= nil and box.stat.net().REQUESTS_IN_PROGRESS.current"
    wait_until(lambda: world.console.evaluate(in_progress)[0] > 0, "the watch waits")
    world.set(to)
    assert other.put(token, {prefix + "k": 1}) == Ok([])
    watch.join(DEADLINE)
    (answer,) = seen
    assert answer[0][0].keys() == {"events", "revision"}, answer
    caller.close()
    other.close()


@pytest.mark.parametrize("compat", COMPAT)
def test_the_facade_gives_results_without_arrays(world, tester, compat):
    world.set(compat)
    console = world.console
    login = console.outcome(f"authkv.login('{tester}', '{GOOD}')").value
    assert login.keys() == {"token", "token_type", "expires_in"}
    user = f"authkv.as('{login['token']}')"
    assert console.outcome(f"{user}.check()").value["login"] == tester
    key = world.prefix()
    assert console.outcome(f"{user}.batch.put{{{{key = '{key}', value = 1}}}}").value["committed"] is True
    assert console.outcome(f"authkv.get{{'{key}'}}") == Ok({key: 1})
    assert console.outcome(f"{user}.get{{'{key}'}}") == Ok({key: 1})
    assert "keys" in console.outcome("authkv.keys.set()").value


def test_connections_differ_in_nothing_but_the_array(world, tester):
    """A bare client, whatever the answer's size: the array has to be there for one of a megabyte too."""
    transport = IprotoTransport(world.instance)
    token = transport.login(tester, GOOD).value
    prefix = world.prefix()
    large = {f"{prefix}{n}": "x" * 200_000 for n in range(10)}
    assert transport.put(token, large) == Ok([])
    transport.close()
    for compat in COMPAT if has_compat() else [None]:
        world.set(compat)
        with RawIproto(world.instance) as connection:
            seen = connection.call("authkv.kv_get", pack([token, list(large)]))
            assert seen == Ok([[{"data": large}]])
            assert isinstance(connection.call("authkv.kv_get", pack([token, ["no"]])), Refusal)


# What runs an example, and what it prints.
RUN = {
    "python": ([sys.executable], ""),
    "js": (["node"], """{"data":{"node":{"list":[1,null]}}}\nmissing_keys: These keys don't exist: nope\n"""),
    "lua": (["tarantool"], ""),
}
PAGE = (ROOT / "documentation" / "connectors.md").read_text()
EXAMPLES = blocks(PAGE, *RUN)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_page_work(world, tmp_path, number):
    world.set(None)
    transport = IprotoTransport(world.instance)
    transport.register("carol", "Passw0rd!", "Carol", "Jones")
    transport.close()
    example = EXAMPLES[number]
    program, printed = RUN[example.kind]
    path = tmp_path / f"example.{example.kind}"
    path.write_text(example.code.replace("3301", str(world.instance.iproto_port)).replace("Choose-an0ther", CLIENT_PASSWORD))
    modules = os.environ | {"NODE_PATH": str(ROOT / "test" / "npm" / "node_modules")}
    done = subprocess.run([*program, path], env=modules, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0 and "Warning" not in done.stderr, done
    assert done.stdout == printed and printed in PAGE


def test_the_page_has_an_example_of_each_language():
    assert {example.kind for example in EXAMPLES} == RUN.keys()
