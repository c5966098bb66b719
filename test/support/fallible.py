"""An instance whose log of writes can be made to fail, as on a full disk."""

from __future__ import annotations

import resource
from contextlib import contextmanager

from support.harness import Instance


class Fallible(Instance):
    """While `failing`, files cannot grow, and so every write to the log fails with EFBIG."""

    # Where it is not ignored, the signal ends the process.
    command = ("sh", "-c", "trap '' XFSZ; exec tarantool init.lua")

    @contextmanager
    def failing(self):
        pid = self.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
