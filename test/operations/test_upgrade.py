"""Data on its way from Tarantool 2.6 to 2.11 to 3: documentation/upgrade.md. AUTHKV_TEST_TARANTOOL_2_11 and
AUTHKV_TEST_TARANTOOL_3 name the newer binaries; `tarantool` is 2.6."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import harness
from support.blocks import blocks, replaced
from support.contract import GOOD
from support.harness import CHEAP_HASHES, Instance
from support.lua import lua
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport

OLD = "tarantool"
MIDDLE, NEW = (os.environ.get(f"AUTHKV_TEST_TARANTOOL_{name}") for name in ("2_11", "3"))
pytestmark = [
    pytest.mark.skipif(not (MIDDLE and NEW), reason="AUTHKV_TEST_TARANTOOL_2_11 and AUTHKV_TEST_TARANTOOL_3 name no binaries"),
    pytest.mark.skipif(harness.version() >= (2, 10), reason="tarantool is newer than the data that this is about"),
]
PAIRS = {"text": "Earth", "numbers": [1, -1, 2**53, 0.5], "nested": {"a": [{"b": None}]}, "long": "x" * 100_000}


class Data:
    """Data that one Tarantool after the other has, and what was written to it."""

    def __init__(self, instance: Instance):
        self.instance = instance
        self.tokens: list[str] = []
        self.logins = ["admin"]

    def start(self, binary: str, **settings: str | None) -> None:
        self.instance.command = (binary, "init.lua")
        self.instance.settings |= settings
        self.instance.start()

    def write(self, login: str) -> None:
        """Adds a user, a role, a pair and a token."""
        http, console = HttpTransport(self.instance), ConsoleTransport(self.instance)
        if not self.tokens:
            assert isinstance(console.outcome(f"authkv.put({lua(PAIRS)})"), Ok)
        assert http.register(login, GOOD, "Bob", "Stone") == Ok()
        self.logins.append(login)
        assert isinstance(console.outcome(f"authkv.roles.set('role{login}', {{{{prefix = '{login}/', write = true}}}})"), Ok)
        assert isinstance(console.outcome(f"authkv.put{{['of {login}'] = 1}}"), Ok)
        token = http.login(login, GOOD)
        assert_outcome(http, token, Ok(A_TOKEN))
        self.tokens.append(token.value)
        http.close()
        console.close()

    def check(self) -> None:
        """All that was ever written is there, and who logged in is logged in."""
        http, console = HttpTransport(self.instance), ConsoleTransport(self.instance)
        for token in self.tokens:
            assert http.check(token) == Ok(True)
            assert http.get(token, list(PAIRS)) == Ok(PAIRS)
        for login in self.logins[1:]:
            assert_outcome(http, http.login(login, GOOD), Ok(A_TOKEN))
            assert console.outcome(f"authkv.get{{'of {login}'}}") == Ok({f"of {login}": 1})
        listed = console.outcome("authkv.roles.list()").value["roles"]
        assert {f"role{login}" for login in self.logins[1:]} <= {role["name"] for role in listed}
        assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
        http.close()
        console.close()


def schema(instance: Instance) -> list:
    console = ConsoleTransport(instance)
    seen = console.evaluate("return box.space._schema:get('version'):totable()")[0][1:]
    console.close()
    return seen


def give(binary: str, command: str) -> None:
    """A command of the documentation or of a message, by that Tarantool."""
    assert command.startswith('tarantool -e "')
    done = subprocess.run(
        ["sh", "-c", command.replace("tarantool", f"'{binary}'", 1)], capture_output=True, text=True, timeout=harness.DEADLINE, check=False
    )
    assert done.returncode == 0, done


def documented(instance: Instance) -> tuple[str, str]:
    """The commands of the page: up and down."""
    page = (harness.ROOT / "documentation" / "upgrade.md").read_text()
    commands = [replaced(block.code.strip(), {"./var": instance.data_dir}) for block in blocks(page, "sh")]
    up, down = commands
    return up, down


def opens(binary: str, directory) -> bool:
    code = f"box.cfg{{memtx_dir = '{directory}', wal_dir = '{directory}', vinyl_dir = '{directory}'}} os.exit(0)"
    return subprocess.run([binary, "-e", code], capture_output=True, timeout=harness.DEADLINE, check=False).returncode == 0


@pytest.fixture
def data(make):
    """Data of 2.6 on which nothing runs, before there was a password of clients."""
    kept = Data(make(**CHEAP_HASHES, AUTHKV_CLIENT_PASSWORD=None))
    kept.start(OLD)
    kept.write("of26")
    kept.check()
    kept.instance.stop()
    return kept


# A setting that has the next start change the schema.
CHANGE = {"AUTHKV_CLIENT_PASSWORD": harness.CLIENT_PASSWORD}


def refused(data: Data) -> str:
    """A start that would change the schema, and the command that it advises."""
    data.instance.command = (NEW, "init.lua")
    data.instance.settings |= CHANGE
    said = data.instance.refuse_to_start()
    assert "schema version 2.3.1" in said and "documentation/upgrade.md" in said, said
    [command] = [line.strip() for line in said.splitlines() if line.strip().startswith("tarantool -e")]
    assert str(data.instance.data_dir) in command
    return command


def test_a_start_on_data_that_is_too_old_says_what_to_do(data):
    command = refused(data)
    give(MIDDLE, command)
    give(NEW, command)
    data.start(NEW)
    data.check()


def test_data_goes_from_2_6_to_2_11_to_3_and_back(data, tmp_path):
    up, down = documented(data.instance)
    backup = tmp_path / "backup"
    shutil.copytree(data.instance.data_dir, backup, ignore=lambda directory, names: [name for name in names if name.endswith(".sock")])
    # Without an upgrade 2.11 does all there is to do.
    data.start(MIDDLE, **CHANGE)
    assert schema(data.instance) == [2, 3, 1]
    data.check()
    data.write("of211")
    data.instance.stop()
    give(MIDDLE, up)
    data.start(MIDDLE)
    assert schema(data.instance)[:2] == [2, 11]
    data.check()
    data.write("of211up")
    data.instance.stop()
    assert not opens(OLD, data.instance.data_dir) and opens(OLD, backup)
    # 3 works on what 2.11 has upgraded, and then on its own.
    data.start(NEW, AUTHKV_FOLLOWER_PASSWORD="f0llower-Secret")
    assert schema(data.instance)[:2] == [2, 11]
    data.check()
    data.write("of3")
    data.instance.stop()
    give(NEW, up)
    data.start(NEW)
    assert schema(data.instance)[0] == 3
    data.check()
    data.write("of3up")
    data.instance.stop()
    # And back.
    version = subprocess.run([MIDDLE, "--version"], capture_output=True, text=True, check=True).stdout.split()[1].partition("-")[0]
    give(NEW, down.replace("2.11.9", version))
    data.start(MIDDLE)
    assert schema(data.instance)[:2] == [2, 11]
    data.check()


def test_a_start_that_changes_nothing_is_not_refused(data):
    data.start(NEW)
    assert schema(data.instance) == [2, 3, 1]
    data.check()
    # What changes data only works, too.
    data.write("of3")
    data.check()


def test_a_replica_set_goes_from_2_11_to_3_under_load():
    """The program exits with 1 if an acknowledged write was lost, or a value was wrong."""
    command = [sys.executable, "-m", "tools.rolling_upgrade", "--tarantool", MIDDLE, "--to-tarantool", NEW, "--seconds", "1"]
    # Whether there are elections is asked of the one on PATH.
    path = os.pathsep.join([str(Path(MIDDLE).parent), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=harness.ROOT / "test", env=dict(os.environ) | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "the data is upgraded" in done.stdout, done


def test_an_application_upgrades_and_starts_again_in_one_process(data):
    """Where box.cfg is the application's, its process goes on after the refusal."""
    instance = data.instance
    instance.command = (NEW, "test/operations/app.lua")
    instance.start()
    console = ConsoleTransport(instance)
    given = {name.removeprefix("AUTHKV_"): value for name, value in (instance.settings | CHANGE).items() if value is not None}
    start = f"return pcall(authkv.start, {lua(given)})"
    done, said = console.evaluate(start)
    assert done is False and "box.schema.upgrade() box.snapshot()" in said
    console.evaluate("box.schema.upgrade() box.snapshot()")
    assert console.evaluate(start)[0] is True
    console.close()
    data.check()
