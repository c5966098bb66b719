"""Values that JSON does not have: unchanged over iproto and Lua, and in forms of their own in the JSON of /v1, both ways."""

import base64
import json
import struct
from decimal import Decimal
from urllib.parse import quote
from uuid import UUID

import msgpack
import pytest
from msgpack import ExtType

from support.bulk import line, refused
from support.harness import version
from support.iproto import INVALID_MSGPACK, RawIproto
from support.lua import lua
from support.outcome import ANY, Ok, Refusal, Refused, identical
from support.transports import TRANSPORTS, bearer
from support.v1 import problem
from support.values import DATETIME, INTERVAL, broken, from_json, pack, to_json

AN_UUID = UUID("c8f0fa1f-da29-438c-a040-393f1126ad39")


@pytest.fixture(scope="module")
def raw(instance):
    with RawIproto(instance) as client:
        yield client


@pytest.fixture(scope="module")
def has_datetime(people) -> bool:
    """Whether this Tarantool has datetime and interval, which it has had since 2.10."""
    return people.console.evaluate("return (pcall(require, 'datetime'))") == [True]


# Values of every type that is stored, and inside of others.
DECIMALS = ["0", "1.50", "-1.5", "0.00001", "12345678901234567890123456789012345678", "-0.000000000000000000000000000000000001"]
STORED = {
    "bytes": b"\x00\xff\x80", "no_bytes": b"", "bytes_that_are_text": b"text", "all_bytes": bytes(range(256)),
    "many_bytes": b"\xfe" * 70_000,
    "a_uuid": AN_UUID, "the_nil_uuid": UUID(int=0), "the_last_uuid": UUID(int=2**128 - 1 - (1 << 61)),
    **{f"the_decimal_{text[:12]}": Decimal(text) for text in DECIMALS},
    "types_inside": {"a": [b"\x01", {"b": Decimal("2.50"), "c": [AN_UUID, None, 1.5]}], "d": b"\xff"},
    "an_array_of_types": [b"\xff", Decimal(1), AN_UUID, [b""]],
}  # fmt: skip
# Not bytes: their length and type are those of a string, but they are no UTF-8.
BROKEN = {
    "a_lone_continuation": b"\x80", "text_then_not": b"ab\xff", "an_overlong_form": b"\xc0\xaf", "a_surrogate": b"\xed\xa0\x80",
    "a_character_cut_short": "ж".encode()[:1], "above_the_last": b"\xf4\x90\x80\x80", "with_a_nul": b"\x00\xff\x00",
}  # fmt: skip


@pytest.mark.parametrize("reader", TRANSPORTS)
@pytest.mark.parametrize("writer", TRANSPORTS)
def test_what_one_transport_writes_every_transport_reads(people, token, key, writer, reader):
    pairs = [{"key": f"{key}/{name}", "value": value} for name, value in STORED.items()]
    people.expect(writer, ANY, "batch_put", token, pairs)
    seen = people.expect(reader, ANY, "batch_get", token, [one["key"] for one in pairs])["pairs"]
    exact = people.transport(writer).exact and people.transport(reader).exact
    for one, shown in zip(pairs, seen, strict=True):
        assert identical(shown["value"], one["value"], exact), (one, shown)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_operation_gives_the_types_back(people, token, key, transport):
    value, exact = STORED["types_inside"], people.transport(transport).exact
    people.expect(transport, ANY, "pair_put", token, key, value)
    steps = {
        "compare": [{"key": key, "value": value}],
        "success": [{"op": "get", "key": key}, {"op": "put", "key": f"{key}/2", "value": value}],
    }
    txn = people.expect(transport, ANY, "kv_txn", token, steps)
    listed = people.expect(transport, ANY, "kv_list", token, {"prefix": key})["pairs"]
    if exact:
        assert txn["succeeded"], "values of the same types are equal"
        assert identical(txn["results"][0]["value"], value, True)
    assert listed and all(identical(one["value"], value, exact) for one in listed)
    assert identical(people.expect(transport, ANY, "pair_get", token, key)["value"], value, exact)


def arguments(*args: bytes) -> bytes:
    return bytes([0x90 + len(args)]) + b"".join(args)


def string(data: bytes) -> bytes:
    """msgpack of a string of these bytes, whatever they are."""
    return pack(broken(data))


def put_raw(raw: RawIproto, token: str, key: str, value: bytes) -> Ok | Refusal:
    return raw.call("authkv.pair_put", arguments(pack(token), pack(key), value))


def get_raw(raw: RawIproto, token: str, key: str):
    seen = raw.call("authkv.pair_get", arguments(pack(token), pack(key)))
    assert isinstance(seen, Ok), seen
    return seen.value[0][0]["value"]


@pytest.mark.parametrize("name", BROKEN)
def test_a_string_that_is_no_utf8_is_kept_as_it_is(people, raw, token, key, name):
    data = BROKEN[name]
    for value in (broken(data), [broken(data)], {"a": broken(data)}):
        assert isinstance(put_raw(raw, token, key, pack(value)), Ok)
        assert get_raw(raw, token, key) == value
        shown = people.transport("netbox").do("pair_get", token, key).value["value"]
        assert shown == value
        # JSON shows its bytes, which it cannot tell from bin.
        response = people.http.request("POST", "/v1/batch/get", {"keys": [key]}, bearer(token))
        expected = {"$binary": base64.b64encode(data).decode()}
        inside = [expected] if isinstance(value, list) else {"a": expected} if isinstance(value, dict) else expected
        assert response.json["pairs"][0]["value"] == inside


@pytest.mark.parametrize("transport", ["netbox", "console", "owner"])
def test_lua_writes_a_string_that_is_no_utf8(people, raw, token, key, transport):
    for data in BROKEN.values():
        people.expect(transport, ANY, "pair_put", token, key, broken(data))
        assert people.expect(transport, ANY, "pair_get", token, key)["value"] == broken(data)
        assert get_raw(raw, token, key) == broken(data)


def test_bytes_and_text_are_not_the_same_type(raw, token, key):
    for packed in (b"\xc4\x02ab", b"\xa2ab"):
        assert isinstance(put_raw(raw, token, key, packed), Ok)
        answer = raw.call("authkv.pair_get", arguments(pack(token), pack(key))).value[0][0]
        assert pack(answer["value"]) == packed


def test_a_type_written_in_lua_is_read_by_a_driver(people, token, key):
    console = people.console
    console.outcome(f"authkv.pair.put('{key}', {{d = require('decimal').new('1.50'), u = require('uuid').fromstr('{AN_UUID}')}})")
    seen = people.expect("iproto", ANY, "pair_get", token, key)["value"]
    assert seen == {"d": Decimal("1.50"), "u": AN_UUID} and str(seen["d"]) == "1.50"


# A value, and its JSON.
FORMS = [
    (b"", {"$binary": ""}), (b"\x00\xff", {"$binary": "AP8="}), (b"text", {"$binary": "dGV4dA=="}),
    (Decimal("1.50"), {"$decimal": "1.50"}), (Decimal(-3), {"$decimal": "-3"}), (AN_UUID, {"$uuid": str(AN_UUID)}),
    ([b"\x01", {"a": AN_UUID}], [{"$binary": "AQ=="}, {"a": {"$uuid": str(AN_UUID)}}]),
    ({"$binary": "AP8="}, {"$map": {"$binary": "AP8="}}), ({"$binary": 5}, {"$map": {"$binary": 5}}),
    ({"$decimal": "x"}, {"$map": {"$decimal": "x"}}),
    ({"$uuid": None}, {"$map": {"$uuid": None}}), ({"$datetime": "x"}, {"$map": {"$datetime": "x"}}),
    ({"$ext": []}, {"$map": {"$ext": []}}),
    ({"$map": {}}, {"$map": {"$map": {}}}), ({"$map": {"$map": 1}}, {"$map": {"$map": {"$map": {"$map": 1}}}}),
    ({"$binary": b"\x01"}, {"$map": {"$binary": {"$binary": "AQ=="}}}),
    ({"$binary": "AA==", "a": 1}, {"$binary": "AA==", "a": 1}), ({"$map": {}, "$ext": 1}, {"$map": {}, "$ext": 1}),
    ({"$other": 1}, {"$other": 1}),
    ({"$": 1}, {"$": 1}), ({"binary": "AA=="}, {"binary": "AA=="}), ({"$Binary": "AA=="}, {"$Binary": "AA=="}),
    ([{"$map": 1}], [{"$map": {"$map": 1}}]),
    ({"a": {"$binary": "x"}}, {"a": {"$map": {"$binary": "x"}}}),
]  # fmt: skip


@pytest.mark.parametrize("value,form", FORMS, ids=[json.dumps(form) for _, form in FORMS])
def test_a_value_has_one_form_in_json_both_ways(people, token, key, value, form):
    assert (to_json(value), from_json(form)) == (form, value), "the tests themselves"
    http = people.http
    people.expect("iproto", ANY, "pair_put", token, key, value)
    assert http.request("POST", "/v1/batch/get", {"keys": [key]}, bearer(token)).json["pairs"][0]["value"] == form
    if isinstance(value, bytes):
        assert http.request("GET", f"/v1/kv/{key.replace('/', '%2F')}", None, bearer(token)).body == value
    else:
        assert http.request("GET", f"/v1/kv/{key.replace('/', '%2F')}", None, bearer(token)).json == form
    for path, body in (
        ("/v1/batch/put", {"pairs": [{"key": key, "value": form}]}),
        ("/v1/txn", {"success": [{"op": "put", "key": key, "value": form}]}),
    ):
        assert http.request("POST", path, body, bearer(token)).status == 200
        assert identical(people.expect("iproto", ANY, "pair_get", token, key)["value"], value, True)
    assert http.request("PUT", f"/v1/kv/{key.replace('/', '%2F')}", form, bearer(token)).status == 200
    assert identical(people.expect("iproto", ANY, "pair_get", token, key)["value"], value, True)
    compared = {"compare": [{"key": key, "value": form}]}
    assert http.request("POST", "/v1/txn", compared, bearer(token)).json["succeeded"]


# What looks like a form and is none.
NOT_FORMS = [
    {"$binary": 1}, {"$binary": None}, {"$binary": "*"}, {"$binary": "AP8"}, {"$binary": "AP8=="}, {"$binary": "AP 8="}, {"$binary": {}},
    {"$decimal": 1.5}, {"$decimal": ""}, {"$decimal": "x"}, {"$decimal": "NaN"}, {"$decimal": "1" * 39}, {"$uuid": "c8f0fa1f"},
    {"$uuid": 5},
    {"$uuid": "g" * 36}, {"$datetime": "yesterday"}, {"$datetime": 5}, {"$ext": {}}, {"$ext": {"type": 1}},
    {"$ext": {"type": "1", "data": ""}},
    {"$ext": {"type": 300, "data": ""}}, {"$ext": {"type": 1, "data": "*"}}, {"$map": 5}, {"$map": [1]}, {"$map": None}, {"$map": "x"},
    {"$uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff"}, {"$ext": {"type": 2, "data": "/////////////////////w=="}},
]  # fmt: skip


@pytest.mark.parametrize("form", NOT_FORMS, ids=json.dumps)
def test_a_form_that_says_nothing_is_refused(people, token, key, form):
    for value in (form, [form], {"a": form}):
        response = people.http.request("POST", "/v1/batch/put", {"pairs": [{"key": key, "value": value}]}, bearer(token))
        seen = problem(response, token)
        assert seen.name == "bad_value", (value, seen)
    people.expect("http", Refused("no_such_key"), "pair_get", token, key)


# What is read, and not written: maps that need no `$map`.
NEEDLESS = [{"a": 1}, {}, {"$binary": 1, "a": 2}, {"a": {"$binary": "AP8="}}]


@pytest.mark.parametrize("inner", NEEDLESS, ids=json.dumps)
def test_a_map_may_be_marked_as_one_where_it_need_not(people, token, key, inner):
    value = {name: from_json(one) for name, one in inner.items()}
    for form, whole, shown in (
        ({"$map": inner}, value, inner),
        ([{"$map": inner}], [value], [inner]),
        ({"b": {"$map": inner}}, {"b": value}, {"b": inner}),
    ):
        assert people.http.request("POST", "/v1/batch/put", {"pairs": [{"key": key, "value": form}]}, bearer(token)).status == 200
        assert identical(people.expect("iproto", ANY, "pair_get", token, key)["value"], whole, True)
        assert people.http.request("POST", "/v1/batch/get", {"keys": [key]}, bearer(token)).json["pairs"][0]["value"] == shown


def test_a_decimal_is_read_as_tarantool_writes_it(people, token, key):
    """An $ext of a type that has a form of its own is that type, or it is refused; it is never stored as something else."""
    packed = msgpack.unpackb(pack(Decimal("1.50")))
    form = {"$ext": {"type": 1, "data": base64.b64encode(packed.data).decode()}}
    response = people.http.request("POST", "/v1/batch/put", {"pairs": [{"key": key, "value": form}]}, bearer(token))
    if response.status == 200:
        assert people.expect("iproto", ANY, "pair_get", token, key)["value"] == Decimal("1.50")
    else:
        assert problem(response, token).name in ("bad_value", "malformed")


MOMENT = struct.pack("<q", 1_234_567_890)
LATER = struct.pack("<qihh", 1_234_567_890, 123_456_789, 180, 0)
# Extensions that are not stored, whatever the version.
REFUSED = {
    "no_such_type": ExtType(99, b"x"), "no_such_type_without_bytes": ExtType(5, b""), "an_error": ExtType(3, b"\x80"),
    "an_application_type": ExtType(100, b"\x01\x02"), "a_broken_decimal": ExtType(1, b""), "a_decimal_of_no_digits": ExtType(1, b"\x00"),
    "a_short_uuid": ExtType(2, b"\x00" * 15), "a_long_uuid": ExtType(2, b"\x00" * 17),
    "a_uuid_of_no_variant": ExtType(2, b"\xff" * 16), "a_broken_moment": ExtType(DATETIME, b"\x00" * 3),
    "a_broken_interval": ExtType(INTERVAL, b"\x01\x63\x05"), "a_tuple": ExtType(7, b"\x00\x90"),
    "a_broken_tuple": ExtType(7, b"\xff"), "no_type_at_all": ExtType(0, b"\x90"),
}  # fmt: skip
# Those that 2.10 has and 2.6 has not.
LATER_TYPES = {
    "a_moment": ExtType(DATETIME, MOMENT), "a_moment_with_nanoseconds": ExtType(DATETIME, LATER),
    "an_interval": ExtType(INTERVAL, b"\x01\x00\x05"),
}  # fmt: skip


# From 2.11 on Tarantool's network thread checks the extensions it knows and refuses the whole packet: no procedure is called.
CHECKED = {
    (2, 11): {
        "an_error", "a_broken_decimal", "a_decimal_of_no_digits", "a_short_uuid", "a_long_uuid", "a_uuid_of_no_variant", "a_broken_moment",
        "a_broken_interval",
    },
    (3, 0): {
        "an_error", "a_broken_decimal", "a_decimal_of_no_digits", "a_short_uuid", "a_long_uuid", "a_broken_moment", "a_broken_interval",
        "a_broken_tuple",
    },
}  # fmt: skip


def is_refused(people, raw, token, key, value: ExtType, by_tarantool: bool = False) -> None:
    for whole in (value, [value], {"a": [value]}):
        put = put_raw(raw, token, key, pack(whole))
        batch = raw.call("authkv.batch_put", arguments(pack(token), pack([{"key": key, "value": whole}])))
        for seen in (put, batch):
            assert isinstance(seen, Refusal), (whole, seen)
            if by_tarantool:
                assert seen.code == INVALID_MSGPACK and seen.name.startswith("Invalid MsgPack"), (whole, seen)
            else:
                assert seen.name == "bad_value", (whole, seen)
    form = to_json(value)
    response = people.http.request("POST", "/v1/batch/put", {"pairs": [{"key": key, "value": form}]}, bearer(token))
    assert problem(response, token).name == "bad_value"
    people.expect("http", Refused("no_such_key"), "pair_get", token, key)


@pytest.mark.parametrize("name", REFUSED)
def test_an_extension_that_is_not_known_is_refused(people, raw, token, key, name):
    checked = [names for since, names in CHECKED.items() if version() >= since]
    is_refused(people, raw, token, key, REFUSED[name], bool(checked) and name in checked[-1])


@pytest.mark.parametrize("name", REFUSED)
def test_an_import_refuses_an_extension_the_same_on_every_version(people, token, key, tmp_path, name):
    body = line(key, to_json(REFUSED[name]))
    assert refused(people, token, body, {"line"}).name == "bad_value"
    file = tmp_path / "pairs.ndjson"
    file.write_bytes(body)
    seen = people.console.outcome(f"authkv.import({lua(str(file))})")
    assert isinstance(seen, Refusal) and seen.name == "bad_value", seen
    people.expect("http", Refused("no_such_key"), "pair_get", token, key)


@pytest.mark.parametrize("name", LATER_TYPES)
def test_datetime_and_interval_are_for_versions_that_have_them(people, raw, token, key, has_datetime, name):
    value = LATER_TYPES[name]
    if not has_datetime:
        is_refused(people, raw, token, key, value)
        return
    assert isinstance(put_raw(raw, token, key, pack(value)), Ok)
    assert get_raw(raw, token, key) == value
    form = people.http.request("POST", "/v1/batch/get", {"keys": [key]}, bearer(token)).json["pairs"][0]["value"]
    assert form.keys() == ({"$datetime"} if value.code == DATETIME else {"$ext"})
    people.http.request("POST", "/v1/batch/put", {"pairs": [{"key": key, "value": form}]}, bearer(token))
    assert get_raw(raw, token, key) == value


def test_a_moment_in_json_is_refused_where_there_are_none(people, token, key, has_datetime):
    form = {"$datetime": "2009-02-13T23:31:30.123456789+03:00"}
    response = people.http.request("POST", "/v1/batch/put", {"pairs": [{"key": key, "value": form}]}, bearer(token))
    if not has_datetime:
        assert problem(response, token).name == "bad_value"
        return
    assert people.http.request("POST", "/v1/batch/get", {"keys": [key]}, bearer(token)).json["pairs"][0]["value"] == form


NUMBERS = [float("inf"), float("-inf"), float("nan")]
# msgpack of what no operation stores.
NOT_STORED = {
    **{f"the_number_{number}": b"\xcb" + struct.pack(">d", number) for number in NUMBERS}, "a_short_infinity": b"\xca\x7f\x80\x00\x00",
    "a_map_named_by_numbers": b"\x81\x01\x02", "a_map_named_by_null": b"\x81\xc0\x02", "a_map_named_by_bytes": b"\x81\xc4\x01a\x02",
    "a_timestamp_of_msgpack": b"\xd6\xff\0\0\0\0", "a_map_named_by_what_is_no_utf8": b"\x81" + string(b"\xff") + b"\x02",
    "a_map_named_by_an_array": b"\x81\x90\x02",
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_STORED)
def test_what_cannot_be_shown_in_json_at_all_is_not_stored(people, raw, token, key, name):
    for packed in (NOT_STORED[name], b"\x91" + NOT_STORED[name], b"\x81\xa1a" + NOT_STORED[name]):
        seen = put_raw(raw, token, key, packed)
        assert isinstance(seen, Refusal) and seen.name == "bad_value", seen
    people.expect("http", Refused("no_such_key"), "pair_get", token, key)


def test_a_key_that_is_no_utf8_is_refused(raw, token):
    for procedure, args in [
        ("pair_put", (string(b"\xff"), b"\x01")),
        ("pair_get", (string(b"\xff"),)),
        ("batch_get", (b"\x91" + string(b"\xff"),)),
    ]:
        seen = raw.call(f"authkv.{procedure}", arguments(pack(token), *args))
        assert isinstance(seen, Refusal) and seen.name in ("malformed", "bad_key"), seen


def test_numbers_of_every_width_come_back_as_they_went(people, token, key):
    numbers = [n for bits in (7, 8, 15, 16, 31, 32, 53, 63) for n in (2**bits - 1, 2**bits, -(2**bits))] + [
        2**64 - 1,
        0.1,
        1.0,
        -0.0,
        5e-324,
        1e308,
    ]
    for transport in ("http", "iproto"):
        people.expect(transport, ANY, "pair_put", token, key, numbers)
        for reader in ("http", "iproto"):
            assert identical(people.expect(reader, ANY, "pair_get", token, key)["value"], numbers, True)


def test_values_with_types_are_compared_as_values(people, raw, token, key):
    for value, equal, other in [
        (b"\x01", b"\xc4\x01\x01", b"\xa1\x01"), (Decimal("1.50"), pack(Decimal("1.50")), pack(Decimal("1.51"))),
        (AN_UUID, pack(AN_UUID), pack(UUID(int=0))), (300, b"\xcf" + (300).to_bytes(8, "big"), b"\xcb" + struct.pack(">d", 300.0)),
        (-1, b"\xd3" + b"\xff" * 8, b"\xcf" + b"\xff" * 8), ({"a": 1, "b": 2}, b"\x82\xa1b\x02\xa1a\x01", b"\x82\xa1b\x01\xa1a\x02"),
    ]:  # fmt: skip
        people.expect("iproto", ANY, "pair_put", token, key, value)
        for packed, holds in ((equal, True), (other, False)):
            compare = b"\x81\xa7compare\x91\x82\xa3key" + pack(key) + b"\xa5value" + packed
            seen = raw.call("authkv.kv_txn", arguments(pack(token), compare))
            assert seen.value[0][0]["succeeded"] is holds, (value, packed)


def test_api_shows_what_it_showed(people, token, key):
    """The old operations know nothing of the forms: an object named like one is an object, both ways."""
    for transport in TRANSPORTS:
        value = {"$binary": "AP8="}
        people.expect(transport, Ok([]), "put", token, {f"{key}{transport}": value})
        people.everywhere(Ok({f"{key}{transport}": value}), "get", token, [f"{key}{transport}"])
        assert people.expect(transport, ANY, "pair_get", token, f"{key}{transport}")["value"] == value


@pytest.mark.parametrize("number", [2147483648.0, 16777216.0, 0.1, -1e10, 3.4028234663852886e38, 1e-45, -0.0, 1.5])
def test_a_short_float_is_the_double_that_it_is_wherever_it_is_read(people, raw, token, key, number):
    short = struct.pack(">f", number)
    (double,) = struct.unpack(">f", short)
    assert isinstance(put_raw(raw, token, key, b"\x93\xca" + short + b"\x81\xa1a\xca" + short + b"\x01"), Ok)
    expected = [double, {"a": double}, 1]
    who = bearer(token)
    old = people.http.request("POST", "/api/read", {"keys": [key]}, who).json["data"][key]
    batch = people.http.request("POST", "/v1/batch/get", {"keys": [key]}, who).json["pairs"][0]["value"]
    listed = people.http.request("GET", f"/v1/kv?prefix={key}", None, who).json["pairs"][0]["value"]
    exported = json.loads(people.http.request("GET", f"/v1/export?prefix={key}", None, who).body)["value"]
    single = people.http.request("GET", f"/v1/kv/{quote(key, safe='')}", None, who).json
    for shown in (old, batch, listed, exported, single):
        assert identical(shown, expected, True), shown
    for transport in TRANSPORTS:
        assert people.do(transport, "get", token, [key]).value[key][0] == double
        assert people.do(transport, "pair_get", token, key).value["value"][0] == double


def test_a_short_float_that_is_whole_is_added(raw, token, key):
    for packed in (b"\xca\x40\xe0\x00\x00", b"\xcb\x40\x1c\x00\x00\x00\x00\x00\x00", b"\x07"):
        assert isinstance(raw.call("authkv.kv_incr", arguments(pack(token), pack(key), b"\x81\xa2by" + packed)), Ok)
    assert get_raw(raw, token, key) == 21
    seen = raw.call("authkv.kv_incr", arguments(pack(token), pack(key), b"\x81\xa2by\xca\x3f\x00\x00\x00"))
    assert isinstance(seen, Refusal) and seen.name == "malformed"
