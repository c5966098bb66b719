"""Instances whose wall clock is wrong: libfaketime between them and the C library. The time since boot stays right."""

from __future__ import annotations

from pathlib import Path

from support.harness import Instance

_LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


def clock_settings(instance: Instance, seconds: int) -> dict[str, str]:
    """Settings for the environment of an instance whose clock is that many seconds ahead; `set_clock` sets it anew."""
    assert _LIBRARY is not None, "libfaketime is missing: apt-get install faketime"
    file = _file(instance)
    set_clock(instance, seconds)
    return {
        "LD_PRELOAD": str(_LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


def set_clock(instance: Instance, seconds: int) -> None:
    """Sets the clock of a running instance that many seconds ahead of the right time."""
    new = _file(instance).with_suffix(".new")
    new.write_text(f"{seconds:+d}\n")
    new.rename(_file(instance))


def _file(instance: Instance) -> Path:
    return instance.data_dir / "faketime"
