"""The end of the log of writes after a loss of power: what is torn is cut off, what is damaged is refused."""

from __future__ import annotations

import os
import random
import re
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from support.contract import GOOD
from support.harness import CHEAP_HASHES, Instance
from support.outcome import Ok
from support.transports import ConsoleTransport, HttpTransport, bearer

MAGIC = b"\xd5\xba\x0b\xab"
# The header of a record (`XLOG_FIXHEADER_SIZE` of Tarantool).
HEADER = 19


class Logged(Instance):
    """An instance that was killed after some writes, and its newest log."""

    def __init__(self):
        super().__init__(**CHEAP_HASHES)
        self.start()
        http = HttpTransport(self)
        http.register("tester", GOOD, "Test", "Tester")
        self.token = http.login("tester", GOOD).value
        http.close()

    def write(self, *keys: str) -> None:
        http = HttpTransport(self)
        for key in keys:
            assert http.put(self.token, {key: key * 40}) == Ok([])
        http.close()

    def present(self, *keys: str) -> list[str]:
        """Which of the keys are there."""
        http = HttpTransport(self)
        found = [key for key in keys if http.get(self.token, [key]) == Ok({key: key * 40})]
        http.close()
        return found

    @property
    def newest(self) -> Path:
        return max(self.data_dir.glob("*.xlog"))

    def cut_lines(self) -> list[str]:
        return [line for line in self.present_log().splitlines() if "are no whole record" in line]


@pytest.fixture
def logged():
    instance = Logged()
    yield instance
    instance.dispose()


def last_record(log: bytes) -> int:
    """Where the record of the last write begins."""
    return log.rindex(MAGIC)


# What a loss of power leaves of a log, and how many bytes of it are no whole record.
TORN = {
    "zeros": lambda log: (log + bytes(4096), 4096),
    "one zero": lambda log: (log + b"\0", 1),
    "the beginning of a magic": lambda log: (log + MAGIC[:2], 2),
    "a header": lambda log: (log + log[last_record(log) :][:HEADER], HEADER),
    "half a record": lambda log: (log + log[last_record(log) :][:50], 50),
    "half a record and zeros": lambda log: (log + log[last_record(log) :][:50] + bytes(3000), 3050),
    "the last record without its last byte": lambda log: (log[:-1], len(log) - last_record(log) - 1),
}


@pytest.mark.parametrize("kind", TORN)
def test_a_torn_end_is_cut_off_with_a_line_and_nothing_before_it(logged, kind):
    logged.write("a", "b", "c")
    logged.kill()
    torn, lost = TORN[kind](logged.newest.read_bytes())
    path = logged.newest
    path.write_bytes(torn)
    logged.start()
    assert len(logged.cut_lines()) == 1
    assert re.search(rf"\b{lost} bytes at the end of {path}, from byte {len(torn) - lost} on", logged.cut_lines()[0])
    assert path.read_bytes() == torn[: len(torn) - lost]
    kept = path.with_name(f"{path.name}.torn-{len(torn) - lost}")
    assert kept.read_bytes() == torn[len(torn) - lost :].rstrip(b"\0")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    keys = ["a", "b"] if kind.startswith("the last record") else ["a", "b", "c"]
    assert logged.present("a", "b", "c") == keys
    logged.write("d")
    logged.kill()
    logged.start()
    assert not logged.cut_lines()
    assert logged.present(*keys, "d") == [*keys, "d"]


@pytest.mark.parametrize("left", ["nothing", "zeros", "half a head", "a head", "a head and half a record"])
def test_a_log_without_a_whole_record_does_not_stop_a_start_nor_what_comes_after_it(logged, left):
    logged.write("a")
    logged.stop()
    # The first write after a start begins a new log.
    logged.start()
    logged.write("b")
    logged.kill()
    log = logged.newest.read_bytes()
    head = log.index(b"\n\n") + 2
    logged.newest.write_bytes(
        {"nothing": b"", "zeros": bytes(512), "half a head": log[: head // 2], "a head": log[:head]}.get(left, log[: head + 30])
    )
    logged.start()
    assert len(logged.cut_lines()) == (left != "a head")
    assert logged.present("a", "b") == ["a"]
    logged.write("c")
    logged.kill()
    logged.start()
    assert logged.present("a", "c") == ["a", "c"]


# What no loss of power leaves alone: a whole record follows, or bytes have changed.
DAMAGED = {
    "zeros before a record": lambda log, at: log[:at] + bytes(600) + log[at:],
    "a partial record before a record": lambda log, at: log[:at] + log[at : at + 40] + log[at:],
    "a changed byte": lambda log, at: log[: at + 60] + bytes([log[at + 60] ^ 1]) + log[at + 61 :],
    "a changed byte before others": lambda log, at: log[: at - 20] + bytes([log[at - 20] ^ 1]) + log[at - 19 :],
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_log_is_refused_and_a_forced_start_skips_what_is_damaged(logged, kind):
    logged.write("a", "b", "c")
    logged.kill()
    log = logged.newest.read_bytes()
    damaged = DAMAGED[kind](log, last_record(log))
    path = logged.newest
    path.write_bytes(damaged)
    said = logged.refuse_to_start()
    assert f"{path} is damaged" in said and "AUTHKV_FORCE_RECOVERY=true" in said
    assert path.read_bytes() == damaged and not list(path.parent.glob("*.torn-*"))
    logged.settings["AUTHKV_FORCE_RECOVERY"] = "true"
    logged.start()
    assert "AUTHKV_FORCE_RECOVERY=true what cannot be read is skipped" in logged.log()
    lost = {"a changed byte": "c", "a changed byte before others": "b"}.get(kind, "")
    keys = [key for key in "abc" if key != lost]
    assert logged.present("a", "b", "c") == keys
    # The snapshot after the recovery makes the damaged log needless.
    logged.settings["AUTHKV_FORCE_RECOVERY"] = None
    logged.kill()
    logged.start()
    assert logged.present(*keys) == keys


def flags(instance: Instance) -> list[int]:
    """The flags of the logs that are open for writing."""
    process = Path(f"/proc/{instance.process.pid}")
    found = []
    for number in (process / "fd").iterdir():
        # The process goes on meanwhile: one that it has closed is gone.
        with suppress(FileNotFoundError):
            if ".xlog" in str(number.readlink()):
                info = (process / "fdinfo" / number.name).read_text()
                found.append(int(re.search(r"flags:\s*(\d+)", info)[1], 8))
    return [one for one in found if one & os.O_ACCMODE]


@pytest.mark.parametrize("end", ["stop", "kill", "torn to its head"])
def test_after_each_end_of_a_process_writes_go_to_the_disk_with_fsync(logged, end):
    logged.settings["AUTHKV_WAL_MODE"] = "fsync"
    logged.stop()
    logged.start()
    logged.write("a")
    if end == "stop":
        logged.stop()
    else:
        logged.kill()
    if end == "torn to its head":
        logged.start()
        logged.write("lost")
        logged.kill()
        log = logged.newest.read_bytes()
        logged.newest.write_bytes(log[: log.index(b"\n\n") + 2] + bytes(4096))
    logged.start()
    logged.write("b")
    assert flags(logged)
    assert all(one & os.O_DSYNC for one in flags(logged))
    assert logged.present("a", "b") == ["a", "b"]
    logged.kill()
    logged.start()
    assert logged.present("a", "b") == ["a", "b"]


def random_text(size: int) -> str:
    """Tarantool compresses records of this size, and does not make this one small."""
    return random.Random(size).randbytes(size).hex()


@pytest.fixture
def followed(logged):
    """The older log ends with a large record, and a newer one follows it."""
    logged.write("a")
    http = HttpTransport(logged)
    assert http.put(logged.token, {"large": random_text(3000)}) == Ok([])
    http.close()
    logged.kill()
    logged.start()
    logged.write("b")
    logged.kill()
    return logged


# What is left of the older log, and which bytes of it are there after a start.
OLDER_LOST = {
    "its last bytes": lambda log: log[:-5],
    "its last record": lambda log: log[: last_record(log)],
    "its last sector": lambda log: log[:-600] + bytes(600),
    "all records": lambda log: log[: log.index(b"\n\n") + 2],
    "all": lambda log: b"",
}


@pytest.mark.parametrize("kind", OLDER_LOST)
def test_an_older_log_that_lost_writes_is_refused_by_name_while_newer_ones_are_there(followed, kind):
    older, newer = sorted(followed.data_dir.glob("*.xlog"))
    left = OLDER_LOST[kind](older.read_bytes())
    older.write_bytes(left)
    said = followed.refuse_to_start()
    assert f"{older} ends at" in said and str(newer) in said and "AUTHKV_FORCE_RECOVERY=true" in said
    assert older.read_bytes() == left
    # The user is in the older log.
    kept = [] if kind.startswith("all") else ["b"]
    followed.settings["AUTHKV_FORCE_RECOVERY"] = "true"
    followed.start()
    assert "the writes between are missing" in followed.log()
    assert followed.present("b") == kept
    followed.settings["AUTHKV_FORCE_RECOVERY"] = None
    followed.kill()
    followed.start()
    assert followed.present("b") == kept


@pytest.mark.parametrize("behind", [bytes(4096), MAGIC, MAGIC + b"\xce\0\0\x40"])
def test_an_older_log_with_a_torn_end_that_nothing_is_lost_with_is_mended(followed, behind):
    older = min(followed.data_dir.glob("*.xlog"))
    log = older.read_bytes()
    older.write_bytes(log + behind)
    followed.start()
    assert len(followed.cut_lines()) == 1
    assert older.read_bytes() == log
    assert followed.present("a", "b") == ["a", "b"]


@pytest.mark.parametrize("newest", ["nothing", "zeros", "a head"])
def test_the_older_log_is_mended_if_the_newest_has_no_record(followed, newest):
    older, newer = sorted(followed.data_dir.glob("*.xlog"))
    log = newer.read_bytes()
    newer.write_bytes({"nothing": b"", "zeros": bytes(512)}.get(newest, log[: log.index(b"\n\n") + 2]))
    older.write_bytes(older.read_bytes()[:-20] + bytes(100))
    followed.start()
    assert any(str(older) in line for line in followed.cut_lines())
    assert followed.present("a", "b") == ["a"]
    followed.write("c")
    followed.kill()
    followed.start()
    assert followed.present("a", "c") == ["a", "c"]


@pytest.mark.parametrize("size", [100, 4000])
def test_a_value_with_a_record_in_it_does_not_stop_a_torn_end_from_being_cut(logged, size):
    logged.write("a")
    logged.kill()
    log = logged.newest.read_bytes()
    record = log[last_record(log) :]
    logged.start()
    http = HttpTransport(logged)
    headers = bearer(logged.token) | {"Content-Type": "application/octet-stream"}
    value = record + random.Random(size).randbytes(size)
    assert http.request("PUT", "/v1/kv/evil", value, headers).status in (200, 201, 204)
    http.close()
    logged.kill()
    path = logged.newest
    torn = path.read_bytes()
    for end in (b"", bytes(4096)):
        path.write_bytes(torn[:-30] + end)
        logged.start()
        assert len(logged.cut_lines()) == 1
        assert logged.present("a") == ["a"]
        logged.kill()


def test_an_application_prepares_before_box_cfg_and_not_after_it(logged):
    logged.write("a")
    console = ConsoleTransport(logged)
    done, said = console.evaluate("return pcall(authkv.prepare, {})")
    console.close()
    assert done is False and "authkv.prepare comes before box.cfg" in said
