"""A real authkv process per `Instance`: `tarantool init.lua` with a data directory and ports of its own.

Nothing here sleeps for a fixed time: every wait has a condition, and a deadline that only bounds a hang.
"""

from __future__ import annotations

import itertools
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
# Bounds a hang only: no instance and no answer takes as long, on whatever machine.
DEADLINE = 180
CLIENT_PASSWORD = "client-secret-2b7e"
ADMIN_PASSWORD = "Admin-Secret-91!"
# For an instance whose hashes are to take no time.
CHEAP_HASHES = {"AUTHKV_ARGON2_MEMORY": "64", "AUTHKV_ARGON2_ITERATIONS": "1"}

_running: list[Instance] = []

# Below the ephemeral ports, so that no outgoing connection takes one between the choice and the start, and
# a window per process, so that suites running at once do not choose the same.
_WINDOW = 100
_WINDOWS = 220
_FIRST = 10_000


@cache
def _window() -> tuple[Iterator[int], object]:
    """The ports of a window that no other process of a suite has, in turn, and what keeps it so until this process ends."""
    for n in range(os.getpid(), os.getpid() + _WINDOWS):
        first = _FIRST + n % _WINDOWS * _WINDOW
        # An abstract socket: it is gone with the process, whatever ends it.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0authkv-test-ports-{first}")
        except OSError:
            claim.close()
            continue
        return itertools.cycle(range(first, first + _WINDOW)), claim
    raise RuntimeError("every window of ports is taken")


def free_port() -> int:
    """A port on which nothing listens, not given before until the window is used up."""
    ports, _ = _window()
    for port in itertools.islice(ports, _WINDOW):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port in the window of this process")


# Looks at a condition each second, at least, on a machine that has nothing else to do.
_LOOKS = 30


def wait_until(condition, what: str, deadline: float = DEADLINE, every: float = 0.01):
    """The first truthy result of `condition`, which is looked at `every` so many seconds; fails, naming `what`, when there is
    none in time.

    A deadline counts in looks as well: if the machine is so busy that few of them fit into it, then the instance had few turns
    too, and gets as many as it has on an idle machine.
    """
    end = time.monotonic() + deadline
    looks = 0
    while not (result := condition()):
        looks += 1
        is_late = time.monotonic() >= end and (looks >= deadline * _LOOKS or time.monotonic() >= end + DEADLINE)
        assert not is_late, f"not within {deadline} s, in {looks} looks: {what}"
        time.sleep(every)
    return result


def settled(look, times: int = 50):
    """What `look` gives once it has given the same so many times in a row: for what threads do that have just begun."""
    seen = []

    def is_settled() -> bool:
        seen.append(look())
        return len(seen) >= times and all(one == seen[-1] for one in seen[-times:])

    wait_until(is_settled, "nothing changes any more")
    return seen[-1]


def running() -> list[Instance]:
    """The instances whose logs belong to a failure that happens now."""
    return list(_running)


def environment() -> dict[str, str]:
    """The environment of an instance: ours, with the http rock that AUTHKV_TEST_ROCK names, as a directory."""
    rock = os.environ.get("AUTHKV_TEST_ROCK")
    paths = {"LUA_PATH": f"{rock}/?.lua;;", "LUA_CPATH": f"{rock}/?.so;;"} if rock else {}
    return dict(os.environ) | paths


@cache
def has_rock() -> bool:
    """Whether an instance finds the http rock."""
    code = "os.exit(pcall(require, 'http.server') and 0 or 1)"
    return subprocess.run(["tarantool", "-e", code], cwd=ROOT, env=environment(), check=False).returncode == 0


@cache
def version() -> tuple[int, ...]:
    """The first two numbers of the version of `tarantool`."""
    said = subprocess.run(["tarantool", "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(int(number) for number in said.split()[1].split(".")[:2])


def tool() -> str:
    """The command-line tool that comes with this Tarantool."""
    return "tt" if version() >= (3, 0) else "tarantoolctl"


NO_ROCK = "the http rock is not on package.path: install it (tarantoolctl or tt rocks install http), or AUTHKV_TEST_ROCK=<its directory>"


def write_key_pair(directory: Path, bits: int = 2048) -> rsa.RSAPrivateKey:
    """A key pair under the names authkv looks for; OpenSSL makes it faster than the instance would."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    private = directory / "jwt_private.pem"
    private.touch(mode=0o600)
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    (directory / "jwt_public.pem").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return key


class Output:
    """What a process has said, over all its starts. Whoever asks reads what is in the pipe first, so nothing that has been said
    is missing; a thread reads meanwhile, so that the pipe is never full."""

    def __init__(self):
        self._said = bytearray()
        # Where the output of the present start begins.
        self._begun = 0
        self._pipe: int | None = None
        self._lock = threading.Lock()

    @contextmanager
    def begin(self):
        """The end of a pipe for a process that starts."""
        self._drain()
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        self._begun = len(self._said)
        try:
            yield theirs
        finally:
            os.close(theirs)
            threading.Thread(target=self._read, args=(self._pipe,), daemon=True).start()

    def _read(self, pipe: int) -> None:
        while self._pipe == pipe:
            # It may be closed meanwhile.
            with suppress(OSError):
                select.select([pipe], [], [])
            self._drain()

    def _drain(self) -> None:
        with self._lock:
            while self._pipe is not None:
                try:
                    piece = os.read(self._pipe, 1 << 16)
                except BlockingIOError:
                    return
                self._said += piece
                if not piece:
                    os.close(self._pipe)
                    self._pipe = None

    def note(self, what: str) -> None:
        """Puts a line of ours in. What was said before it is no longer that of the present process."""
        self._drain()
        self._said += f"---- {what} ----\n".encode()
        self._begun = len(self._said)

    def text(self) -> str:
        self._drain()
        return self._said.decode(errors="replace")

    def present(self) -> str:
        """What the present process has said."""
        self._drain()
        return self._said[self._begun :].decode(errors="replace")


class Started:
    """What a `with` statement starts and disposes of."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.dispose()
            raise

    def __exit__(self, *_) -> None:
        self.dispose()


class Instance(Started):
    """One authkv process. Settings are given by their environment names; `None` leaves one unset."""

    command = ("tarantool", "init.lua")

    def __init__(self, keys: bool = True, host: str = HOST, **settings: str | None):
        self.host = host
        self.data_dir = Path(tempfile.mkdtemp(prefix="authkv-"))
        self.http_port = free_port()
        self.iproto_port = free_port()
        if keys:
            write_key_pair(self.data_dir)
        self.settings = {
            "AUTHKV_DATA_DIR": str(self.data_dir),
            "AUTHKV_HTTP_LISTEN": f"{host}:{self.http_port}",
            "AUTHKV_IPROTO_LISTEN": f"{host}:{self.iproto_port}",
            "AUTHKV_CLIENT_PASSWORD": CLIENT_PASSWORD,
            "AUTHKV_ADMIN_PASSWORD": ADMIN_PASSWORD,
            **settings,
        }
        self.process: subprocess.Popen | None = None
        self._output = Output()
        _running.append(self)

    @property
    def url(self) -> str:
        """Where its HTTP is, without a path."""
        return f"http://{self.host}:{self.http_port}"

    @property
    def console_path(self) -> Path:
        return self.data_dir / "console.sock"

    def launch(self) -> None:
        """Starts the process and returns at once."""
        assert self.process is None, "already running"
        inherited = {name: value for name, value in environment().items() if not name.startswith("AUTHKV_")}
        given = {name: value for name, value in self.settings.items() if value is not None}
        with self._output.begin() as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=inherited | given,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> Instance:
        """Starts the process and returns when it serves."""
        self.launch()
        wait_until(lambda: self.is_ready() or self.process.poll() is not None, "the instance is ready or has ended")
        assert self.process.poll() is None and self.is_ready(), f"the start failed:\n{self.log()}"
        return self

    def refuse_to_start(self) -> str:
        """Starts the process, expects it to end with an error before it serves, and returns what it said."""
        self.launch()
        code = self.wait_for_exit()
        assert code > 0, f"ended with {code}:\n{self.log()}"
        assert not self.is_ready(), "said ready before it ended"
        return self.log()

    def is_ready(self) -> bool:
        """Whether the present process has said that it serves."""
        return any(line.strip() == "authkv: ready" for line in self._output.present().splitlines())

    def send_signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait_for_exit(self) -> int:
        """The exit code, once the process has ended."""
        try:
            code = self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"did not stop:\n{self.log()}") from None
        self.process = None
        return code

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stops the process as an operator does; it has to end with code 0."""
        self.send_signal(number)
        code = self.wait_for_exit()
        assert code == 0, f"ended with {code}:\n{self.log()}"
        self._output.note("stopped")

    def kill(self) -> None:
        """Ends the process at once. What the system has in its memory stays: `disk.py` loses that."""
        self.process.kill()
        self.wait_for_exit()
        self._output.note("killed")

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def threads(self) -> list[str]:
        """The names of the threads of the process, sorted, once each has its own: until then it has that of the first."""

        def named() -> list[str]:
            names = []
            for file in Path(f"/proc/{self.process.pid}/task").glob("*/comm"):
                # It may end meanwhile.
                with suppress(FileNotFoundError, ProcessLookupError):
                    names.append(file.read_text().strip())
            first = Path(f"/proc/{self.process.pid}/comm").read_text().strip()
            return sorted(names) if names.count(first) == 1 else []

        return wait_until(named, "each thread has a name of its own")

    def state(self) -> str:
        """Whether the process runs, in words for a report of a failure."""
        if self.process is None:
            return "not running"
        code = self.process.poll()
        return "running" if code is None else f"ended by itself with {code}"

    def log(self) -> str:
        """Everything the process has said so far, over all its starts, wherever it said it."""
        files = sorted(self.data_dir.glob("**/*.log"))
        return self._output.text() + "".join(file.read_text(errors="replace") for file in files)

    def present_log(self) -> str:
        """What the present process has said, apart from files of its own."""
        return self._output.present()

    def dispose(self) -> None:
        """Ends the process if it still runs and removes its data."""
        if self.process is not None:
            self.kill()
        _running.remove(self)
        shutil.rmtree(self.data_dir, ignore_errors=True)
