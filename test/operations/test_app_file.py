"""authkv in an `app.file` of Tarantool 3's configuration, as documentation/how-to-run.md has it: started, reloaded, stopped."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import jwt
import pytest

from support import harness
from support.blocks import blocks
from support.harness import HOST, Instance, wait_until
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport

pytestmark = pytest.mark.skipif(harness.version() < (3, 0), reason="this Tarantool has no configuration in YAML: 3.0 does")
PAGE = harness.ROOT / "documentation" / "how-to-run.md"


def documented() -> tuple[str, str]:
    """config.yaml and app.lua of the page."""
    section = PAGE.read_text().partition("## Under Tarantool 3's configuration")[2].partition("\n## ")[0]
    [config], [app] = blocks(section, "yaml"), blocks(section, "lua")
    return config.code, app.code


class Configured(Instance):
    """The example, with a directory and ports of its own. `change` rewrites its app.lua."""

    def __init__(self):
        super().__init__(keys=False)
        config, self.app = documented()
        self.directory = self.data_dir
        (self.directory / "data").mkdir()
        harness.write_key_pair(self.directory / "data")
        (self.directory / "config.yaml").write_text(config.replace("127.0.0.1:3301", f"{HOST}:{self.iproto_port}"))
        self.listen = f"{HOST}:{self.http_port}"
        self.change()
        self.settings = {"ADMIN_PASSWORD": harness.ADMIN_PASSWORD}
        self.command = ("sh", "-c", f"cd {self.directory} && exec tarantool --name store-1 --config config.yaml")

    def change(self, listen: str | None = None, **settings: str) -> None:
        app = self.app.replace("/opt/authkv", str(harness.ROOT)).replace("127.0.0.1:8080", listen or self.listen)
        for name, value in settings.items():
            app, count = re.subn(rf"({name} = )'[^']*'", rf"\1'{value}'", app)
            if not count:
                app = app.replace("authkv.start({\n", f"authkv.start({{\n    {name} = '{value}',\n")
        (self.directory / "app.lua").write_text(app)

    def is_ready(self) -> bool:
        return (self.directory / "console.sock").exists() and "started" in self.log() and self._serves()

    def _serves(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.http_port)) == 0

    def start(self):
        self.launch()
        wait_until(lambda: self._serves() or not self.is_running(), "the example serves")
        assert self.is_running(), self.log()
        return self


class Reloaded:
    """The example and its console."""

    def __init__(self, instance: Configured):
        self.instance = instance
        self.console = ConsoleTransport(instance)

    def status(self) -> tuple[str, list]:
        status, alerts = self.console.evaluate("local info = require('config'):info() return info.status, info.alerts")
        return status, alerts

    def reload(self, *args: str, **settings: str) -> tuple[str, list]:
        self.instance.change(*args, **settings)
        self.console.evaluate("return pcall(function() require('config'):reload() end)")
        return self.status()

    def logs_in(self, port: int | None = None) -> None:
        before = self.instance.http_port
        self.instance.http_port = port or before
        http = HttpTransport(self.instance)
        assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
        http.close()
        self.instance.http_port = before

    def lives(self) -> int:
        return self.console.evaluate(f"return authkv.login('admin', '{harness.ADMIN_PASSWORD}').expires_in")[0]

    def issuer(self) -> str:
        token = self.console.evaluate(f"return authkv.login('admin', '{harness.ADMIN_PASSWORD}').token")[0]
        return jwt.decode(token, options={"verify_signature": False})["iss"]

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.instance.process.pid}/fd").iterdir()))


@pytest.fixture
def running():
    with Configured() as instance:
        one = Reloaded(instance)
        yield one
        one.console.close()


def test_the_example_starts_reloads_and_stops(running):
    assert running.status() == ("ready", [])
    running.logs_in()
    # Threads of the start open some of theirs later.
    before = harness.settled(running.descriptors)
    for _ in range(5):
        assert running.reload() == ("ready", [])
        wait_until(lambda: running.descriptors() <= before, "a reload leaves no descriptor open")
    assert running.instance.log().count("authkv runs already, with these settings") == 5
    running.logs_in()
    running.console.close()
    running.instance.stop()


def test_a_reload_with_other_settings_applies_what_it_can(running):
    port = harness.free_port()
    settings = {"TOKEN_TTL": "77", "HTTP_SERVER": "mine", "TOKEN_ISSUER": "mine", "LOG_LEVEL": "debug"}
    assert running.reload(f"{HOST}:{port}", **settings) == ("ready", [])
    running.logs_in(port)
    assert running.lives() == 77
    assert "TOKEN_ISSUER takes effect with authkv.restart()" in running.instance.log()
    # The options of box.cfg are the configuration's.
    assert "LOG_LEVEL takes effect with the next start of the process" in running.instance.log()
    assert running.console.evaluate("return box.cfg.log_level")[0] in (5, "info")
    assert running.issuer() == "authkv"
    running.console.evaluate("return authkv.restart()")
    assert (running.lives(), running.issuer()) == (77, "mine")
    del settings["LOG_LEVEL"]
    assert running.reload(f"{HOST}:{port}", **settings) == ("ready", [])
    assert running.instance.log().count("TOKEN_ISSUER takes effect") == 1


def test_a_reload_that_is_wrong_says_so_and_what_ran_goes_on(running):
    with socket.create_server((HOST, 0)) as other:
        taken = f"{HOST}:{other.getsockname()[1]}"
        for args, settings, part in [((taken,), {}, taken), ((), {"TOKEN_TTL": "soon"}, "TOKEN_TTL"), ((), {"FOO": "1"}, "FOO")]:
            status, alerts = running.reload(*args, **settings)
            assert status == "check_errors" and part in str(alerts), (status, alerts)
            running.logs_in()
    assert running.reload() == ("ready", [])
    running.logs_in()


def test_a_first_start_that_failed_is_repeated_by_a_reload():
    with socket.create_server((HOST, 0)) as other:
        instance = Configured()
        instance.change(f"{HOST}:{other.getsockname()[1]}")
        try:
            instance.launch()
            # A failure of the file at the start of the process ends the process, as any error of an application does.
            assert instance.wait_for_exit() != 0
            assert "cannot listen on" in instance.log()
            instance.change()
            instance.start()
            one = Reloaded(instance)
            one.logs_in()
            one.console.close()
        finally:
            instance.dispose()
