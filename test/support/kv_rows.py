"""The words of the conformance table of key-value operations: rows, calls, and what stands for a revision in them.

A row begins with an empty space, runs the steps it is given (each has to succeed), makes its call, compares the outcome,
and may go on with steps that have outcomes of their own. What is refused or not committed must change nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from support.outcome import A_REVISION, Like, Ok, Refusal, Refused, assert_outcome
from support.people import People, permission
from support.transports import OwnerTransport, RockTransport

# What `some` may do; `all` may do everything, `none` nothing.
SOME = [permission("rw/", True, True), permission("r/", read=True), permission("w/", write=True)]

U64_MAX, I64_MIN = 2**64 - 1, -(2**63)
OUT_OF_RANGE = f"The value of the key {{}} would be outside of {I64_MIN} to {U64_MAX}"


@dataclass(frozen=True)
class At:
    """The revision of a key as it was last seen, and this much more."""

    key: str
    more: int = 0


class New:
    """A revision above every one before it."""

    def __repr__(self):
        return "a new revision"


NEW = New()


@dataclass(frozen=True)
class Conflict:
    """The refusal of a condition on a key that exists, at whatever revision."""

    key: str


@dataclass(frozen=True)
class Either:
    """What the contract leaves open."""

    allowed: tuple[Refused, ...]


def absent(key: str) -> Refused:
    """The refusal of a condition on a key that does not exist."""
    return Refused("conflict", f"The key {key} does not exist")


def no_such(key: str) -> Refused:
    return Refused("no_such_key", f"The key {key} does not exist")


MALFORMED, BAD_OPTION = Refused("malformed"), Refused("bad_option")
REFUSED_SOMEHOW = Either((MALFORMED, BAD_OPTION))


def number(expected: float) -> Like:
    """This moment, whether it is shown as a whole number or with a fraction."""
    return Like(f"{expected}", lambda seen: isinstance(seen, (int, float)) and seen == expected)


def ahead(seconds: float) -> Like:
    """So many seconds from now, for something that was just done."""

    def holds(seen):
        return isinstance(seen, (int, float)) and -1 < time.time() + seconds - seen < 30

    return Like(f"{seconds} s ahead", holds)


@dataclass(frozen=True)
class Call:
    operation: str
    args: tuple
    who: str = "all"


@dataclass(frozen=True)
class Row:
    name: str
    call: Call
    expected: Ok | Refused | Conflict | Either
    given: tuple[Call, ...] = ()
    then: tuple[tuple[Call, Ok | Refused | Conflict | Either], ...] = ()
    # Whether HTTP has no form for it, or another meaning.
    but_http: bool = False
    # Whether it tells numbers apart that Lua does not.
    exact: bool = False
    # Whether the http rock refuses its path itself.
    but_rock: bool = False

    def is_for(self, transport) -> bool:
        if self.but_rock and transport is RockTransport:
            return False
        by_all = all(call.who == "all" for call in (self.call, *self.given, *(step for step, _ in self.then)))
        return (
            (transport is not OwnerTransport or by_all)
            and not (self.but_http and transport.is_http)
            and (transport.exact or not self.exact)
        )


def pair(key: str, value, revision=None, **more) -> dict:
    """A pair as an answer shows it, at the revision that was last seen."""
    return {"key": key, "value": value, "revision": At(key) if revision is None else revision, **more}


def item(key: str, value, **more) -> dict:
    """A pair as a batch takes it."""
    return {"key": key, "value": value, **more}


def _call(operation: str, args: list, options: dict) -> Call:
    who = options.pop("who", "all")
    return Call(operation, (*args, *([options] if options else [])), who)


def batch_get(*keys, **options) -> Call:
    return _call("batch_get", [list(keys)], options)


def batch_put(*items, **options) -> Call:
    return _call("batch_put", [list(items)], options)


def batch_delete(*keys, **options) -> Call:
    return _call("batch_delete", [list(keys)], options)


def txn(compare=None, success=None, failure=None, **options) -> Call:
    lists = {"compare": compare, "success": success, "failure": failure}
    who = {"who": options.pop("who")} if "who" in options else {}
    given = {name: one for name, one in lists.items() if one is not None} | options
    call = _call("kv_txn", [], given | who)
    return call if call.args else Call(call.operation, ({},), call.who)


def listing(**options) -> Call:
    """`from_` stands for `from`."""
    return _call("kv_list", [], {name.rstrip("_"): value for name, value in options.items()})


def delete_range(**options) -> Call:
    """`from_` stands for `from`."""
    return _call("kv_delete", [], {name.rstrip("_"): value for name, value in options.items()})


def incr(key: str, **options) -> Call:
    return _call("kv_incr", [key], options)


def pair_get(key: str, **options) -> Call:
    return _call("pair_get", [key], options)


def pair_put(key: str, value, **options) -> Call:
    return _call("pair_put", [key, value], options)


def pair_delete(key: str, **options) -> Call:
    return _call("pair_delete", [key], options)


# One pair per key: what most rows begin with.
def kept(*keys: str, **values) -> Call:
    return batch_put(*(item(key, 1) for key in keys), *(item(key, value) for key, value in values.items()))


def found(*pairs, missing=()) -> Ok:
    """What batch_get answers."""
    return Ok({"pairs": list(pairs), "missing": list(missing)})


def results(*outcomes: tuple, committed: bool = True) -> Ok:
    """What a batch answers: (key, outcome) or (key, outcome, revision)."""
    all_of_them = [dict(zip(("key", "outcome", "revision"), one, strict=False)) for one in outcomes]
    return Ok({"committed": committed, "results": all_of_them, "revision": A_REVISION})


def written(*keys: str) -> Ok:
    return results(*((key, "written", NEW) for key in keys))


def deleted(*keys: str) -> Ok:
    return results(*((key, "deleted", NEW) for key in keys))


def put_pair(key: str, created: bool) -> Ok:
    """What pair_put answers."""
    return Ok({"key": key, "revision": NEW, "created": created})


GONE = Ok({"deleted": True, "revision": NEW})


class Run:
    """One run of a row: who calls, and the revisions seen so far."""

    def __init__(self, people: People, transport: str, tokens: dict[str, str]):
        self.people, self.transport, self.tokens = people, people.transport(transport), tokens
        self.highest = 1
        self.at: dict[str, int] = {}

    def do(self, call: Call) -> Ok | Refusal:
        return self.transport.do(call.operation, self.tokens[call.who], *self._filled(call.args))

    def succeed(self, call: Call) -> None:
        seen = self.do(call)
        assert isinstance(seen, Ok) and seen.value.get("committed", True), f"{call}: {seen}"
        self._note(seen.value)

    def expect(self, call: Call, expected) -> None:
        seen = self.do(call)
        if isinstance(expected, Either):
            name = getattr(seen, "name", None)
            expected = next((one for one in expected.allowed if one.name == name), expected.allowed[0])
        assert_outcome(self.transport, seen, self._filled(expected))
        if isinstance(seen, Ok) and isinstance(seen.value, dict):
            self._note(seen.value)

    def _filled(self, value):
        """The value with revisions in the place of what stands for them."""
        match value:
            case At(key, more):
                return self.at[key] + more
            case New():
                floor = self.highest
                return Like(f"above {floor}", lambda seen: type(seen) is int and seen > floor)
            case Conflict(key):
                return Refused("conflict", f"The key {key} is at revision {self.at[key]}")
            case Ok(inner):
                return Ok(self._filled(inner))
            case dict():
                return {name: self._filled(one) for name, one in value.items()}
            case list() | tuple():
                return type(value)(map(self._filled, value))
        return value

    def _note(self, answer: dict) -> None:
        """Remembers the revisions that an answer tells. Those that are new rise in the order of a batch."""
        given = []
        for one in answer.get("results", [answer]):
            revision, outcome = one.get("revision"), one.get("outcome")
            if revision and "key" in one and outcome != "deleted":
                self.at[one["key"]] = revision
            if revision and outcome in (None, "written", "deleted") and revision > self.highest:
                given.append(revision)
        assert given == sorted(set(given)), answer
        self.at |= {one["key"]: one["revision"] for one in answer.get("pairs", [])}
        self.highest = max(self.highest, *given, *self.at.values(), 1)
        if "results" in answer:
            assert answer["revision"] >= self.highest, answer
            self.highest = answer["revision"]


def contents(people: People) -> list:
    """What is in the space, all of it."""
    return people.console.evaluate("return require('digest').md5_hex(require('msgpack').encode(box.space.key_value_store:select()))")


def empty(people: People) -> None:
    """Removes what an earlier row left, as the owner of the space may."""
    people.console.evaluate("for _, row in ipairs(box.space.key_value_store:select()) do box.space.key_value_store:delete(row[1]) end")


def changes_nothing(expected) -> bool:
    return not isinstance(expected, Ok) or (isinstance(expected.value, dict) and expected.value.get("committed") is False)


def run(people: People, transport: str, tokens: dict[str, str], row: Row) -> None:
    empty(people)
    one = Run(people, transport, tokens)
    for step in row.given:
        one.succeed(step)
    before = contents(people)
    one.expect(row.call, row.expected)
    if changes_nothing(row.expected):
        assert contents(people) == before
    for step, expected in row.then:
        one.expect(step, expected)
