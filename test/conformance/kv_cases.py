"""The conformance rows of kv_txn, kv_list and kv_incr, and all rows together. `kv_rows.py` says what the words mean."""

from __future__ import annotations

from conformance import kv_batch_cases, kv_pair_cases
from conformance.kv_batch_cases import LARGE
from support.clock import FAR
from support.kv_rows import (
    BAD_OPTION,
    I64_MIN,
    MALFORMED,
    NEW,
    OUT_OF_RANGE,
    REFUSED_SOMEHOW,
    U64_MAX,
    At,
    Call,
    Row,
    ahead,
    batch_delete,
    batch_get,
    batch_put,
    delete_range,
    found,
    incr,
    item,
    kept,
    listing,
    number,
    pair,
    txn,
    written,
)
from support.outcome import A_REVISION, Ok, Refused
from support.people import UNAUTHENTICATED, forbidden
from support.values import nested


def is_there(key: str, exists: bool = True) -> dict:
    return {"key": key, "exists": exists}


def is_at(key: str, revision) -> dict:
    return {"key": key, "revision": revision}


def equals(key: str, value) -> dict:
    return {"key": key, "value": value}


def put(key: str, value, **more) -> dict:
    return {"op": "put", "key": key, "value": value, **more}


def get(key: str) -> dict:
    return {"op": "get", "key": key}


def delete(key: str) -> dict:
    return {"op": "delete", "key": key}


def add(key: str, **by) -> dict:
    return {"op": "incr", "key": key, **by}


def did(*steps: dict, succeeded: bool = True) -> Ok:
    return Ok({"succeeded": succeeded, "results": list(steps), "revision": A_REVISION})


def wrote(key: str) -> dict:
    return {"key": key, "outcome": "written", "revision": NEW}


def saw(key: str, value, revision=None, **more) -> dict:
    return {"key": key, "outcome": "found", "value": value, "revision": At(key) if revision is None else revision, **more}


def lacked(key: str) -> dict:
    return {"key": key, "outcome": "missing"}


def removed(key: str) -> dict:
    return {"key": key, "outcome": "deleted", "revision": NEW}


def counted(key: str, value: int) -> dict:
    return {"key": key, "outcome": "written", "value": value, "revision": NEW}


# name, compare, whether all of it holds; "a" has the value {"x": [1, "y", None, 1.5], "z": 2}, "n" has null, "b" does not exist
VALUE = {"x": [1, "y", None, 1.5], "z": 2}
COMPARED = [
    ("nothing", [], True), ("a_key_that_exists", [is_there("a")], True), ("a_key_that_does_not", [is_there("b")], False),
    ("that_a_key_does_not_exist", [is_there("b", False)], True), ("that_a_key_exists_not", [is_there("a", False)], False),
    ("null_with_existence", [is_there("n")], True),
    ("a_revision", [is_at("a", At("a"))], True), ("a_past_revision", [is_at("a", At("a", -1))], False),
    ("a_future_revision", [is_at("a", At("a", 1))], False), ("revision_0_with_a_key", [is_at("a", 0)], False),
    ("revision_0_with_no_key", [is_at("b", 0)], True), ("a_revision_with_no_key", [is_at("b", 5)], False),
    ("a_value", [equals("a", VALUE)], True), ("a_value_in_another_order", [equals("a", {"z": 2, "x": [1, "y", None, 1.5]})], True),
    ("a_value_with_more", [equals("a", VALUE | {"more": 1})], False), ("a_value_with_less", [equals("a", {"z": 2})], False),
    ("another_order_of_an_array", [equals("a", VALUE | {"x": ["y", 1, None, 1.5]})], False),
    ("a_text_with_a_number", [equals("a", VALUE | {"z": "2"})], False), ("null_with_null", [equals("n", None)], True),
    ("null_with_no_key", [equals("b", None)], False), ("false_with_null", [equals("n", False)], False),
    ("all_of_it", [is_there("a"), is_at("a", At("a")), is_there("b", False), equals("n", None)], True),
    ("what_holds_but_for_the_last", [is_there("a"), equals("n", None), is_there("b")], False),
    ("a_key_twice", [is_there("a"), is_there("a", False)], False),
]  # fmt: skip
TXN = [
    Row(f"txn_compares_{name}", txn(compare, [put("yes", 1)], [put("no", 1)]),
        did(wrote("yes" if holds else "no"), succeeded=holds), (kept(a=VALUE, n=None),))
    for name, compare, holds in COMPARED
]  # fmt: skip
TXN += [
    Row("txn_tells_1_from_1_point_0", txn([equals("a", 1.0)], [get("a")]), did(succeeded=False), (kept(a=1),), exact=True),
    Row("txn_compares_a_whole_double", txn([equals("a", 1.0)], [get("a")]), did(saw("a", 1.0)), (kept(a=1.0),), exact=True),
    Row("txn_compares_bytes", txn([equals("a", b"\x00\xff")], [get("a")]), did(saw("a", b"\x00\xff")), (kept(a=b"\x00\xff"),), exact=True),
    Row("txn_tells_bytes_from_text", txn([equals("a", b"x")]), did(succeeded=False), (kept(a="x"),), exact=True),
    Row("txn_compares_the_largest_integers", txn([equals("a", U64_MAX), equals("b", I64_MIN)]), did(), (kept(a=U64_MAX, b=I64_MIN),)),
    Row("txn_tells_the_largest_integers_apart", txn([equals("a", U64_MAX - 1)]), did(succeeded=False), (kept(a=U64_MAX),)),
    Row("txn_of_nothing_succeeds", txn(), did()),
    Row("txn_of_empty_lists_succeeds", txn([], [], []), did()),
    Row("txn_of_nulls_succeeds", Call("kv_txn", ({"compare": None, "success": None, "failure": None},)), did()),
    Row("txn_that_fails_may_have_nothing_to_do", txn([is_there("a")], [put("b", 1)]), did(succeeded=False)),
    Row("txn_does_all_kinds_in_order", txn(success=[put("b", 2), get("a"), get("z"), delete("a"), delete("z"), add("n"), add("n", by=-5)]),
        did(wrote("b"), saw("a", 1), lacked("z"), removed("a"), lacked("z"), counted("n", 1), counted("n", -4)), (kept("a"),),
        ((batch_get("a", "b", "n"), found(pair("b", 2), pair("n", -4), missing=["a"])),)),
    Row("txn_sees_what_it_did_before", txn(success=[
        get("a"), put("a", 2), get("a"), add("a", by=3), get("a"), delete("a"), get("a"), put("a", 7), delete("a"), delete("a"), add("a")]),
        did(saw("a", 1), wrote("a"), saw("a", 2, NEW), counted("a", 5), saw("a", 5, NEW), removed("a"), lacked("a"), wrote("a"),
            removed("a"), lacked("a"), counted("a", 1)), (kept("a"),)),
    Row("txn_compares_before_it_does_anything", txn([equals("a", 1)], [put("a", 2), get("a")], [put("a", 3)]),
        did(wrote("a"), saw("a", 2, NEW)), (kept("a"),)),
    Row("txn_shows_a_pair_whole", txn(success=[get("a")]),
        did(saw("a", b"{}", expires_at=number(FAR), content_type="text/x")),
        (batch_put(item("a", b"{}", content_type="text/x", expires_at=FAR)),)),
    Row("txn_puts_a_pair_whole", txn(success=[put("a", b"{}", ttl=60, content_type="text/x")]), did(wrote("a")),
        then=((batch_get("a"), found(pair("a", b"{}", expires_at=ahead(60), content_type="text/x"))),)),
    Row("txn_put_without_a_ttl_removes_it", txn(success=[put("a", 2)]), did(wrote("a")), (batch_put(item("a", 1, ttl=60)),),
        ((batch_get("a"), found(pair("a", 2))),)),
    Row("txn_incr_keeps_the_end", txn(success=[add("a")]), did(counted("a", 2)), (batch_put(item("a", 1, expires_at=FAR)),),
        ((batch_get("a"), found(pair("a", 2, expires_at=number(FAR)))),)),
    Row("txn_takes_1000_of_each", txn([is_there("a", False)] * 1000, [get("a")] * 1000, [get("a")] * 1000), did(*[lacked("a")] * 1000)),
]  # fmt: skip
# What fails a transaction from within: nothing of it is written, whatever came before.
TXN += [
    Row(f"txn_writes_nothing_where_{name}", txn(success=[put("b", 1), delete("a"), *steps]), expected,
        (kept("a", text="x", top=U64_MAX, low=I64_MIN),), ((batch_get("a", "b"), found(pair("a", 1), missing=["b"])),))
    for name, steps, expected in [
        ("no_integer_is_counted", [add("text")], Refused("not_an_integer", "The value of the key text is not an integer")),
        ("a_count_is_too_high", [add("top")], Refused("out_of_range", OUT_OF_RANGE.format("top"))),
        ("a_count_is_too_low", [add("low", by=-1)], Refused("out_of_range", OUT_OF_RANGE.format("low"))),
        ("a_value_is_too_large", [put("c", LARGE)], Refused("value_too_large")),
        ("what_it_put_is_no_integer", [put("c", "x"), add("c")], Refused("not_an_integer")),
    ]
]  # fmt: skip
TXN += [
    Row("txn_does_not_fail_by_what_it_does_not_do", txn([is_there("a")], [get("a")], [add("a"), put("b", LARGE)]), did(saw("a", "x")),
        (kept(a="x"),)),
    Row("txn_may_do_what_the_caller_may",
        txn([is_there("r/a"), is_there("rw/a", False)], [put("w/a", 1), add("rw/n"), get("r/a")], who="some"),
        did(wrote("w/a"), counted("rw/n", 1), saw("r/a", 1)), (kept("r/a"),)),
    *[Row(f"txn_is_forbidden_{name}", txn(**lists, who="some"), forbidden(verb, key), (kept("r/a", "w/a", "rw/a"),))
      for name, lists, verb, key in [
          ("to_compare_what_may_not_be_read", {"compare": [is_there("rw/a"), is_there("w/a")]}, "read", "w/a"),
          ("to_compare_what_is_not_there", {"compare": [is_there("no", False)]}, "read", "no"),
          ("to_get", {"success": [get("w/a")]}, "read", "w/a"), ("to_put", {"success": [put("r/a", 2)]}, "write", "r/a"),
          ("to_delete", {"success": [delete("r/a")]}, "write", "r/a"),
          ("to_count_what_may_be_read", {"success": [add("r/a")]}, "write", "r/a"),
          ("to_count_what_may_be_written", {"success": [add("w/a")]}, "read", "w/a"),
          ("in_the_branch_that_is_not_done", {"success": [put("rw/a", 2)], "failure": [put("no", 1)]}, "write", "no"),
          ("in_the_branch_that_is_not_done_either", {"compare": [is_there("z/x")], "failure": [get("rw/a")]}, "read", "z/x"),
      ]],
    *[Row(f"txn_refuses_{name}", txn(**lists), expected, (kept("a"),))
      for name, lists, expected in [
          ("1001_compares", {"compare": [is_there("a")] * 1001}, BAD_OPTION), ("1001_steps", {"success": [get("a")] * 1001}, BAD_OPTION),
          ("1001_steps_that_are_not_done", {"failure": [get("a")] * 1001}, BAD_OPTION),
          ("a_compare_that_is_a_text", {"compare": "a"}, MALFORMED), ("a_compare_of_a_text", {"compare": ["a"]}, MALFORMED),
          ("a_compare_of_nothing", {"compare": [{"key": "a"}]}, MALFORMED),
          ("a_compare_without_a_key", {"compare": [{"exists": True}]}, MALFORMED),
          ("a_compare_of_two", {"compare": [{"key": "a", "exists": True, "revision": 1}]}, MALFORMED),
          ("a_compare_of_a_value_and_more", {"compare": [{"key": "a", "value": 1, "exists": True}]}, MALFORMED),
          ("an_existence_in_words", {"compare": [is_there("a", "yes")]}, MALFORMED),
          ("a_revision_in_words", {"compare": [is_at("a", "1")]}, MALFORMED),
          ("steps_that_are_a_map", {"success": {"op": "get", "key": "a"}}, MALFORMED),
          ("a_step_that_is_a_text", {"success": ["get"]}, MALFORMED),
          ("a_step_without_a_name", {"success": [{"key": "a"}]}, MALFORMED),
          ("a_step_without_a_key", {"success": [{"op": "get"}]}, MALFORMED),
          ("a_step_of_no_such_name", {"success": [{"op": "append", "key": "a", "value": 1}]}, REFUSED_SOMEHOW),
          ("a_put_without_a_value", {"success": [{"op": "put", "key": "b"}]}, MALFORMED),
          ("a_count_by_a_fraction", {"success": [add("b", by=1.5)]}, REFUSED_SOMEHOW),
          ("a_count_by_a_text", {"success": [add("b", by="1")]}, MALFORMED),
          ("a_put_with_a_ttl_of_0", {"success": [put("b", 1, ttl=0)]}, BAD_OPTION),
          ("a_put_with_two_ends", {"success": [put("b", 1, ttl=1, expires_at=FAR)]}, BAD_OPTION),
          ("a_put_to_an_empty_key", {"success": [put("", 1)]}, Refused("bad_key")),
          ("a_put_to_a_key_of_1025_bytes", {"failure": [put("k" * 1025, 1)]}, Refused("bad_key")),
          ("a_count_of_an_empty_key", {"success": [add("")]}, Refused("bad_key")),
          ("a_value_nested_too_deep", {"success": [put("b", nested(65))]}, Refused("too_deep")),
      ]],
    Row("txn_refuses_an_unknown_list", txn(then=[]), MALFORMED, but_http=True),
    Row("txn_refuses_an_unknown_member_of_a_compare", txn([is_there("a") | {"more": 1}]), MALFORMED, but_http=True),
    *[Row(f"txn_refuses_an_unknown_member_of_a_{step['op']}", txn(success=[step | {"more": 1}]), MALFORMED, but_http=True)
      for step in (put("a", 1), get("a"), delete("a"), add("a"))],
    Row("txn_refuses_a_value_that_is_got", txn(success=[get("a") | {"value": 1}]), MALFORMED),
    Row("txn_checks_the_shape_before_the_token", txn(["a"], who="garbage"), MALFORMED),
    Row("txn_checks_the_token_before_the_rules", txn(success=[get("a")] * 1001, who="garbage"), UNAUTHENTICATED),
    Row("txn_checks_the_rules_before_permissions", txn(success=[put("no", 1, ttl=0)], who="some"), BAD_OPTION),
    Row("txn_checks_permissions_before_values", txn(success=[add("rw/a"), put("no", 1)], who="some"), forbidden("write", "no"),
        (kept(**{"rw/a": "x"}),)),
]  # fmt: skip

ALPHABET = ["A", "B", "a", "a/", "a/b", "a/b/c", "aa", "b", "b\0", "c", "é", "ж", "жж", "🗝"]  # in the order of their bytes
assert sorted(ALPHABET, key=str.encode) == ALPHABET


def page(*keys: str, next_key: str | None = None) -> Ok:
    return Ok({"pairs": [pair(key, 1) for key in keys], "next": next_key})


def keys_page(*keys: str, next_key: str | None = None) -> Ok:
    return Ok({"keys": list(keys), "next": next_key})


LIST = [
    Row(f"list_{name}", listing(**options), page(*keys), (kept(*reversed(ALPHABET)),))
    for name, options, keys in [
        ("gives_all_in_the_order_of_bytes", {}, ALPHABET), ("takes_an_empty_prefix", {"prefix": ""}, ALPHABET),
        ("takes_nulls", dict.fromkeys(["prefix", "from_", "to", "after", "limit", "keys_only", "count"]), ALPHABET),
        ("by_prefix", {"prefix": "a"}, ["a", "a/", "a/b", "a/b/c", "aa"]),
        ("by_prefix_with_a_slash", {"prefix": "a/"}, ["a/", "a/b", "a/b/c"]),
        ("by_prefix_in_unicode", {"prefix": "ж"}, ["ж", "жж"]), ("by_a_prefix_that_is_a_whole_key", {"prefix": "a/b/c"}, ["a/b/c"]),
        ("by_a_prefix_of_nothing", {"prefix": "zz"}, []), ("by_a_prefix_that_is_no_pattern", {"prefix": "*"}, []),
        ("from_a_key", {"from_": "b"}, ALPHABET[7:]), ("from_between_keys", {"from_": "a/c"}, ALPHABET[6:]),
        ("to_a_key", {"to": "a/b"}, ["A", "B", "a", "a/"]), ("from_and_to", {"from_": "a/", "to": "b"}, ["a/", "a/b", "a/b/c", "aa"]),
        ("from_and_to_the_same", {"from_": "a", "to": "a"}, []), ("from_behind_to", {"from_": "b", "to": "a"}, []),
        ("by_prefix_and_from", {"prefix": "a", "from_": "a/b"}, ["a/b", "a/b/c", "aa"]),
        ("by_prefix_and_to", {"prefix": "a", "to": "a/b"}, ["a", "a/"]),
        ("by_prefix_and_from_before_it", {"prefix": "b", "from_": "a"}, ["b", "b\0"]),
        ("by_prefix_and_to_behind_it", {"prefix": "b", "to": "z"}, ["b", "b\0"]),
        ("by_prefix_outside_of_from", {"prefix": "a", "from_": "b"}, []),
        ("after_a_key", {"after": "b"}, ALPHABET[8:]), ("after_what_does_not_exist", {"after": "a/c"}, ALPHABET[6:]),
        ("after_the_last", {"after": "🗝"}, []), ("after_and_from", {"after": "a", "from_": "b", "to": "é"}, ["b", "b\0", "c"]),
        ("after_and_prefix", {"after": "a/", "prefix": "a"}, ["a/b", "a/b/c", "aa"]),
        ("after_before_the_prefix", {"after": "A", "prefix": "b"}, ["b", "b\0"]),
        ("after_from_itself", {"after": "b", "from_": "b", "to": "c"}, ["b\0"]), ("of_1000_at_most", {"limit": 1000}, ALPHABET),
    ]
]  # fmt: skip
LIST += [
    Row(f"list_{name}", listing(**options), expected, (kept(*ALPHABET),))
    for name, options, expected in [
        ("by_limit_says_where_to_go_on", {"limit": 3}, page("A", "B", "a", next_key="a")),
        ("by_limit_goes_on", {"limit": 2, "after": "a"}, page("a/", "a/b", next_key="a/b")),
        ("by_limit_and_prefix", {"limit": 1, "prefix": "b"}, page("b", next_key="b")),
        ("by_limit_of_all_there_are", {"limit": len(ALPHABET)}, page(*ALPHABET)),
        ("by_limit_of_all_of_a_prefix", {"limit": 2, "prefix": "ж"}, page("ж", "жж")),
        ("by_limit_of_all_before_to", {"limit": 3, "to": "a/"}, page("A", "B", "a")),
        ("keys_only_by_limit_of_all", {"keys_only": True, "limit": 2, "prefix": "ж"}, keys_page("ж", "жж")),
        ("by_limit_ends", {"limit": 3, "prefix": "ж", "after": "ж"}, page("жж")),
        ("keys_only", {"keys_only": True, "prefix": "a/"}, keys_page("a/", "a/b", "a/b/c")),
        ("keys_only_by_limit", {"keys_only": True, "limit": 2}, keys_page("A", "B", next_key="B")),
        ("not_keys_only", {"keys_only": False, "prefix": "c"}, page("c")),
        ("counts", {"count": True}, Ok({"count": len(ALPHABET)})), ("counts_a_prefix", {"count": True, "prefix": "a"}, Ok({"count": 5})),
        ("counts_whatever_the_limit", {"count": True, "limit": 1, "keys_only": True}, Ok({"count": len(ALPHABET)})),
        ("counts_after_a_key", {"count": True, "after": "b"}, Ok({"count": 6})),
        ("counts_from_and_to", {"count": True, "from_": "a", "to": "b"}, Ok({"count": 5})),
        ("counts_nothing", {"count": True, "prefix": "zz"}, Ok({"count": 0})),
        ("does_not_count", {"count": False, "prefix": "c"}, page("c")),
        ("refuses_a_limit_of_0", {"limit": 0}, BAD_OPTION), ("refuses_a_limit_of_1001", {"limit": 1001}, BAD_OPTION),
        ("refuses_a_limit_below_0", {"limit": -1}, REFUSED_SOMEHOW), ("refuses_a_limit_in_words", {"limit": "ten"}, REFUSED_SOMEHOW),
        ("refuses_a_fraction_of_a_limit", {"limit": 1.5}, REFUSED_SOMEHOW), ("refuses_a_flag_in_words", {"count": "yes"}, REFUSED_SOMEHOW),
    ]
]  # fmt: skip
MIXED = kept("no", "r/a", "r/b", "rw/a", "rw/b", "w/a")
LIST += [
    Row(f"list_of_who_may_read_some_{name}", listing(**options, who="some"), expected, (MIXED,))
    for name, options, expected in [
        ("shows_those", {}, page("r/a", "r/b", "rw/a", "rw/b")), ("counts_those", {"count": True}, Ok({"count": 4})),
        ("names_those", {"keys_only": True}, keys_page("r/a", "r/b", "rw/a", "rw/b")),
        ("fills_a_page_with_those", {"limit": 3}, page("r/a", "r/b", "rw/a", next_key="rw/a")),
        ("ends_with_those", {"limit": 4}, page("r/a", "r/b", "rw/a", "rw/b")),
        ("names_those_to_the_end", {"limit": 2, "after": "r/b", "keys_only": True}, keys_page("rw/a", "rw/b")),
        ("goes_on_among_those", {"after": "rw/a"}, page("rw/b")), ("shows_nothing_of_others", {"prefix": "w/"}, page()),
        ("counts_nothing_of_others", {"prefix": "no", "count": True}, Ok({"count": 0})),
        ("goes_on_after_what_may_not_be_read", {"after": "no"}, page("r/a", "r/b", "rw/a", "rw/b")),
        ("from_and_to", {"from_": "r/b", "to": "rw/b"}, page("r/b", "rw/a")),
    ]
]  # fmt: skip
LIST += [
    Row("list_of_nothing", listing(), page()),
    Row("list_shows_pairs_whole", listing(), Ok({"pairs": [pair("a", b"x", expires_at=number(FAR), content_type="a/b")], "next": None}),
        (batch_put(item("a", b"x", expires_at=FAR, content_type="a/b")),)),
    Row("list_leaves_out_what_was_deleted", listing(), page("b"), (kept("a", "b"), batch_delete("a"))),
    *[Row(f"list_refuses_{name}", listing(**wrong), MALFORMED, but_http=True)
      for name, wrong in [
          ("a_prefix_that_is_a_number", {"prefix": 1}), ("a_from_that_is_a_number", {"from_": 1}), ("a_to_that_is_an_array", {"to": ["a"]}),
          ("an_after_that_is_a_flag", {"after": True}), ("keys_only_as_a_number", {"keys_only": 1}),
          ("an_unknown_option", {"order": "desc"}),
      ]],
    Row("list_refuses_options_that_are_a_text", Call("kv_list", ("a",)), MALFORMED, but_http=True),
    Row("list_checks_the_token", listing(who="garbage"), UNAUTHENTICATED),
    Row("list_checks_the_token_before_the_rules", listing(limit=0, who="garbage"), UNAUTHENTICATED),
]  # fmt: skip


def count(key: str, value: int) -> Ok:
    return Ok({"key": key, "value": value, "revision": NEW})


TOO_FAR = Refused("out_of_range", OUT_OF_RANGE.format("a"))
NO_INTEGER = Refused("not_an_integer", "The value of the key a is not an integer")
# name, the value before, by, what comes of it
COUNTS = [
    ("1_by_default", 5, None, 6), ("by_more", 5, 10, 15), ("down", 5, -7, -2), ("by_0", 5, 0, 5), ("up_from_below_0", -1, 2, 1),
    ("to_the_top", U64_MAX - 1, 1, U64_MAX), ("to_the_bottom", I64_MIN + 1, -1, I64_MIN), ("over_the_top_of_i64", 2**63 - 1, 1, 2**63),
    ("back_below_the_top_of_i64", 2**63, -1, 2**63 - 1), ("by_the_most", 0, U64_MAX, U64_MAX), ("by_the_least", 0, I64_MIN, I64_MIN),
    ("from_the_bottom_by_the_most", I64_MIN, U64_MAX, U64_MAX + I64_MIN),
    ("from_the_top_by_the_least", U64_MAX, I64_MIN, U64_MAX + I64_MIN),
    ("above_what_a_double_holds", 2**53, 1, 2**53 + 1), ("by_0_at_the_top", U64_MAX, 0, U64_MAX),
    ("no_further_than_the_top", U64_MAX, 1, TOO_FAR), ("no_further_than_the_bottom", I64_MIN, -1, TOO_FAR),
    ("no_further_than_the_top_by_the_most", 1, U64_MAX, TOO_FAR), ("no_further_than_the_bottom_by_the_least", -1, I64_MIN, TOO_FAR),
    ("no_text", "5", 1, NO_INTEGER), ("no_fraction", 1.5, 1, NO_INTEGER), ("no_null", None, 1, NO_INTEGER),
    ("no_flag", True, 1, NO_INTEGER),
    ("no_array", [1], 1, NO_INTEGER), ("no_map", {"a": 1}, 1, NO_INTEGER),
]  # fmt: skip
INCR = [
    Row(f"incr_counts_{name}", incr("a", **({} if by is None else {"by": by})),
        expected if isinstance(expected, Refused) else count("a", expected),
        (kept(a=before),), ((batch_get("a"), found(pair("a", before if isinstance(expected, Refused) else expected))),))
    for name, before, by, expected in COUNTS
]  # fmt: skip
INCR += [
    Row("incr_counts_no_whole_double", incr("a"), NO_INTEGER, (kept(a=1.0),), exact=True),
    Row("incr_counts_no_bytes", incr("a"), NO_INTEGER, (kept(a=b"\x05"),), exact=True),
    Row("incr_of_a_missing_key_counts_from_0", incr("a"), count("a", 1),
        then=((incr("a", by=2), count("a", 3)), (batch_get("a"), found(pair("a", 3))))),
    Row("incr_of_a_missing_key_by_less", incr("a", by=-3), count("a", -3)),
    Row("incr_of_a_missing_key_by_0_makes_it", incr("a", by=0), count("a", 0), then=((batch_get("a"), found(pair("a", 0))),)),
    Row("incr_of_a_key_that_was_deleted_counts_from_0", incr("a"), count("a", 1), (kept(a=7), batch_delete("a"))),
    Row("incr_takes_null_for_1", incr("a", by=None, ttl=None, expires_at=None), count("a", 1)),
    Row("incr_gives_a_new_key_a_ttl", incr("a", ttl=60), count("a", 1),
        then=((batch_get("a"), found(pair("a", 1, expires_at=ahead(60)))),)),
    Row("incr_gives_a_new_key_an_end", incr("a", expires_at=FAR), count("a", 1),
        then=((batch_get("a"), found(pair("a", 1, expires_at=number(FAR)))),)),
    Row("incr_gives_a_key_that_exists_no_ttl", incr("a", ttl=60), count("a", 2), (kept("a"),), ((batch_get("a"), found(pair("a", 2))),)),
    Row("incr_keeps_the_end", incr("a", ttl=60), count("a", 2), (batch_put(item("a", 1, expires_at=FAR)),),
        ((batch_get("a"), found(pair("a", 2, expires_at=number(FAR)))),)),
    Row("incr_keeps_the_content_type", incr("a"), count("a", 2), (batch_put(item("a", 1, content_type="x/y")),),
        ((batch_get("a"), found(pair("a", 2, content_type="x/y"))),)),
    Row("incr_of_who_may_do_both", incr("rw/a", who="some"), count("rw/a", 1)),
    Row("incr_needs_the_right_to_write", incr("r/a", who="some"), forbidden("write", "r/a")),
    Row("incr_needs_the_right_to_read", incr("w/a", who="some"), forbidden("read", "w/a")),
    Row("incr_refuses_an_empty_key", incr(""), Refused("bad_key"), but_http=True),
    Row("incr_refuses_a_key_of_1025_bytes", incr("k" * 1025), Refused("bad_key")),
    Row("incr_takes_a_key_with_a_slash", incr("a/b c?d#e%"), count("a/b c?d#e%", 1)),
    *[Row(f"incr_refuses_{name}", incr("a", **wrong), expected, (kept("a"),))
      for name, wrong, expected in [
          ("by_a_text", {"by": "1"}, MALFORMED), ("by_a_fraction", {"by": 1.5}, REFUSED_SOMEHOW), ("by_a_flag", {"by": True}, MALFORMED),
          ("by_a_map", {"by": {}}, MALFORMED), ("a_ttl_of_0", {"ttl": 0}, BAD_OPTION),
          ("a_ttl_and_an_end", {"ttl": 1, "expires_at": FAR}, BAD_OPTION),
          ("an_end_that_has_been", {"expires_at": 1}, BAD_OPTION),
      ]],
    Row("incr_refuses_an_unknown_option", incr("a", step=1), MALFORMED, but_http=True),
    Row("incr_refuses_a_key_that_is_a_number", Call("kv_incr", (1,)), MALFORMED, but_http=True),
    Row("incr_checks_the_shape_before_the_token", incr("a", by="1", who="garbage"), MALFORMED),
    Row("incr_checks_the_token_before_the_rules", incr("a", ttl=0, who="garbage"), UNAUTHENTICATED),
    Row("incr_checks_the_rules_before_permissions", incr("no", ttl=0, who="some"), BAD_OPTION),
    Row("incr_checks_permissions_before_the_value", incr("r/a", who="some"), forbidden("write", "r/a"), (kept(**{"r/a": "x"}),)),
]  # fmt: skip

ABC = kept("a", "b/1", "b/2", "b/3", "c")


def keys(*names: str) -> Ok:
    return Ok({"keys": list(names), "next": None})


def purged(count: int, more: bool = False) -> Ok:
    return Ok({"deleted": count, "more": more, "revision": NEW if count else None})


DELETE = [
    Row("delete_range_of_a_prefix", delete_range(prefix="b/"), purged(3), (ABC,), ((listing(keys_only=True), keys("a", "c")),)),
    Row("delete_range_of_a_range", delete_range(from_="b", to="b/3"), purged(2), (ABC,),
        ((listing(keys_only=True), keys("a", "b/3", "c")),)),
    Row("delete_range_without_an_end", delete_range(from_="b/2"), purged(3), (ABC,), ((listing(keys_only=True), keys("a", "b/1")),)),
    Row("delete_range_of_a_part_of_a_prefix", delete_range(prefix="b/", from_="b/2", to="z"), purged(2), (ABC,)),
    Row("delete_range_of_nothing", delete_range(prefix="x"), purged(0), (ABC,)),
    Row("delete_range_that_ends_before_it_begins", delete_range(from_="c", to="a"), purged(0), (ABC,)),
    Row("delete_range_of_all_where_it_says_so", delete_range(all=True), purged(5), (ABC,), ((listing(keys_only=True), keys()),)),
    Row("delete_range_needs_a_range", delete_range(), BAD_OPTION, (ABC,)),
    Row("delete_range_of_an_empty_prefix_is_refused", delete_range(prefix=""), BAD_OPTION, (ABC,)),
    Row("delete_range_from_the_empty_key_is_refused", delete_range(from_=""), BAD_OPTION, (ABC,)),
    Row("delete_range_of_all_and_a_prefix_is_refused", delete_range(all=True, prefix="b/"), BAD_OPTION, (ABC,)),
    Row("delete_range_of_all_that_is_false_is_a_range", delete_range(all=False, prefix="b/"), purged(3), (ABC,)),
    Row("delete_range_stops_at_a_limit", delete_range(prefix="b/", limit=2), purged(2, more=True), (ABC,),
        ((listing(keys_only=True), keys("a", "b/3", "c")), (delete_range(prefix="b/", limit=2), purged(1)))),
    Row("delete_range_with_a_limit_that_is_reached_at_the_end", delete_range(prefix="b/", limit=3), purged(3), (ABC,)),
    *[Row(f"delete_range_refuses_a_limit_of_{limit}", delete_range(prefix="b/", limit=limit), BAD_OPTION, (ABC,))
      for limit in (0, 100_001)],
    Row("delete_range_refuses_a_text_for_a_limit", delete_range(prefix="b/", limit="x"), MALFORMED, (ABC,)),
    Row("delete_range_refuses_a_prefix_that_is_a_number", delete_range(prefix=5), MALFORMED, (ABC,), but_http=True),
    Row("delete_range_refuses_an_unknown_option", delete_range(prefix="b/", keys=1), MALFORMED, (ABC,)),
    Row("delete_range_deletes_what_is_to_expire", delete_range(prefix="b/"), purged(1), (batch_put(item("b/1", 1, expires_at=FAR)),)),
    Row("delete_range_of_who_may_write_it", delete_range(prefix="w/", who="some"), purged(1), (kept("w/a", "x"),)),
    Row("delete_range_needs_the_right_to_all_of_it", delete_range(from_="r", to="s", who="some"), forbidden("write", "r"), (kept("rw/a"),)),
    Row("delete_range_of_what_may_be_read_only", delete_range(prefix="r/", who="some"), forbidden("write", "r/"), (kept("r/a"),)),
    Row("delete_range_of_all_needs_the_right_to_all", delete_range(all=True, who="some"), forbidden("write", ""), (kept("rw/a"),)),
    Row("delete_range_checks_the_shape_before_the_token", delete_range(prefix="b/", limit="x", who="garbage"), MALFORMED),
    Row("delete_range_checks_the_token_before_the_rules", delete_range(who="garbage"), UNAUTHENTICATED),
    Row("delete_range_checks_the_rules_before_permissions", delete_range(prefix="no", limit=0, who="some"), BAD_OPTION),
    Row("delete_range_gives_each_key_a_revision", delete_range(prefix="b/"), purged(3), (ABC,),
        ((batch_put(item("b/1", 1)), written("b/1")),)),
]  # fmt: skip

ROWS = [*kv_batch_cases.ROWS, *TXN, *LIST, *DELETE, *INCR, *kv_pair_cases.ROWS]
assert len({row.name for row in ROWS}) == len(ROWS), "the name of a row is its identity"
