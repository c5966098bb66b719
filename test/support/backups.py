"""Back-ups that a console makes, and instances that are restored from them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from support import harness
from support.harness import CHEAP_HASHES, Instance
from support.lua import lua
from support.outcome import Ok, Refusal
from support.transports import ConsoleTransport

MANIFEST = "authkv-backup.json"
# Keys of EdDSA are made at once, where RSA takes seconds.
QUICK = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "EdDSA"}


def in_console(instance: Instance, expression: str) -> Ok | Refusal:
    console = ConsoleTransport(instance)
    seen = console.outcome(expression)
    console.close()
    return seen


def back_up(instance: Instance, directory: Path, options: str = "{}") -> dict:
    """Makes a back-up, which has to succeed."""
    seen = in_console(instance, f"authkv.backup({lua(str(directory))}, {options})")
    assert isinstance(seen, Ok), seen
    return seen.value


def command(*args: str | Path) -> tuple[int, dict | str]:
    """What `tarantool backup.lua` ends with and says."""
    done = subprocess.run(
        ["tarantool", str(harness.ROOT / "backup.lua"), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=harness.DEADLINE,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else done.stderr


def verify(directory: Path) -> tuple[int, dict | str]:
    return command("verify", directory)


def put_back(directory: Path, instance: Instance, with_manifest: bool = True) -> Instance:
    """Fills the data directory of an instance that does not run from a back-up, as the documentation has it."""
    shutil.rmtree(instance.data_dir)
    shutil.copytree(directory, instance.data_dir)
    if not with_manifest:
        (instance.data_dir / MANIFEST).unlink()
    return instance
