"""`/livez`, `/readyz` and the admin listener: each check is made to fail for real, and comes back."""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from support.fallible import Fallible
from support.harness import CHEAP_HASHES, HOST, NO_ROCK, ROOT, Instance, free_port, has_rock, version, wait_until
from support.lua import lua
from support.people import People
from support.replica import Replica, address
from support.small_disk import OnSmallDisk
from support.split import auth_settings, kv_settings
from support.transports import ConsoleTransport, HttpTransport


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


def is_gone(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        ask(port, "/livez")
    except ConnectionRefusedError:
        return True
    except (ConnectionError, http.client.HTTPException):
        return False
    return False


class Watched(Instance):
    """An instance with an admin listener."""

    def __init__(self, **settings: str | None):
        self.admin_port = free_port()
        super().__init__(**{**CHEAP_HASHES, "AUTHKV_HTTP_ADMIN_LISTEN": f"{HOST}:{self.admin_port}", **settings})

    @property
    def console_path(self) -> Path:
        return Path(self.settings.get("AUTHKV_CONSOLE_LISTEN", self.data_dir / "console.sock"))

    def ask(self, path: str, method: str = "GET") -> Answer:
        return ask(self.admin_port, path, method)

    def fails(self, path: str = "/readyz") -> dict[str, str]:
        """The checks that fail, with their reasons."""
        lines = [line for line in self.ask(path).text.splitlines() if line.startswith("[-]")]
        return dict(line.removeprefix("[-]").split(" failed: ", 1) for line in lines)

    def becomes(self, *names: str, path: str = "/readyz") -> dict[str, str]:
        """Waits until just these checks fail."""

        def failing():
            found = self.fails(path)
            return (found or {"": ""}) if set(found) == set(names) else None

        return wait_until(failing, f"{path} fails for {names or 'nothing'}")


class WatchedFallible(Watched, Fallible):
    """Its log of writes can be made to fail."""


class WatchedOnSmallDisk(Watched, OnSmallDisk):
    """Its disk can be filled."""


class WatchedReplica(Watched, Replica):
    """It replicates another instance."""


@pytest.fixture
def watch():
    made = []

    def watch(kind=Watched, **settings) -> Watched:
        made.append(kind(**settings))
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
    answer = watched.ask("*", "OPTIONS")
    assert answer.status == 204 and answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_the_main_listener_has_the_probes_by_a_setting(watched, console_of):
    assert ask(watched.http_port, "/livez").status == 404
    console = console_of(watched)
    console.evaluate("authkv.http.reload{HTTP_HEALTH = 'on'}")
    for path in ("/livez", "/readyz"):
        assert ask(watched.http_port, path)[:2] == (200, "ok")
    assert "[+]tx ok" in ask(watched.http_port, "/livez?verbose").text
    console.evaluate("box.cfg{read_only = true}")
    watched.becomes("write")
    assert "[-]write failed: reason withheld\n" in ask(watched.http_port, "/readyz").text
    console.evaluate("box.cfg{read_only = false}")
    watched.becomes()
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
    wait_until(lambda: is_gone(before), "nobody listens at the old address")
    same = console.evaluate(f"return authkv.http.reload{{HTTP_ADMIN_LISTEN = '{HOST}:{instance.http_port}'}}")
    assert "HTTP_LISTEN and AUTHKV_HTTP_ADMIN_LISTEN have the same address" in str(same)
    console.evaluate("authkv.http.reload{HTTP_ADMIN_LISTEN = 'off'}")
    wait_until(lambda: is_gone(after), "nobody listens any more")


def test_a_reload_moves_an_address_from_one_listener_to_the_other(watch, console_of):
    instance = watch()
    console = console_of(instance)
    main, admin = f"{HOST}:{instance.http_port}", f"{HOST}:{instance.admin_port}"
    path = f"unix:{instance.data_dir / 'moved.sock'}"

    def moves(main: str, admin: str) -> None:
        told = console.evaluate(f"return authkv.reload{{HTTP_LISTEN = {lua(main)}, HTTP_ADMIN_LISTEN = {lua(admin)}}}")
        assert told[0].get("applied") == ["HTTP_ADMIN_LISTEN", "HTTP_LISTEN"], told

        def serves(address: str, path: str) -> int:
            kind, _, place = address.rpartition(":")
            return ask(Path(place) if kind == "unix" else int(place), path).status

        # Connections that waited at the move are answered by the listener that was there.
        wait_until(lambda: serves(main, "/api/check/") == 405 and serves(main, "/livez") == 404, "it serves clients")
        wait_until(lambda: serves(admin, "/livez") == 200 and serves(admin, "/api/check/") == 404, "it serves the operator")

    moves(admin, main)
    moves(path, admin)
    moves(admin, path)
    moves(main, admin)


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
    assert instance.becomes("http") == {"http": "HTTP was stopped by authkv.http.stop()"}
    console.evaluate("authkv.http.start()")
    assert ask(instance.http_port, "/api/check/").status == 405
    instance.becomes()


def test_a_server_of_the_rock_has_the_probes_by_the_setting(watch, console_of):
    if not has_rock():
        pytest.skip(NO_ROCK)
    instance = watch(AUTHKV_HTTP_HEALTH="on")
    console, port = console_of(instance), free_port()
    console.evaluate(f"server = require('http.server').new('{HOST}', {port}) authkv.mount(server) server:start()")
    for path in ("/livez", "/readyz"):
        assert ask(port, path)[:2] == (200, "ok")
    console.evaluate("authkv.http.reload{HTTP_HEALTH = 'off'}")
    assert ask(port, "/livez").status == 404


@pytest.fixture
def busy(tmp_path):
    """Keeps the tx thread of an instance busy."""

    @contextmanager
    def busy(instance: Watched):
        flag = tmp_path / "busy"
        flag.touch()
        loop = f"local file repeat file = io.open({lua(str(flag))}) if file then file:close() end until file == nil return 1"
        console = ConsoleTransport(instance)
        thread = threading.Thread(target=console.evaluate, args=(loop,))
        thread.start()
        try:
            yield
        finally:
            flag.unlink()
            thread.join()
            console.close()

    return busy


def test_a_stuck_tx_thread_is_not_ready_and_then_not_alive(watched, busy):
    with busy(watched):
        assert "the tx thread did nothing else for" in watched.becomes("tx")["tx"]
        assert watched.ask("/livez").status == 200
        watched.becomes("tx", path="/livez")
        answer = watched.ask("/livez")
        assert answer.status == 503 and answer.text.endswith("livez check failed\n")
        assert watched.ask("/livez?exclude=tx")[:2] == (200, "ok")
    watched.becomes(path="/livez")
    watched.becomes()


@contextmanager
def halted(instance: Instance, name: str):
    """Halts a thread of this name, as a debugger does."""
    seize, interrupt, detach, of_threads = 0x4206, 0x4207, 17, 0x40000000
    (thread,) = [
        int(task.name) for task in Path(f"/proc/{instance.process.pid}/task").iterdir() if (task / "comm").read_text().strip() == name
    ]
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    if ptrace(seize, thread, 0, 0) != 0:
        pytest.skip(f"this system lets nobody halt a thread: {os.strerror(ctypes.get_errno())}")
    ptrace(interrupt, thread, 0, 0)
    os.waitpid(thread, of_threads)
    try:
        yield
    finally:
        ptrace(detach, thread, 0, 0)


def test_a_stuck_worker_is_not_alive(watch):
    instance = watch(AUTHKV_HTTP_WORKERS="2")
    with halted(instance, "authkv-http-1"):
        reason = instance.becomes("workers", path="/livez")["workers"]
        assert reason == "1 of the threads that serve HTTP did nothing for 10 s"
    instance.becomes(path="/livez")


def test_a_space_that_is_gone_is_no_schema_in_order(watch, console_of):
    instance = watch()
    console = console_of(instance)
    console.evaluate("box.space.authkv_role:rename('other')")
    assert "authkv_role" in instance.becomes("schema")["schema"]
    console.evaluate("box.space.other:rename('authkv_role')")
    instance.becomes()


def test_without_a_key_that_signs_it_is_not_ready(watch, console_of):
    instance = watch()
    console = console_of(instance)
    # A writable instance makes or publishes another key at once.
    delete = "for _, key in box.space.authkv_token_key:pairs() do box.space.authkv_token_key:delete(key[1]) end"
    console.evaluate(f"box.begin() {delete} box.commit() box.cfg{{read_only = true}}")
    assert instance.becomes("key", "write")["key"] == "there is no key that signs tokens"
    console.evaluate("box.cfg{read_only = false}")
    instance.becomes()


def test_a_read_only_instance_that_follows_nobody_is_ready_only_by_the_setting(watch, console_of):
    instance = watch()
    console = console_of(instance)
    console.evaluate("box.cfg{read_only = true}")
    assert instance.becomes("write") == {"write": "the instance is read-only, and follows no other"}
    console.evaluate("box.cfg{read_only = false}")
    instance.becomes()
    instance.stop()
    instance.settings["AUTHKV_READ_ONLY"] = "true"
    instance.start()
    instance.becomes()


@pytest.fixture
def pair(watch):
    """A leader, and its replica."""
    leader = watch()
    people = People(leader)
    people.console.evaluate("box.schema.user.grant('authkv', 'replication')")
    replica = WatchedReplica(keys=False, REPLICATION=address(leader), AUTHKV_READ_ONLY="true")
    for file in leader.data_dir.glob("jwt_*.pem"):
        shutil.copy(file, replica.data_dir)
    with replica:
        yield leader, replica
    people.close()


def test_a_replica_is_ready_while_it_follows(pair):
    leader, replica = pair
    replica.becomes()
    leader.kill()
    assert "the replication from instance 1 is" in replica.becomes("replication")["replication"]
    assert replica.ask("/livez").status == 200
    leader.start()
    replica.becomes()


def test_a_leader_is_ready_without_its_replica(pair, console_of):
    leader, replica = pair
    console = console_of(leader)
    console.evaluate(
        f"box.cfg{{replication_connect_quorum = 0, replication_connect_timeout = 1, replication = {{{lua(address(replica))}}}}}"
    )
    wait_until(lambda: "upstream': 'follow" in str(console.evaluate("return authkv.status()")), "the leader follows, too")
    replica.kill()
    wait_until(lambda: "disconnected" in str(console.evaluate("return authkv.status()")), "the leader has noticed")
    leader.becomes()


def test_an_orphan_is_not_ready(watch, console_of):
    instance = watch()
    console = console_of(instance)
    # Newer versions count only those of the peers that can be reached.
    legacy = "bootstrap_strategy = 'legacy', " if version() >= (2, 11) else ""
    peers = f"replication = {{'{HOST}:{instance.iproto_port}', '{HOST}:{free_port()}'}}"
    console.evaluate(f"box.cfg{{{legacy}replication_connect_quorum = 2, replication_connect_timeout = 0.1, {peers}}}")
    assert "orphan" in instance.becomes("write")["write"]
    console.evaluate("box.cfg{replication = {}}")
    instance.becomes()


def test_a_follower_without_its_authorization_instance_is_not_ready(watch):
    auth = watch(**auth_settings())
    follower = watch(**kv_settings(auth, AUTHKV_FOLLOW_MAX_LAG="1"))
    follower.becomes()
    auth.kill()
    assert f"{HOST}:{auth.iproto_port}" in follower.becomes("follow")["follow"]
    assert follower.ask("/livez").status == 200
    auth.start()
    follower.becomes()


SLOW_HASHES = {
    "AUTHKV_ARGON2_MEMORY": "65536",
    "AUTHKV_ARGON2_ITERATIONS": "3",
    "AUTHKV_CRYPTO_THREADS": "1",
    "AUTHKV_LOGIN_DELAY_MAX": "0",
}


@contextmanager
def logins(instance: Instance, clients: int = 4):
    """Clients who log in all the time, in vain."""
    is_over = threading.Event()

    def log_in():
        http = HttpTransport(instance)
        while not is_over.is_set():
            http.login("nobody", "An0ther-Secret!")
        http.close()

    threads = [threading.Thread(target=log_in) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("name, setting", [("queue", "AUTHKV_QUEUE"), ("pools", "AUTHKV_CRYPTO_QUEUE")])
def test_what_stays_full_is_not_ready(watch, name, setting):
    instance = watch(**SLOW_HASHES, **{setting: "1"})
    with logins(instance):
        reason = wait_until(lambda: instance.fails().get(name), f"{name} is full")
        assert "is full for" in reason and reason.endswith(": 1 of 1")
        assert instance.ask(f"/readyz?exclude={name}")[:2] == (200, "ok")
    instance.becomes()


def test_a_log_that_cannot_be_written_is_not_ready(watch, console_of):
    instance = watch(WatchedFallible)
    people = People(instance)
    token = people.new().access
    with instance.failing():
        people.do("http", "pair_put", token, "k", 1)
        assert instance.becomes("disk") == {"disk": "the log of writes cannot be written"}
    # Nobody writes: it notices by itself.
    instance.becomes()
    people.close()


def test_a_full_disk_is_noticed_though_nobody_writes(watch):
    instance = watch(WatchedOnSmallDisk)
    instance.fill()
    assert "cannot write to the disk" in instance.becomes("disk")["disk"]
    instance.free()
    instance.becomes()


def test_a_lost_directory_is_not_ready(watch, tmp_path):
    instance = watch(AUTHKV_CONSOLE_LISTEN=str(tmp_path / "console.sock"))
    away = tmp_path / "away"
    instance.data_dir.rename(away)
    assert wait_until(lambda: instance.fails().get("data"), "it is noticed") == "the files of the data are gone"
    assert instance.ask("/livez").status == 200
    away.rename(instance.data_dir)
    instance.kill()
    instance.start()
    instance.becomes()


def test_an_idle_instance_does_not_write_to_its_log(watch, console_of):
    # With users, the instance notes now and then how long its tokens hold.
    instance = watch(AUTHKV_SERVICES="kv")
    console = console_of(instance)

    def written_ago() -> int:
        return int(console.evaluate("return authkv.status().disk")[0].split()[1])

    wait_until(lambda: written_ago() >= 5, "nothing is written for a while")
    before = console.evaluate("return box.info.signature")
    wait_until(lambda: written_ago() < 5, "the disk was tried")
    assert console.evaluate("return box.info.signature") == before
    assert not list(instance.data_dir.glob("authkv-room*"))


def test_a_stopping_instance_is_not_ready_at_once(watch):
    instance = watch()
    with socket.create_connection((HOST, instance.http_port)) as client:
        # A request that is not whole, so that the stop waits for it.
        client.sendall(b"POST /api/check/ HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{")
        wait_until(lambda: instance.ask("/readyz").status == 200, "it serves")
        instance.send_signal(signal.SIGTERM)
        assert instance.becomes("shutdown") == {"shutdown": "the instance is stopping"}
        assert instance.ask("/livez").status == 200
        client.sendall(b"}")
        assert client.recv(1024).startswith(b"HTTP/1.1 4")
    assert instance.wait_for_exit() == 0


def test_the_status_in_the_console_shows_all_of_it_in_order(watched, console_of):
    console = console_of(watched)
    (shown,) = console.evaluate("return authkv.status()")
    names = [name for field in shown for name in field]
    assert names == [
        "version", "tarantool", "role", "uptime", "addresses", "live", "ready", "checks", "replication", "key", "queue", "pools", "disk",
    ]  # fmt: skip
    fields = {name: value for field in shown for name, value in field.items()}
    assert fields["role"] == "auth, kv, writable" and fields["live"] is fields["ready"] is True
    assert {"admin": [f"{HOST}:{watched.admin_port}"]} in fields["addresses"]
    assert {"tx": "ok"} in fields["checks"] and {"workers": "ok"} in fields["checks"]
    assert fields["queue"] == "0 of 8192" and {"crypto": "0 of 64"} in fields["pools"]
    assert console.evaluate("return authkv.status().ready, authkv.status().checks[1].name") == [True, "shutdown"]
    console.evaluate("box.cfg{read_only = true}")
    watched.becomes("write")
    reason = "the instance is read-only, and follows no other"
    (shown,) = console.evaluate("return authkv.status()")
    assert {"ready": False} in shown and {"write": reason} in next(field["checks"] for field in shown if "checks" in field)
    console.evaluate("box.cfg{read_only = false}")
    watched.becomes()


@pytest.mark.skipif(version() < (3, 8), reason="Tarantool has health checks from 3.8 on")
def test_tarantool_has_the_same_checks(watch, console_of):
    instance = watch()
    console = console_of(instance)

    def health() -> tuple[dict, dict]:
        (found,) = console.evaluate("return box.info.health")
        return found["liveness"], found["readiness"]

    liveness, readiness = health()
    assert liveness["verdict"] is True and readiness["status"] is True
    assert {f"authkv.{line[3:-3]}" for line in instance.ask("/livez?verbose").text.splitlines()[:-1]} == set(liveness["checks"])
    listed = {f"authkv.{line[3:-3]}" for line in instance.ask("/readyz?verbose").text.splitlines()[:-1]}
    assert listed == {name for name in readiness["checks"] if name.startswith("authkv.")}
    console.evaluate("authkv.restart()")
    console.evaluate("box.cfg{read_only = true}")
    instance.becomes("write")
    failed = health()[1]["checks"]["authkv.write"]
    assert failed["reason"] == "the instance is read-only, and follows no other"
    console.evaluate("box.cfg{read_only = false}")
    console.evaluate("authkv.stop()")
    liveness, readiness = health()
    assert not [name for name in (*liveness["checks"], *readiness["checks"]) if name.startswith("authkv")]


def test_the_program_of_the_package_asks_without_curl(watched, console_of):
    program = ROOT / "tarantool_infra" / "package" / "health.sh"

    def run(listen: str, *given: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", program, *given], env={"PATH": os.environ["PATH"], "AUTHKV_HTTP_ADMIN_LISTEN": listen},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    here = f"{HOST}:{watched.admin_port}"
    assert run(here) == run(here, "livez") == run(f"0.0.0.0:{watched.admin_port},unix:x", "readyz", "9") == (0, "")
    assert run("off")[0] == 0 and "not known" in run("https://" + here)[1]
    code, said = run(f"{HOST}:{free_port()}")
    assert code == 1 and "no answer" in said
    console = console_of(watched)
    console.evaluate("box.cfg{read_only = true}")
    watched.becomes("write")
    code, said = run(here)
    assert code == 1 and "[-]write failed: the instance is read-only" in said
    console.evaluate("box.cfg{read_only = false}")
    watched.becomes()
    path = watched.data_dir / "other.sock"
    console.evaluate(f"authkv.http.reload{{HTTP_ADMIN_LISTEN = {lua(f'{here},unix:{path}')}}}")
    assert run(f"unix:{path}") == (0, "")
    console.evaluate("box.cfg{read_only = true}")
    watched.becomes("write")
    code, said = run(f"unix:{path}")
    assert code == 1 and said.startswith(f"unix:{path}: 503") and "[-]write failed: the instance is read-only" in said
    console.evaluate("box.cfg{read_only = false}")
    watched.becomes()
    code, said = run(f"unix:{path}.none")
    assert code == 1 and "no answer" in said
