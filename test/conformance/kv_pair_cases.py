"""The conformance rows of pair_get, pair_put and pair_delete. `kv_rows.py` says what the words mean."""

from __future__ import annotations

from conformance.kv_batch_cases import ENDS, LARGE
from support.clock import FAR
from support.kv_rows import (
    BAD_OPTION,
    GONE,
    MALFORMED,
    REFUSED_SOMEHOW,
    At,
    Call,
    Conflict,
    Row,
    absent,
    ahead,
    batch_delete,
    batch_get,
    batch_put,
    found,
    item,
    kept,
    no_such,
    number,
    pair,
    pair_delete,
    pair_get,
    pair_put,
    put_pair,
)
from support.outcome import Ok, Refused
from support.people import UNAUTHENTICATED, forbidden
from support.values import nested

CREATED, REPLACED = put_pair("a", True), put_pair("a", False)

GET = [
    Row("pair_get_gives_the_pair", pair_get("a"), Ok(pair("a", {"x": [1, None]})), (kept(a={"x": [1, None]}),)),
    Row("pair_get_gives_a_null", pair_get("a"), Ok(pair("a", None)), (kept(a=None),)),
    Row("pair_get_gives_false", pair_get("a"), Ok(pair("a", False)), (kept(a=False),)),
    Row("pair_get_gives_an_empty_text", pair_get("a"), Ok(pair("a", "")), (kept(a=""),)),
    Row("pair_get_gives_bytes", pair_get("a"), Ok(pair("a", b"\x00\xff\r\n")), (kept(a=b"\x00\xff\r\n"),)),
    Row("pair_get_gives_no_bytes", pair_get("a"), Ok(pair("a", b"")), (kept(a=b""),)),
    Row("pair_get_gives_a_pair_whole", pair_get("a"),
        Ok(pair("a", b"x", expires_at=number(FAR + 0.5), content_type="text/css; charset=utf-8")),
        (batch_put(item("a", b"x", expires_at=FAR + 0.5, content_type="text/css; charset=utf-8")),)),
    Row("pair_get_names_a_missing_key", pair_get("a"), no_such("a")),
    Row("pair_get_names_a_deleted_key", pair_get("a"), no_such("a"), (kept("a"), batch_delete("a"))),
    Row("pair_get_looks_a_key_of_1025_bytes_up", pair_get("k" * 1025), no_such("k" * 1025)),
    Row("pair_get_if_revision_holds", pair_get("a", if_revision=At("a")), Ok(pair("a", 1)), (kept("a"),)),
    Row("pair_get_if_revision_is_one_of_many", pair_get("a", if_revision=[At("a", 5), At("a"), 1]), Ok(pair("a", 1)), (kept("a"),)),
    Row("pair_get_if_revision_is_none_of_many", pair_get("a", if_revision=[At("a", 5), At("a", -1)]), Conflict("a"), (kept("a"),)),
    Row("pair_get_if_revision_does_not_hold", pair_get("a", if_revision=At("a", 1)), Conflict("a"), (kept("a"),)),
    Row("pair_get_if_revision_of_a_missing_key", pair_get("a", if_revision=5), absent("a")),
    Row("pair_get_if_revision_is_null", pair_get("a", if_revision=None), Ok(pair("a", 1)), (kept("a"),)),
    Row("pair_get_reads_by_the_right_to_read", pair_get("r/a", who="some"), Ok(pair("r/a", 1)), (kept("r/a"),)),
    Row("pair_get_does_not_read_by_the_right_to_write", pair_get("w/a", who="some"), forbidden("read", "w/a"), (kept("w/a"),)),
    Row("pair_get_checks_permissions_before_existence", pair_get("no", who="some"), forbidden("read", "no")),
    Row("pair_get_checks_permissions_before_conditions", pair_get("no", if_revision=5, who="some"), forbidden("read", "no"), (kept("no"),)),
]  # fmt: skip

PUT = [
    Row("pair_put_makes_a_pair", pair_put("a", [1]), CREATED, then=((batch_get("a"), found(pair("a", [1]))),)),
    Row("pair_put_replaces_a_pair", pair_put("a", 2), REPLACED, (kept("a"),), ((batch_get("a"), found(pair("a", 2))),)),
    Row("pair_put_takes_a_null", pair_put("a", None), CREATED, then=((batch_get("a"), found(pair("a", None))),)),
    Row("pair_put_makes_what_was_deleted", pair_put("a", 2), CREATED, (kept("a"), batch_delete("a"))),
    *[Row(f"pair_put_by_{name}_on_a_key_that_{'exists' if exists else 'does_not'}", pair_put("a", 2, mode=mode), expected,
          (kept("a"),) if exists else ())
      for name, mode, exists, expected in [
          ("upsert", "upsert", True, REPLACED), ("upsert", "upsert", False, CREATED), ("insert", "insert", True, Conflict("a")),
          ("insert", "insert", False, CREATED), ("replace", "replace", True, REPLACED), ("replace", "replace", False, absent("a")),
          ("null", None, True, REPLACED),
      ]],
    *[Row(f"pair_put_if_revision_{name}", pair_put("a", 2, if_revision=revision, **options), expected, (kept("a"),) if exists else ())
      for name, exists, revision, options, expected in [
          ("holds", True, At("a"), {}, REPLACED), ("is_of_the_past", True, At("a", -1), {}, Conflict("a")),
          ("is_of_the_future", True, At("a", 1), {}, Conflict("a")), ("is_0_on_a_key_that_exists", True, 0, {}, Conflict("a")),
          ("is_0_on_a_key_that_does_not", False, 0, {}, CREATED), ("is_above_0_on_a_key_that_does_not_exist", False, 5, {}, absent("a")),
          ("is_one_of_many", True, [1, At("a", 7), At("a")], {}, REPLACED), ("is_none_of_many", True, [1, At("a", 7)], {}, Conflict("a")),
          ("is_none_of_many_on_a_key_that_does_not_exist", False, [5, 6], {}, absent("a")),
          ("and_replace_hold", True, At("a"), {"mode": "replace"}, REPLACED),
          ("holds_and_insert_does_not", True, At("a"), {"mode": "insert"}, Conflict("a")),
          ("is_null", True, None, {}, REPLACED),
      ]],
    Row("pair_put_takes_a_ttl", pair_put("a", 1, ttl=60), CREATED, then=((batch_get("a"), found(pair("a", 1, expires_at=ahead(60)))),)),
    Row("pair_put_takes_a_fraction_of_a_ttl", pair_put("a", 1, ttl=600.25), CREATED,
        then=((batch_get("a"), found(pair("a", 1, expires_at=ahead(600.25)))),)),
    Row("pair_put_takes_an_end", pair_put("a", 1, expires_at=FAR + 0.25), CREATED,
        then=((batch_get("a"), found(pair("a", 1, expires_at=number(FAR + 0.25)))),)),
    Row("pair_put_without_a_ttl_removes_it", pair_put("a", 2), REPLACED, (pair_put("a", 1, ttl=60),),
        ((batch_get("a"), found(pair("a", 2))),)),
    Row("pair_put_takes_bytes", pair_put("a", b"\x00\xff"), CREATED, then=((batch_get("a"), found(pair("a", b"\x00\xff"))),)),
    Row("pair_put_takes_bytes_of_a_type", pair_put("a", b"\x89PNG", content_type="image/png", ttl=60), CREATED,
        then=((batch_get("a"), found(pair("a", b"\x89PNG", expires_at=ahead(60), content_type="image/png"))),)),
    Row("pair_put_without_a_type_removes_it", pair_put("a", 1), REPLACED, (pair_put("a", b"1", content_type="text/css"),),
        ((batch_get("a"), found(pair("a", 1))),)),
    Row("pair_put_refuses_what_is_too_large", pair_put("a", LARGE), Refused("value_too_large")),
    Row("pair_put_refuses_what_is_nested_too_deep", pair_put("a", nested(65)), Refused("too_deep")),
    Row("pair_put_refuses_a_key_of_1025_bytes", pair_put("k" * 1025, 1), Refused("bad_key")),
    Row("pair_put_refuses_an_empty_key", pair_put("", 1), Refused("bad_key"), but_http=True),
    Row("pair_put_by_the_right_to_write", pair_put("w/a", 1, who="some"), put_pair("w/a", True)),
    Row("pair_put_not_by_the_right_to_read", pair_put("r/a", 2, who="some"), forbidden("write", "r/a"), (kept("r/a"),)),
    Row("pair_put_checks_permissions_before_conditions", pair_put("r/a", 2, if_revision=7, who="some"), forbidden("write", "r/a"),
        (kept("r/a"),)),
    Row("pair_put_checks_permissions_before_size", pair_put("no", LARGE, who="some"), forbidden("write", "no")),
    *[Row(f"pair_put_refuses_{name}", pair_put("a", 1, **wrong), expected, but_http=expected == MALFORMED) for name, wrong,
        expected in ENDS],
    Row("pair_put_refuses_an_unknown_mode", pair_put("a", 1, mode="overwrite"), BAD_OPTION),
    Row("pair_put_refuses_an_unknown_option", pair_put("a", 1, more=1), MALFORMED, but_http=True),
    Row("pair_put_refuses_a_type_that_is_a_number", pair_put("a", b"", content_type=5), MALFORMED, but_http=True),
    Row("pair_put_needs_a_value", Call("pair_put", ("a",)), MALFORMED, but_http=True),
]  # fmt: skip

DELETE = [
    Row("pair_delete_deletes", pair_delete("a"), GONE, (kept("a", "b"),), ((batch_get("a", "b"), found(pair("b", 1), missing=["a"])),)),
    Row("pair_delete_names_a_missing_key", pair_delete("a"), no_such("a")),
    Row("pair_delete_twice", pair_delete("a"), GONE, (kept("a"),), ((pair_delete("a"), no_such("a")),)),
    Row("pair_delete_if_revision_holds", pair_delete("a", if_revision=At("a")), GONE, (kept("a"),)),
    Row("pair_delete_if_revision_is_one_of_many", pair_delete("a", if_revision=[At("a"), 1]), GONE, (kept("a"),)),
    Row("pair_delete_if_revision_does_not_hold", pair_delete("a", if_revision=At("a", -1)), Conflict("a"), (kept("a"),)),
    Row("pair_delete_if_revision_is_none_of_many", pair_delete("a", if_revision=[At("a", 1), 1]), Conflict("a"), (kept("a"),)),
    Row("pair_delete_if_revision_is_0", pair_delete("a", if_revision=0), Conflict("a"), (kept("a"),)),
    Row("pair_delete_if_revision_of_a_missing_key", pair_delete("a", if_revision=5), absent("a")),
    Row("pair_delete_by_the_right_to_write", pair_delete("w/a", who="some"), GONE, (kept("w/a"),)),
    Row("pair_delete_not_by_the_right_to_read", pair_delete("r/a", who="some"), forbidden("write", "r/a"), (kept("r/a"),)),
    Row("pair_delete_checks_permissions_before_existence", pair_delete("no", who="some"), forbidden("write", "no")),
    Row("revisions_rise_over_all_that_is_done", pair_put("a", 1), CREATED, (kept("b"), pair_put("a", 1), pair_delete("a")),
        ((pair_delete("a"), GONE), (pair_put("a", 1), CREATED), (batch_get("a"), found(pair("a", 1))), (pair_put("a", 1), REPLACED))),
]  # fmt: skip

A_PUT = ("pair_put", "a", 1)
SHAPES = [
    Row(f"{operation}_refuses_{name}", Call(operation, (*args, options)), expected, (kept("a"),), but_http=True)
    for operation, *args in (A_PUT, ("pair_get", "a"), ("pair_delete", "a"))
    for name, options, expected in [
        ("a_revision_in_words", {"if_revision": "5"}, MALFORMED), ("revisions_in_words", {"if_revision": ["5"]}, MALFORMED),
        ("a_revision_below_0", {"if_revision": -1}, REFUSED_SOMEHOW), ("a_revision_that_is_a_map", {"if_revision": {"a": 1}}, MALFORMED),
        ("options_that_are_a_text", "x", MALFORMED), ("an_option_of_no_such_name", {"revision": 5}, MALFORMED),
    ]
]  # fmt: skip
SHAPES += [
    Row(f"{operation}_refuses_a_key_that_is_a_number", Call(operation, (5, *value)), MALFORMED, but_http=True)
    for operation, value in (("pair_put", (1,)), ("pair_get", ()), ("pair_delete", ()))
]
ORDER = [
    Row(f"{operation}_checks_the_token", Call(operation, tuple(args), "garbage"), UNAUTHENTICATED)
    for operation, *args in (A_PUT, ("pair_get", "a"), ("pair_delete", "a"))
]
ORDER += [
    Row("pair_put_checks_the_token_before_the_rules", pair_put("a", 1, ttl=0, who="garbage"), UNAUTHENTICATED),
    Row("pair_put_checks_the_token_before_the_mode", pair_put("a", 1, mode="x", who="garbage"), UNAUTHENTICATED),
    Row("pair_put_checks_the_rules_before_permissions", pair_put("no", 1, ttl=0, who="some"), BAD_OPTION),
    Row("pair_put_checks_the_shape_before_the_token", Call("pair_put", ("a", 1, {"ttl": "x"}), "garbage"), MALFORMED, but_http=True),
]
# The keys of paths: each is one segment, whatever it holds.
KEYS = [
    "a/b", "/", "//", "a b", "a+b", "a%b", "%2F", "a?b", "a#b", "a&b=c", "...", ".a", "a/../b", "ключ", "🗝", "a\0b", "a\nb", '"', "\\",
    "incr", "a/incr", "~", "a:b;c@d,e", "ж" * 512,
]  # fmt: skip
NAMES = [
    Row(f"pair_takes_the_key_{ascii(key)[1:20]}", pair_put(key, 1), put_pair(key, True),
        then=((pair_get(key), Ok(pair(key, 1))), (batch_get(key), found(pair(key, 1))), (pair_delete(key), GONE),
            (pair_get(key), no_such(key))),
        but_rock=key == "a/../b")
    for key in KEYS
]  # fmt: skip

ROWS = [*GET, *PUT, *DELETE, *SHAPES, *ORDER, *NAMES]
