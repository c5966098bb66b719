"""TLS as clients see it: curl with HTTP/2 and without, Python's requests, Chromium, certificates of clients."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat

from support.browser import Browser
from support.contract import GOOD
from support.harness import DEADLINE, HOST
from support.tls import Authority, Secured
from support.transports import ConsoleTransport

CHECK = {"authorization": "Bearer x"}


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    secured = Secured(tmp_path_factory.mktemp("tls"))
    with secured.instance:
        yield secured


def test_requests_verifies_the_certificate_and_is_served(secured):
    assert secured.check().json() == {"authorized": "NO"}
    with pytest.raises(requests.exceptions.SSLError):
        secured.check(verify=True)


@pytest.mark.parametrize("option,version", [("--http2", "2"), ("--http1.1", "1.1")])
def test_curl_is_served_in_the_version_it_asks_for(secured, option, version):
    url = f"{secured.url}/api/check/"
    shown = secured.curl(option, url, "-d", json.dumps(CHECK), "-w", "\n%{http_version} %{http_code}")
    assert shown == f'{{"authorized":"NO"}}\n{version} 200'


def test_curl_over_a_unix_socket(secured):
    shown = secured.curl("--unix-socket", str(secured.socket), "http://localhost/api/check/", "-d", json.dumps(CHECK))
    assert shown == '{"authorized":"NO"}'


def test_a_whole_session_over_http_2(secured):
    def call(path, body=None, token=None):
        data = [] if body is None else ["-d", json.dumps(body)]
        header = [] if token is None else ["-H", f"Authorization: Bearer {token}"]
        shown = secured.curl("--http2", f"{secured.url}/api/{path}/", *data, *header, "-w", "\n%{http_code}")
        body, _, status = shown.rpartition("\n")
        return int(status), json.loads(body)

    login = {"login": "alice", "password": GOOD}
    assert call("register", login | {"name": "Alice", "surname": "Smith"})[0] == 201
    token = call("login", login)[1]["token"]
    value = {"large": "x" * 100_000}
    assert call("write", {"data": value}, token) == (201, {"status": "success"})
    assert call("read", {"keys": ["large"]}, token) == (200, {"data": value})
    assert call("read", {"keys": []}, token)[0] == 400
    assert call("read", {"keys": ["large"]})[0] == 401
    assert call("logout", token=token)[0] == 200
    assert call("read", {"keys": ["large"]}, token)[0] == 401
    assert call("nowhere")[0] == 404


def test_limits_hold_over_http_2(secured):
    large = secured.authority.directory / "large"
    large.write_bytes(b" " * 20_000)
    shown = secured.curl("--http2", f"{secured.url}/api/login/", "--data-binary", f"@{large}", "-w", "\n%{http_code}")
    assert shown.endswith("\n413") and "16384" in shown
    shown = secured.curl("--http2", f"{secured.url}/api/login/", "-X", "PUT", "-i")
    assert "HTTP/2 405" in shown and "allow: POST" in shown and "x-request-id: " in shown
    head = secured.curl("--http2", f"{secured.url}/openapi.json", "-I")
    assert "HTTP/2 200" in head and int(head.lower().split("content-length: ")[1].split()[0]) > 1000


def test_http_2_without_tls_is_refused(secured):
    with socket.create_connection((HOST, secured.instance.http_port), timeout=DEADLINE) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        seen = b""
        while chunk := client.recv(65536):
            seen += chunk
    assert seen.startswith(b"HTTP/1.1 505 ")


def test_plain_http_on_the_port_of_tls_gets_no_answer_and_hurts_nobody(secured):
    with socket.create_connection((HOST, secured.port), timeout=DEADLINE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in client.recv(65536)
    assert secured.check().status_code == 200


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(secured, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(secured.authority.file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = version
    with socket.create_connection((HOST, secured.port), timeout=DEADLINE) as client, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(client, server_hostname="localhost")


@pytest.mark.skipif(not shutil.which("chromedriver"), reason="chromium is not installed")
def test_a_browser_shows_the_page_over_tls(secured):
    with Browser(arguments=["--ignore-certificate-errors"]) as browser:
        browser.open(f"{secured.url}/docs")
        assert browser.execute("check", CHECK) == (200, {"authorized": "NO"})
        assert browser.script("return performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"


def test_a_certificate_is_replaced_while_the_server_runs(tmp_path):
    secured = Secured(tmp_path)
    with secured.instance as instance:
        console = ConsoleTransport(instance)
        context = ssl.create_default_context(cafile=secured.authority.file)
        kept = http.client.HTTPSConnection(HOST, secured.port, timeout=DEADLINE, context=context)

        def check_again():
            kept.request("POST", "/api/check/", json.dumps(CHECK))
            response = kept.getresponse()
            return json.load(response), response.headers["Connection"]

        assert check_again() == ({"authorized": "NO"}, None)
        other = Authority(tmp_path, "another authority")
        for new, old in zip(other.issue("renewed"), (secured.cert, secured.key), strict=True):
            new.replace(old)
        assert secured.check().status_code == 200  # nothing was read anew yet
        console.evaluate("return authkv.http.reload{}")
        assert secured.check(verify=str(other.file)).status_code == 200
        # A connection that was open is served once more.
        assert check_again() == ({"authorized": "NO"}, "close")
        secured.key.write_text("no key")
        said = console.evaluate("return pcall(authkv.http.reload, {})")
        assert said[0] is False and str(secured.key) in said[1]
        assert secured.check(verify=str(other.file)).status_code == 200
        console.close()


def test_who_connects_after_a_reload_never_sees_the_certificate_before_it(tmp_path):
    secured = Secured(tmp_path)
    others = Authority(tmp_path, "another authority")
    pairs = [[file.read_bytes() for file in (secured.cert, secured.key)], [file.read_bytes() for file in others.issue("renewed")]]
    context = ssl.create_default_context(cafile=secured.authority.file)
    context.load_verify_locations(others.file)
    seen = []
    with secured.instance as instance:
        console = ConsoleTransport(instance)
        for n in range(100):
            for file, content in zip((secured.cert, secured.key), pairs[n % 2], strict=True):
                file.write_bytes(content)
            console.evaluate("return authkv.http.reload{}")
            with (
                socket.create_connection((HOST, secured.port), timeout=DEADLINE) as plain,
                context.wrap_socket(plain, server_hostname="localhost") as connection,
            ):
                seen.append(connection.getpeercert(binary_form=True))
        console.close()
    expected = [ssl.PEM_cert_to_DER_cert(cert.decode()) for cert, _ in pairs]
    assert [n for n, one in enumerate(seen) if one != expected[n % 2]] == []


@pytest.mark.parametrize("required", ["required", "optional"])
def test_certificates_of_clients(tmp_path, required):
    clients, strangers = Authority(tmp_path, "clients"), Authority(tmp_path, "strangers")
    secured = Secured(tmp_path, AUTHKV_HTTP_TLS_CLIENT_CA_FILE=str(clients.file), AUTHKV_HTTP_TLS_CLIENT_AUTH=required)
    with secured.instance:
        known = tuple(map(str, clients.issue("known", client=True)))
        unknown = tuple(map(str, strangers.issue("unknown", client=True)))
        assert secured.check(cert=known).status_code == 200
        with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
            secured.check(cert=unknown)
        if required == "optional":
            assert secured.check().status_code == 200
        else:
            with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
                secured.check()


@pytest.mark.parametrize(
    "settings,part",
    [
        ({"AUTHKV_HTTP_LISTEN": f"https://{HOST}:1"}, "AUTHKV_HTTP_TLS_CERT_FILE"),
        ({"AUTHKV_HTTP_TLS_CERT_FILE": "/x"}, "go together"),
        ({"AUTHKV_HTTP_TLS_CERT_FILE": "/nowhere", "AUTHKV_HTTP_TLS_KEY_FILE": "/nowhere"}, "/nowhere"),
        ({"AUTHKV_HTTP_TLS_CLIENT_AUTH": "perhaps"}, "required or optional"),
        ({"AUTHKV_HTTP_LISTEN": "unix:"}, "unix:path"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "example.org"}, "scheme://host"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "https://*"}, "a dot and a name"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "https://a.example, https://a.*.example"}, "* should stand once"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "https://a.example:99999"}, "from 1 to 65535"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "https://a.example/x"}, "no path"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "https://user:secret@a.example"}, "no user"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "https://*.10.0.0.1"}, "below an address"),
        ({"AUTHKV_HTTP_CORS_ORIGINS": "https://a.example, *"}, "http:// or https://"),
        ({"AUTHKV_HTTP_ACCESS_LOG": "some"}, "all, errors or off"),
    ],
)
def test_settings_that_cannot_be_met_stop_the_start(make, settings, part):
    assert part in make(**settings).refuse_to_start()


def encrypted_pkcs8(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3cret"))


def encrypted_traditional(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"s3cret"))


@pytest.mark.parametrize(
    "made,what",
    [
        (encrypted_pkcs8, "is encrypted"),
        (encrypted_traditional, "is encrypted"),
        (lambda _: b"", "no private key in PEM"),
        (lambda key: key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "no private key in PEM"),
        (lambda key: key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "no private key, only"),
    ],
    ids=["pkcs8", "traditional", "empty", "der", "public"],
)
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_key_of_tls_that_cannot_be_read_is_refused_with_what_is_wrong(make, tmp_path, made, what, kind):
    cert, file = Authority(tmp_path).issue("server")
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    file.write_bytes(made(key))
    said = make(
        AUTHKV_HTTP_LISTEN=f"https://{HOST}:0", AUTHKV_HTTP_TLS_CERT_FILE=str(cert), AUTHKV_HTTP_TLS_KEY_FILE=str(file)
    ).refuse_to_start()
    assert f"{file}: " in said and what in said, said


def test_a_certificate_of_tls_that_is_none_is_refused_with_what_is_wrong(make, tmp_path):
    cert, file = Authority(tmp_path).issue("server")
    cert.write_bytes(file.read_bytes())
    said = make(
        AUTHKV_HTTP_LISTEN=f"https://{HOST}:0", AUTHKV_HTTP_TLS_CERT_FILE=str(cert), AUTHKV_HTTP_TLS_KEY_FILE=str(file)
    ).refuse_to_start()
    assert f"{cert}: there is no certificate in PEM" in said
