"""Clients behind proxies: whose address counts, and that nobody who is not trusted can choose it.

This machine answers at all of 127.0.0.0/8: 127.0.2.0/24 are the proxies here, every other address is a client.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct

import pytest

from support.harness import CHEAP_HASHES, HOST, Instance, free_port, wait_until
from support.tls import Authority
from support.wire import BODY, NO, Wire

TRUSTED, OTHER = "127.0.2.1", "127.0.3.1"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
SETTINGS = {
    "AUTHKV_HTTP_TRUSTED_PROXIES": "127.0.2.0/24,fd00::/8",
    "AUTHKV_HTTP_ACCESS_LOG": "all",
    "AUTHKV_LOG_FORMAT": "json",
    "AUTHKV_LOGIN_DELAY_EXEMPT": "none",
    **CHEAP_HASHES,
}


class Proxied:
    """An instance whose access log says who its clients are."""

    def __init__(self, instance: Instance):
        self.instance = instance
        self.asked = 0

    def entry(self, head: bytes = b"", source: str = TRUSTED, before: bytes = b"", port: int | None = None) -> dict:
        """The line of the access log of a request with these lines in its head, on a connection that begins with `before`."""
        self.asked += 1
        mark = f"request-{self.asked}"
        with Wire((HOST, port or self.instance.http_port), source=source) as wire:
            lines = b"Host: x\r\nConnection: close\r\nX-Request-Id: " + mark.encode() + b"\r\n" + head
            length = b"Content-Length: %d\r\n\r\n" % len(BODY)
            assert wire.send(before + b"POST /api/check HTTP/1.1\r\n" + lines + length + BODY)
            assert wire.final().seen() == (200, NO)
        return wait_until(lambda: self.find(mark), f"the access log has {mark}")

    def find(self, mark: str) -> dict | None:
        for line in self.instance.log().splitlines():
            if mark in line:
                entry = json.loads(line)
                return entry if "request_id" in entry else json.loads(entry["message"])
        return None

    def remote(self, *arguments, **more) -> str:
        """The client's address, without a port."""
        remote = self.entry(*arguments, **more)["remote"]
        return remote.rpartition(":")[0] if remote.count(":") == 1 or remote.startswith("[") else remote


@pytest.fixture(scope="module", params=["x-forwarded-for", "forwarded"])
def reported(request):
    """An instance that takes one header, its name, and how an address is written in it."""
    with Instance(**SETTINGS, AUTHKV_HTTP_FORWARDED_HEADER=request.param) as instance:
        proxied = Proxied(instance)

        def line(*addresses: str) -> bytes:
            elements = [one.strip('"') for one in addresses] if request.param == "x-forwarded-for" else [f"for={one}" for one in addresses]
            return f"{request.param.title()}: {', '.join(elements)}\r\n".encode()

        yield proxied, line


def test_the_client_is_the_last_address_that_is_not_trusted(reported):
    proxied, line = reported
    for addresses, expected in [
        (["192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1", "127.0.2.9"], "192.0.2.1"),
        (["198.51.100.7", "192.0.2.1", "127.0.2.9"], "192.0.2.1"),
        (['"[2001:db8::7]"', '"[fd00::1]"'], "2001:db8::7"),
        (['"[2001:db8::7]:4711"'], "2001:db8::7"),
        (['"192.0.2.5:4711"'], "192.0.2.5"),
        (["127.0.2.8", "127.0.2.9"], "127.0.2.8"),
    ]:
        assert proxied.remote(line(*addresses)) == expected, addresses


def test_several_lines_are_one_list(reported):
    proxied, line = reported
    assert proxied.remote(line("198.51.100.7") + line("192.0.2.1") + line("127.0.2.9")) == "192.0.2.1"
    # Case does not count in names of headers.
    assert proxied.remote(line("192.0.2.1").lower()) == "192.0.2.1"


def test_what_is_no_address_ends_the_search_at_the_proxy_that_reported_it(reported):
    proxied, line = reported
    for addresses, expected in [
        (["unknown"], TRUSTED),
        (["_hidden"], TRUSTED),
        (["192.0.2.1", "unknown"], TRUSTED),
        (["192.0.2.1", "_SEVKISEK", "127.0.2.9"], "127.0.2.9"),
        (["192.0.2.1", "256.0.0.1"], TRUSTED),
        (["192.0.2.1", "example.org"], TRUSTED),
        ([""], TRUSTED),
    ]:
        assert proxied.remote(line(*addresses)) == expected, addresses


def test_what_a_client_wrote_before_it_does_not_count(reported):
    """The proxy appends: whatever came before is the client's."""
    proxied, line = reported
    name = line("x").partition(b":")[0]
    for forged in [b'"', b'for="', b"127.0.2.5,", b"for=127.0.2.5,", b"\xff\xfe", b";;;", b"for=1.1.1.1;for=2.2.2.2", b"a" * 4000]:
        assert proxied.remote(name + b": " + forged + b"\r\n" + line("192.0.2.1")) == "192.0.2.1", forged


def test_whoever_is_not_trusted_reports_nobody(reported):
    proxied, line = reported
    for addresses in [["192.0.2.1"], ["192.0.2.1", TRUSTED], [TRUSTED]]:
        assert proxied.remote(line(*addresses), source=OTHER) == OTHER


def test_the_other_header_does_not_count(reported):
    proxied, line = reported
    other = b"Forwarded: for=192.0.2.1\r\n" if line("x").startswith(b"X") else b"X-Forwarded-For: 192.0.2.1\r\n"
    assert proxied.remote(other + b"X-Real-IP: 192.0.2.1\r\n") == TRUSTED


def log_in(proxied: Proxied, login: str, head: bytes, source: str = TRUSTED) -> int:
    """The status of a login with a wrong password."""
    with Wire(proxied.instance, source=source) as wire:
        body = json.dumps({"login": login, "password": "Wr0ng-horse!"}).encode()
        assert wire.send(b"POST /v1/login HTTP/1.1\r\nHost: x\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        return wire.final().status


def test_failed_logins_are_counted_for_the_client_and_not_for_the_proxy(reported):
    proxied, line = reported
    guesser, neighbour = line("192.0.2.77"), line("192.0.2.78")
    logins = (f"nobody{number}" for number in range(100))
    wait_until(lambda: log_in(proxied, next(logins), guesser) == 429, "the guesser is delayed")
    assert log_in(proxied, next(logins), neighbour) == 401
    # One who is not trusted cannot take on the neighbour's address, nor have the neighbour delayed.
    for _ in range(12):
        log_in(proxied, next(logins), neighbour, source="127.0.3.9")
    assert log_in(proxied, next(logins), neighbour) == 401


def test_the_audit_log_has_the_address_of_the_client(reported):
    proxied, line = reported
    assert log_in(proxied, "audited", line("192.0.2.99")) == 401

    def audited():
        lines = [one for one in proxied.instance.log().splitlines() if "audited" in one and "192.0.2.99" in one]
        return lines and "session_login" in lines[0]

    wait_until(audited, "the audit log names the client")


def test_a_trace_is_in_the_access_log(reported):
    proxied, _ = reported
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    entry = proxied.entry(f"traceparent: 00-{trace}-{parent}-01\r\n".encode())
    assert (entry["trace_id"], entry["parent_id"]) == (trace, parent)
    for wrong in [f"00-{trace}-{parent}", f"ff-{trace}-{parent}-01", f"00-{'0' * 32}-{parent}-01", 'x","login":"admin']:
        assert "trace_id" not in proxied.entry(f"traceparent: {wrong}\r\n".encode())
    twice = f"traceparent: 00-{trace}-{parent}-01\r\n" * 2
    assert "trace_id" not in proxied.entry(twice.encode())


@pytest.fixture(scope="module")
def proxy_protocol(tmp_path_factory):
    """An instance with two addresses for the PROXY protocol, one of them with TLS."""
    authority = Authority(tmp_path_factory.mktemp("tls"))
    certificate, key = authority.issue("server")
    plain, secured = free_port(), free_port()
    settings = SETTINGS | {
        "AUTHKV_HTTP_LISTEN": f"proxy+http://{HOST}:{plain},proxy+https://{HOST}:{secured}",
        "AUTHKV_HTTP_TLS_CERT_FILE": str(certificate),
        "AUTHKV_HTTP_TLS_KEY_FILE": str(key),
        "AUTHKV_HTTP_CONNECTIONS_PER_ADDRESS": "3",
    }
    with Instance(**settings) as instance:
        instance.http_port = plain
        yield Proxied(instance), plain, secured, authority


def version_1(address: str = "192.0.2.1", family: str = "TCP4") -> bytes:
    return f"PROXY {family} {address} 127.0.0.1 4711 80\r\n".encode()


def version_2(address: str = "192.0.2.1", command: int = 1, more: bytes = b"") -> bytes:
    if ":" in address:
        family, packed = 0x21, socket.inet_pton(socket.AF_INET6, address) + bytes(16)
    else:
        family, packed = 0x11, socket.inet_aton(address) + bytes(4)
    rest = packed + struct.pack("!HH", 4711, 80) + more
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(rest)) + rest


def test_a_connection_is_the_one_of_the_client_that_its_header_names(proxy_protocol):
    proxied, *_ = proxy_protocol
    for before, expected in [
        (version_1(), "192.0.2.1"),
        (version_1("2001:db8::7", "TCP6").replace(b"127.0.0.1", b"::1"), "[2001:db8::7]"),
        (b"PROXY UNKNOWN\r\n", TRUSTED),
        (version_2(), "192.0.2.1"),
        (version_2("2001:db8::7"), "[2001:db8::7]"),
        (version_2(more=b"\x04\0\x03abc"), "192.0.2.1"),
        (version_2(command=0), TRUSTED),
    ]:
        assert proxied.remote(before=before) == expected, before


def test_a_header_that_comes_byte_by_byte_counts(proxy_protocol):
    proxied, *_ = proxy_protocol
    for before in [version_1("192.0.2.44"), version_2("192.0.2.44")]:
        with Wire(proxied.instance, source=TRUSTED) as wire:
            wire.drip(before)
            wire.send(b"POST /api/check HTTP/1.1\r\nHost: x\r\nX-Request-Id: dripped\r\nContent-Length: 22\r\n\r\n" + BODY)
            assert wire.final().status == 200
    assert wait_until(lambda: proxied.find("dripped"), "the access log has it")["remote"].startswith("192.0.2.44:")


def test_a_connection_without_a_valid_header_is_closed_without_an_answer(proxy_protocol):
    proxied, *_ = proxy_protocol
    request = b"GET /api/check HTTP/1.1\r\nHost: x\r\n\r\n"
    for before in [
        b"",
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP4 192.0.2.256 127.0.0.1 4711 80\r\n",
        b"PROXY TCP4 2001:db8::1 127.0.0.1 4711 80\r\n",
        b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
        b"proxy tcp4 192.0.2.1 127.0.0.1 4711 80\r\n",
        SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\0\x0b" + bytes(11),
        SIGNATURE + b"\x2f\x11\0\x0c" + bytes(12),
    ]:
        with Wire(proxied.instance, source=TRUSTED) as wire:
            wire.send(before + request)
            assert wire.rest() == b"", before
    assert proxied.remote(before=version_1()) == "192.0.2.1"


def test_only_a_trusted_proxy_may_send_a_header(proxy_protocol):
    proxied, *_ = proxy_protocol
    for before in [version_1(), version_2(), b""]:
        with Wire(proxied.instance, source=OTHER) as wire:
            wire.send(before + b"GET /api/check HTTP/1.1\r\nHost: x\r\n\r\n")
            assert wire.rest() == b""


def test_the_header_comes_before_tls(proxy_protocol):
    proxied, _, secured, authority = proxy_protocol
    with socket.create_connection((HOST, secured), source_address=(TRUSTED, 0), timeout=20) as connection:
        connection.sendall(version_2("192.0.2.55"))
        with ssl.create_default_context(cafile=authority.file).wrap_socket(connection, server_hostname=HOST) as tls:
            tls.sendall(b"GET /api/check HTTP/1.1\r\nHost: x\r\nX-Request-Id: secured\r\nConnection: close\r\n\r\n")
            assert tls.recv(9) == b"HTTP/1.1 "
    assert wait_until(lambda: proxied.find("secured"), "the access log has it")["remote"].startswith("192.0.2.55:")


def test_connections_count_for_the_client_and_not_for_the_proxy(proxy_protocol):
    """Three are allowed from one address here; the proxy has as many as it likes."""
    proxied, *_ = proxy_protocol
    wires = []

    def connect(address: str) -> int:
        wires.append(Wire(proxied.instance, source=TRUSTED))
        request = b"POST /api/check HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\n"
        wires[-1].send(version_1(address) + request + BODY)
        return wires[-1].final().status

    try:
        assert [connect(f"192.0.2.{100 + number}") for number in range(8)] == [200] * 8
        assert [connect("192.0.2.99") for _ in range(4)] == [200, 200, 200, 429]
    finally:
        for wire in wires:
            wire.close()


def test_a_trusted_proxy_has_as_many_connections_as_it_likes():
    settings = SETTINGS | {"AUTHKV_HTTP_CONNECTIONS_PER_ADDRESS": "2", "AUTHKV_HTTP_FORWARDED_HEADER": "x-forwarded-for"}
    with Instance(**settings) as instance:
        for source, expected in [(TRUSTED, [200] * 5), (OTHER, [200, 200, 429, 429, 429])]:
            wires = [Wire(instance, source=source) for _ in range(5)]
            statuses = []
            for wire in wires:
                wire.send(b"POST /api/check HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\n" + BODY)
                statuses.append(wire.final().status)
            # Threads accept connections side by side, so which are the first two is not said.
            assert sorted(statuses) == expected
            for wire in wires:
                wire.close()


def test_a_unix_socket_is_a_proxy_if_the_settings_say_so(make):
    for trusted, expected in [("unix", "192.0.2.1"), ("127.0.2.0/24", "unix")]:
        instance = make(**SETTINGS | {"AUTHKV_HTTP_TRUSTED_PROXIES": trusted, "AUTHKV_HTTP_FORWARDED_HEADER": "x-forwarded-for"})
        path = instance.data_dir / "http.sock"
        instance.settings["AUTHKV_HTTP_LISTEN"] = f"unix:{path}"
        instance.start()
        with Wire(str(path)) as wire:
            head = b"X-Request-Id: by-unix\r\nX-Forwarded-For: 192.0.2.1\r\n"
            wire.send(b"POST /api/check HTTP/1.1\r\nHost: x\r\n" + head + b"Content-Length: 22\r\n\r\n" + BODY)
            assert wire.final().status == 200
        entry = wait_until(lambda one=instance: Proxied(one).find("by-unix"), "the access log has it")
        assert entry["remote"] == expected


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"AUTHKV_HTTP_TRUSTED_PROXIES": "proxy.example"}, "AUTHKV_HTTP_TRUSTED_PROXIES"),
        ({"AUTHKV_HTTP_TRUSTED_PROXIES": "10.0.0.0/40"}, "AUTHKV_HTTP_TRUSTED_PROXIES"),
        ({"AUTHKV_HTTP_FORWARDED_HEADER": "x-real-ip"}, "x-forwarded-for, forwarded or none"),
        ({"AUTHKV_HTTP_FORWARDED_HEADER": "forwarded"}, "needs AUTHKV_HTTP_TRUSTED_PROXIES"),
        ({"AUTHKV_HTTP_LISTEN": "proxy+http://127.0.0.1:0"}, "needs AUTHKV_HTTP_TRUSTED_PROXIES"),
        ({"AUTHKV_HTTP_LISTEN": "proxy+unix:/tmp/x"}, "AUTHKV_HTTP_LISTEN"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(make, settings, said):
    assert said in make(**settings).refuse_to_start()
