"""What has to hold before the database is opened: files, descriptors, memory. A start that is refused changes nothing."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from support.contract import GOOD
from support.harness import CHEAP_HASHES, Instance, wait_until
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport

FIRST = "00000000000000000000"


@pytest.fixture
def make():
    """Makes instances that are disposed of after the test."""
    made = []

    def make(limit: str = "", **settings: str) -> Instance:
        instance = Instance(**CHEAP_HASHES, **settings)
        if limit:
            instance.command = ("sh", "-c", f"{limit}; exec tarantool init.lua")
        made.append(instance)
        return instance

    yield make
    for instance in made:
        instance.dispose()


def write(instance: Instance, value: int) -> None:
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")
    assert http.put(http.login("tester", GOOD).value, {f"k{value}": value}) == Ok([])
    http.close()


def has(instance: Instance, *values: int) -> None:
    http = HttpTransport(instance)
    token = http.login("tester", GOOD)
    assert_outcome(http, token, Ok(A_TOKEN))
    assert http.get(token.value, [f"k{value}" for value in values]) == Ok({f"k{value}": value for value in values})
    http.close()


def content(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.is_file()}


@pytest.mark.parametrize("forced", ["false", "true"])
@pytest.mark.parametrize("unfinished", [False, True])
def test_logs_without_a_snapshot_are_refused_and_nothing_is_made_beside_them(make, tmp_path, forced, unfinished):
    instance = make(AUTHKV_FORCE_RECOVERY=forced).start()
    write(instance, 1)
    instance.stop()
    snapshots = list(instance.data_dir.glob("*.snap"))
    for file in snapshots:
        shutil.move(file, tmp_path)
    if unfinished:
        (instance.data_dir / f"{FIRST}.snap.inprogress").write_bytes(b"SNAP\n")
    before = content(instance.data_dir)
    said = instance.refuse_to_start()
    assert "no snapshot (.snap)" in said and str(instance.data_dir) in said and "AUTHKV_FORCE_RECOVERY=true does not help" in said
    assert content(instance.data_dir) == before
    for file in snapshots:
        shutil.move(tmp_path / file.name, file)
    has(instance.start(), 1)


@pytest.mark.parametrize("name", [f"{FIRST}.snap.inprogress", f"{FIRST}.xlog.inprogress"])
def test_a_first_start_goes_on_after_one_that_was_killed_while_it_made_a_file(make, name):
    instance = make()
    (instance.data_dir / name).write_bytes(b"SNAP\n0.13\n")
    instance.start()
    write(instance, 1)
    assert f"{name} was removed" in instance.log()
    instance.kill()
    has(instance.start(), 1)


@pytest.mark.parametrize("appears", ["jwt_private.pem", "*.snap*", "*.snap", "*.xlog*", "console.sock"])
def test_a_start_after_a_first_one_that_was_killed_goes_on(make, appears):
    instance = make()
    for key in instance.data_dir.glob("*.pem"):
        key.unlink()
    instance.settings |= {"AUTHKV_TOKEN_ALGORITHM": "EdDSA"}
    instance.launch()
    wait_until(lambda: list(instance.data_dir.glob(appears)), f"{appears} appears", every=0.0001)
    instance.kill()
    instance.start()
    write(instance, 1)
    instance.kill()
    has(instance.start(), 1)


@pytest.mark.parametrize(
    "limit, connections, least, most",
    [("ulimit -n 319", "10000", 320, 10256), ("ulimit -n 200", "100", 320, 356), ("ulimit -n 265", "10", 266, 266)],
)
def test_too_few_descriptors_are_refused_with_the_number_that_it_takes(make, limit, connections, least, most):
    instance = make(limit, AUTHKV_HTTP_CONNECTIONS_MAX=connections)
    said = instance.refuse_to_start()
    assert f"{limit.split()[-1]} descriptors" in said and f"takes {least}; {most} for all" in said
    assert not list(instance.data_dir.glob("*.snap"))


@pytest.mark.parametrize("limit", ["ulimit -n 320", "ulimit -S -n 64"])
def test_descriptors_that_are_enough_or_can_be_raised_are_taken(make, limit):
    write(make(limit).start(), 1)


@pytest.mark.parametrize(
    "limit, memory", [("true", 1 << 46), ("ulimit -v 4000000", 1 << 32), ("ulimit -v 1000000", 1 << 30)], ids=["all", "4g", "1g"]
)
def test_memory_that_cannot_be_had_names_its_setting(make, limit, memory):
    instance = make(limit, AUTHKV_MEMTX_MEMORY=str(memory))
    said = instance.refuse_to_start()
    assert f"AUTHKV_MEMTX_MEMORY is {memory}" in said
    assert not list(instance.data_dir.glob("*.snap"))


@pytest.mark.parametrize("memory", [1 << 26, 1 << 28])
@pytest.mark.parametrize("limit", [400_000, 650_000, 700_000])
def test_too_few_addresses_are_refused_with_the_number_that_it_takes(make, limit, memory):
    instance = make(f"ulimit -v {limit}", AUTHKV_MEMTX_MEMORY=str(memory))
    said = instance.refuse_to_start()
    assert f"{limit} KiB of address space (ulimit -v), and AUTHKV_MEMTX_MEMORY is {memory}" in said
    least = re.search(r"takes (\d+) KiB", said)[1]
    assert not list(instance.data_dir.glob("*.snap"))
    instance = make(f"ulimit -v {least}", AUTHKV_MEMTX_MEMORY=str(memory)).start()
    write(instance, 1)
    has(instance, 1)


def test_a_directory_that_another_process_uses_is_refused_and_left_alone(make):
    first = make().start()
    write(first, 1)
    second = make(AUTHKV_DATA_DIR=str(first.data_dir))
    assert "another process uses the directory" in second.refuse_to_start()
    write(first, 2)
    first.kill()
    has(first.start(), 1, 2)


@pytest.mark.parametrize("left", ["nothing", "zeros", "no end"])
def test_a_newest_snapshot_that_is_not_whole_is_named_and_an_older_one_serves(make, left):
    instance = make().start()
    write(instance, 1)
    console = ConsoleTransport(instance)
    assert console.evaluate("return (pcall(box.snapshot))") == [True]
    console.close()
    write(instance, 2)
    instance.kill()
    older, newest = sorted(instance.data_dir.glob("*.snap"))
    whole = newest.read_bytes()
    newest.write_bytes({"nothing": b"", "zeros": bytes(len(whole))}.get(left, whole[:-3]))
    said = instance.refuse_to_start()
    assert f"{newest} is no whole snapshot" in said and f"Move it away: {older}" in said
    newest.rename(newest.with_suffix(".away"))
    has(instance.start(), 1, 2)


GIVEN = {
    "WAL_MODE": ("fsync", "fsync"),
    "WAL_DIR_RESCAN_DELAY": ("7", 7),
    "CHECKPOINT_INTERVAL": ("0", 0),
    "CHECKPOINT_COUNT": ("3", 3),
    "CHECKPOINT_WAL_THRESHOLD": ("1048576", 1_048_576),
    "FORCE_RECOVERY": ("true", True),
}
DEFAULTS = {
    "WAL_MODE": "write",
    "WAL_DIR_RESCAN_DELAY": 2,
    "CHECKPOINT_INTERVAL": 3600,
    "CHECKPOINT_COUNT": 2,
    "CHECKPOINT_WAL_THRESHOLD": 10**18,
    "FORCE_RECOVERY": False,
}


@pytest.mark.parametrize("given", [{}, GIVEN], ids=["defaults", "given"])
def test_the_settings_of_the_log_and_of_snapshots_are_those_of_tarantool(make, given):
    instance = make(**{f"AUTHKV_{name}": text for name, (text, _) in given.items()}).start()
    console = ConsoleTransport(instance)
    expected = DEFAULTS | {name: value for name, (_, value) in given.items()}
    seen = {name: console.evaluate(f"return box.cfg.{name.lower()}")[0] for name in expected}
    assert seen == expected
    with suppress(OSError):
        console.close()
