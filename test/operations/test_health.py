"""`/livez`, `/readyz` and the admin listener: each check is made to fail for real, and comes back."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from support.harness import CHEAP_HASHES, HOST, Instance, free_port, wait_until
from support.lua import lua
from support.transports import ConsoleTransport


class Answer(NamedTuple):
    status: int
    text: str
    headers: http.client.HTTPMessage


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path):
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def ask(port: int | Path, path: str, method: str = "GET") -> Answer:
    """The answer on a connection of its own."""
    connection = UnixConnection(port) if isinstance(port, Path) else http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode(), answer.headers)
    finally:
        connection.close()


class Watched(Instance):
    """An instance with an admin listener."""

    def __init__(self, **settings: str | None):
        self.admin_port = free_port()
        super().__init__(**{**CHEAP_HASHES, "AUTHKV_HTTP_ADMIN_LISTEN": f"{HOST}:{self.admin_port}", **settings})

    def ask(self, path: str, method: str = "GET") -> Answer:
        return ask(self.admin_port, path, method)

    def failing(self, path: str = "/readyz") -> dict[str, str]:
        """The checks that fail, with their reasons."""
        lines = [line for line in self.ask(path).text.splitlines() if line.startswith("[-]")]
        return dict(line.removeprefix("[-]").split(" failed: ", 1) for line in lines)

    def becomes(self, *names: str, path: str = "/readyz") -> dict[str, str]:
        """Waits until just these checks fail."""

        def failing():
            found = self.failing(path)
            return (found or {"": ""}) if set(found) == set(names) else None

        return wait_until(failing, f"{path} fails for {names or 'nothing'}")


@pytest.fixture
def watch():
    made = []

    def watch(**settings) -> Watched:
        made.append(Watched(**settings))
        return made[-1].start()

    yield watch
    for one in made:
        one.dispose()


@pytest.fixture(scope="module")
def watched():
    with Watched() as instance:
        yield instance


@pytest.fixture
def console_of():
    opened = []

    def console_of(instance: Instance) -> ConsoleTransport:
        opened.append(ConsoleTransport(instance))
        return opened[-1]

    yield console_of
    for one in opened:
        one.close()


def test_a_healthy_instance_says_ok(watched):
    for path in ("/livez", "/readyz"):
        answer = watched.ask(path)
        assert (answer.status, answer.text) == (200, "ok")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        head = watched.ask(path, "HEAD")
        assert (head.status, head.text, head.headers["Content-Length"]) == (200, "", "2")


def test_verbose_lists_the_checks_as_kubernetes_does(watched):
    for name in ("livez", "readyz"):
        *checks, last = watched.ask(f"/{name}?verbose").text.splitlines()
        assert last == f"{name} check passed"
        assert "[+]tx ok" in checks and all(line.startswith("[+]") and line.endswith(" ok") for line in checks)
        text = watched.ask(f"/{name}?verbose&exclude=tx&exclude=t%78&exclude=f%22oo").text
        assert "[+]tx excluded: ok\n" in text
        assert 'warn: some health checks cannot be excluded: no matches for "f\\"oo"\n' in text
        assert watched.ask(f"/{name}?exclude=tx&other=1").text == "ok"


def test_the_admin_listener_serves_nothing_else(watched):
    for path in ("/", "/api/check/", "/v1/kv/get", "/docs", "/openapi.json", "/livez/", "/readyz/tx"):
        answer = watched.ask(path)
        assert answer.status == 404 and "there is no such" in answer.text.lower(), (path, answer)
    answer = watched.ask("/livez", "POST")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"


def test_the_main_listener_has_the_probes_by_a_setting(watched, console_of):
    assert ask(watched.http_port, "/livez").status == 404
    console = console_of(watched)
    console.evaluate("authkv.http.reload{HTTP_HEALTH = 'on'}")
    for path in ("/livez", "/readyz"):
        assert ask(watched.http_port, path)[:2] == (200, "ok")
    assert "[+]tx ok" in ask(watched.http_port, "/livez?verbose").text
    console.evaluate("authkv.http.reload{HTTP_HEALTH = 'off'}")
    assert ask(watched.http_port, "/readyz").status == 404


def test_the_start_says_where_the_admin_listener_is(watched):
    assert f"Admin   http://{HOST}:{watched.admin_port}\n" in watched.log()


def test_it_answers_though_the_limits_of_the_main_listener_are_reached(watch):
    instance = watch(AUTHKV_HTTP_CONNECTIONS_MAX="1", AUTHKV_HTTP_REQUESTS_MAX="1")
    with socket.create_connection((HOST, instance.http_port)):
        wait_until(lambda: ask(instance.http_port, "/api/check/").status == 503, "the only connection is taken")
        assert instance.ask("/livez").status == 200
        assert instance.ask("/readyz").status == 200


def test_the_admin_listener_has_limits_of_its_own(watched):
    held = []
    try:
        held = [socket.create_connection((HOST, watched.admin_port)) for _ in range(64)]
        wait_until(lambda: watched.ask("/livez").status == 503, "no connection is left")
        assert ask(watched.http_port, "/api/check/").status == 405
    finally:
        for one in held:
            one.close()
    wait_until(lambda: watched.ask("/livez").status == 200, "connections are free again")


def test_a_reload_moves_the_admin_listener(watch, console_of):
    instance = watch()
    console = console_of(instance)
    before, after = instance.admin_port, free_port()
    addresses = console.evaluate(f"return authkv.http.reload{{HTTP_ADMIN_LISTEN = '{HOST}:{after}'}}")
    assert addresses == [[f"{HOST}:{instance.http_port}"]]
    assert ask(after, "/readyz").status == 200
    with pytest.raises(ConnectionRefusedError):
        ask(before, "/readyz")
    same = console.evaluate(f"return authkv.http.reload{{HTTP_ADMIN_LISTEN = '{HOST}:{instance.http_port}'}}")
    assert "HTTP_LISTEN and AUTHKV_HTTP_ADMIN_LISTEN have the same address" in str(same)
    console.evaluate("authkv.http.reload{HTTP_ADMIN_LISTEN = 'off'}")
    with pytest.raises(ConnectionRefusedError):
        ask(after, "/readyz")


def test_it_listens_on_a_unix_socket(watch):
    instance = watch(AUTHKV_HTTP_ADMIN_LISTEN=None)
    path = instance.data_dir / "admin.sock"
    with_console = ConsoleTransport(instance)
    with_console.evaluate(f"authkv.http.reload{{HTTP_ADMIN_LISTEN = {lua(f'unix:{path}')}}}")
    assert ask(path, "/livez")[:2] == (200, "ok")
    assert path.stat().st_mode & 0o777 == 0o660
    with_console.evaluate("authkv.restart()")
    assert ask(path, "/readyz")[:2] == (200, "ok")
    with_console.close()
    instance.stop()
    assert not path.exists()


def test_a_restart_does_not_fail_a_probe(watch, console_of):
    """The successor takes over the socket: whoever asks meanwhile gets an answer, and a good one."""
    instance = watch()
    console = console_of(instance)
    console.evaluate("restarts = 0; require('fiber').new(function() for i = 1, 3 do authkv.restart() restarts = i end end)")
    seen = []

    def is_done() -> bool:
        seen.append((instance.ask("/livez").status, instance.ask("/readyz").status))
        return console.evaluate("return restarts") == [3]

    wait_until(is_done, "three restarts", every=0)
    assert set(seen) == {(200, 200)}, seen


def test_a_stop_of_http_leaves_the_admin_listener(watch, console_of):
    instance = watch()
    console = console_of(instance)
    console.evaluate("authkv.http.stop()")
    with pytest.raises(ConnectionRefusedError):
        ask(instance.http_port, "/api/check/")
    assert instance.ask("/livez").status == 200
    console.evaluate("authkv.http.start()")
    assert ask(instance.http_port, "/api/check/").status == 405
    instance.becomes()
