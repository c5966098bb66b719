"""A disk that loses power: ext4 on a loop device, whose image can be had at one moment as it is, without what the system has only
in its memory.

The image is a file on XFS, where a copy shares the blocks of the original: so it is made at once, between two writes to the disk,
and the disk goes on meanwhile. Needs root, loop devices, mkfs.ext4 and mkfs.xfs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

# Sparse: what is not written takes no space.
OUTER, INNER = "4G", "1G"
PROGRAMS = ("mkfs.ext4", "mkfs.xfs", "mount", "umount")


def missing() -> str:
    """What this machine lacks for such a disk, if anything."""
    if os.geteuid() != 0:
        return "only root can mount"
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{', '.join(lacking)} not installed" if lacking else ""


def run(*command) -> None:
    done = subprocess.run([str(one) for one in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


class Disk:
    """Mounted at `path`. After a `cut`, that is the disk of the machine that starts again."""

    def __enter__(self) -> Disk:
        with ExitStack() as stack:
            self.root = Path(tempfile.mkdtemp(prefix="authkv-disk-"))
            stack.callback(shutil.rmtree, self.root)
            outer = self.root / "outer.img"
            run("truncate", "-s", OUTER, outer)
            run("mkfs.xfs", "-q", outer)
            self._mount(stack, outer, self.root / "outer")
            self.image, self.path = self._name(0), self.root / "disk-0"
            run("truncate", "-s", INNER, self.image)
            run("mkfs.ext4", "-q", self.image)
            self.cuts = 0
            # The mounts of the present disk.
            self.mounted = ExitStack()
            stack.callback(self.mounted.close)
            self._mount(self.mounted, self.image, self.path)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_) -> None:
        self.stack.close()

    def _name(self, number: int) -> Path:
        return self.root / "outer" / f"{number}.img"

    @staticmethod
    def _mount(stack: ExitStack, image: Path, path: Path) -> None:
        path.mkdir()
        run("mount", "-o", "loop", image, path)
        stack.callback(path.rmdir)
        stack.callback(run, "umount", path)

    def cut(self) -> Path:
        """The image of the disk as it is now. The disk goes on."""
        self.cuts += 1
        image = self._name(self.cuts)
        run("cp", "--reflink=always", "--sparse=auto", self.image, image)
        return image

    def turn_on(self, image: Path) -> None:
        """Goes on from this image, which is mounted as a machine does after a loss of power. Nothing may use the disk."""
        self.mounted.close()
        self.image.unlink()
        self.image, self.path = image, self.root / f"disk-{self.cuts}"
        self._mount(self.mounted, image, self.path)
