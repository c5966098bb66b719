"""HTTP on servers of the http rock: mounted by an application, and made by authkv itself where HTTP_ENGINE is `rock`."""

import json

import pytest

from support import harness
from support.contract import GOOD
from support.harness import HOST, NO_ROCK, has_rock
from support.outcome import Ok
from support.transports import ConsoleTransport, HttpTransport, bearer
from support.wire import BODY, Wire

needs_rock = pytest.mark.skipif(not has_rock(), reason=NO_ROCK)
NO = 200, {"authorized": "NO"}


class Server:
    """A server of the rock in an instance, as Lua makes and fills it; `httpd` is its name there."""

    def __init__(self, instance, *lines: str):
        self.console = ConsoleTransport(instance)
        self.port = harness.free_port()
        self.name = f"httpd{self.port}"
        self.run(f"httpd = require('http.server').new('{HOST}', {self.port})", f"{self.name} = httpd")
        self.run(*lines, "httpd:start()")
        self.http = HttpTransport(instance, self.port)

    def run(self, *lines: str):
        for line in lines:
            seen = self.console.show(line)
            assert "- error:" not in seen, seen

    def close(self):
        self.http.close()
        self.console.evaluate(f"{self.name}:stop()")
        self.console.close()


@pytest.fixture
def serve(instance):
    servers = []

    def serve(*lines: str) -> Server:
        servers.append(Server(instance, *lines))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def own(request):
    """An instance whose HTTP is a server of the rock."""
    with harness.Instance(AUTHKV_HTTP_ENGINE="rock", AUTHKV_SHUTDOWN_TIMEOUT="30") as running:
        yield running


class RockWire(Wire):
    """A connection to the rock, which gives an answer of 204 a length."""

    may_say_length_0 = True


def head(line: str = "POST /api/check", length: int | str = len(BODY), more: str = "") -> bytes:
    return f"{line} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {length}\r\n\r\n".encode("latin-1")


def answer(response) -> tuple[int, object]:
    return response.status, response.json


@needs_rock
@pytest.mark.parametrize("prefix", ["", "/one", "/one/two-2", "/v1.2"])
def test_every_route_is_there_below_the_prefix_with_and_without_its_slash(serve, prefix):
    http = serve(f"authkv.mount(httpd, {{prefix = '{prefix}'}})").http
    for slash in ("", "/"):
        check = "POST", f"{prefix}/api/check{slash}", {"authorization": "x"}
        assert answer(http.request(*check)) == NO
        assert http.request("POST", f"{prefix}/api/check{slash}?query=1", {"authorization": "x"}).status == 200
        assert http.request("GET", f"{prefix}/api/logout{slash}").status == 401
        for method in ("GET", "PUT", "PATCH", "DELETE", "TRACE", "FOO"):
            refused = http.request(method, f"{prefix}/api/read{slash}")
            assert refused.status == 405 and "POST" in refused.headers["Allow"], method
        assert answer(http.request("POST", f"{prefix}/api/nothing{slash}", {}))[0] == 404
        assert answer(http.request("GET", f"{prefix}/api{slash}"))[0] == 404
        assert answer(http.request("POST", f"{prefix}/api/check{slash}", b"{"))[0] == 422
    assert "message" not in str(http.request("GET", "/onex/api/check").body)


@needs_rock
@pytest.mark.parametrize("prefix", ["", "/one"])
def test_the_description_and_its_page_are_those_of_the_native_server(serve, instance, prefix):
    rock, native = serve(f"authkv.mount(httpd, {{prefix = '{prefix}'}})").http, HttpTransport(instance)
    for path in ("/openapi.json", "/docs", "/docs/", "/docs/page.css", "/docs/swagger-ui-bundle.js", "/docs/nothing"):
        for method in ("GET", "HEAD", "POST"):
            ours, theirs = rock.request(method, prefix + path), native.request(method, path)
            assert (ours.status, ours.body) == (theirs.status, theirs.body), (method, path)
            for name in ("Content-Type", "Content-Security-Policy", "Cache-Control", "Allow"):
                assert ours.headers[name] == theirs.headers[name], (method, path, name)
    native.close()


@needs_rock
def test_a_path_means_what_it_does_to_the_native_server(serve, instance):
    rock, native = serve("authkv.mount(httpd)").http, HttpTransport(instance)
    for path in ("/api/che%63k", "/api//check", "/api/check//", "/api/check/more", "/api/check%2F"):
        assert answer(rock.request("POST", path, {"authorization": "x"})) == answer(native.request("POST", path, {"authorization": "x"})), (
            path
        )
    native.close()


@needs_rock
@pytest.mark.parametrize(
    "sent",
    [
        head(more="X: \xff\r\n") + BODY,
        head("OPTIONS /api/check", 0),
        head("OPTIONS /api/check", 0, "Origin: http://x\r\nAccess-Control-Request-Method: POST\r\n"),
        head("GET /api/logout", 0, "Authorization: Bearer \xff\r\n"),
        head("POST /api/check", 1) + b"\xff",
        head("POST /api/check", more="Content-Type: text/plain\r\n") + BODY,
        head("POST /api/check", more="Content-Type: application/json\r\nContent-Type: application/json\r\n") + BODY,
        head("POST /api/check", more="Content-Encoding: gzip\r\n") + BODY,
        head("POST /api/check", more="X-Request-Id: one\r\n") + BODY,
        head("get /api/logout", 0),
    ],
)
def test_what_is_odd_is_answered_as_by_the_native_server(own, instance, sent):
    seen = []
    for one in (own, instance):
        with RockWire(one) as connection:
            connection.send(sent)
            shown = connection.answer()
            seen.append((shown.status, shown.body and json.loads(shown.body), shown.header("Allow"), shown.header("Vary")))
            assert shown.header("X-Request-Id")
    assert seen[0] == seen[1]


@needs_rock
def test_the_routes_of_the_application_stay_and_do_not_take_ours(serve):
    say = "function() return {status = 200, body = 'mine'} end"
    catch_all = f"httpd:route({{path = '/*any', method = 'GET'}}, {say}) httpd:route({{path = '/*any'}}, {say})"
    mine = f"httpd:route({{path = '/api/mine', method = 'GET'}}, {say})"
    http = serve(catch_all, mine, "authkv.mount(httpd)", catch_all).http
    assert http.request("GET", "/api/logout").status == 401
    assert answer(http.request("POST", "/api/check", {"authorization": "x"})) == NO
    assert http.request("GET", "/elsewhere").body == b"mine"
    assert http.request("GET", "/api/mine").body == b"mine"


@needs_rock
def test_a_route_of_the_application_in_our_place_is_named(serve):
    server = serve("httpd:route({path = '/docs', method = 'GET'}, function() end)")
    assert "/docs" in server.console.show("authkv.mount(httpd)")
    server.run("authkv.mount(httpd, {prefix = '/store'})")
    assert answer(server.http.request("POST", "/store/api/check", {"authorization": "x"})) == NO


@needs_rock
def test_mounting_again_changes_nothing_and_prefixes_may_be_many(serve):
    server = serve("authkv.mount(httpd)", "authkv.mount(httpd, {prefix = '/b'})")
    routes = server.console.evaluate("return #httpd.routes")
    server.run("authkv.mount(httpd)", "authkv.mount(httpd, {prefix = '/b'})", "authkv.mount(httpd, {})")
    for path in ("/api/check", "/b/api/check"):
        assert answer(server.http.request("POST", path, {"authorization": "x"})) == NO
    assert server.console.evaluate("return #httpd.routes") == routes and routes > [0]


@needs_rock
def test_a_server_of_the_role_is_mounted_on(instance, console):
    if console.evaluate("return (pcall(require, 'roles.httpd'))") != [True]:
        pytest.skip("roles.httpd cannot be loaded: it needs the http rock 1.6 or newer and the rock checks")
    port = harness.free_port()
    console.evaluate(f"require('roles.httpd').apply({{default = {{listen = '{HOST}:{port}'}}}})")
    console.evaluate("authkv.mount(require('roles.httpd').get_server(), {prefix = '/store'})")
    http = HttpTransport(instance, port)
    assert answer(http.request("POST", "/store/api/check", {"authorization": "x"})) == NO
    http.close()
    console.evaluate("require('roles.httpd').stop()")


@pytest.mark.parametrize(
    "arguments,said",
    [
        ("", "no method route"), ("nil", "no method route"), ("5", "no method route"), ("{}", "no method route"),
        ("{route = 1}", "no method route"), ("{route = print}", "1.5 or newer"),
        ("fake, 5", "usage"), ("fake, '/x'", "usage"), ("fake, {perfix = '/x'}", "perfix"),
        *[(f"fake, {{prefix = {prefix}}}", "prefix should be")
          for prefix in ("5", "{}", "'x'", "'/'", "'/x/'", "'//x'", "'/x//y'", "'/x y'", "'/x*'", "'/:x'", "'/x%41'", "'/x?y'")],
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(console, arguments, said):
    fake = "local fake = {route = function() error('called') end, iroutes = {}, tcp_server_f = function() end}"
    seen = console.show(f"{fake} authkv.mount({arguments})")
    assert "error" in seen and said in seen, seen


@needs_rock
@pytest.mark.parametrize("size,status", [(8_388_608, 422), (8_388_609, 413), (10_000_000, 413), (100_000_000, 413)])
def test_a_body_is_read_up_to_the_limit_and_refused_above_it(serve, size, status):
    http = serve("authkv.mount(httpd)").http
    response = http.request("POST", "/api/write", b" " * size, bearer("x"))
    assert response.status == status and response.json.keys() == {"message"}
    assert response.headers["Connection"] == ("keep-alive" if status == 422 else "close")
    assert answer(http.request("POST", "/api/check", {"authorization": "x"})) == NO


@needs_rock
def test_a_body_of_10_mb_is_written_and_read_back(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_KV_INPUT_MAX="20000000", AUTHKV_MEMTX_MAX_TUPLE_SIZE="2000000").start()
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    pairs = {f"k{n}": chr(97 + n) * 1_000_000 for n in range(10)}
    assert http.put(token, pairs) == Ok([])
    assert http.get(token, list(pairs)) == Ok(pairs)
    http.close()


@needs_rock
def test_a_client_that_waits_for_its_answer_before_it_sends_a_body_too_large_gets_it(own):
    with Wire(own) as connection:
        connection.send(head("POST /api/write", 10_000_000_000))
        assert connection.answer().status == 413
        assert connection.rest() == b""


@needs_rock
def test_a_connection_is_kept_and_requests_are_answered_in_order(own):
    with Wire(own) as connection:
        bodies = [json.dumps({"authorization": "x" * n}).encode() for n in range(20)]
        connection.send(b"".join(head(length=len(body)) + body for body in bodies))
        assert [connection.answer().seen() for _ in bodies] == [NO] * 20


@needs_rock
@pytest.mark.parametrize("more", ["Connection: close\r\n", ""], ids=["close", "http_1.0"])
def test_a_connection_ends_where_the_client_says_so(own, more):
    sent = head(more=more) + BODY
    with Wire(own) as connection:
        connection.send(sent if more else sent.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert connection.answer().seen() == NO
        assert connection.rest() == b""


@needs_rock
@pytest.mark.parametrize("path", ["/api/check", "/api/nothing"])
def test_head_has_no_body_and_leaves_the_connection_in_order(own, path):
    with Wire(own) as connection:
        connection.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + head() + BODY)
        assert connection.answer("HEAD").status in (404, 405)
        assert connection.answer().seen() == NO


# What a proxy may read otherwise than the rock: the name of the request that follows must not be answered.
AMBIGUOUS = {
    "chunked": (411, "Transfer-Encoding: chunked\r\n"),
    "chunked_in_upper_case": (411, "TRANSFER-ENCODING: CHUNKED\r\n"),
    "chunked_before_a_space": (411, "Transfer-Encoding : chunked\r\n"),
    "chunked_and_a_length": (411, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    "chunked_behind_a_line_without_a_colon": (400, "X\r\nTransfer-Encoding: chunked\r\n"),
    "two_lengths": (400, "Content-Length: 5\r\nContent-Length: 50\r\n"),
    "two_equal_lengths": (400, "Content-Length: 5\r\nContent-Length: 5\r\n"),
    "a_negative_length": (400, "Content-Length: -5\r\n"),
    "a_length_with_a_sign": (400, "Content-Length: +5\r\n"),
    "a_hexadecimal_length": (400, "Content-Length: 0x5\r\n"),
    "an_exponent": (400, "Content-Length: 1e1\r\n"),
    "no_number": (400, "Content-Length: five\r\n"),
    "nothing": (400, "Content-Length: \r\n"),
    "a_number_too_long": (400, f"Content-Length: {'9' * 400}\r\n"),
}  # fmt: skip


@needs_rock
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_body_of_unclear_length_is_refused_and_the_connection_closed(own, name):
    status, lines = AMBIGUOUS[name]
    smuggled = b"0\r\n\r\n" + head("GET /api/logout", 0)
    with Wire(own) as connection:
        connection.send(f"POST /api/check HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode() + smuggled)
        shown = connection.answer()
        assert shown.status == status and shown.json.keys() == {"message"}
        assert connection.rest() == b""
    with Wire(own) as connection:
        connection.send(f"POST /v1/txn HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        shown = connection.answer()
        body = json.loads(shown.body)
        assert shown.status == status and body.keys() == {"type", "title", "status", "code", "detail"} and body["status"] == status


@needs_rock
def test_a_body_that_is_cut_short_is_refused(own):
    with Wire(own) as connection:
        connection.send(head() + BODY[:5])
        connection.finish()
        assert connection.answer().status == 400


@needs_rock
def test_two_authorization_headers_are_refused(own):
    http = HttpTransport(own)
    assert http.register("tester", GOOD, "Test", "Tester") == Ok()
    token = http.login("tester", GOOD).value
    http.close()
    body = b'{"keys": ["no"]}'
    for count, status in ((1, 400), (2, 401)):
        with Wire(own) as connection:
            connection.send(head("POST /api/read", len(body), f"Authorization: Bearer {token}\r\n" * count) + body)
            assert connection.answer().status == status


@needs_rock
def test_a_failure_shows_no_trace_and_logs_no_request(serve, instance):
    server = serve("httpd.options.display_errors = true", "authkv.mount(httpd)")
    # A request without a header is none that the rock makes.
    broken = "{method = 'POST', path_raw = '/api/login', body = 'S3cret', read = function() error('S3cret') end}"
    (seen,) = server.console.evaluate(f"return httpd:match('POST', '/api/login').endpoint.sub({broken})")
    assert seen["status"] == 500
    assert json.loads(seen["body"]) == {"message": "Internal error: see the log of the server"}
    harness.wait_until(lambda: "a request failed" in instance.log(), "the failure is in the log")
    assert "S3cret" not in instance.log()


@needs_rock
def test_what_is_not_started_answers_503(make):
    instance = make().start()
    server = Server(instance, "authkv.mount(httpd)")
    server.console.evaluate("return authkv.stop()")
    response = server.http.request("POST", "/api/check", {"authorization": "x"})
    assert response.status == 503 and response.json.keys() == {"message"}
    response = server.http.request("POST", "/v1/login", {"login": "x", "password": "x"})
    assert response.status == 503 and response.problem["code"] == "shutting_down"
    server.console.evaluate("box.schema.func.drop('authkv.http_request')")
    assert server.http.request("POST", "/api/check", {"authorization": "x"}).status == 503
    server.close()


@needs_rock
def test_a_mount_outlives_a_restart(make):
    instance = make().start()
    server = Server(instance, "authkv.mount(httpd)")
    server.console.evaluate("authkv.restart()")
    assert answer(server.http.request("POST", "/api/check", {"authorization": "x"})) == NO
    server.close()


# HTTP_ENGINE


@needs_rock
def test_the_rock_serves_instead_of_the_native_server(own):
    http = HttpTransport(own)
    response = http.request("POST", "/api/check", {"authorization": "x"})
    assert answer(response) == NO and response.headers["Server"] == "authkv"
    for path in ("/", "/elsewhere", "/init.lua", "//"):
        assert answer(http.request("GET", path))[0] == 404, path
    http.close()
    assert f"{own.url}/api" in own.log()


@needs_rock
def test_a_restart_keeps_connections_and_a_stop_ends_them(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock").start()
    console = ConsoleTransport(instance)
    with Wire(instance) as connection:
        for line in ("", "authkv.restart()", "box.schema.func.reload('authkv')", "authkv.http.reload({})"):
            console.evaluate(line)
            connection.send(head() + BODY)
            assert connection.answer().seen() == NO, line
        assert console.evaluate("return (authkv.stop())") == [True]
        assert connection.rest() == b""
    with pytest.raises(ConnectionError):
        HttpTransport(instance).check("x")
    console.close()


@needs_rock
def test_http_is_stopped_and_started_alone_and_changes_its_engine(make):
    instance = make().start()
    address = instance.settings["AUTHKV_HTTP_LISTEN"]
    console = ConsoleTransport(instance)
    for engine in ("rock", "native", "rock"):
        assert console.evaluate(f"return authkv.http.reload{{HTTP_ENGINE = '{engine}'}}") == [[address]]
        http = HttpTransport(instance)
        response = http.request("POST", "/api/check", {"authorization": "x"})
        assert answer(response) == NO and response.headers["Server"] == ("authkv" if engine == "rock" else None)
        http.close()
    assert console.evaluate("return (authkv.http.stop())") == [True]
    with pytest.raises(ConnectionError):
        HttpTransport(instance).check("x")
    assert console.evaluate("return authkv.http.start()") == [[address]]
    http = HttpTransport(instance)
    assert http.check("x") == Ok(False)
    http.close()
    console.close()


@needs_rock
def test_it_serves_on_a_unix_socket(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock")
    path = instance.data_dir / "http.sock"
    instance.settings["AUTHKV_HTTP_LISTEN"] = f"unix:{path}"
    instance.start()
    with Wire(str(path)) as connection:
        connection.send(head(more="Connection: close\r\n") + BODY)
        assert connection.answer().seen() == NO
        assert connection.rest() == b""
    instance.stop()
    assert not path.exists()


@pytest.mark.parametrize("listen", ["127.0.0.1:1,127.0.0.1:2", "https://127.0.0.1:1"])
def test_the_rock_serves_one_address_without_tls(make, listen, tmp_path):
    said = make(
        keys=False,
        AUTHKV_HTTP_ENGINE="rock",
        AUTHKV_HTTP_LISTEN=listen,
        AUTHKV_HTTP_TLS_CERT_FILE=str(tmp_path),
        AUTHKV_HTTP_TLS_KEY_FILE=str(tmp_path),
    ).refuse_to_start()
    assert "AUTHKV_HTTP_ENGINE=rock needs AUTHKV_HTTP_LISTEN to be one address without https" in said, said


@pytest.mark.parametrize("text", ["error('spoiled')", "return {}"], ids=["spoiled", "old"])
def test_a_missing_rock_is_named_with_how_to_install_it(make, tmp_path, text):
    (tmp_path / "http").mkdir()
    (tmp_path / "http" / "server.lua").write_text(text)
    said = make(keys=False, AUTHKV_HTTP_ENGINE="rock", LUA_PATH=f"{tmp_path}/?.lua;;").refuse_to_start()
    assert "AUTHKV_HTTP_ENGINE" in said and f"{harness.tool()} rocks install http" in said, said


@needs_rock
def test_an_address_that_is_taken_is_named(make, own):
    address = own.settings["AUTHKV_HTTP_LISTEN"]
    said = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_HTTP_LISTEN=address).refuse_to_start()
    assert f"cannot listen on {address}" in said, said


@needs_rock
def test_with_http_off_the_rock_does_not_listen(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_HTTP_LISTEN="off").start()
    assert "HTTP    off" in instance.log()


@needs_rock
def test_a_port_that_the_system_chooses_is_said(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_HTTP_LISTEN="127.0.0.1:0").start()
    line = next(line for line in instance.log().splitlines() if line.startswith("HTTP "))
    http = HttpTransport(instance, int(line.split(":")[2].split("/")[0]))
    assert http.check("x") == Ok(False)
    http.close()


@needs_rock
def test_a_header_that_is_too_large_or_too_slow_ends_the_connection(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_HTTP_HEADER_TIMEOUT="1").start()
    for sent, ends in (
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"HTTP/1.1 431 "),
        (b"GET / HTTP/1.1\r\nHost:", b""),
    ):
        with Wire(instance) as connection:
            connection.send(sent)
            assert connection.rest()[:13] == ends
    http = HttpTransport(instance)
    assert http.request("POST", "/api/check", BODY, {"X": "x" * 7000}).status == 200
    http.close()


@needs_rock
def test_a_body_that_is_too_slow_is_answered_with_408(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_HTTP_BODY_TIMEOUT="1").start()
    with Wire(instance) as connection:
        connection.send(head() + b"{")
        assert connection.answer().status == 408
        assert connection.rest() == b""


def is_served(instance) -> bool:
    with Wire(instance) as one:
        one.send(head() + BODY)
        return one.file.read(1) == b"H"


@needs_rock
def test_a_client_that_does_not_take_its_answers_is_left(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_HTTP_WRITE_TIMEOUT="1", AUTHKV_HTTP_CONNECTIONS_MAX="1").start()
    http = HttpTransport(instance)
    token = http.login("admin", harness.ADMIN_PASSWORD).value
    assert http.put(token, {"large": "x" * 60_000}) == Ok([])
    http.close()
    harness.wait_until(lambda: is_served(instance), "its place is free")
    body = b'{"keys": ["large"]}'
    # More than the buffers of both sockets hold.
    requests = (head("POST /api/read", len(body), f"Authorization: Bearer {token}\r\n") + body) * 400

    def is_kept_out() -> bool:
        """Whether another is, while one takes nothing; it may have been left already, or have had no place itself."""
        with Wire(instance) as connection:
            if not connection.send(requests):
                return False
            kept_out = not is_served(instance)
            harness.wait_until(lambda: is_served(instance), "its place is free")
            return kept_out

    harness.wait_until(is_kept_out, "another is kept out")


@needs_rock
def test_connections_are_capped(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock", AUTHKV_HTTP_CONNECTIONS_MAX="2").start()
    with Wire(instance) as first, Wire(instance) as second:
        for one in (first, second):
            one.send(head() + BODY)
            assert one.answer().seen() == NO
        with Wire(instance) as third:
            assert third.rest() == b""
    harness.wait_until(lambda: is_served(instance), "a place is free again")


@needs_rock
def test_a_stop_finishes_the_request_that_runs_and_ends_idle_connections(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock").start()
    with Wire(instance) as running, Wire(instance) as idle:
        idle.send(head() + BODY)
        assert idle.answer().seen() == NO
        running.send(head() + BODY[:5])
        # It has been begun once an idle connection, made after it, was answered.
        with Wire(instance) as later:
            later.send(head() + BODY)
            assert later.answer().seen() == NO
        instance.send_signal(15)
        assert idle.rest() == b""
        running.send(BODY[5:] + head() + BODY)
        assert running.answer().seen() == NO
        assert running.rest() == b""
    assert instance.wait_for_exit() == 0


@needs_rock
def test_neither_paths_nor_tokens_are_logged(make):
    instance = make(AUTHKV_HTTP_ENGINE="rock").start()
    http = HttpTransport(instance)
    http.request("POST", "/api/check?q=S3cret", {"authorization": "Bearer S3cret"}, bearer("S3cret"))
    http.request("GET", "/S3cret")
    http.close()
    instance.stop()
    assert "S3cret" not in instance.log()
