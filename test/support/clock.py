"""Moments, and the one place where time is let pass.

A test waits for a condition: `harness.wait_until`. Time itself has to pass only if the product promises something about it, such as
the end of a pair or the turn of a key; or if a client is slow on purpose; or between two looks of a program that measures.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

# Whole seconds since 1970: a moment that no test sees, and one that has been.
FAR, PAST = 4_102_444_800, 1_000_000_000


def moment(seconds: float) -> float:
    """So many seconds from now, in whole milliseconds: what a pair keeps of its end."""
    return round(time.time() + seconds, 3)


def pass_by(ends: float) -> None:
    """Waits until this moment has been."""
    while (left := ends - time.time()) > 0:
        time.sleep(left)


def elapse(seconds: float) -> None:
    """Waits until so many seconds have passed, whatever happens to the time of day."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(left)


def paced(times: int, seconds: float) -> Iterator[int]:
    """The numbers from 0 on, with so many seconds after each: for a client that is slow on purpose."""
    for number in range(times):
        yield number
        elapse(seconds)
