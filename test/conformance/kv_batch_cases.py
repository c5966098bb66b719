"""The conformance rows of batch_get, batch_put and batch_delete. `kv_rows.py` says what the words mean."""

from __future__ import annotations

from support.clock import FAR
from support.contract import NO_KEYS, missing, repeated
from support.kv_rows import (
    BAD_OPTION,
    MALFORMED,
    NEW,
    REFUSED_SOMEHOW,
    At,
    Call,
    Row,
    ahead,
    batch_delete,
    batch_get,
    batch_put,
    deleted,
    found,
    item,
    kept,
    number,
    pair,
    results,
    written,
)
from support.outcome import Ok, Refused
from support.people import UNAUTHENTICATED, forbidden
from support.values import nested

# The instance of these rows takes so much at once.
BATCH_MAX, TUPLE_MAX = 100, 65_536
LARGE = "x" * (TUPLE_MAX + 1000)
A_LONG_KEY = "ж" * 512

GET = [
    Row("batch_get_gives_pairs_in_the_order_asked", batch_get("c", "a", "b"),
        found(pair("c", 1), pair("a", 1), pair("b", None)), (kept("a", "c", b=None),)),
    Row("batch_get_lists_what_is_missing_in_the_order_asked", batch_get("z", "a", "y", "x"),
        found(pair("a", 1), missing=["z", "y", "x"]), (kept("a"),)),
    Row("batch_get_of_missing_keys_only_is_no_error", batch_get("z"), found(missing=["z"])),
    Row("batch_get_tells_null_from_missing", batch_get("a", "b"), found(pair("a", None), missing=["b"]), (kept(a=None),)),
    Row("batch_get_may_be_strict", batch_get("z", "a", "y", strict=True), missing("z y"), (kept("a"),)),
    Row("batch_get_that_is_strict_gives_what_exists", batch_get("a", strict=True), found(pair("a", 1)), (kept("a"),)),
    Row("batch_get_is_not_strict_where_it_says_so", batch_get("z", strict=False), found(missing=["z"])),
    Row("batch_get_takes_null_for_an_option", batch_get("z", strict=None), found(missing=["z"])),
    Row("batch_get_takes_null_for_all_options", Call("batch_get", (["z"], None)), found(missing=["z"])),
    Row("batch_get_takes_no_options_given", Call("batch_get", (["z"], {})), found(missing=["z"])),
    Row("batch_get_looks_an_empty_key_up", batch_get(""), found(missing=[""])),
    Row("batch_get_looks_a_key_of_1025_bytes_up", batch_get("k" * 1025), found(missing=["k" * 1025])),
    Row("batch_get_sees_what_the_old_write_has_written", batch_get("a", "b"), found(pair("a", 1), missing=["b"]), (kept("a"),),
        ((Call("put", ({"a": 2, "b": 2},)), Ok(["a"])), (batch_get("a", "b"), found(pair("a", 1), pair("b", 2, NEW))))),
    Row("the_old_read_sees_what_batch_put_has_written", Call("get", (["b", "a"],)), Ok({"b": 2, "a": 1}), (kept(a=1, b=2),)),
    Row("batch_get_shows_when_a_pair_ends", batch_get("a"), found(pair("a", 1, expires_at=ahead(60))),
        (batch_put(item("a", 1, ttl=60)),)),
    Row("batch_get_shows_what_a_value_is", batch_get("a"), found(pair("a", b"\x89PNG", content_type="image/png")),
        (batch_put(item("a", b"\x89PNG", content_type="image/png")),)),
    Row("batch_get_shows_the_end_before_the_content_type", batch_get("a"),
        found(pair("a", 1, expires_at=number(FAR), content_type="text/x")),
        (batch_put(item("a", 1, content_type="text/x", expires_at=FAR)),)),
    Row("batch_get_needs_a_key", batch_get(), NO_KEYS),
    Row("batch_get_refuses_a_key_twice", batch_get("b", "a", "b"), repeated("b")),
    Row("batch_get_takes_as_many_keys_as_allowed", batch_get(*map(str, range(BATCH_MAX))),
        found(missing=[*map(str, range(BATCH_MAX))])),
    Row("batch_get_takes_no_more", batch_get(*map(str, range(BATCH_MAX + 1))), Refused("too_many_keys")),
    Row("batch_get_refuses_all_for_one_key_that_may_not_be_read", batch_get("rw/a", "no", "w/a", who="some"),
        forbidden("read", "no")),
    Row("batch_get_reads_by_the_right_to_read", batch_get("rw/a", "r/a", "r/b", who="some"),
        found(pair("rw/a", 1), pair("r/a", 1), missing=["r/b"]), (kept("rw/a", "r/a"),)),
    Row("batch_get_does_not_read_by_the_right_to_write", batch_get("w/a", who="some"), forbidden("read", "w/a"), (kept("w/a"),)),
]  # fmt: skip
A, B = item("a", 2), item("b", 2)
# name, options, what becomes of a pair whose key exists, and of one whose key does not
MODES = [
    ("upsert", {"mode": "upsert"}, ("written", NEW), ("written", NEW)),
    ("no_mode", {"mode": None}, ("written", NEW), ("written", NEW)),
    ("insert", {"mode": "insert"}, ("exists", At("a")), ("written", NEW)),
    ("replace", {"mode": "replace"}, ("written", NEW), ("missing",)),
]
PUT = [
    row
    for name, options, there, not_there in MODES
    for row in (
        Row(f"batch_put_by_{name}_on_a_key_that_exists", batch_put(A, **options),
            results(("a", *there), committed=there[0] == "written"), (kept("a"),)),
        Row(f"batch_put_by_{name}_on_a_key_that_does_not", batch_put(B, **options),
            results(("b", *not_there), committed=not_there[0] == "written"), (kept("a"),)),
    )
]  # fmt: skip
PUT += [
    Row(f"batch_put_if_revision_{name}", batch_put(item(key, 2, if_revision=revision), **options),
        results((key, *outcome), committed=outcome[0] == "written"), (kept("a"),))
    for name, key, revision, options, outcome in [
        ("holds", "a", At("a"), {}, ("written", NEW)),
        ("is_null", "a", None, {}, ("written", NEW)),
        ("is_of_the_past", "a", At("a", -1), {}, ("conflict", At("a"))),
        ("is_of_the_future", "a", At("a", 1), {}, ("conflict", At("a"))),
        ("is_0_on_a_key_that_exists", "a", 0, {}, ("conflict", At("a"))),
        ("is_0_on_a_key_that_does_not", "b", 0, {}, ("written", NEW)),
        ("is_above_0_on_a_key_that_does_not_exist", "b", 5, {}, ("conflict", 0)),
        ("is_checked_before_insert", "a", At("a", 1), {"mode": "insert"}, ("conflict", At("a"))),
        ("holds_and_insert_does_not", "a", At("a"), {"mode": "insert"}, ("exists", At("a"))),
        ("is_checked_before_replace", "b", 5, {"mode": "replace"}, ("conflict", 0)),
        ("is_0_and_replace_needs_a_key", "b", 0, {"mode": "replace"}, ("missing",)),
        ("and_replace_hold", "a", At("a"), {"mode": "replace"}, ("written", NEW)),
        ("is_0_and_insert_holds", "b", 0, {"mode": "insert"}, ("written", NEW)),
    ]
]  # fmt: skip

# One condition that does not hold, among pairs with which nothing is wrong.
MIXED = [item("c", 2), item("a", 2, if_revision=At("a", 1)), item("rw/x", 2), item("b", 2, if_revision=0)]
PUT += [
    Row("batch_put_writes_all", batch_put(item("b", [1]), item("a", {"x": None})), written("b", "a"),
        then=((batch_get("a", "b"), found(pair("a", {"x": None}), pair("b", [1]))),)),
    Row("batch_put_overwrites_and_takes_the_next_revision", batch_put(item("a", 2)), written("a"), (kept("a"),),
        ((batch_get("a"), found(pair("a", 2))), (batch_put(item("a", 2)), written("a")))),
    Row("batch_put_is_atomic", batch_put(*MIXED),
        results(("c", "aborted"), ("a", "conflict", At("a")), ("rw/x", "aborted"), ("b", "aborted"), committed=False),
        (kept("a"),), ((batch_get("a", "b", "c", "rw/x"), found(pair("a", 1), missing=["b", "c", "rw/x"])),)),
    Row("batch_put_is_atomic_where_it_says_so", batch_put(A, B, mode="insert", atomic=True),
        results(("a", "exists", At("a")), ("b", "aborted"), committed=False), (kept("a"),)),
    Row("batch_put_names_every_key_that_fails", batch_put(A, item("b", 1, if_revision=7), item("c", 1), mode="replace"),
        results(("a", "aborted"), ("b", "conflict", 0), ("c", "missing"), committed=False), (kept("a"),)),
    Row("batch_put_that_is_not_atomic_writes_what_can_be", batch_put(*MIXED, atomic=False),
        results(("c", "written", NEW), ("a", "conflict", At("a")), ("rw/x", "written", NEW), ("b", "written", NEW)), (kept("a"),),
        ((batch_get("a", "b", "c", "rw/x"), found(pair("a", 1), pair("b", 2), pair("c", 2), pair("rw/x", 2))),)),
    Row("batch_put_that_is_not_atomic_is_committed_where_nothing_could_be", batch_put(A, mode="insert", atomic=False),
        results(("a", "exists", At("a"))), (kept("a"),), ((batch_get("a"), found(pair("a", 1))),)),
    Row("batch_put_names_what_may_not_be_written", batch_put(item("rw/a", 1), item("r/a", 1), item("no", 1), who="some"),
        results(("rw/a", "aborted"), ("r/a", "forbidden"), ("no", "forbidden"), committed=False)),
    Row("batch_put_that_is_not_atomic_writes_what_may_be", batch_put(
        item("rw/a", 1), item("r/a", 1), item("w/a", 1), atomic=False, who="some"),
        results(("rw/a", "written", NEW), ("r/a", "forbidden"), ("w/a", "written", NEW)),
        then=((batch_get("rw/a", "r/a", "w/a"), found(pair("rw/a", 1), pair("w/a", 1), missing=["r/a"])),)),
    Row("batch_put_says_nothing_of_a_key_that_may_not_be_written", batch_put(
        item("r/a", 1, if_revision=5), item("no", LARGE), item("r/b", 1), mode="insert", atomic=False, who="some"),
        results(("r/a", "forbidden"), ("no", "forbidden"), ("r/b", "forbidden")), (kept("r/a", "r/b"),)),
    Row("batch_put_names_what_is_too_large", batch_put(item("a", 1), item("b", LARGE)),
        results(("a", "aborted"), ("b", "too_large"), committed=False)),
    Row("batch_put_that_is_not_atomic_writes_what_is_not_too_large", batch_put(item("a", LARGE), item("b", 1), atomic=False),
        results(("a", "too_large"), ("b", "written", NEW)), then=((batch_get("a", "b"), found(pair("b", 1), missing=["a"])),)),
    Row("batch_put_takes_the_ttl_of_the_batch", batch_put(item("a", 1), item("b", 1, ttl=60), ttl=3600), written("a", "b"),
        then=((batch_get("a", "b"), found(pair("a", 1, expires_at=ahead(3600)), pair("b", 1, expires_at=ahead(60)))),)),
    Row("batch_put_takes_the_end_of_the_batch", batch_put(
        item("a", 1), item("b", 1, ttl=60), item("c", 1, expires_at=FAR + 1), expires_at=FAR), written("a", "b", "c"),
        then=((batch_get("a", "b", "c"), found(pair("a", 1, expires_at=number(FAR)), pair("b", 1, expires_at=ahead(60)),
                                               pair("c", 1, expires_at=number(FAR + 1)))),)),
    Row("batch_put_keeps_milliseconds", batch_put(item("a", 1, expires_at=FAR + 0.123)), written("a"),
        then=((batch_get("a"), found(pair("a", 1, expires_at=FAR + 0.123))),)),
    Row("batch_put_without_a_ttl_removes_it", batch_put(item("a", 2)), written("a"), (batch_put(item("a", 1, ttl=60)),),
        ((batch_get("a"), found(pair("a", 2))),)),
    Row("batch_put_without_a_content_type_removes_it", batch_put(item("a", b"2")), written("a"),
        (batch_put(item("a", b"1", content_type="text/css")),), ((batch_get("a"), found(pair("a", b"2"))),)),
    Row("batch_put_keeps_the_ttl_of_what_it_does_not_write", batch_put(A, mode="insert", atomic=False),
        results(("a", "exists", At("a"))), (batch_put(item("a", 1, ttl=60)),),
        ((batch_get("a"), found(pair("a", 1, expires_at=ahead(60)))),)),
    Row("batch_put_takes_null_where_a_member_may_be_left_out", batch_put(
        item("a", 1, if_revision=None, ttl=None, expires_at=None, content_type=None), ttl=None, expires_at=None, mode=None,
        atomic=None), written("a"), then=((batch_get("a"), found(pair("a", 1))),)),
    Row("batch_put_takes_a_key_of_1024_bytes", batch_put(item(A_LONG_KEY, 1)), written(A_LONG_KEY)),
    Row("batch_put_takes_a_key_with_a_nul", batch_put(item("a\0b", 1)), written("a\0b"),
        then=((batch_get("a\0b", "a"), found(pair("a\0b", 1), missing=["a"])),)),
    Row("batch_put_takes_as_many_pairs_as_allowed", batch_put(*(item(str(n), n) for n in range(BATCH_MAX))),
        written(*map(str, range(BATCH_MAX)))),
    Row("batch_put_takes_no_more", batch_put(*(item(str(n), n) for n in range(BATCH_MAX + 1))), Refused("too_many_keys")),
    Row("batch_put_needs_a_pair", batch_put(), NO_KEYS),
    Row("batch_put_refuses_a_key_twice", batch_put(A, B, item("a", 3), item("b", 1)), repeated("a b")),
    Row("batch_put_refuses_a_key_twice_where_it_is_not_atomic", batch_put(A, A, atomic=False), repeated("a")),
    Row("batch_put_refuses_an_empty_key", batch_put(A, item("", 1)), Refused("bad_key")),
    Row("batch_put_refuses_a_key_of_1025_bytes", batch_put(A, item("k" * 1025, 1), atomic=False), Refused("bad_key")),
    Row("batch_put_refuses_a_value_nested_too_deep", batch_put(A, item("b", nested(65))), Refused("too_deep")),
    Row("batch_put_takes_a_value_as_deep_as_allowed", batch_put(item("a", nested(64))), written("a"),
        then=((batch_get("a"), found(pair("a", nested(64)))),)),
]  # fmt: skip

DELETE = [
    Row("batch_delete_deletes", batch_delete("a", "b"), deleted("a", "b"), (kept("b", "a", "c"),),
        ((batch_get("a", "b", "c"), found(pair("c", 1), missing=["a", "b"])),)),
    Row("batch_delete_of_what_is_missing_aborts_nothing", batch_delete("z", "a"),
        results(("z", "missing"), ("a", "deleted", NEW)), (kept("a"),)),
    Row("batch_delete_of_what_is_missing_only", batch_delete("z"), results(("z", "missing"))),
    Row("batch_delete_twice", batch_delete("a"), results(("a", "missing")), (kept("a"), batch_delete("a"))),
    Row("batch_delete_takes_objects",
        batch_delete({"key": "a"}, "b", {"key": "c", "if_revision": At("c")}, {"key": "d", "if_revision": None}),
        deleted("a", "b", "c", "d"), (kept("a", "b", "c", "d"),)),
    *[Row(f"batch_delete_if_revision_{name}", batch_delete({"key": key, "if_revision": revision}),
          results((key, *outcome), committed=outcome[0] != "conflict"), (kept("a"),))
      for name, key, revision, outcome in [
          ("holds", "a", At("a"), ("deleted", NEW)),
          ("is_of_the_past", "a", At("a", -1), ("conflict", At("a"))),
          ("is_of_the_future", "a", At("a", 1), ("conflict", At("a"))),
          ("is_0_on_a_key_that_exists", "a", 0, ("conflict", At("a"))),
          ("is_0_on_a_key_that_does_not", "z", 0, ("missing",)),
          ("is_above_0_on_a_key_that_does_not_exist", "z", 5, ("conflict", 0)),
      ]],
    Row("batch_delete_is_atomic", batch_delete("a", {"key": "b", "if_revision": At("b", 1)}, "z"),
        results(("a", "aborted"), ("b", "conflict", At("b")), ("z", "missing"), committed=False), (kept("a", "b"),)),
    Row("batch_delete_that_is_not_atomic_deletes_what_can_be", batch_delete(
        "a", {"key": "b", "if_revision": At("b", 1)}, "z", "c", atomic=False),
        results(("a", "deleted", NEW), ("b", "conflict", At("b")), ("z", "missing"), ("c", "deleted", NEW)), (kept("a", "b", "c"),),
        ((batch_get("a", "b", "c"), found(pair("b", 1), missing=["a", "c"])),)),
    Row("batch_delete_names_what_may_not_be_written", batch_delete("rw/a", "r/a", "no", who="some"),
        results(("rw/a", "aborted"), ("r/a", "forbidden"), ("no", "forbidden"), committed=False), (kept("rw/a", "r/a"),)),
    Row("batch_delete_that_is_not_atomic_deletes_what_may_be", batch_delete("rw/a", "r/a", "w/a", atomic=False, who="some"),
        results(("rw/a", "deleted", NEW), ("r/a", "forbidden"), ("w/a", "deleted", NEW)), (kept("rw/a", "r/a", "w/a"),),
        ((batch_get("rw/a", "r/a", "w/a"), found(pair("r/a", 1), missing=["rw/a", "w/a"])),)),
    Row("a_key_that_was_deleted_comes_back_at_a_new_revision", batch_put(item("a", 1, if_revision=0)), written("a"),
        (kept("a"), batch_delete("a"))),
    Row("a_revision_before_a_deletion_holds_no_more", batch_put(item("a", 1, if_revision=At("a"))),
        results(("a", "conflict", 0), committed=False), (kept("a"), batch_delete("a"))),
    Row("batch_delete_takes_no_more_than_allowed", batch_delete(*map(str, range(BATCH_MAX + 1))), Refused("too_many_keys")),
    Row("batch_delete_needs_a_key", batch_delete(), NO_KEYS),
    Row("batch_delete_refuses_a_key_twice", batch_delete("a", "b", "a"), repeated("a")),
    Row("batch_delete_refuses_a_key_twice_as_an_object_too", batch_delete("a", {"key": "a", "if_revision": 1}), repeated("a")),
]  # fmt: skip

# What the input may not be, as (name, operation, arguments, expected, whether HTTP has no such form).
A_KEY, A_PAIR = ["a"], [A]
SHAPES = [
    ("get_without_keys", "batch_get", (), MALFORMED), ("get_of_a_text", "batch_get", ("a",), MALFORMED),
    ("get_of_a_map", "batch_get", ({"a": 1},), MALFORMED), ("get_of_a_number", "batch_get", (["a", 1],), MALFORMED),
    ("get_of_null", "batch_get", ([None],), MALFORMED), ("get_of_an_object", "batch_get", ([{"key": "a"}],), MALFORMED),
    ("get_strict_in_words", "batch_get", (A_KEY, {"strict": "true"}), MALFORMED),
    ("get_strict_as_a_number", "batch_get", (A_KEY, {"strict": 1}), MALFORMED),
    ("put_without_pairs", "batch_put", (), MALFORMED), ("put_of_a_text", "batch_put", ("a",), MALFORMED),
    ("put_of_a_map", "batch_put", ({"a": 1},), MALFORMED), ("put_of_a_key", "batch_put", (["a"],), MALFORMED),
    ("put_without_a_value", "batch_put", ([{"key": "a"}],), MALFORMED),
    ("put_without_a_key", "batch_put", ([{"value": 1}],), MALFORMED),
    ("put_of_a_key_that_is_a_number", "batch_put", ([item(1, 1)],), MALFORMED),
    ("put_of_a_key_that_is_null", "batch_put", ([item(None, 1)],), MALFORMED),
    ("put_if_revision_a_text", "batch_put", ([item("a", 1, if_revision="5")],), MALFORMED),
    ("put_if_revision_a_flag", "batch_put", ([item("a", 1, if_revision=True)],), MALFORMED),
    ("put_if_revision_below_0", "batch_put", ([item("a", 1, if_revision=-1)],), REFUSED_SOMEHOW),
    ("put_if_revision_a_fraction", "batch_put", ([item("a", 1, if_revision=1.5)],), REFUSED_SOMEHOW),
    ("put_content_type_a_number", "batch_put", ([item("a", 1, content_type=1)],), MALFORMED),
    ("put_mode_a_number", "batch_put", (A_PAIR, {"mode": 1}), MALFORMED),
    ("put_mode_of_no_such_name", "batch_put", (A_PAIR, {"mode": "overwrite"}), BAD_OPTION),
    ("put_mode_in_capitals", "batch_put", (A_PAIR, {"mode": "INSERT"}), BAD_OPTION),
    ("put_mode_that_is_empty", "batch_put", (A_PAIR, {"mode": ""}), BAD_OPTION),
    ("put_atomic_a_number", "batch_put", (A_PAIR, {"atomic": 0}), MALFORMED),
    ("delete_without_keys", "batch_delete", (), MALFORMED), ("delete_of_a_text", "batch_delete", ("a",), MALFORMED),
    ("delete_of_a_number", "batch_delete", ([1],), MALFORMED),
    ("delete_of_an_object_without_a_key", "batch_delete", ([{"if_revision": 1}],), MALFORMED),
    ("delete_if_revision_a_text", "batch_delete", ([{"key": "a", "if_revision": "1"}],), MALFORMED),
    ("delete_atomic_a_text", "batch_delete", (A_KEY, {"atomic": "no"}), MALFORMED),
]  # fmt: skip
ENDS = [
    ("ttl_0", {"ttl": 0}, BAD_OPTION), ("ttl_below_0", {"ttl": -1}, BAD_OPTION), ("ttl_below_1_ms", {"ttl": 0.0005}, BAD_OPTION),
    ("ttl_above_a_century", {"ttl": 3_153_600_001}, BAD_OPTION), ("ttl_a_text", {"ttl": "60"}, MALFORMED),
    ("ttl_a_flag", {"ttl": True}, MALFORMED), ("ttl_with_an_end", {"ttl": 60, "expires_at": FAR}, BAD_OPTION),
    ("an_end_that_has_been", {"expires_at": 1_000_000_000}, BAD_OPTION), ("an_end_of_0", {"expires_at": 0}, BAD_OPTION),
    ("an_end_below_0", {"expires_at": -5.5}, BAD_OPTION), ("an_end_in_words", {"expires_at": "2100-01-01"}, MALFORMED),
]  # fmt: skip
WRONG_TYPES = [("with_a_newline", "a\nb"), ("that_is_not_ascii", "é"), ("of_256", "x" * 256)]
SHAPES += [
    (f"put_of_a_content_type_{name}", "batch_put", ([item("a", b"", content_type=wrong)],), REFUSED_SOMEHOW) for name, wrong in WRONG_TYPES
]
SHAPES += [(f"put_{name}", "batch_put", ([item("a", 1, **wrong)],), expected) for name, wrong, expected in ENDS]
SHAPES += [(f"put_{name}_for_the_batch", "batch_put", (A_PAIR, wrong), expected) for name, wrong, expected in ENDS]
MALFORMED_ROWS = [Row(f"batch_refuses_{name}", Call(operation, args), expected, (kept("a"),)) for name, operation, args, expected in SHAPES]
# An unknown member of JSON is ignored; of the options it is not.
MALFORMED_ROWS += [
    Row(f"{operation}_refuses_{name}", Call(operation, (batch, options)), MALFORMED, but_http=True)
    for operation, batch in (("batch_get", A_KEY), ("batch_put", A_PAIR), ("batch_delete", A_KEY))
    for name, options in (("an_unknown_option", {"more": 1}), ("options_that_are_a_number", 5), ("options_that_are_a_text", "strict"))
]
MALFORMED_ROWS += [
    Row("batch_delete_refuses_an_object_with_more", batch_delete({"key": "a", "value": 1}), MALFORMED, but_http=True),
    Row("batch_put_refuses_a_pair_with_more", batch_put(item("a", 1, more=1)), MALFORMED, but_http=True),
    Row("batch_put_refuses_a_pair_as_it_was_read", batch_put(item("a", 1, revision=At("a"))), MALFORMED, (kept("a"),), but_http=True),
    *[Row(f"batch_put_takes_a_content_type_{name}", batch_put(item("a", b"", content_type=right)), written("a"),
          then=((batch_get("a"), found(pair("a", b"", content_type=right))),))
      for name, right in (("of_1", "x"), ("of_255", "x" * 255), ("with_a_parameter", "text/plain; charset=utf-8"))],
    Row("batch_put_takes_ttls_from_end_to_end", batch_put(item("a", 1, ttl=0.001), item("b", 1, ttl=3_153_600_000)), written("a", "b"),
        then=((batch_get("b"), found(pair("b", 1, expires_at=ahead(3_153_600_000)))),)),
]  # fmt: skip


def garbage(operation: str, *args) -> Call:
    return Call(operation, args, "garbage")


SOME_TWICE = [item("no", 1), item("no", 1)]
ORDER = [
    Row(f"batch_checks_{name}", call, expected)
    for name, call, expected in [
        ("the_shape_before_the_token", garbage("batch_get", [1]), MALFORMED),
        ("the_shape_of_pairs_before_the_token", garbage("batch_put", [{"key": "a"}]), MALFORMED),
        ("the_shape_of_options_before_the_token", garbage("batch_put", A_PAIR, {"atomic": 1}), MALFORMED),
        ("the_shape_of_keys_before_the_token", garbage("batch_delete", [5]), MALFORMED),
        ("the_token_before_the_rules_of_get", garbage("batch_get", []), UNAUTHENTICATED),
        ("the_token_before_repetition", garbage("batch_get", ["a", "a"]), UNAUTHENTICATED),
        ("the_token_before_the_rules_of_put", garbage("batch_put", [item("", 1)]), UNAUTHENTICATED),
        ("the_token_before_options", garbage("batch_put", A_PAIR, {"mode": "overwrite"}), UNAUTHENTICATED),
        ("the_token_before_ttls", garbage("batch_put", [item("a", 1, ttl=0)]), UNAUTHENTICATED),
        ("the_token_before_the_rules_of_delete", garbage("batch_delete", []), UNAUTHENTICATED),
        ("the_token_of_get", garbage("batch_get", ["a"]), UNAUTHENTICATED),
        ("the_token_of_put", garbage("batch_put", A_PAIR), UNAUTHENTICATED),
        ("the_token_of_delete", garbage("batch_delete", ["a"]), UNAUTHENTICATED),
        ("repetition_before_permissions_to_read", batch_get("no", "no", who="some"), repeated("no")),
        ("repetition_before_permissions_to_write", batch_put(*SOME_TWICE, who="some"), repeated("no")),
        ("repetition_before_permissions_to_delete", batch_delete("no", "no", who="some"), repeated("no")),
        ("lengths_before_permissions", batch_put(item("no", 1), item("", 1), who="some"), Refused("bad_key")),
        ("ttls_before_permissions", batch_put(item("no", 1, ttl=0), who="some"), BAD_OPTION),
        ("modes_before_permissions", batch_put(item("no", 1), mode="x", who="some"), BAD_OPTION),
        ("permissions_before_existence", batch_get("no", who="some", strict=True), forbidden("read", "no")),
    ]
]

ROWS = [*GET, *PUT, *DELETE, *MALFORMED_ROWS, *ORDER]
