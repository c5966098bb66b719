"""Builds of the library: copies that differ in nothing but the identifier that the linker gives each build."""

from __future__ import annotations

import os
import re
from pathlib import Path

from support.harness import ROOT, Instance

LIBRARY = ROOT / "target" / "release" / "libauthkv.so"
# A note of the type NT_GNU_BUILD_ID, before the identifier of 20 bytes.
_NOTE = b"\4\0\0\0\x14\0\0\0\3\0\0\0GNU\0"


def images(instance: Instance) -> list[int]:
    """The size of each image of the library that is loaded: that of the procedures, older ones, and that of `require`."""
    mapped: dict[str, int] = {}
    maps = Path(f"/proc/{instance.process.pid}/maps").read_text()
    for begin, end, inode in re.findall(r"^(\w+)-(\w+) \S+ \w+ \S+ (\d+) .*authkv\.so", maps, re.MULTILINE):
        mapped[inode] = mapped.get(inode, 0) + int(end, 16) - int(begin, 16)
    return list(mapped.values())


class Builds:
    """A file that has one build after another, and that an instance loads instead of its own."""

    def __init__(self, directory: Path, console):
        self.file = directory / LIBRARY.name
        self._bytes = LIBRARY.read_bytes()
        console.evaluate(f"package.cpath = '{directory}/lib?.so;' .. package.cpath")

    def put_same(self) -> None:
        """Writes the build that was there again."""
        # In place of the file, as cargo does it.
        written = self.file.with_suffix(".new")
        written.write_bytes(self._bytes)
        written.rename(self.file)

    def put_another(self) -> None:
        """Writes a build that was not there before. It has the size and the time of the last one."""
        before = self.file.stat() if self.file.exists() else None
        at = self._bytes.index(_NOTE) + len(_NOTE)
        self._bytes = self._bytes[:at] + os.urandom(20) + self._bytes[at + 20 :]
        self.put_same()
        if before is not None:
            os.utime(self.file, ns=(before.st_atime_ns, before.st_mtime_ns))
