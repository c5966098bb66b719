"""Instances whose disk can be filled: a small file system of their own, in memory."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from support.harness import Instance, wait_until, write_key_pair
from support.outcome import Refusal
from support.people import People

_PIECE = 1 << 16


def _mount(path: Path, size: str) -> bool:
    given = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    return subprocess.run(given, capture_output=True, check=False).returncode == 0


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "-l", str(path)], check=True)


@cache
def can_mount() -> bool:
    with tempfile.TemporaryDirectory() as path:
        mounted = _mount(Path(path), "1m")
        if mounted:
            _unmount(Path(path))
        return mounted


class OnSmallDisk(Instance):
    """Its data directory is a file system of this size. A user who cannot mount gets a limit on the size of files instead, which
    Tarantool meets as it meets a full disk."""

    def __init__(self, size: str = "16m", **settings: str | None):
        super().__init__(keys=False, **settings)
        self.is_mounted = can_mount()
        self._is_full = False
        if self.is_mounted:
            assert _mount(self.data_dir, size)
        write_key_pair(self.data_dir)

    @property
    def command(self) -> tuple[str, ...]:
        limit = "ulimit -S -f 0;" if self._is_full and not self.is_mounted else ""
        # Where it is not ignored, the signal ends the process.
        return ("sh", "-c", f"trap '' XFSZ; {limit} exec tarantool init.lua")

    @property
    def _ballast(self) -> Path:
        return self.data_dir / "ballast"

    def _limit(self) -> None:
        if self.process is not None:
            _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (1 if self._is_full else hard, hard))

    def fill(self) -> None:
        """Leaves no room on the disk."""
        self._is_full = True
        if not self.is_mounted:
            self._limit()
            return
        with self._ballast.open("ab", buffering=0) as file:
            piece = _PIECE
            while piece:
                try:
                    file.write(bytes(piece))
                except OSError:
                    piece //= 2
            os.fsync(file.fileno())

    def free(self) -> None:
        """Makes room."""
        self._is_full = False
        if self.is_mounted:
            self._ballast.unlink()
        else:
            self._limit()

    def dispose(self) -> None:
        if self.process is not None:
            self.kill()
        if self.is_mounted:
            _unmount(self.data_dir)
        super().dispose()


def fill(people: People, token: str, key: str = "filler") -> None:
    """Fills the disk of an instance to the last byte, with what Tarantool has reserved of it: until a change is refused that is
    smaller than any of authkv's. The key exists afterwards."""
    instance: OnSmallDisk = people.instance
    instance.fill()
    for size in (50_000, 1_000):
        # Values that cannot be compressed: a log of this size is full soon.
        wait_until(
            lambda: isinstance(people.do("http", "pair_put", token, key, os.urandom(size).hex()), Refusal), "a write is refused", every=0
        )
    smallest = "return pcall(box.space.authkv_login_attempt.replace, box.space.authkv_login_attempt, {'', 0, 0, 0})"
    wait_until(lambda: people.console.evaluate(smallest)[0] is False, "the smallest change is refused", every=0)
