"""Starts in one process: those that fail and are repeated, those where an instance runs already, and those after a stop."""

from __future__ import annotations

import socket
import subprocess
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import harness
from support.builds import Builds, images
from support.fallible import Fallible
from support.lua import lua
from support.outcome import A_TOKEN, Ok, Refused, assert_outcome
from support.transports import ConsoleTransport, HttpTransport

HOST, TIMES = harness.HOST, 5


class App(Fallible):
    """An application of one's own: it has no authkv before `start`."""

    command = ("sh", "-c", "trap '' XFSZ; exec tarantool test/operations/app.lua")

    def __init__(self):
        super().__init__()
        self.console: ConsoleTransport | None = None
        self.given = {
            "DATA_DIR": str(self.data_dir), "HTTP_LISTEN": f"{HOST}:{self.http_port}", "ADMIN_PASSWORD": harness.ADMIN_PASSWORD,
            "ARGON2_MEMORY": "64", "ARGON2_ITERATIONS": "1",
        }  # fmt: skip

    def __enter__(self):
        super().__enter__()
        self.console = ConsoleTransport(self)
        return self

    def try_to_start(self, **settings: str) -> list:
        """Whether it started, and what it returned or raised."""
        return self.console.evaluate(f"return pcall(authkv.start, {lua(self.given | settings)})")

    def begin(self, **settings: str) -> dict:
        done, started = self.try_to_start(**settings)
        assert done, started
        return started

    def refuse(self, **settings: str) -> str:
        done, said = self.try_to_start(**settings)
        assert done is False and isinstance(said, str), said
        return said

    def left(self) -> tuple[Counter, Counter, int]:
        """The threads and fibers of authkv, and how many descriptors are open."""
        threads = Counter(name for name in self.threads() if name.startswith("authkv"))
        fibers = "local all = {} for _, one in pairs(require('fiber').info()) do table.insert(all, one.name) end return all"
        named = Counter(name for name in self.console.evaluate(fibers)[0] if name.startswith("authkv"))
        return threads, named, len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def runs(self) -> tuple[Counter, Counter, int]:
        """The same, once all threads of the transport have their names."""
        harness.wait_until(lambda: "authkv-http-0" in self.left()[0], "HTTP has threads")
        return harness.settled(self.left)

    def logs_in(self) -> None:
        http = HttpTransport(self)
        assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
        http.close()

    def said(self, part: str) -> int:
        return sum(part in line for line in self.log().splitlines())


@pytest.fixture
def app():
    with App() as running:
        yield running
        running.console.close()


@pytest.fixture
def taken():
    """An address on which somebody else listens."""
    with socket.create_server((HOST, 0)) as other:
        yield f"{HOST}:{other.getsockname()[1]}"


def garbage(app, taken):
    path = app.data_dir / "garbage.pem"
    path.write_text("no key")
    return {"PRIVATE_KEY_FILE": str(path)}, "garbage.pem"


def another_engine(app, taken):
    app.console.evaluate("box.schema.space.create('key_value_store', {engine = 'vinyl'})")
    return {}, "memtx"


CAUSES = {
    "an_unknown_setting": lambda app, taken: ({"TOKEN_TLL": "5"}, "TOKEN_TLL"),
    "a_weak_password": lambda app, taken: ({"ADMIN_PASSWORD": "weakling"}, "ADMIN_PASSWORD"),
    "a_key_file_that_is_none": garbage,
    "a_key_file_that_is_missing": lambda app, taken: ({"PRIVATE_KEY_FILE": "/nowhere.pem"}, "/nowhere.pem"),
    "an_address_that_is_taken": lambda app, taken: ({"HTTP_LISTEN": taken}, taken),
    "a_second_address_that_is_taken": lambda app, taken: ({"HTTP_LISTEN": f"{HOST}:{app.http_port},{taken}"}, taken),
    "a_certificate_that_is_missing": lambda app, taken: (
        {"HTTP_LISTEN": f"https://{HOST}:0", "HTTP_TLS_CERT_FILE": "/nowhere.crt", "HTTP_TLS_KEY_FILE": "/nowhere.key"},
        "/nowhere.crt",
    ),
    "a_space_of_another_engine": another_engine,
}  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES)
def test_a_start_that_failed_leaves_nothing_and_can_be_repeated(app, taken, cause):
    settings, part = CAUSES[cause](app, taken)

    # Once, because Tarantool opens some files late.
    assert part in app.refuse(**settings)
    before = app.left()
    assert not before[0] and not before[1], before
    for _ in range(TIMES):
        assert part in app.refuse(**settings)
        harness.wait_until(lambda: app.left() == before, "nothing more is there")
    app.console.evaluate(
        "if box.space.key_value_store ~= nil and box.space.key_value_store.engine == 'vinyl' then box.space.key_value_store:drop() end"
    )
    assert app.begin()["http"] == [f"{HOST}:{app.http_port}"]
    app.logs_in()


# What an application does whose first options are wrong. `arg` are its directory and its address of HTTP.
REPEATED = """
package.cpath = 'target/release/lib?.so;' .. package.cpath
local authkv, dir = require('authkv'), arg[1]
local function begin(timeout)
    authkv.prepare({DATA_DIR = dir})
    box.cfg({memtx_dir = dir, wal_dir = dir, vinyl_dir = dir, replication_timeout = timeout})
    return authkv.start({DATA_DIR = dir, HTTP_LISTEN = arg[2]}).http[1]
end
local refused, why = pcall(begin, -1)
print(refused, tostring(why):match('replication_timeout'), begin(1))
os.exit(0)
"""


def test_a_first_box_cfg_that_is_refused_can_be_repeated(tmp_path):
    """What comes before: `authkv.prepare` looks at the directory again."""
    harness.write_key_pair(tmp_path)
    program = tmp_path / "app.lua"
    program.write_text(REPEATED)
    address = f"{HOST}:{harness.free_port()}"
    command = ["tarantool", str(program), str(tmp_path), address]
    done = subprocess.run(command, cwd=harness.ROOT, capture_output=True, text=True, timeout=harness.DEADLINE, check=True)
    assert done.stdout.split() == ["false", "replication_timeout", address], done


def test_a_start_and_a_stop_can_be_repeated(app):
    seen = []
    for _ in range(TIMES):
        assert app.begin() == {"http": [f"{HOST}:{app.http_port}"], "admin_password": None}
        app.logs_in()
        assert app.console.evaluate("return (authkv.stop())") == [True]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, app.http_port))
        assert_outcome(app.console, app.console.do("check", "x"), Refused("shutting_down"))
        assert app.console.evaluate("return (authkv.stop())") == [True], "a second stop does nothing"
        harness.wait_until(lambda: not app.left()[0] and not app.left()[1], "threads and fibers have ended")
        seen.append(app.left()[2])
    assert seen[1:] == seen[1:2] * (TIMES - 1), seen


def test_a_restart_leaves_no_descriptor(app):
    app.begin()
    app.console.evaluate("authkv.restart()")
    seen = []
    for _ in range(TIMES):
        app.console.evaluate("authkv.restart()")
        # The threads and the bell of the older image.
        harness.wait_until(lambda: max(app.left()[0].values()) == 1, "the older image has ended")
        seen.append(app.runs()[2])
    harness.wait_until(lambda: app.left()[2] <= seen[0], f"no more descriptors than {seen[0]}")
    app.logs_in()


def test_a_start_that_is_repeated_with_other_settings_is_with_those(app, taken):
    app.refuse(HTTP_LISTEN=taken, TOKEN_TTL="77")
    app.begin(TOKEN_TTL="66")
    assert app.console.evaluate(f"return authkv.login('admin', {lua(harness.ADMIN_PASSWORD)}).expires_in") == [66]


def test_a_second_start_with_the_same_settings_does_nothing_and_says_so(app):
    first = app.begin()
    before = app.runs()
    # Defaults and empty settings are no change, neither is the password of a user that is there.
    for more in ({}, {"TOKEN_TTL": "1800"}, {"FOLLOW": "", "HTTP_SERVER": ""}, {"ADMIN_PASSWORD": "An0ther-Secret!"}):
        again = app.begin(**more)
        assert again == {"http": first["http"], "already_started": True, "applied": [], "needs_restart": []}
    harness.wait_until(lambda: app.left() == before, "nothing more is there")
    assert app.said("authkv runs already, with these settings") == 4
    app.logs_in()


def test_a_second_start_applies_what_it_can_and_names_the_rest(app):
    app.begin()
    port = harness.free_port()
    changed = {
        "HTTP_LISTEN": f"{HOST}:{port}",
        "HTTP_SERVER": "mine",
        "TOKEN_TTL": "55",
        "REFRESH_TTL": "66",
        "QUEUE": "77",
        "CLIENT_PASSWORD": "S3cret-of-clients",
        "MEMTX_MEMORY": "99999999",
    }
    again = app.begin(**changed)
    assert again == {
        "http": [f"{HOST}:{port}"], "already_started": True, "applied": ["HTTP_LISTEN", "HTTP_SERVER", "REFRESH_TTL", "TOKEN_TTL"],
        "needs_restart": ["CLIENT_PASSWORD", "MEMTX_MEMORY", "QUEUE"],
    }  # fmt: skip
    app.http_port = port
    app.logs_in()
    for name, how in [
        ("CLIENT_PASSWORD", "authkv.restart()"),
        ("QUEUE", "authkv.restart()"),
        ("MEMTX_MEMORY", "the next start of the process"),
    ]:
        assert app.said(f"{name} takes effect with {how}") == 1
    assert "S3cret-of-clients" not in app.log()
    lives = f"return authkv.login('admin', {lua(harness.ADMIN_PASSWORD)}).expires_in"
    assert app.console.evaluate(lives) == [55]
    # As long as it is so, each start says it.
    assert app.begin(**changed)["needs_restart"] == again["needs_restart"]
    assert app.console.evaluate("return authkv.restart()")[0]["http"] == [f"{HOST}:{port}"]
    assert app.console.evaluate(lives) == [55]
    # What waits for the process waits on.
    assert app.begin(**changed)["needs_restart"] == ["MEMTX_MEMORY"]
    # Back to the first ones.
    app.http_port = int(app.given["HTTP_LISTEN"].rpartition(":")[2])
    assert app.begin()["applied"] == ["HTTP_LISTEN", "HTTP_SERVER", "REFRESH_TTL", "TOKEN_TTL"]
    app.logs_in()


def test_a_second_start_that_is_wrong_changes_nothing(app, taken):
    first = app.begin()
    before = app.runs()
    for wrong, part in [({"HTTP_LISTEN": taken, "TOKEN_TTL": "5"}, taken), ({"TOKEN_TTL": "soon"}, "TOKEN_TTL"), ({"FOO": "1"}, "FOO")]:
        assert part in app.refuse(**wrong)
        harness.wait_until(lambda: app.left() == before, "nothing more is there")
    assert app.begin() == {"http": first["http"], "already_started": True, "applied": [], "needs_restart": []}
    app.logs_in()


def test_two_starts_at_a_time_are_one(app):
    given = lua(app.given)
    both = (
        "local fiber = require('fiber') local all = {} for i = 1, 2 do all[i] = fiber.new(function() "
        f"return authkv.start({given}) end) all[i]:set_joinable(true) end "
        "local _, first = all[1]:join() local _, second = all[2]:join() return first, second"
    )
    first, second = app.console.evaluate(both)
    assert "already_started" not in first and second["already_started"] is True, (first, second)
    app.logs_in()


@pytest.fixture
def spoiled(app):
    """A key that no instance can start with, for as long as a restart takes."""

    @contextmanager
    def spoiled():
        key = app.data_dir / "jwt_private.pem"
        kept = key.read_text()
        key.write_text("spoiled")
        yield
        key.write_text(kept)

    return spoiled


def test_a_restart_that_fails_changes_nothing(app, spoiled):
    app.begin()
    before = app.runs()
    with spoiled():
        assert app.console.evaluate("return (pcall(authkv.restart))") == [False]
        harness.wait_until(lambda: app.left() == before, "nothing more is there")
        app.logs_in()
        assert app.console.check("x") == Ok(False)
    assert app.begin()["already_started"] is True
    app.console.evaluate("return authkv.restart()")
    app.logs_in()


@pytest.mark.parametrize("go_on", ["begin", "restart", "restart_of_another_build"])
def test_after_a_restart_with_a_new_build_that_failed_the_next_start_takes_over(app, spoiled, go_on):
    """The older image serves HTTP until then."""
    app.begin()
    builds = Builds(app.data_dir, app.console)
    builds.put_another()
    with spoiled():
        for _ in range(2):
            assert app.console.evaluate("return (pcall(authkv.restart))") == [False]
            app.logs_in()
            assert len(images(app)) == 3
    started = {"http": [f"{HOST}:{app.http_port}"], "admin_password": None}
    if go_on == "begin":
        assert app.begin() == started
    else:
        if go_on == "restart_of_another_build":
            builds.put_another()
        assert app.console.evaluate("return authkv.restart()") == [started]
    harness.wait_until(lambda: max(app.left()[0].values()) == 1, "the older image has ended")
    app.logs_in()
    assert app.console.check("x") == Ok(False)


def test_a_stop_during_a_restart_ends_both_instances(app):
    app.begin()
    for milliseconds in (0, 5, 10, 20, 50, 100):
        said = app.console.evaluate(
            "local fiber = require('fiber') local restart = fiber.new(pcall, authkv.restart) restart:set_joinable(true) "
            f"fiber.sleep({milliseconds / 1000}) local stopped = authkv.stop() "
            "local _, done, what = restart:join() return stopped, done, done and 'started' or what"
        )
        assert said[0] is True and said[2] in ("started", "authkv was stopped during the restart"), said
        app.console.evaluate("return authkv.restart()")
        harness.wait_until(lambda: max(app.left()[0].values()) == 1, "one instance is left")
        app.logs_in()
    assert app.said("something still uses what was stopped") == 0
