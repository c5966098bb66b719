"""The conformance table: what every transport has to answer, row by row. `test_conformance.py` runs it over all transports.

A row starts with empty spaces, runs the steps it is given (each has to succeed), makes its call and compares the
outcome; then it may run further steps with outcomes of their own. A refused call must not change any space.
"""

from __future__ import annotations

from dataclasses import dataclass

from support import tokens
from support.contract import (
    GOOD,
    INVALID_CREDENTIALS,
    LOGIN_TAKEN,
    LOGOUT_REFUSED,
    NO_KEYS,
    UNAUTHENTICATED,
    bad_initial,
    bad_login,
    bad_password,
    missing,
    repeated,
    without_class,
)
from support.outcome import A_TOKEN, Ok, Refused
from support.values import nested


@dataclass(frozen=True)
class Call:
    """One operation. `token` is a name: `good`, or one of `tokens.NAMES`."""

    operation: str
    args: tuple
    token: str | None = None


@dataclass(frozen=True)
class Row:
    name: str
    call: Call
    expected: Ok | Refused
    given: tuple[Call, ...] = ()
    then: tuple[tuple[Call, Ok | Refused], ...] = ()


def register(login="bob1", password=GOOD, name="Bob", surname="Stone") -> Call:
    return Call("register", (login, password, name, surname))


def login(login="bob1", password=GOOD) -> Call:
    return Call("login", (login, password))


def logout(token="good") -> Call:
    return Call("logout", (), token)


def check(token="good") -> Call:
    return Call("check", (), token)


def get(*keys, token="good") -> Call:
    return Call("get", (list(keys),), token)


def put(pairs, token="good") -> Call:
    return Call("put", (pairs,), token)


SHORT = "the length should be no less than {} symbols".format
LONG = "the length should be no more than {} symbols".format
LETTERS_AND_DIGITS = bad_login("login should have onlu lower-upper latin letters and digits")
LETTERS = bad_initial("initial should have only lower-upper latin letters")

REGISTER = [
    Row("register_then_login", register(), Ok(), then=((login(), Ok(A_TOKEN)),)),
    Row("register_refuses_a_taken_login", register(password="0ther-Pass"), LOGIN_TAKEN, (register(),)),
    Row(
        "register_keeps_the_first_password",
        register(password="0ther-Pass"),
        LOGIN_TAKEN,
        (register(),),
        ((login(), Ok(A_TOKEN)), (login(password="0ther-Pass"), INVALID_CREDENTIALS)),
    ),
    Row("register_reports_a_taken_login_before_the_other_rules", register(password="x", name="", surname=""), LOGIN_TAKEN, (register(),)),
    Row("register_takes_logins_that_differ_by_case", register(login="BOB1"), Ok(), (register(),)),
    Row("register_checks_the_login_before_the_password", register("", "", ""), bad_login(SHORT(2))),
    Row("register_checks_the_password_before_the_name", register(password="", name=""), bad_password(SHORT(8))),
    Row("register_checks_the_name_before_the_surname", register(name="B", surname="S" * 33), bad_initial(SHORT(2))),
    Row("register_checks_the_surname_after_the_name", register(surname="S" * 33), bad_initial(LONG(32))),
]
REGISTER += [
    Row(f"register_{what}", register(**changed), expected)
    for what, changed, expected in [
        ("takes_a_login_of_2", {"login": "b1"}, Ok()),
        ("takes_a_login_of_64", {"login": "b" * 64}, Ok()),
        ("takes_a_login_of_digits", {"login": "12"}, Ok()),
        ("refuses_an_empty_login", {"login": ""}, bad_login(SHORT(2))),
        ("refuses_a_login_of_1", {"login": "b"}, bad_login(SHORT(2))),
        ("counts_characters_of_a_login_not_bytes", {"login": "ж"}, bad_login(SHORT(2))),
        ("refuses_a_login_of_65", {"login": "b" * 65}, bad_login(LONG(64))),
        ("checks_the_length_of_a_login_before_its_letters", {"login": "-" * 65}, bad_login(LONG(64))),
        ("counts_64_wide_characters_of_a_login", {"login": "ж" * 64}, LETTERS_AND_DIGITS),
        ("refuses_a_login_with_a_space", {"login": "bob 1"}, LETTERS_AND_DIGITS),
        ("refuses_a_login_with_a_hyphen", {"login": "bob-1"}, LETTERS_AND_DIGITS),
        ("refuses_a_login_in_cyrillic", {"login": "боб"}, LETTERS_AND_DIGITS),
        ("refuses_a_login_with_a_wide_digit", {"login": "bob１"}, LETTERS_AND_DIGITS),
        ("refuses_a_login_with_a_nul", {"login": "bob\0"}, LETTERS_AND_DIGITS),
        ("refuses_a_login_that_ends_in_a_newline", {"login": "bob\n"}, LETTERS_AND_DIGITS),
        ("takes_a_password_of_8", {"password": "aaAA11!!"}, Ok()),
        ("takes_a_password_of_64", {"password": "aA1!" * 16}, Ok()),
        ("takes_64_wide_characters_in_a_password", {"password": "aA1!" + "я" * 60}, Ok()),
        ("takes_other_characters_in_a_password", {"password": "aA1! ~ \t\0 🙂 ж"}, Ok()),
        ("refuses_a_password_of_7", {"password": "aaAA11!"}, bad_password(SHORT(8))),
        ("counts_characters_of_a_password_not_bytes", {"password": "aA1!ююю"}, bad_password(SHORT(8))),
        ("refuses_a_password_of_65", {"password": "aA1!" * 16 + "a"}, bad_password(LONG(64))),
        ("checks_the_length_of_a_password_before_its_classes", {"password": " " * 65}, bad_password(LONG(64))),
        ("asks_for_lower_case_first", {"password": "        "}, without_class("LOWER_CASE")),
        ("asks_for_lower_case", {"password": "AAAA111!"}, without_class("LOWER_CASE")),
        ("asks_for_upper_case_second", {"password": "aaaaaaaa"}, without_class("UPPER_CASE")),
        ("asks_for_upper_case", {"password": "aaaa111!"}, without_class("UPPER_CASE")),
        ("asks_for_digits_third", {"password": "aaaaAAAA"}, without_class("DIGITS")),
        ("asks_for_digits", {"password": "aaaaAAA!"}, without_class("DIGITS")),
        ("asks_for_special_symbols", {"password": "aaaAAA11"}, without_class("SPECIAL_SYMBOLS")),
        ("counts_no_other_symbol_as_special", {"password": "aA1~`'\"?<>:;[]{}|\\ №"}, without_class("SPECIAL_SYMBOLS")),
        ("counts_no_wide_letter_as_lower_case", {"password": "яяяяA11!"}, without_class("LOWER_CASE")),
        ("counts_no_wide_letter_as_upper_case", {"password": "aЯЯЯЯ11!"}, without_class("UPPER_CASE")),
        ("counts_no_wide_digit", {"password": "aaaAAA١!"}, without_class("DIGITS")),
        ("takes_a_name_of_2", {"name": "Al"}, Ok()),
        ("takes_a_name_of_32", {"name": "N" * 32}, Ok()),
        ("takes_a_name_with_a_hyphen", {"name": "Anna-Maria"}, Ok()),
        ("takes_a_surname_of_32", {"surname": "S" * 32}, Ok()),
    ]
]
REGISTER += [Row(f"register_takes_{symbol}_as_special", register(password=f"aaaAAA1{symbol}"), Ok()) for symbol in "!@#$%^&*()_+-=/.,"]
REGISTER += [
    Row(f"register_refuses_a_{initial}_{what}", register(**{initial: text}), expected)
    for initial in ("name", "surname")
    for what, text, expected in [
        ("that_is_empty", "", bad_initial(SHORT(2))),
        ("of_1", "B", bad_initial(SHORT(2))),
        ("of_1_wide_character", "Ж", bad_initial(SHORT(2))),
        ("of_33", "B" * 33, bad_initial(LONG(32))),
        ("of_hyphens", "---", LETTERS),
        ("with_a_digit", "Bob2", LETTERS),
        ("with_a_space", "Bob B", LETTERS),
        ("in_cyrillic", "Боб", LETTERS),
    ]
]

LOGIN = [
    Row("login_gives_a_token", login(), Ok(A_TOKEN), (register(),)),
    Row("login_refuses_a_wrong_password", login(password="Passw0rd?"), INVALID_CREDENTIALS, (register(),)),
    Row("login_refuses_another_case_of_the_password", login(password="passw0rd!"), INVALID_CREDENTIALS, (register(),)),
    Row("login_refuses_an_unknown_login_alike", login("nobody"), INVALID_CREDENTIALS),
    Row("login_refuses_another_case_of_the_login", login("BOB1"), INVALID_CREDENTIALS, (register(),)),
    Row("login_knows_no_rules_for_the_login", login("", ""), INVALID_CREDENTIALS),
    Row("login_knows_no_rules_for_the_password", login(password="x" * 4000), INVALID_CREDENTIALS, (register(),)),
    Row(
        "login_compares_all_64_wide_characters",
        login(password="aA1!" + "я" * 59 + "ж"),
        INVALID_CREDENTIALS,
        (register(password="aA1!" + "я" * 60),),
    ),
    Row("login_does_not_stop_at_a_nul", login(password=GOOD + "\0b"), INVALID_CREDENTIALS, (register(password=GOOD + "\0a"),)),
]

TOKENS = [Row("check_accepts_a_good_token", check(), Ok(True))]
TOKENS += [
    row
    for bad in tokens.NAMES
    for row in (
        Row(f"check_refuses_a_token_{bad}", check(bad), Ok(False)),
        Row(f"logout_refuses_a_token_{bad}", logout(bad), LOGOUT_REFUSED),
        Row(f"read_refuses_a_token_{bad}", get("k", token=bad), UNAUTHENTICATED, (put({"k": 1}),)),
        Row(f"write_refuses_a_token_{bad}", put({"k": 1}, token=bad), UNAUTHENTICATED),
    )
]

ORDER = [
    Row("read_checks_the_shape_before_the_token", Call("get", (["k", 1],), "expired"), Refused("malformed")),
    Row("write_checks_the_shape_before_the_token", put("text", token="expired"), Refused("malformed")),
    Row("read_checks_the_token_before_the_rules", get(token="expired"), UNAUTHENTICATED),
    Row("read_checks_the_token_before_repetition", get("k", "k", token="expired"), UNAUTHENTICATED),
    Row("read_checks_the_token_before_the_length_of_a_key", get("", token="expired"), UNAUTHENTICATED),
    Row("write_checks_the_token_before_the_rules", put({}, token="expired"), UNAUTHENTICATED),
    Row("write_checks_the_token_before_the_length_of_a_key", put({"": 1}, token="expired"), UNAUTHENTICATED),
    Row("read_checks_repetition_before_existence", get("no", "no"), repeated("no")),
]

ABC = put({"a": 1, "b": None, "c": [3]})
READ = [
    Row("read_gives_one_value", get("a"), Ok({"a": 1}), (ABC,)),
    Row("read_gives_members_in_the_order_of_the_request", get("c", "a", "b"), Ok({"c": [3], "a": 1, "b": None}), (ABC,)),
    Row("read_tells_null_from_missing", get("b"), Ok({"b": None}), (ABC,)),
    Row("read_needs_a_key", get(), NO_KEYS),
    Row("read_names_a_missing_key", get("z"), missing("z")),
    Row("read_names_all_missing_keys_in_order", get("z", "a", "y", "x"), missing("z y x"), (ABC,)),
    Row("read_names_repeated_keys_once_in_order", get("b", "a", "c", "a", "b", "b"), repeated("b a"), (ABC,)),
    Row("read_takes_keys_that_differ_by_case", get("A", "a"), missing("A"), (ABC,)),
    Row("read_names_missing_keys_in_unicode", get("ключ", "🗝"), missing("ключ 🗝")),
    Row("read_takes_keys_as_they_are", get(" a", "a "), missing(" a a "), (ABC,)),
    Row("read_looks_an_empty_key_up", get("a", ""), missing(""), (ABC,)),
    Row("read_takes_a_key_of_1024_bytes", get("ж" * 512), Ok({"ж" * 512: 1}), (put({"ж" * 512: 1}),)),
    Row("read_looks_a_key_of_1025_bytes_up", get("k" * 1025), Refused("missing_keys")),
]

WRITE = [
    Row("write_inserts_all_pairs", put({"k1": 1, "k2": "two"}), Ok([]), then=((get("k1", "k2"), Ok({"k1": 1, "k2": "two"})),)),
    Row("write_keeps_the_value_of_an_existing_key", put({"k1": 2}), Ok(["k1"]), (put({"k1": 1}),), ((get("k1"), Ok({"k1": 1})),)),
    Row("write_keeps_an_existing_null", put({"k1": 2}), Ok(["k1"]), (put({"k1": None}),), ((get("k1"), Ok({"k1": None})),)),
    Row(
        "write_names_existing_keys_and_writes_the_rest",
        put({"k1": 0, "k2": 2, "k3": 0}),
        Ok(["k1", "k3"]),
        (put({"k1": 1, "k3": 3}),),
        ((get("k1", "k2", "k3"), Ok({"k1": 1, "k2": 2, "k3": 3})),),
    ),
    Row("write_needs_a_key", put({}), NO_KEYS),
    Row("write_refuses_an_empty_key_and_the_whole_batch", put({"k1": 1, "": 2}), Refused("bad_key"), then=((get("k1"), missing("k1")),)),
    Row("write_refuses_a_key_of_1025_bytes", put({"k" * 1025: 1}), Refused("bad_key")),
    Row("write_takes_a_key_of_1024_bytes", put({"k" * 1024: 1}), Ok([]), then=((get("k" * 1024), Ok({"k" * 1024: 1})),)),
    Row("write_takes_a_key_with_a_nul", put({"a\0b": 1}), Ok([]), then=((get("a\0b"), Ok({"a\0b": 1})), (get("a"), missing("a")))),
    Row("write_refuses_a_value_nested_too_deep", put({"k1": 1, "k2": nested(65)}), Refused("too_deep"), then=((get("k1"), missing("k1")),)),
]

# Written and read back over every transport, and over every transport what another one wrote.
VALUES = {
    "null": None, "true": True, "false": False, "empty_text": "", "text": "text", "text_like_a_number": "1e5",
    "unicode": "жук 🪲 \u2028 é e\u0301", "escapes": "\"\\/\b\f\n\r\t\x7f", "nul": "a\0b",
    "last_code_points": "\ud7ff\ue000\uffff\U0010ffff", "long_text": "я" * 70_000,
    "zero": 0, "minus_one": -1, "i64_min": -(2**63), "i64_min_next": 1 - 2**63, "i64_max": 2**63 - 1, "u63": 2**63,
    "u64_max": 2**64 - 1, "u64_max_previous": 2**64 - 2, "above_double": 2**53 + 1, "below_double": -(2**53) - 1,
    "tenth": 0.1, "sum": 0.1 + 0.2, "third": 1 / 3, "whole_double": 1.0, "big_whole_double": 1e15,
    "negative_zero": -0.0, "double_max": 1.7976931348623157e308, "double_min": -1.7976931348623157e308,
    "double_tiny": 5e-324, "double_normal": 2.2250738585072014e-308, "double_above_u64": 18446744073709551616.0,
    "empty_array": [], "empty_object": {}, "empty_inside": [[], {}, [{}], {"a": [], "b": {}}],
    "nulls": [None, None, {"a": None}, None], "mixed": [1, "a", None, True, 2.5, [], {}],
    "nested": {"a": {"b": [1, {"c": [None, -1.5, {"d": "e"}]}]}}, "member_without_name": {"": 1},
    "unicode_members": {"ключ": 1, "🗝": 2, "a b": 3}, "members_out_of_order": {"z": 1, "a": 2, "m": 3},
    "many_members": {f"m{n}": n for n in range(40)}, "long_array": list(range(70_000)),
    "as_deep_as_allowed": nested(64),
}  # fmt: skip
EDGES = [n for bits in (5, 7, 8, 15, 16, 31, 32, 53, 63) for n in (2**bits - 1, 2**bits, -(2**bits), -(2**bits) - 1)]
VALUES["integers_of_every_width"] = [n for n in EDGES if n >= -(2**63)]

WRITE += [
    Row(f"write_then_read_gives_{name}", put({"k": value}), Ok([]), then=((get("k"), Ok({"k": value})),)) for name, value in VALUES.items()
]

ROWS = [*REGISTER, *LOGIN, *TOKENS, *ORDER, *READ, *WRITE]
assert len({row.name for row in ROWS}) == len(ROWS), "the name of a row is its identity"
