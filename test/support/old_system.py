"""The services before authkv, as far as their data and their answers go: data directories that real Tarantools have written,
and what their clients got."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from pathlib import Path

import bcrypt
import tarantool

from support.harness import DEADLINE, HOST, ROOT, free_port, wait_until

PASSWORD = "0ld-Passw0rd"
# The services hashed every password with one salt.
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(12)).decode()
MISSING = "These keys don't exist: "


def build(directory: Path, **plan) -> None:
    """Has Tarantool make a data directory. `legacy.lua` says what a plan has."""
    plan = {"directory": str(directory), "format": True, "index": "TREE", "guest": "super"} | plan
    built = subprocess.run(
        ["tarantool", str(ROOT / "test" / "operations" / "legacy.lua")],
        input=json.dumps(plan), capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr


def fingerprint(directory: Path) -> dict[str, tuple[str, int]]:
    """Each file: the hash of its bytes, and when it was changed."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


class OldTarantool:
    """The Tarantool of one of the services, to which it spoke as guest."""

    def __init__(self, directory: Path):
        port = free_port()
        options = f"memtx_dir = '{directory}', wal_dir = '{directory}', vinyl_dir = '{directory}', listen = '{HOST}:{port}'"
        self.process = subprocess.Popen(
            ["tarantool", "-e", f"box.cfg{{{options}, log = '/dev/null'}} print('ready') io.flush()"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        wait_until(lambda: self.process.stdout.readline() in (b"ready\n", b""), "the old Tarantool is ready")
        self.connection = tarantool.Connection(HOST, port)

    def __enter__(self) -> OldTarantool:
        return self

    def __exit__(self, *_) -> None:
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(DEADLINE) in (0, -signal.SIGTERM)
        self.process.stdout.close()

    def login(self, login: str, password: str) -> int:
        """The status that a client of the authorization service got."""
        rows = self.connection.select("user", login).data
        return 201 if rows and bcrypt.checkpw(password.encode(), rows[0][1].encode()) else 404

    def read(self, keys: list[str]) -> tuple[int, dict]:
        """The status and the body that a client of the key-value service got."""
        rows = {key: self.connection.select("key_value_store", key).data for key in keys}
        missing = [key for key in keys if not rows[key]]
        return (400, {"message": MISSING + " ".join(missing)}) if missing else (200, {"data": {key: rows[key][0][1] for key in keys}})

    def write(self, key: str, value) -> None:
        self.connection.insert("key_value_store", (key, value))
