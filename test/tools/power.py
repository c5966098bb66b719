"""Loses the power of a machine under load, again and again, and counts what was acknowledged and is lost.

The disk is that of `support/disk.py`. Clients write batches of pairs all the time. At a random moment the image of the disk is
taken; an instance starts from it, and what it has is compared with what was acknowledged before that moment. Then the load goes on
there. In some rounds the process stops, or is killed, and starts again before the load. With `WAL_MODE=fsync` nothing may be lost;
with `write`, the last writes. Never is there half a batch, nor a batch after one of the same client that is lost, nor is a batch
lost that an earlier start has had.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
from dataclasses import dataclass, field

from support import harness
from support.clock import elapse
from support.contract import GOOD
from support.disk import Disk, missing
from support.outcome import Ok
from support.transports import ConsoleTransport, HttpTransport

PAIRS = 3
# In so many rounds the process is started again before the load.
AGAIN = 0.5
# How many batches of each client are there, wholly and in part, and the last of them.
COUNT = """
local all, rows = {}, {}
for _, tuple in box.space.key_value_store:pairs() do
    local client, batch = tuple[1]:match('^(%d+/%d+)/(%d+)/')
    if client ~= nil then
        all[client] = all[client] or {}
        all[client][tonumber(batch)] = (all[client][tonumber(batch)] or 0) + 1
    end
end
for client, batches in pairs(all) do
    local whole, part, last = 0, 0, -1
    for batch, pairs_ in pairs(batches) do
        whole, part = whole + (pairs_ == PAIRS and 1 or 0), part + (pairs_ ~= PAIRS and 1 or 0)
        last = math.max(last, batch)
    end
    table.insert(rows, {client, whole, part, last})
end
return {rows = rows}
"""


class Client(threading.Thread):
    """Writes batches one after another until the power is lost."""

    def __init__(self, instance: harness.Instance, name: str, token: str):
        super().__init__(daemon=True)
        self.instance, self.name_of_keys, self.token = instance, name, token
        # How many batches are acknowledged.
        self.acknowledged = 0
        self.stopped = threading.Event()
        self.wrong: object = None

    def run(self) -> None:
        http = HttpTransport(self.instance)
        while not self.stopped.is_set():
            batch = {f"{self.name_of_keys}/{self.acknowledged}/{pair}": "x" * random.randrange(300) for pair in range(PAIRS)}
            try:
                seen = http.put(self.token, batch)
            except OSError:
                break
            if seen != Ok([]):
                self.wrong = seen
                break
            self.acknowledged += 1
        http.close()


@dataclass
class Seen:
    """What came of the cuts of one mode."""

    cuts: int = 0
    acknowledged: int = 0
    lost: list[int] = field(default_factory=list)
    cut_off: int = 0
    refused: int = 0

    def line(self, mode: str) -> str:
        worst = max(self.lost, default=0)
        return (
            f"{mode}: {self.cuts} cuts, {self.acknowledged} batches acknowledged, {sum(self.lost)} lost in {sum(map(bool, self.lost))}"
            f" cuts ({worst} at most), {self.cut_off} torn ends cut off, {self.refused} starts refused until forced"
        )


class Machine:
    """An instance on a disk that loses power."""

    def __init__(self, disk: Disk, mode: str):
        self.disk = disk
        self.seen = Seen()
        settings = {} if mode == "write" else {"AUTHKV_WAL_MODE": mode}
        settings |= {"AUTHKV_MEMTX_MEMORY": str(1 << 30), "AUTHKV_TOKEN_ALGORITHM": "EdDSA"}
        self.instance = harness.Instance(keys=False, **settings, **harness.CHEAP_HASHES)
        # What each client had at the last start.
        self.had: dict[str, int] = {}

    def start(self) -> None:
        self.instance.settings["AUTHKV_DATA_DIR"] = str(self.disk.path)
        self.instance.settings["AUTHKV_CONSOLE_LISTEN"] = str(self.instance.console_path)
        self.instance.settings.pop("AUTHKV_FORCE_RECOVERY", None)
        self.instance.launch()
        harness.wait_until(lambda: self.instance.is_ready() or self.instance.process.poll() is not None, "the start has ended")
        if not self.instance.is_ready():
            print(self.instance.log().strip().splitlines()[-1], flush=True)
            self.seen.refused += 1
            self.instance.wait_for_exit()
            self.instance.settings["AUTHKV_FORCE_RECOVERY"] = "true"
            self.instance.start()
        self.seen.cut_off += self.instance.present_log().count("are no whole record")

    def token(self) -> str:
        http = HttpTransport(self.instance)
        http.register("tester", GOOD, "Test", "Tester")
        token = http.login("tester", GOOD).value
        http.close()
        return token

    def start_again(self) -> None:
        """Ends the process in one of its ways, and starts it."""
        end = random.choice([self.instance.stop, self.instance.kill])
        end()
        self.start()

    def lose_power(self, number: int, clients: int, seconds: float) -> None:
        if random.random() < AGAIN:
            self.start_again()
        token = self.token()
        load = [Client(self.instance, f"{number}/{client}", token) for client in range(clients)]
        for client in load:
            client.start()
        elapse(seconds)
        acknowledged = {client.name_of_keys: client.acknowledged for client in load}
        image = self.disk.cut()
        for client in load:
            client.stopped.set()
        self.instance.kill()
        for client in load:
            client.join()
            assert client.wrong is None, client.wrong
        self.disk.turn_on(image)
        self.start()
        self.compare(acknowledged)

    def compare(self, acknowledged: dict[str, int]) -> None:
        console = ConsoleTransport(self.instance)
        line = " ".join(COUNT.replace("PAIRS", str(PAIRS)).split())
        rows = {client: (whole, part, last) for client, whole, part, last in console.evaluate(line)[0]["rows"]}
        console.close()
        lost = 0
        for client, least in (self.had | acknowledged).items():
            whole, part, last = rows.get(client, (0, 0, -1))
            assert part == 0, f"{client}: {part} batches are there in part"
            assert whole == last + 1 or self.seen.refused, f"{client}: {whole} batches are there, and the last is {last}"
            if client in self.had:
                assert whole == least, f"{client}: {least} batches were there at an earlier start, and {whole} are now"
            else:
                lost += max(0, least - whole)
        self.had = {client: whole for client, (whole, _, _) in rows.items()}
        self.seen.cuts += 1
        self.seen.acknowledged += sum(acknowledged.values())
        self.seen.lost.append(lost)


def run(mode: str, arguments: argparse.Namespace) -> Seen:
    with Disk() as disk:
        machine = Machine(disk, mode)
        try:
            machine.start()
            for number in range(arguments.cuts):
                seconds = random.uniform(arguments.least, arguments.most)
                machine.lose_power(number, arguments.clients, seconds)
                print(f"{mode}: cut {number + 1} after {seconds:.1f} s, {machine.seen.lost[-1]} batches lost", flush=True)
        except BaseException:
            print(machine.instance.log()[-4000:], file=sys.stderr)
            raise
        finally:
            machine.instance.dispose()
    return machine.seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cuts", type=int, default=20, help="of each mode")
    parser.add_argument("--modes", default="write,fsync")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--least", type=float, default=0.5, help="seconds of load before a cut")
    parser.add_argument("--most", type=float, default=12)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    lacks = missing()
    if lacks:
        print(f"there is no disk that loses power here: {lacks}", file=sys.stderr)
        return 1
    random.seed(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    seen = {mode: run(mode, arguments) for mode in arguments.modes.split(",")}
    for mode, one in seen.items():
        print(one.line(mode))
    is_kept = "fsync" not in seen or (not sum(seen["fsync"].lost) and not seen["fsync"].refused)
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
