"""A log of writes that fails, as on a full disk: nothing is told of what is undone, by nobody, and no number comes again."""

import itertools
import threading

import pytest

from support.bulk import line, refused
from support.clock import moment, pass_by
from support.fallible import Fallible
from support.harness import CHEAP_HASHES, DEADLINE, Instance, wait_until
from support.kv_writes import WRITES, steps
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import CALLERS, put
from support.people import People
from support.sse import Stream
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, HttpTransport, IprotoTransport

NOT_DURABLE = Refused("not_durable")


@pytest.fixture(scope="module")
def instance():
    with Fallible(**CHEAP_HASHES) as running:
        yield running


@pytest.fixture
def own(visit):
    """People at an instance of this test's own."""
    with Fallible(**CHEAP_HASHES) as running:
        yield visit(running)


def pairs(people: People, token: str, prefix: str, transport: str = "http") -> list:
    return people.expect(transport, ANY, "kv_list", token, {"prefix": prefix})["pairs"]


def revision(people: People, token: str, transport: str = "iproto") -> int:
    """Where a watch would go on from now."""
    return people.expect(transport, ANY, "kv_watch", token, {})["revision"]


# The old write too.
CASES = WRITES | {"put": lambda a, b: ("put", {b: 1})}


# The owner has no old write.
@pytest.mark.parametrize(
    "name,transport", [(name, transport) for name in CASES for transport in (TRANSPORTS if name == "put" else ADMIN_TRANSPORTS)]
)
def test_what_cannot_be_kept_is_refused_and_undone(people, token, prefix, name, transport):
    a, b = f"{prefix}a", f"{prefix}b"
    before = put(people, token, a, 1)
    operation, *args = CASES[name](a, b)
    with people.instance.failing():
        for _ in range(2):
            people.expect(transport, NOT_DURABLE, operation, token, *args)
        for reader in ADMIN_TRANSPORTS:
            people.expect(reader, Ok({"key": a, "value": 1, "revision": before}), "pair_get", token, a)
            people.expect(
                reader, Ok({"pairs": [{"key": a, "value": 1, "revision": before}], "next": None}), "kv_list", token, {"prefix": prefix}
            )
            people.expect(reader, Refused("no_such_key"), "pair_get", token, b)
    assert isinstance(people.do(transport, operation, token, *args), Ok)
    assert put(people, token, a, 3, transport) > before


def test_an_import_that_cannot_be_kept_says_so(people, token, prefix):
    with people.instance.failing():
        assert refused(people, token, line(f"{prefix}a") + line(f"{prefix}b"), {"line"}).name == "not_durable"
    assert pairs(people, token, prefix) == []


def test_what_is_undone_is_not_told_to_who_watches(people, token, prefix):
    a = f"{prefix}a"
    before = put(people, token, a, 1)
    with Stream(people.instance, token, prefix=prefix) as stream:
        assert stream.revision == before
        with people.instance.failing():
            for transport, name in itertools.product(CALLERS, ("pair_put", "batch_put", "kv_txn", "pair_delete")):
                operation, *args = WRITES[name](a, f"{prefix}b")
                people.expect(transport, NOT_DURABLE, operation, token, *args)
            for transport in CALLERS:
                for options in ({}, {"after": before}, {"prefix": prefix, "after": before}, {"after": before, "timeout": 0.05}):
                    people.expect(transport, Ok({"events": [], "revision": before}), "kv_watch", token, options)
            for query in ({}, {"after": before}, {"prefix": prefix}):
                with Stream(people.instance, token, **query) as other:
                    assert other.revision == before
        last = put(people, token, a, 2)
        assert last > before
        assert stream.changes(1) == [("put", a, 2)] and stream.last == last
        for transport in CALLERS:
            seen = people.expect(transport, ANY, "kv_watch", token, {"after": before})
            assert [one["revision"] for one in seen["events"]] == [last] and seen["revision"] == last


def test_an_end_that_cannot_be_kept_is_told_once_it_can(own):
    """The pair is gone for every reader all the same."""
    token = own.new().access
    with Stream(own.instance, token) as stream:
        put(own, token, "b", 1)
        # Nothing is removed before the log fails, however long that takes.
        ends = moment(3)
        put(own, token, "a", 1, expires_at=ends)
        own.console.evaluate("box.cfg{read_only = true}")
        assert own.console.evaluate("return box.space.key_value_store:get('a') ~= nil") == [True], "the machine stood still"
        with own.instance.failing():
            own.console.evaluate("box.cfg{read_only = false}")
            pass_by(ends)
            wait_until(lambda: "what has expired was not removed" in own.instance.log(), "the end could not be kept")
            for transport in ADMIN_TRANSPORTS:
                own.expect(transport, Refused("no_such_key"), "pair_get", token, "a")
                own.expect(transport, Ok({"count": 1}), "kv_list", token, {"count": True})
            assert revision(own, token) == stream.revision + 2
        assert stream.changes(3) == [("put", "b", 1), ("put", "a", 1), ("expire", "a")]
        put(own, token, "a", 2)
        assert stream.changes(1) == [("put", "a", 2)]


class Readers:
    """They read a key, all ways, as fast as they can, and keep every (value, revision) and count they were given."""

    def __init__(self, instance: Instance, token: str, prefix: str):
        self.token, self.key, self.prefix = token, f"{prefix}a", prefix
        self.seen: set[tuple] = set()
        self.counts: set[int] = set()
        self.lost: list = []
        self.stop = threading.Event()
        kinds = (HttpTransport, HttpTransport, IprotoTransport, IprotoTransport)
        self.threads = [threading.Thread(target=self._work, args=(kind(instance),)) for kind in kinds]

    def _work(self, transport) -> None:
        try:
            while not self.stop.is_set():
                self._read(transport)
        except BaseException as lost:  # noqa: BLE001 - whatever it is, it is a lost answer
            self.lost.append(lost)
        transport.close()

    def _read(self, transport) -> None:
        asked = [("pair_get", self.key), ("batch_get", [self.key]), ("kv_list", {"prefix": self.prefix}),
                 ("kv_txn", steps(("get", self.key))),
                 ("kv_list", {"prefix": self.prefix, "count": True}), ("get", [self.key])]  # fmt: skip
        for operation, *args in asked:
            match transport.do(operation, self.token, *args):
                case Ok({"count": count}):
                    self.counts.add(count)
                case Ok({"pairs": [*shown]}) | Ok({"results": [*shown]}):
                    self.counts.add(len(shown))
                    self.seen.update((one["value"], one["revision"]) for one in shown)
                case Ok({"value": value, "revision": revision}):
                    self.seen.add((value, revision))
                case Ok(old):
                    self.seen.add((old[self.key], None))
                case Refusal(name="not_durable" | None, code=503 | 20030):
                    pass  # it has seen what was undone, and says nothing of it
                case wrong:
                    raise AssertionError(wrong)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(DEADLINE)
        assert not self.lost, self.lost


class Writers:
    """They write values of which none comes twice, and other keys, and keep what became of each."""

    def __init__(self, instance: Instance, token: str, prefix: str, number: int = 4):
        self.kept: dict[int, int] = {}
        self.undone: set[int] = set()
        self.deleted: set[int] = set()
        self.values = itertools.count(100)
        self.instance, self.token, self.prefix, self.number = instance, token, prefix, number

    def run(self, rounds: int, new_keys: bool = True) -> None:
        of_each = [(rounds, new_keys and n % 2 == 1, HttpTransport if n % 3 else IprotoTransport) for n in range(self.number)]
        threads = [threading.Thread(target=self._work, args=one) for one in of_each]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)

    def _work(self, rounds: int, new_key: bool, kind) -> None:
        transport = kind(self.instance)
        for _ in range(rounds):
            value = next(self.values)
            key = f"{self.prefix}{value}" if new_key else f"{self.prefix}a"
            self._note(value, transport.do("pair_put", self.token, key, value))
            if new_key and isinstance(gone := transport.do("pair_delete", self.token, key), Ok):
                self.deleted.add(gone.value["revision"])
        transport.close()

    def _note(self, value: int, outcome) -> None:
        match outcome:
            case Ok({"revision": revision}):
                self.kept[value] = revision
            case Refusal(name="not_durable"):
                self.undone.add(value)
            case wrong:
                raise AssertionError(wrong)


def test_a_reader_is_never_told_of_what_is_undone(people, token, prefix):
    before = put(people, token, f"{prefix}a", 1)
    writers = Writers(people.instance, token, prefix)
    with people.instance.failing(), Readers(people.instance, token, prefix) as readers:
        writers.run(150)
        wait_until(lambda: readers.seen or readers.lost, "they were told something")
    assert not writers.kept and len(writers.undone) == 600
    assert readers.seen <= {(1, before), (1, None)} and readers.counts <= {1}
    assert pairs(people, token, prefix) == [{"key": f"{prefix}a", "value": 1, "revision": before}]


def test_a_count_is_never_of_what_is_undone(own):
    """Of so many pairs that others have their turn in between."""
    token, many = own.new().access, 10_000
    own.expect("iproto", ANY, "batch_put", token, [{"key": f"k/{n:05}", "value": 1} for n in range(many)])
    counts, done = [], threading.Event()

    def count() -> None:
        transport = HttpTransport(own.instance)
        while not done.is_set():
            counts.append(transport.do("kv_list", token, {"prefix": "k/", "count": True}))
        transport.close()

    counting = [threading.Thread(target=count) for _ in range(2)]
    with own.instance.failing():
        for thread in counting:
            thread.start()
        Writers(own.instance, token, "k/").run(100)
        wait_until(lambda: Ok({"count": many}) in counts, "a count that was not refused")
        done.set()
        for thread in counting:
            thread.join(DEADLINE)
    assert all(one == Ok({"count": many}) or one.name == "not_durable" for one in counts)


def write_shaken(people: People, writers: Writers) -> None:
    """Has them write while the log fails now and then: commits that succeed are under way together with those that fail."""
    done = threading.Event()

    def more(outcomes, what: str) -> None:
        """Waits for the next few milliseconds, as long as it takes until there are more outcomes."""
        count = len(outcomes)
        wait_until(lambda: len(outcomes) > count or done.is_set(), what, every=0.002)

    def shake() -> None:
        while not done.is_set():
            with people.instance.failing():
                more(writers.undone, "a write fails")
            more(writers.kept, "a write is kept")

    shaking = threading.Thread(target=shake)
    shaking.start()
    try:
        while len(writers.undone) < 100 or len(writers.kept) < 100:
            writers.run(50)
    finally:
        done.set()
        shaking.join(DEADLINE)


def test_what_is_told_while_a_log_fails_now_and_then_is_kept(people, token, prefix):
    before = put(people, token, f"{prefix}a", 1)
    writers = Writers(people.instance, token, prefix)
    with Readers(people.instance, token, prefix) as readers:
        write_shaken(people, writers)
    kept = {1: before} | writers.kept
    assert not {value for value, _ in readers.seen} & writers.undone
    assert all(kept[value] == revision for value, revision in readers.seen if revision is not None)
    told = [*kept.values(), *writers.deleted]
    assert len(set(told)) == len(told), "a revision was told twice"
    assert put(people, token, f"{prefix}a") > max(told)


def test_who_watches_while_a_log_fails_now_and_then_misses_nothing(people, token, prefix):
    """And is told nothing else."""
    writers, end = Writers(people.instance, token, prefix), f"{prefix}end"
    put(people, token, f"{prefix}a", 1)
    with Stream(people.instance, token, prefix=prefix) as stream:
        with Readers(people.instance, token, prefix):
            write_shaken(people, writers)
        put(people, token, end)
        seen = [stream.event()]
        while seen[-1].name in ("put", "delete") and seen[-1].data["key"] != end:
            seen.append(stream.event())
    assert seen[-1].name == "put", seen[-1]
    assert {one.data["value"]: one.data["revision"] for one in seen[:-1] if one.name == "put"} == writers.kept
    assert {one.data["revision"] for one in seen if one.name == "delete"} == writers.deleted


@pytest.mark.parametrize("end", ["stop", "kill", "reload"])
def test_no_number_that_was_told_comes_again_after_an_end(own, end):
    """And who was told where to go on misses nothing, though changes were undone at that moment."""
    token = own.new().access
    told = [put(own, token, "a", 1), put(own, token, "b", 1)]
    with Stream(own.instance, token) as stream, own.instance.failing():
        told.append(stream.revision)
        for _ in range(5):
            own.expect("http", NOT_DURABLE, "pair_put", token, "a", 2)
            told.append(revision(own, token))
            with Stream(own.instance, token) as other:
                told.append(other.revision)
    if end == "reload":
        assert own.console.evaluate("return authkv.restart() ~= nil") == [True]
    else:
        own.close()
        own.instance.kill() if end == "kill" else own.instance.stop()
        own.instance.start()
    own.close()
    # Over iproto, because the image that ends still answers over HTTP, and tells its watchers of a jump.
    written = [put(own, token, key, 3, "iproto") for key in "abc"]
    assert written[0] > max(told) and written == sorted(set(written))
    for last in {told[-1], max(told)} if end != "reload" else ():
        with Stream(own.instance, token, last_event_id=last) as stream:
            assert stream.changes(3) == [("put", key, 3) for key in "abc"] and stream.last == written[-1]
    seen = own.expect("iproto", ANY, "kv_watch", token, {"after": told[-1]})
    assert [one["revision"] for one in seen["events"]] == written


def test_a_log_that_failed_is_read_anew_whole(own):
    """What was answered with success is there after a crash, and nothing else."""
    token = own.new().access
    writers = Writers(own.instance, token, "k/", 2)
    for _ in range(3):
        writers.run(20, new_keys=False)
        with own.instance.failing():
            writers.run(20, new_keys=False)
    highest = max(writers.kept.values())
    assert len(writers.kept) == len(writers.undone) == 120
    own.close()
    own.instance.kill()
    own.instance.start()
    (pair,) = pairs(own, token, "k/")
    assert (pair["key"], pair["revision"], writers.kept[pair["value"]]) == ("k/a", highest, highest)
    assert put(own, token, "k/a") > highest
