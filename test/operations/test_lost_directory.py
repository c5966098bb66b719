"""The files of a running database are removed or replaced: writes are refused within seconds, reads go on."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.contract import GOOD
from support.harness import CHEAP_HASHES, Instance, wait_until
from support.outcome import Ok, Refusal, Refused, assert_outcome
from support.transports import ConsoleTransport, HttpTransport, bearer

GONE = Refused("data_gone")


class Loser(Instance):
    """Its console is outside of its data, so that it stays."""

    def __init__(self, outside: Path):
        super().__init__(**CHEAP_HASHES, AUTHKV_CONSOLE_LISTEN=str(outside / "console.sock"))
        self.outside = outside

    @property
    def console_path(self) -> Path:
        return self.outside / "console.sock"

    def first_log(self) -> Path:
        return min(self.data_dir.glob("*.xlog"))


@pytest.fixture
def loser(tmp_path):
    with Loser(tmp_path) as instance:
        yield instance


def remove(instance: Loser) -> None:
    shutil.rmtree(instance.data_dir)


def replace(instance: Loser) -> None:
    instance.data_dir.rename(instance.outside / "moved")
    instance.data_dir.mkdir()


def replace_by_a_copy(instance: Loser) -> None:
    """As a restore over a running process does."""
    instance.data_dir.rename(instance.outside / "moved")
    shutil.copytree(instance.outside / "moved", instance.data_dir)


def remove_files(instance: Loser) -> None:
    for file in instance.data_dir.iterdir():
        file.unlink()


def remove_snapshots(instance: Loser) -> None:
    for file in instance.data_dir.glob("*.snap"):
        file.unlink()


def remove_log(instance: Loser) -> None:
    max(instance.data_dir.glob("*.xlog")).unlink()


def restore_over_it(instance: Loser) -> None:
    """The files of a back-up take the places of the present ones, by rename as rsync does."""
    for file in [*instance.data_dir.glob("*.snap"), *instance.data_dir.glob("*.xlog")]:
        copy = file.with_suffix(".copy")
        shutil.copy(file, copy)
        copy.rename(file)


def newest_log(instance: Loser) -> Path:
    return max(instance.data_dir.glob("*.xlog"))


def move_log(instance: Loser) -> None:
    newest_log(instance).rename(instance.outside / "moved.log")


def rename_log(instance: Loser) -> None:
    newest_log(instance).rename(newest_log(instance).with_suffix(".saved"))


def empty_log(instance: Loser) -> None:
    os.truncate(newest_log(instance), 0)


def shorten_log(instance: Loser) -> None:
    os.truncate(newest_log(instance), newest_log(instance).stat().st_size - 1)


def remove_older_log(instance: Loser) -> None:
    older, _ = sorted(instance.data_dir.glob("*.xlog"))
    older.unlink()


LOSSES = [
    remove,
    replace,
    replace_by_a_copy,
    remove_files,
    remove_snapshots,
    remove_log,
    restore_over_it,
    move_log,
    rename_log,
    empty_log,
    shorten_log,
    remove_older_log,
]


def await_looks(console: ConsoleTransport) -> None:
    """Waits until the process has looked at its files a few times."""
    line = "local n = 0 for _, one in pairs(require('fiber').info()) do if one.name == 'authkv-disk' then n = one.csw end end return n"
    before = console.evaluate(line)[0]
    assert before > 0
    wait_until(lambda: console.evaluate(line)[0] > before + 6, "the directory was looked at")


@pytest.mark.parametrize("lose", LOSSES, ids=lambda lose: lose.__name__)
def test_writes_are_refused_once_what_they_go_to_is_gone_and_reads_go_on(loser, lose):
    http = HttpTransport(loser)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    assert http.put(token, {"before": 1}) == Ok([])
    if lose is remove_older_log:
        http.close()
        loser.kill()
        loser.start()
        http = HttpTransport(loser)
        assert http.put(token, {"newer": 1}) == Ok([])
    console = ConsoleTransport(loser)
    await_looks(console)
    console.close()
    lose(loser)
    numbers = iter(range(1_000_000))
    refused = wait_until(
        lambda: (seen := http.put(token, {f"after{next(numbers)}": 1})) != Ok([]) and seen, "a write is refused", deadline=20
    )
    assert_outcome(http, refused, GONE)
    assert "writes are refused from now on" in loser.log()
    # Whatever writes: pairs, users, sessions, revocations.
    assert_outcome(http, http.register("another", GOOD, "Test", "Tester"), GONE)
    assert_outcome(http, http.logout(token), GONE)
    response = http.request("POST", "/api/write/", {"data": {"x": 1}}, bearer(token))
    assert (response.status, response.headers["Retry-After"]) == (503, "30")
    assert http.get(token, ["before"]) == Ok({"before": 1})
    # A restart within the process does not make the lost writes durable, and to bring them back does not.
    if lose in (remove_log, restore_over_it):
        console = ConsoleTransport(loser)
        console.evaluate("return pcall(authkv.restart)")
        # Nor does another image of the library.
        console.evaluate("box.schema.func.reload('authkv')")
        console.evaluate("return pcall(authkv.restart)")
        console.close()
    if lose in (replace, replace_by_a_copy):
        shutil.rmtree(loser.data_dir)
        (loser.outside / "moved").rename(loser.data_dir)
    assert_outcome(http, http.put(token, {"later": 1}), GONE)
    http.close()
    loser.kill()
    if lose in (replace, replace_by_a_copy):
        loser.start()
        http = HttpTransport(loser)
        assert http.get(token, ["before"]) == Ok({"before": 1})
        assert http.put(token, {"later": 1}) == Ok([])
        http.close()


def test_snapshots_and_the_end_of_old_logs_are_no_loss(loser):
    console = ConsoleTransport(loser)
    http = HttpTransport(loser)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    console.evaluate("box.cfg({checkpoint_count = 1})")
    first = loser.first_log()
    for n in range(5):
        assert http.put(token, {f"k{n}": n}) == Ok([])
        console.evaluate("return box.snapshot()")
    wait_until(lambda: not first.exists(), "the first log is collected")
    await_looks(console)
    assert http.put(token, {"last": 1}) == Ok([])
    assert "writes are refused" not in loser.log()
    http.close()
    console.close()


def test_a_directory_that_cannot_be_written_stops_writes_only_while_it_is_so(loser):
    http = HttpTransport(loser)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    assert http.put(token, {"before": 1}) == Ok([])
    console = ConsoleTransport(loser)
    if subprocess.run(["chattr", "+i", loser.data_dir], capture_output=True, check=False).returncode != 0:
        pytest.skip("no directory can be made immutable here: this needs root, and a file system that can")
    try:
        # The present log goes on.
        assert http.put(token, {"present": 1}) == Ok([])
        # A snapshot ends it, and fails.
        assert console.evaluate("return (pcall(box.snapshot))") == [False]
        assert isinstance(http.put(token, {"refused": 1}), Refusal)
        assert http.get(token, ["before", "present"]) == Ok({"before": 1, "present": 1})
    finally:
        subprocess.run(["chattr", "-i", loser.data_dir], check=True)
    assert http.put(token, {"after": 1}) == Ok([])
    assert console.evaluate("return (pcall(box.snapshot))") == [True]
    http.close()
    console.close()
    loser.kill()
    loser.start()
    http = HttpTransport(loser)
    assert_outcome(http, http.get(token, ["refused"]), Refused("missing_keys"))
    assert http.get(token, ["before", "present", "after"]) == Ok(dict.fromkeys(["before", "present", "after"], 1))
    http.close()
