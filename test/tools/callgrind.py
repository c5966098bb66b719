"""Counts the instructions of a process by callgrind (Debian's `valgrind`): of all threads, without the kernel's."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# Valgrind answers PR_GET_AUXV (prctl(2)) with success but writes nothing. As on a kernel that does not know it, programs then look
# elsewhere.
_PR_GET_AUXV = 0x41555856
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 22  # EINVAL
_LOAD, _IS_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PRCTL = 157  # on x86-64


class Callgrind:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="authkv-callgrind-"))

    @property
    def command(self) -> tuple[str, ...]:
        """What stands before the command of a process that is to be counted."""
        return (
            sys.executable, __file__, "valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes",
            f"--callgrind-out-file={self.directory}/out", f"--vgdb-prefix={self.directory}/vgdb",
        )  # fmt: skip

    def count(self, pid: int, work: Callable[[], None]) -> int:
        """The instructions of the process while `work` runs."""
        self._control(pid, "-i", "on")
        self._control(pid, "-z")
        work()
        self._control(pid, "-d")
        totals = 0
        for file in self.directory.glob("out.*"):
            lines = file.read_text().splitlines()
            totals += sum(int(line.split()[1]) for line in lines if line.startswith("totals:"))
            file.rename(file.with_name(f"last-{file.name.rpartition('-')[2]}"))
        self._control(pid, "-i", "off")
        return totals

    def _control(self, pid: int, *what: str) -> None:
        subprocess.run(
            ["callgrind_control", f"--vgdb-prefix={self.directory}/vgdb", *what, str(pid)], check=True, stdout=subprocess.DEVNULL
        )  # fmt: skip


def _refuse_auxv() -> None:
    """Has the kernel refuse PR_GET_AUXV to this process and what it becomes (seccomp(2))."""
    program = [
        (_LOAD, 0, 0, 0), (_IS_EQUAL, 0, 3, _PRCTL), (_LOAD, 0, 0, 16), (_IS_EQUAL, 0, 1, _PR_GET_AUXV),
        (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter_), 0, 0)):
        if libc.prctl(*(ctypes.c_ulong(one) for one in arguments)):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    _refuse_auxv()
    os.execvp(sys.argv[1], sys.argv[1:])
