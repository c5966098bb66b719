"""authkv behind nginx, HAProxy and Caddy, with the configurations of `documentation/behind-a-proxy.md`.

A proxy that is not installed is skipped, which the report says; `make integration` installs them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from support import harness
from support.blocks import blocks
from support.harness import ADMIN_PASSWORD, DEADLINE, HOST
from support.people import allow
from support.wire import BODY, Wire

PAGE = (harness.ROOT / "documentation/behind-a-proxy.md").read_text()
# What surrounds the configuration of the page.
NGINX = """
daemon off; master_process off; worker_processes 1; pid {directory}/pid; error_log {directory}/log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
{site}
}}
"""
# nginx as it comes.
BARE = "server {{ {more} listen 127.0.0.1:8000; location / {{ proxy_pass http://127.0.0.1:8080; }} }}"


def of_page(language: str) -> str:
    [block] = blocks(PAGE, language)
    return block.code


# Program, arguments, and the text of its configuration.
PROXIES = {
    "nginx": ("nginx", ["-c"], lambda where: NGINX.format(directory=where, site=of_page("nginx"))),
    "bare nginx": ("nginx", ["-c"], lambda where: NGINX.format(directory=where, site=BARE.format(more=""))),
    "haproxy": ("haproxy", ["-db", "-f"], lambda where: of_page("haproxy")),
    "caddy": ("caddy", ["run", "--adapter", "caddyfile", "--config"], lambda where: "{\n admin off\n}\n" + of_page("caddy")),
}


MORE = {
    "haproxy tcp": ("haproxy", ["-db", "-f"], lambda where: of_page("haproxy tcp")),
    "nginx auth": ("nginx", ["-c"], lambda where: NGINX.format(directory=where, site=of_page("nginx auth"))),
    "caddy auth": ("caddy", ["run", "--adapter", "caddyfile", "--config"], lambda where: "{\n admin off\n}\n" + of_page("caddy auth")),
}


@dataclass
class Proxy:
    """A proxy in front of an instance."""

    name: str
    port: int
    token: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def ask(self, method: str, path: str, **more) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | more.pop("headers", {})
        request = requests.Request(method, self.url, headers=headers, **more).prepare()
        # As it is: requests would decode it.
        request.url = self.url + path
        with requests.Session() as session:
            return session.send(request, stream=True, timeout=DEADLINE)


def start(name: str, instance: harness.Instance, directory: Path, site: str | None = None, behind: int | None = None):
    """The process of a proxy, and its port; skips the test if it is not installed. `behind` is the port of an application."""
    program, arguments, text = (PROXIES | MORE)[name]
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    port = harness.free_port()
    config = directory / "config"
    text = text(directory) if site is None else NGINX.format(directory=directory, site=site)
    assert "127.0.0.1:8000" in text and "127.0.0.1:8080" in text
    text = text.replace("127.0.0.1:9000", f"{HOST}:{behind}")
    config.write_text(text.replace("127.0.0.1:8000", f"{HOST}:{port}").replace("127.0.0.1:8080", f"{HOST}:{instance.http_port}"))
    log = (directory / "output").open("wb")
    environment = os.environ | {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    process = subprocess.Popen([found, *arguments, str(config)], stdout=log, stderr=log, env=environment)

    def listens() -> bool:
        assert process.poll() is None, (directory / "output").read_text()
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    harness.wait_until(listens, f"{name} listens")
    return process, port


def remote(instance: harness.Instance, port: int, source: str) -> str:
    """The address in the access log of a request that comes from this address."""
    mark = f"from-{source}-{port}"
    with Wire((HOST, port), source=source) as wire:
        head = f"POST /api/check HTTP/1.1\r\nHost: {HOST}:{port}\r\nX-Request-Id: {mark}\r\nContent-Length: {len(BODY)}"
        wire.send(f"{head}\r\n\r\n".encode() + BODY)
        assert wire.final().status == 200
    lines = harness.wait_until(
        lambda: [line for line in instance.log().splitlines() if f"id={mark}" in line],
        "the access log has the request",
    )
    words = lines[0].split()
    return words[words.index("POST") - 2]


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        # It waits for connections that a failed test has left.
        process.kill()
        process.wait(DEADLINE)


def log_in(instance: harness.Instance) -> str:
    credentials = {"login": "admin", "password": ADMIN_PASSWORD}
    answer = requests.post(f"{instance.url}/v1/login", json=credentials, timeout=DEADLINE)
    return answer.json()["access_token"]


@pytest.fixture(scope="module", params=PROXIES)
def proxy(request, instance, tmp_path_factory):
    process, port = start(request.param, instance, tmp_path_factory.mktemp("proxy"))
    yield Proxy(request.param, port, log_in(instance))
    stop(process)


def test_a_watch_is_delivered_as_it_comes(proxy):
    prefix = proxy.name.replace(" ", "")
    with proxy.ask("GET", f"/v1/watch?prefix={prefix}/") as watch:
        assert watch.status_code == 200 and watch.headers["Cache-Control"] == "no-store, no-transform"
        lines = watch.iter_lines(chunk_size=1)
        events = (line for line in lines if line.startswith(b"event: "))
        # Each before the next is caused, and long before the stream ends.
        assert next(events) == b"event: ready"
        for number in range(3):
            assert proxy.ask("PUT", f"/v1/kv/{prefix}%2F{number}", json=number).status_code == 201
            assert next(events) == b"event: put"


def test_an_import_and_an_export_come_through_whole(proxy):
    if proxy.name == "bare nginx":
        pytest.skip("nginx as it comes refuses bodies above 1 MiB")
    prefix = f"bulk {proxy.name}/"
    pairs = [{"key": f"{prefix}{number:05}", "value": "x" * 300} for number in range(8000)]
    body = b"".join(json.dumps(pair).encode() + b"\n" for pair in pairs)
    pieces = (body[at : at + 50_000] for at in range(0, len(body), 50_000))
    imported = proxy.ask("POST", "/v1/import", data=pieces, headers={"Content-Type": "application/x-ndjson"})
    assert imported.status_code == 200
    assert json.loads(imported.content.splitlines()[-1])["done"]["written"] == len(pairs)
    exported = proxy.ask("GET", f"/v1/export?prefix={requests.utils.quote(prefix, safe='')}", headers={"Accept-Encoding": "gzip, br"})
    assert exported.status_code == 200 and "Content-Encoding" not in exported.headers
    seen = [json.loads(line) for line in exported.content.splitlines()]
    assert [{"key": pair["key"], "value": pair["value"]} for pair in seen] == pairs


def test_an_import_is_written_as_it_comes(proxy):
    """Its first lines are there while its end is not sent."""
    if proxy.name == "bare nginx":
        pytest.skip("nginx as it comes keeps a body until its end")
    key = f"early-{proxy.name}"
    wire = socket.create_connection((HOST, proxy.port), timeout=DEADLINE)
    lines = f"Host: {HOST}:{proxy.port}\r\nAuthorization: Bearer {proxy.token}\r\nTransfer-Encoding: chunked\r\n"
    wire.sendall(f"POST /v1/import HTTP/1.1\r\n{lines}\r\n".encode())
    is_over = threading.Event()

    def send(line: bytes) -> None:
        wire.sendall(b"%x\r\n%s\r\n" % (len(line), line))

    def drip() -> None:
        number = 0
        while not is_over.wait(0.2):
            number += 1
            send(json.dumps({"key": key, "value": number}).encode() + b"\n")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        harness.wait_until(lambda: proxy.ask("GET", f"/v1/kv/{key}").status_code == 200, "a line was written")
    finally:
        is_over.set()
        thread.join()
    wire.sendall(b"0\r\n\r\n")
    answer = b""
    while b'"done"' not in answer:
        piece = wire.recv(65536)
        assert piece, answer
        answer += piece
    wire.close()


def test_a_batch_and_a_key_with_a_slash_come_through(proxy):
    key = f"a/b//../é {proxy.name}"
    written = proxy.ask("POST", "/v1/batch/put", json={"pairs": [{"key": key, "value": [1, None]}]})
    assert written.status_code == 200 and written.json()["committed"]
    path = f"/v1/kv/{requests.utils.quote(key, safe='')}"
    assert proxy.ask("GET", path).json() == [1, None]
    read = proxy.ask("POST", "/v1/batch/get", json={"keys": [key, "none"]}).json()
    assert read["pairs"][0]["key"] == key and read["missing"] == ["none"]


def test_an_entity_tag_stays_strong(proxy):
    path = f"/v1/kv/tagged-{proxy.name.replace(' ', '-')}"
    coded = {"Accept-Encoding": "gzip, br"}
    written = proxy.ask("PUT", path, json="x" * 5000).headers["ETag"]
    read = proxy.ask("GET", path, headers=coded)
    assert read.headers["ETag"] == written and written.startswith('"')
    assert proxy.ask("GET", path, headers={"If-None-Match": written}).status_code == 304
    assert proxy.ask("PUT", path, json=1, headers={"If-Match": written}).status_code == 200
    assert proxy.ask("PUT", path, json=2, headers={"If-Match": written}).status_code == 412


def test_a_failure_of_v1_is_a_problem(proxy):
    for method, path, status in [("GET", "/v1/nowhere", 404), ("PATCH", "/v1/txn", 405), ("GET", "/v1/kv/none", 404)]:
        answer = proxy.ask(method, path)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_what_the_page_says_of_tags_that_are_weak_is_so(instance, tmp_path):
    more = "gzip on; gzip_types application/json; gzip_proxied any;"
    process, port = start("bare nginx", instance, tmp_path, BARE.format(more=more))
    proxy = Proxy("gzip", port, log_in(instance))
    try:
        path = "/v1/kv/weakened"
        revision = proxy.ask("PUT", path, json="x" * 5000).json()["revision"]
        weak = proxy.ask("GET", path, headers={"Accept-Encoding": "gzip"}).headers["ETag"]
        assert weak == f'W/"{revision}"'
        assert proxy.ask("GET", path, headers={"If-None-Match": weak}).status_code == 304
        refused = proxy.ask("PUT", path, json=1, headers={"If-Match": weak})
        assert refused.status_code == 412 and refused.json()["revision"] == revision
        assert proxy.ask("PUT", f"{path}?if_revision={revision}", json=1).status_code == 200
    finally:
        stop(process)


@pytest.mark.parametrize("name", ["nginx", "haproxy", "caddy"])
def test_the_address_of_a_client_comes_through(make, tmp_path, name):
    trusted = {"AUTHKV_HTTP_TRUSTED_PROXIES": HOST, "AUTHKV_HTTP_FORWARDED_HEADER": "x-forwarded-for"}
    instance = make(**trusted, AUTHKV_HTTP_ACCESS_LOG="all").start()
    process, port = start(name, instance, tmp_path)
    try:
        assert remote(instance, port, "127.0.3.7") == "127.0.3.7"
        assert remote(instance, port, "127.0.3.8") == "127.0.3.8"
    finally:
        stop(process)


def test_the_address_of_a_client_comes_through_by_the_proxy_protocol(make, tmp_path):
    instance = make(AUTHKV_HTTP_TRUSTED_PROXIES=HOST, AUTHKV_HTTP_ACCESS_LOG="all")
    instance.settings["AUTHKV_HTTP_LISTEN"] = f"proxy+http://{HOST}:{instance.http_port}"
    instance.start()
    process, port = start("haproxy tcp", instance, tmp_path)
    try:
        assert remote(instance, port, "127.0.3.9").startswith("127.0.3.9:")
    finally:
        stop(process)


class Application(BaseHTTPRequestHandler):
    """Answers with the headers of each request that comes through."""

    def do_GET(self):
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module", params=["nginx auth", "caddy auth"])
def guarded(request, instance, tmp_path_factory):
    """A proxy that asks authkv before it passes a request on to an application."""
    application = ThreadingHTTPServer((HOST, 0), Application)
    thread = threading.Thread(target=application.serve_forever)
    thread.start()
    process = None
    try:
        process, port = start(request.param, instance, tmp_path_factory.mktemp("guarded"), behind=application.server_port)
        yield Proxy(request.param, port, "")
    finally:
        if process:
            stop(process)
        application.shutdown()
        thread.join()
        application.server_close()


def ask_as(proxy: Proxy, token: str | None, path: str = "/shop/x", method: str = "GET", **headers):
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    return requests.request(method, proxy.url + path, headers=headers, timeout=DEADLINE)


def told(response) -> dict:
    """What the application was told of the user, each header at most once."""
    assert response.status_code == 200, response.text
    seen = [one for one in response.json() if one[0].replace("_", "-").startswith("x-authkv")]
    assert len(dict(seen)) == len(seen), seen
    return {name: value for name, value in seen if value}


FORGED = {"X-Authkv-Login": "admin", "x-authkv-roles": "admin,shop"}


def test_a_proxy_passes_on_what_authkv_allows_and_says_whose_it_is(guarded, people):
    people.administer("role_set", "shop", [])
    shop, other = people.new("shop"), people.new()
    for token, status in [(None, 401), ("x", 401), (other.access, 403)]:
        refused = ask_as(guarded, token, **FORGED)
        assert refused.status_code == status and "x-authkv" not in refused.text, refused.text
        assert status == 403 or refused.headers["WWW-Authenticate"].startswith('Bearer realm="authkv"')
    expected = {"x-authkv-login": shop.login, "x-authkv-roles": "shop"}
    assert told(ask_as(guarded, shop.access)) == expected
    assert told(ask_as(guarded, shop.access, **FORGED)) == expected
    people.administer("role_revoke", shop.login, "shop")
    assert ask_as(guarded, shop.access).status_code == 403


def test_a_proxy_asks_for_access_to_a_key_by_the_method(guarded, people):
    if guarded.name != "nginx auth":
        pytest.skip("the configuration of the page asks for a role only")
    people.administer("role_set", "default", [])
    reader, writer, other = (
        people.new(people.role(allow("r", key="reports"))),
        people.new(people.role(allow("w", key="reports"))),
        people.new(),
    )
    for person, method, status in [
        (reader, "GET", 200), (reader, "PUT", 403), (writer, "GET", 403), (writer, "PUT", 200), (other, "GET", 403),
    ]:  # fmt: skip
        response = ask_as(guarded, person.access, "/reports/2026?access=read&role=x", method, **FORGED)
        assert response.status_code == status, (method, response.text)
        assert status != 200 or told(response)["x-authkv-login"] == person.login
    # Nobody reaches the question itself.
    assert ask_as(guarded, reader.access, "/_may_report").status_code == 404


def test_a_proxy_tells_of_no_roles_where_there_are_none(guarded, people):
    if guarded.name != "nginx auth":
        pytest.skip("the configuration of the page asks for a role only")
    people.administer("role_set", "default", [allow("r", key="reports")])
    person = people.new()
    assert told(ask_as(guarded, person.access, "/reports/a", **FORGED)) == {"x-authkv-login": person.login}
