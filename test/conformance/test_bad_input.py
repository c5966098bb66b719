"""What is malformed over each transport: a clear error of its own, nothing written, the process serving as before.

A password never comes back in an answer and never reaches the log, however the call that held it was broken.
"""

import socket
import struct

import msgpack
import pytest

from support import harness
from support.contract import GOOD
from support.iproto import FAILED, INVALID_MSGPACK, RawIproto
from support.outcome import ERRORS, Ok, Refusal
from support.transports import PROCEDURES, bearer

SECRET = "Unseen-Passw0rd!"
REGISTER, LOGIN, LOGOUT, CHECK, GET, PUT = PROCEDURES.values()


@pytest.fixture(autouse=True)
def nothing_written_and_still_serving(instance, http, token, console):
    """Around every test of this file: the spaces are as they were, and the instance does its work."""
    contents = "return {box.space.user:select(), box.space.key_value_store:select()}"
    before = console.evaluate(contents)
    yield
    assert console.evaluate(contents) == before
    assert instance.is_running()
    assert http.check(token) == Ok(True)
    assert SECRET not in instance.log()


def pack(value) -> bytes:
    return msgpack.packb(value, use_bin_type=True)


def args(*values: bytes) -> bytes:
    """An array of arguments that are msgpack already."""
    return bytes([0x90 + len(values)]) + b"".join(values)


def nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\xc0"


BAD_UTF8 = b"\xa4ab\xff\xfe"
BINARY, EXTENSION, DECIMAL = b"\xc4\x02ab", b"\xd4\x05x", b"\xc7\x03\x01\x01\x2a\x0c"
NOT_FINITE = [b"\xcb" + struct.pack(">d", number) for number in (float("inf"), float("-inf"), float("nan"))]
SHAPE = {"malformed", "bad_value"}
TEXTS = [pack(SECRET), pack(GOOD), pack("Bob"), pack("Stone")]
# Any text will do: the shape is checked before the token.
TOKEN = pack("x")

BAD_ARGUMENTS = {
    "no_register_arguments": (REGISTER, args(), SHAPE),
    "no_login_arguments": (LOGIN, args(), SHAPE),
    "no_logout_arguments": (LOGOUT, args(), SHAPE),
    "no_check_arguments": (CHECK, args(), SHAPE),
    "no_get_arguments": (GET, args(), SHAPE),
    "no_put_arguments": (PUT, args(), SHAPE),
    "too_few_register_arguments": (REGISTER, args(*TEXTS[:3]), SHAPE),
    "too_few_get_arguments": (GET, args(TOKEN), SHAPE),
    "too_many_register_arguments": (REGISTER, args(*TEXTS, pack(SECRET)), SHAPE),
    "too_many_login_arguments": (LOGIN, args(pack("bob1"), pack(SECRET), pack(SECRET)), SHAPE),
    "too_many_put_arguments": (PUT, args(TOKEN, pack({"k": 1}), pack(1)), SHAPE),
    "keys_are_a_map": (GET, args(TOKEN, pack({"k": 1})), SHAPE),
    "keys_are_text": (GET, args(TOKEN, pack("k")), SHAPE),
    "keys_are_numbers": (GET, args(TOKEN, pack([1])), SHAPE),
    "keys_are_null": (GET, args(TOKEN, pack([None])), SHAPE),
    "keys_are_binary": (GET, args(TOKEN, pack([b"k"])), SHAPE),
    "keys_are_arrays": (GET, args(TOKEN, pack([["k"]])), SHAPE),
    "keys_are_not_utf8": (GET, args(TOKEN, b"\x91" + BAD_UTF8), SHAPE | {"bad_key"}),
    "keys_nest_deep": (GET, args(TOKEN, nested(100_000)), {"malformed", "too_deep", "input_too_large"}),
    "pairs_are_an_array": (PUT, args(TOKEN, pack(["k", 1])), SHAPE),
    "pairs_are_text": (PUT, args(TOKEN, pack(SECRET)), SHAPE),
    "pairs_are_named_by_numbers": (PUT, args(TOKEN, pack({1: "a"})), SHAPE),
    "pairs_are_named_by_null": (PUT, args(TOKEN, pack({None: "a"})), SHAPE),
    "pairs_are_named_by_binary": (PUT, args(TOKEN, pack({b"k": 1})), SHAPE),
    "pairs_are_named_by_arrays": (PUT, args(TOKEN, b"\x81\x91\x01\x01"), SHAPE),
    "pairs_are_named_by_what_is_not_utf8": (PUT, args(TOKEN, b"\x81" + BAD_UTF8 + b"\x01"), SHAPE | {"bad_key"}),
}
BAD_ARGUMENTS |= {
    f"register_argument_{place}_is_{what}": (REGISTER, args(*TEXTS[:place], wrong, *TEXTS[place + 1 :]), allowed)
    for place in range(4)
    for what, wrong, allowed in [
        ("null", b"\xc0", SHAPE), ("a_number", b"\x01", SHAPE), ("an_array", b"\x91" + TEXTS[0], SHAPE),
        ("a_map", b"\x81" + TEXTS[0] + b"\x01", SHAPE), ("binary", BINARY, SHAPE), ("an_extension", EXTENSION, SHAPE),
        ("not_utf8", BAD_UTF8, SHAPE), ("deep", nested(100_000), {"malformed", "too_deep", "input_too_large"}),
    ]
}  # fmt: skip
BAD_ARGUMENTS |= {
    f"{procedure.removeprefix('authkv.')}_token_is_{what}": (procedure, args(wrong, *rest), SHAPE | {"unauthenticated"})
    for procedure, rest in ((LOGOUT, ()), (CHECK, ()), (GET, (pack(["k"]),)), (PUT, (pack({"k": 1}),)))
    for what, wrong in [("null", b"\xc0"), ("a_number", b"\x01"), ("binary", BINARY), ("not_utf8", BAD_UTF8)]
}
BAD_VALUES = {
    "binary": BINARY, "an_extension": EXTENSION, "a_decimal": DECIMAL, "not_utf8": BAD_UTF8,
    "named_by_a_number": b"\x81\x01\x02", "named_by_an_array": b"\x81\x90\x02", "infinite": NOT_FINITE[0],
    "minus_infinite": NOT_FINITE[1], "not_a_number": NOT_FINITE[2], "a_float_infinity": b"\xca\x7f\x80\x00\x00",
}  # fmt: skip
BAD_ARGUMENTS |= {
    f"a_value_is_{what}": (PUT, args(TOKEN, b"\x82\xa2k1\x01\xa2k2" + wrong), {"bad_value"}) for what, wrong in BAD_VALUES.items()
}
BAD_ARGUMENTS |= {
    f"a_value_holds_what_is_{what}": (PUT, args(TOKEN, b"\x81\xa1k\x92\x01" + wrong), {"bad_value"}) for what, wrong in BAD_VALUES.items()
}
BAD_ARGUMENTS |= {
    f"a_value_nests_{depth}_deep": (PUT, args(TOKEN, b"\x81\xa1k" + nested(depth)), {"too_deep"})
    for depth in (65, 1000, 100_000, 1_000_000)
}
MAPS = b"\x81\xa1k" * 100_000 + b"\xc0"
BAD_ARGUMENTS["a_value_nests_maps_deep"] = (PUT, args(TOKEN, MAPS), {"too_deep"})


@pytest.mark.parametrize("procedure,raw,allowed", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_a_procedure_refuses_arguments_of_another_shape(instance, procedure, raw, allowed):
    with RawIproto(instance) as client:
        seen = client.call(procedure, raw)
    if procedure == CHECK and seen == Ok([[{"authorized": False}]]) and "unauthenticated" in allowed:
        return  # check never fails where the number of its arguments is right
    if DECIMAL in raw and harness.version() >= (2, 11):
        # A broken decimal does not come as far as authkv: see documentation/commands/values.md.
        assert seen.code == INVALID_MSGPACK and seen.name.startswith("Invalid MsgPack"), seen
        return
    assert isinstance(seen, Refusal) and seen.name in allowed, seen
    assert seen.code == ERRORS[seen.name][0] and SECRET not in seen.message


BROKEN_PACKETS = {
    "arguments_are_a_map": pack({"k": 1}),
    "arguments_are_text": pack(SECRET),
    "arguments_are_null": b"\xc0",
    "an_array_promises_more_than_there_is": b"\xdd\xff\xff\xff\xff",
    "a_map_promises_more_than_there_is": args(TOKEN, b"\xdf\xff\xff\xff\xff"),
    "a_string_promises_more_than_there_is": args(TOKEN, b"\xdb\xff\xff\xff\xffk"),
    "a_reserved_byte": args(TOKEN, b"\x81\xa1k\xc1"),
    **{f"cut_at_{end}": (args(*TEXTS))[:end] for end in range(len(args(*TEXTS)))},
}


@pytest.mark.parametrize("raw", BROKEN_PACKETS.values(), ids=BROKEN_PACKETS)
def test_a_packet_that_is_no_msgpack_is_refused(instance, raw):
    """Tarantool refuses most of these itself, by an error or by closing the connection."""
    with RawIproto(instance) as client:
        try:
            seen = client.call(REGISTER, raw)
        except ConnectionError:
            return
    assert isinstance(seen, Refusal) and 0 < seen.code < FAILED and SECRET not in seen.message, seen


def test_bytes_that_are_no_packet_leave_others_served(instance):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\xce\xff\xff\xff\xff", b"\xce\x00\x00\x00\x05abc"):
        client = RawIproto(instance, user=None)
        client.send(garbage)
        client.socket.shutdown(socket.SHUT_WR)
        client.close()


def test_texts_in_longer_encodings_are_the_same_keys(instance, token):
    """`k` may be written in four ways; they are one key, for repetition as for pairs."""
    short, long, longer = b"\xa1k", b"\xd9\x01k", b"\xda\x00\x01k"
    with RawIproto(instance) as client:
        assert client.call(GET, args(pack(token), b"\x92" + short + long)) == Refusal(
            "repeated_keys", ERRORS["repeated_keys"][0], "Incorrect keys: you cannot pass identical keys: k"
        )
        seen = client.call(PUT, args(pack(token), b"\x83" + short + b"\x01" + longer + b"\x02\xa0\x03"))
        assert seen.name == "bad_key"
        assert client.call(GET, args(pack(token), b"\x91" + longer)).message == "These keys don't exist: k"


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


HTTP_BODIES = {
    "nested_100_000_deep": b'{"data": {"k": ' + deep(100_000) + b"}}",
    "nested_deep_and_cut": b'{"data": {"k": ' + b"[" * 100_000,
    "objects_nested_deep": b'{"data": {"k": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_002,
    "nested_one_level_too_deep": b'{"data": {"k": ' + deep(65) + b"}}",
    "nested_deep_in_a_member_that_is_ignored": b'{"data": {"k": 1}, "x": ' + deep(100_000) + b"}",
    "invalid_utf8_in_a_value": b'{"data": {"k": "a\xffb"}}',
    "invalid_utf8_in_a_key": b'{"data": {"k\xc3": 1}}',
    "overlong_utf8": b'{"data": {"k": "\xc0\xaf"}}',
    "a_surrogate_in_utf8": b'{"data": {"k": "\xed\xa0\x80"}}',
    "a_nul_in_a_string": b'{"data": {"k": "a\0b"}}',
    "a_nul_between_tokens": b'{"data":\0 {"k": 1}}',
    "a_nul_after_the_end": b'{"data": {"k": 1}}\0',
    "a_newline_in_a_string": b'{"data": {"k": "a\nb"}}',
    "a_lone_high_surrogate": rb'{"data": {"k": "\ud800"}}',
    "a_lone_low_surrogate": rb'{"data": {"k": "\udc00"}}',
    "surrogates_in_the_wrong_order": rb'{"data": {"k": "\udc00\ud800"}}',
    "a_lone_surrogate_in_a_key": rb'{"data": {"\ud800": 1}}',
    "a_number_above_double": b'{"data": {"k": 1e999}}',
    "a_number_below_double": b'{"data": {"k": -1e999}}',
    "an_integer_above_double": b'{"data": {"k": ' + b"9" * 400 + b"}}",
    "utf16": '{"data": {"k": 1}}'.encode("utf-16"),
    "only_nuls": b"\0" * 1000,
}


@pytest.mark.parametrize("raw", HTTP_BODIES.values(), ids=HTTP_BODIES)
def test_a_body_that_is_no_json_or_holds_what_cannot_be_kept_is_refused(http, token, raw):
    response = http.request("POST", "/api/write/", raw, bearer(token))
    assert response.status == 422 and response.json.keys() == {"message"} and response.json["message"]


REQUESTS = {
    "a_line_that_is_no_request": b"hello\r\n\r\n",
    "binary": bytes(range(256)),
    "a_tls_hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
    "an_unknown_version": b"POST /api/check HTTP/9.9\r\nHost: x\r\n\r\n",
    "a_header_without_a_colon": b"POST /api/check HTTP/1.1\r\nHost x\r\n\r\n",
    "a_nul_in_a_header": b"GET /api/logout HTTP/1.1\r\nAuthorization: Bearer \0\r\n\r\n",
    "a_length_that_is_no_number": b"POST /api/check HTTP/1.1\r\nContent-Length: ten\r\n\r\n{}",
    "a_negative_length": b"POST /api/check HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}",
    "two_lengths": b"POST /api/check HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "headers_above_8_kib": b"GET /api/logout HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
    "a_chunk_of_no_size": b"POST /api/check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("raw", REQUESTS.values(), ids=REQUESTS)
def test_what_is_no_http_is_refused_and_the_connection_closed(instance, raw):
    with socket.create_connection((harness.HOST, instance.http_port), timeout=harness.DEADLINE) as client:
        seen = b""
        try:
            client.sendall(raw)
            while chunk := client.recv(65536):
                seen += chunk
        except ConnectionError:
            pass
    status = seen.split(b" ")[1] if seen else b""
    assert status in (b"400", b"422", b"431", b"505") and SECRET.encode() not in seen


def test_a_body_that_ends_early_writes_nothing(instance, token):
    body = b'{"data": {"k": 1}}'
    head = f"POST /api/write HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Length: {len(body) + 1}\r\n\r\n"
    with socket.create_connection((harness.HOST, instance.http_port), timeout=harness.DEADLINE) as client:
        client.sendall(head.encode() + body)
        client.shutdown(socket.SHUT_WR)
        seen = client.recv(65536)
    assert seen.split(b" ")[1] in (b"400", b"422")


CONSOLE_CALLS = {
    "register_without_a_name": f"authkv.register{{login = 'bob1', password = '{SECRET}', surname = 'Stone'}}",
    "register_a_number": f"authkv.register{{login = 1, password = '{SECRET}', name = 'Bob', surname = 'Stone'}}",
    "register_a_table_as_password": f"authkv.register{{login = 'bob1', password = {{'{SECRET}'}}, name = 'B'}}",
    "login_nothing": "authkv.login()",
    "login_without_a_password": "authkv.login('bob1')",
    "login_a_table": f"authkv.login('bob1', {{'{SECRET}'}})",
    "login_not_utf8": f"authkv.login('bob1', '{SECRET}\\255')",
    "get_nothing": "authkv.get()",
    "get_a_number": "authkv.get(5)",
    "get_numbers": "authkv.get{1, 2}",
    "get_a_map": "authkv.get{a = 1}",
    "put_nothing": "authkv.put()",
    "put_text": "authkv.put('a')",
    "put_a_list": "authkv.put{'a', 'b'}",
    "put_not_utf8": "authkv.put{a = '\\255'}",
    "put_infinity": "authkv.put{a = 1 / 0}",
    "put_not_a_number": "authkv.put{a = 0 / 0}",
    "put_a_decimal": "authkv.put{a = require('decimal').new('1.5')}",
    "put_as_another_nothing": "authkv.as('x').put()",
    "get_as_nobody": "authkv.as().get{'a'}",
    "logout_nothing": "authkv.logout()",
}


@pytest.mark.parametrize("call", CONSOLE_CALLS.values(), ids=CONSOLE_CALLS)
def test_the_console_returns_an_error_for_a_wrong_call(console, call):
    seen = console.outcome(call)
    assert isinstance(seen, Refusal) and seen.name in SHAPE | {"too_deep", "unauthenticated"}, seen
    assert seen.code == ERRORS[seen.name][0] and SECRET not in seen.message


CONSOLE_MISUSES = {
    "register_nothing": "authkv.register()",
    "register_text": f"authkv.register('{SECRET}')",
    "put_a_function": f"authkv.put{{a = '{SECRET}', b = print}}",
    "put_an_endless_table": "(function() local t = {} t.t = t return authkv.put(t) end)()",
}


@pytest.mark.parametrize("call", CONSOLE_MISUSES.values(), ids=CONSOLE_MISUSES)
def test_the_console_raises_or_returns_an_error_for_what_is_no_value_at_all(console, call):
    (ok, error), *_ = console.evaluate(f"return {{pcall(function() local v, err = {call} return v or error(err) end)}}")
    assert ok is False and error and SECRET not in str(error)
