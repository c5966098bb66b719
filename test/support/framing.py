"""Requests that are broken, each by its name: their bytes, and the statuses that may answer them."""

from __future__ import annotations

from support.wire import BODY, CHECK

# The status of a broken frame; that of codings which RFC 9112 §6.1 would rather answer with 501; of versions.
BROKEN, CODING, VERSION, LARGE = {400}, {400, 501}, {400, 505}, {400, 413, 431}
CHUNKS = b"16\r\n" + BODY + b"\r\n0\r\n\r\n"
GET = b"GET /api/logout HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH, CHUNKED = b"Content-Length: 22\r\n", b"Transfer-Encoding: chunked\r\n"


def with_lines(lines: bytes, body: bytes = BODY, version: bytes = b"1.1") -> bytes:
    return b"POST /api/check HTTP/" + version + b"\r\nHost: x\r\n" + lines + b"\r\n" + body


def line(text: str, body: bytes = BODY) -> bytes:
    return with_lines(text.encode() + b"\r\n", body)


LENGTHS = {
    f"length_{text!r}": (line(f"Content-Length: {text}"), BROKEN)
    for text in (
        "22, 22", "22,22", "22, 23", "22,", ",22", "+22", "-22", "-0", "0x16", "16h", "2 2", "2\t2", "", " ", "22;", "22.0",
        "2_2", "1e1", "\u0662\u0662", "'22'", '"22"', "x", "22 x", "9" * 20, "18446744073709551638", "9" * 400,
    )
}  # fmt: skip
LENGTHS |= {
    "length_twice": (with_lines(LENGTH * 2), BROKEN),
    "length_twice_in_another_case": (with_lines(LENGTH + LENGTH.lower()), BROKEN),
    "length_twice_apart": (with_lines(LENGTH + b"X: y\r\n" + LENGTH), BROKEN),
    "another_length": (with_lines(LENGTH + b"Content-Length: 23\r\n"), BROKEN),
    "another_length_of_0_first": (with_lines(b"Content-Length: 0\r\n" + LENGTH), BROKEN),
    "length_after_an_empty_one": (with_lines(b"Content-Length:\r\n" + LENGTH), BROKEN),
    "length_twice_without_a_body": (GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n"), BROKEN),
    "length_with_a_vertical_tab": (line("Content-Length: \x0b22"), BROKEN),
}
CODINGS = {
    f"coding_{text!r}": (line(f"Transfer-Encoding: {text}", CHUNKS), CODING)
    for text in (
        "gzip, chunked", "chunked, chunked", "chunked,chunked", "xchunked", "chunkedx", "identity", "chunked, identity",
        "gzip", "", ",", "chunked;q=1", '"chunked"', "chunk ed", "chunked, x", "chunked\u00a0", "deflate", "x",
    )
}  # fmt: skip
CODINGS |= {
    "coding_twice": (with_lines(CHUNKED * 2, CHUNKS), BROKEN),
    "coding_twice_in_another_case": (with_lines(CHUNKED + CHUNKED.upper(), CHUNKS), BROKEN),
    "coding_and_identity": (with_lines(CHUNKED + b"Transfer-Encoding: identity\r\n", CHUNKS), CODING),
    "identity_and_coding": (with_lines(b"Transfer-Encoding: identity\r\n" + CHUNKED, CHUNKS), CODING),
    "coding_after_an_empty_one": (with_lines(b"Transfer-Encoding:\r\n" + CHUNKED, CHUNKS), CODING),
    "coding_in_http_1_0": (with_lines(CHUNKED, CHUNKS, b"1.0"), BROKEN),
    "coding_with_a_vertical_tab": (line("Transfer-Encoding: \x0bchunked", CHUNKS), BROKEN),
    "coding_with_a_nul": (line("Transfer-Encoding: chunked\0", CHUNKS), BROKEN),
    "coding_with_a_space_before_the_colon": (with_lines(b"Transfer-Encoding : chunked\r\n", CHUNKS), BROKEN),
    "coding_on_a_folded_line": (with_lines(b"Transfer-Encoding:\r\n chunked\r\n", CHUNKS), BROKEN),
}
# A body that ends at once for who counts chunks; what follows it is the request that is smuggled.
BOTH = {
    "length_then_coding": (with_lines(LENGTH + CHUNKED, b"0\r\n\r\n"), BROKEN),
    "coding_then_length": (with_lines(CHUNKED + LENGTH, b"0\r\n\r\n"), BROKEN),
    "both_in_any_case": (with_lines(b"content-length: 5\r\nTRANSFER-ENCODING: Chunked\r\n", b"0\r\n\r\n"), BROKEN),
    "both_apart": (with_lines(b"Content-Length: 0\r\nX: y\r\n" + CHUNKED, b"0\r\n\r\n"), BROKEN),
    "both_and_the_coding_is_unknown": (with_lines(LENGTH + b"Transfer-Encoding: xchunked\r\n"), CODING),
    "both_in_http_1_0": (with_lines(LENGTH + CHUNKED, b"0\r\n\r\n", b"1.0"), BROKEN),
    "both_and_close": (with_lines(LENGTH + CHUNKED + b"Connection: close\r\n", b"0\r\n\r\n"), BROKEN),
}


def in_place_of(old: bytes, **forms: bytes) -> dict:
    """Of a good request, with every form in place of `old`."""
    assert old in CHECK
    return {name: (CHECK.replace(old, new, 1), BROKEN) for name, new in forms.items()}


HEADS = in_place_of(
    b"HTTP/1.1\r\n", bare_lf_after_the_request_line=b"HTTP/1.1\n", bare_cr_after_the_request_line=b"HTTP/1.1\r",
    cr_cr_lf_after_the_request_line=b"HTTP/1.1\r\r\n", space_after_the_version=b"HTTP/1.1 \r\n",
    folded_first_line=b"HTTP/1.1\r\n X: y\r\n", folded_by_a_tab=b"HTTP/1.1\r\n\tX: y\r\n", version_in_small=b"http/1.1\r\n",
    empty_name=b"HTTP/1.1\r\n: y\r\n", no_colon=b"HTTP/1.1\r\nX\r\n", no_colon_and_spaces=b"HTTP/1.1\r\nX y\r\n",
    two_hosts=b"HTTP/1.1\r\nHost: x\r\n", another_host=b"HTTP/1.1\r\nHOST: y\r\n", an_empty_host_too=b"HTTP/1.1\r\nHost:\r\n",
    two_hosts_in_http_1_0=b"HTTP/1.0\r\nHost: y\r\n",
) | in_place_of(
    b"Host: x\r\n", bare_lf_after_a_line=b"Host: x\n", bare_cr_after_a_line=b"Host: x\r", lf_cr_after_a_line=b"Host: x\n\r",
    cr_cr_lf_after_a_line=b"Host: x\r\r\n", no_host=b"", no_host_but_lines=b"X-Host: x\r\nHosts: x\r\n",
    folded_host=b"Host:\r\n x\r\n", folded_line=b"Host: x\r\nX: y\r\n z\r\n", folded_to_nothing=b"Host: x\r\n \r\n",
    space_before_the_colon=b"Host: x\r\nX : y\r\n", tab_before_the_colon=b"Host: x\r\nX\t: y\r\n",
    space_in_a_name=b"Host: x\r\nX Y: z\r\n", nul_in_a_name=b"Host: x\r\nX\0: z\r\n", parenthesis_in_a_name=b"Host: x\r\n(X): z\r\n",
    non_ascii_name=b"Host: x\r\nX\xc3\xa9: z\r\n", host_of_two_words=b"Host: x y\r\n", host_with_a_path=b"Host: x/y\r\n",
    host_with_a_user=b"Host: x@y\r\n", host_in_a_list=b"Host: x, y\r\n",
) | in_place_of(
    b"22\r\n\r\n", bare_lf_at_the_end=b"22\r\n\n", bare_lfs_at_the_end=b"22\n\n", bare_cr_at_the_end=b"22\r\n\r",
    lf_cr_lf_at_the_end=b"22\n\r\n",
) | in_place_of(
    b"POST ", line_feed_first=b"\nPOST ", line_feeds_first=b"\n\nPOST ", cr_first=b"\rPOST ", space_first=b" POST ",
    three_empty_lines=b"\r\n\r\n\r\nPOST ", empty_line_of_a_space=b" \r\nPOST ", no_method=b" ", nul_in_the_method=b"PO\0ST ",
    sign_in_the_method=b"PO@T ", tab_after_the_method=b"POST\t", two_spaces_after_the_method=b"POST  ", no_space=b"POST",
    a_line_that_is_no_request=b"hello\r\nPOST ",
) | in_place_of(
    b"/api/check ", two_spaces_after_the_target=b"/api/check  ", tab_after_the_target=b"/api/check\t", no_target=b"",
    four_words=b"/api/check x ", relative_target=b"api/check ", non_ascii_target=b"/api/ch\xc3\xa9ck ", star=b"* ",
    lf_in_the_target=b"/api/ch\neck ", no_version_after_lf=b"/api/check\n",
)  # fmt: skip
HEADS |= {
    f"byte_{byte}_in_{where}": (CHECK.replace(old, new % byte), BROKEN)
    for byte in (0, 1, 8, 10, 11, 12, 13, 27, 31, 127)
    for where, old, new in [
        ("a_value", b"Host: x\r\n", b"Host: x\r\nX: a%cb\r\n"), ("the_target", b"/api/check", b"/api/ch%ceck"),
        ("a_value_at_its_end", b"Host: x\r\n", b"Host: x\r\nX: a%c\r\n"), ("the_query", b"/api/check", b"/api/check?%c"),
    ]
}  # fmt: skip
# What stands where the version should may be told as that.
HEADS |= {
    name: (HEADS[name][0], VERSION) for name in
    ("version_in_small", "space_after_the_version", "two_spaces_after_the_target", "four_words")
}  # fmt: skip
HEADS |= {
    f"version_{text.decode()!r}": (CHECK.replace(b"HTTP/1.1", text), VERSION)
    for text in (
        b"HTTP/2.0", b"HTTP/2", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/9.9", b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1", b"HTTP/1.",
        b"HTTP/1.1x", b"HTTP/-1.1", b"HTTP 1.1", b"HTTPS/1.1", b"ICY/1.1", b"1.1", b"",
    )
} | {
    "http_0_9": (b"GET /api/logout\r\n", VERSION),
    "http_2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", VERSION),
    "only_line_feeds": (CHECK.replace(b"\r\n", b"\n"), BROKEN),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, BROKEN),
    "every_byte": (bytes(range(256)), BROKEN),
    "many_empty_lines": (b"\r\n" * 1000, BROKEN),
}  # fmt: skip
CHUNK_FORMS = {
    "size_0x16": b"0x16\r\n", "size_minus": b"-1\r\n", "size_plus": b"+16\r\n", "size_space_first": b" 16\r\n",
    "size_space_last": b"16 \r\n", "size_tab_last": b"16\t\r\n", "size_empty": b"\r\n", "size_is_an_extension": b";a\r\n",
    "size_of_17_digits": b"00000000000000016\r\n", "size_overflows": b"10000000000000016\r\n", "size_no_hex": b"1g\r\n",
    "size_in_arabic": b"\xd9\xa1\r\n", "size_comma": b"16,\r\n", "size_underscore": b"1_6\r\n", "size_h": b"16h\r\n",
    "size_two_numbers": b"1 6\r\n", "size_bare_lf": b"16\n", "size_bare_cr": b"16\r", "size_cr_cr_lf": b"16\r\r\n",
    "size_nul": b"16\0\r\n", "extension_bare_lf": b"16;a\n", "extension_lf_inside": b"16;a\nb\r\n", "extension_bare_cr": b"16;a\rb\r\n",
    "extension_nul": b"16;a\0\r\n", "extension_after_a_space_and_lf": b"16 \n",
} | {
    # RFC 9112 §7.1.1.
    f"extension_{text!r}": b"16" + text + b"\r\n"
    for text in (
        b";", b"; ", b";;", b";a;", b";a;;b", b";a ", b";a=b ", b";a=b\t", b" ;", b"\t;", b";\x01", b";a\x01", b";a=\x01", b";\x7f",
        b";\x80", b";a=\xe9", b";\x0ba", b"\x0b;a", b";=b", b";=", b";a=", b";a= ", b";a==b", b";a=b=c", b";(a)", b";a(", b";a=(b)",
        b';"a"', b';"a"=b', b';a="x', b';a="', b';a="x\\"', b';a="x\\', b';a="x"y', b';a=x"y"', b';a="x" "y"', b';a="\x01"', b';a="\\\x01"',
        b';a="\x7f"', b';a="\\\x7f"', b";a b", b";a,b", b";a=b,c", b";a:b", b";a/b", b";a=b c", b";a='b c'", b" a", b" ;a \t", b";{a}",
        b";a@b",
    )
}  # fmt: skip
CHUNK_BODIES = {name: size + BODY + b"\r\n0\r\n\r\n" for name, size in CHUNK_FORMS.items()} | {
    "data_ends_in_lf": b"16\r\n" + BODY + b"\n0\r\n\r\n", "data_ends_in_cr": b"16\r\n" + BODY + b"\r0\r\n\r\n",
    "data_ends_in_nothing": b"16\r\n" + BODY + b"0\r\n\r\n", "data_is_longer": b"15\r\n" + BODY + b"\r\n0\r\n\r\n",
    "data_is_followed_by_two_bytes": b"16\r\n" + BODY + b"xx0\r\n\r\n", "data_is_followed_by_lf_cr": b"16\r\n" + BODY + b"\n\r0\r\n\r\n",
    "last_size_ends_in_lf": b"16\r\n" + BODY + b"\r\n0\n\r\n", "end_is_lf": b"16\r\n" + BODY + b"\r\n0\r\n\n",
    "trailer_ends_in_lf": b"16\r\n" + BODY + b"\r\n0\r\nX: y\n\r\n", "trailer_without_a_colon": b"16\r\n" + BODY + b"\r\n0\r\nX\r\n\r\n",
    "trailer_is_folded": b"16\r\n" + BODY + b"\r\n0\r\nX: y\r\n z\r\n\r\n",
    "trailer_has_a_nul": b"16\r\n" + BODY + b"\r\n0\r\nX: \0\r\n\r\n",
    "end_is_the_next_request": b"16\r\n" + BODY + b"\r\n0\r\n",
}  # fmt: skip
CHUNK_TABLE = {f"chunks_{name}": (with_lines(CHUNKED, body), BROKEN) for name, body in CHUNK_BODIES.items()} | {
    "chunks_size_is_the_largest": (with_lines(CHUNKED, b"F" * 16 + b"\r\n" + BODY), LARGE),
    "chunks_size_wraps": (with_lines(CHUNKED, b"FFFFFFFFFFFFFFFE\r\n" + BODY), LARGE),
    "chunks_extension_without_end": (with_lines(CHUNKED, b"16;" + b"x" * 200_000), LARGE),
    "chunks_extensions_without_end": (with_lines(CHUNKED, b"1;%s\r\nx\r\n" % (b"y" * 4000) * 100), LARGE),
    "chunks_trailers_without_end": (with_lines(CHUNKED, CHUNKS[:-2] + b"X: y\r\n" * 50_000), LARGE),
    "chunks_zeros_without_end": (with_lines(CHUNKED, b"0" * 100_000), LARGE),
}
FORMS = {**LENGTHS, **CODINGS, **BOTH, **HEADS, **CHUNK_TABLE}
