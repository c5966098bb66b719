"""The ways into an instance, behind one interface: register, login, logout, check, get, put, and all of `v1.py`.

Each gives `Ok` or `Refusal`. A transport also asserts what its own answers look like: exactly the members that the
contract shows (HTTP) or that the procedures promise (iproto), and no more.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import socket
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jwt
import tarantool
import yaml

from support import v1
from support.harness import CLIENT_PASSWORD, DEADLINE, HOST, ROOT, Instance, free_port, has_rock
from support.lua import lua
from support.outcome import Ok, Refusal
from support.values import pack, unpack, unpacker

PROCEDURES = {
    "register": "authkv.auth_register",
    "login": "authkv.auth_login",
    "logout": "authkv.auth_logout",
    "check": "authkv.auth_check",
    "get": "authkv.kv_get",
    "put": "authkv.kv_put",
}


class Transport:
    """The common interface. A transport that is `exact` keeps types of numbers and the order of members."""

    name: str
    exact = True
    is_http = False

    def do(self, operation: str, *args) -> Ok | Refusal:
        raise NotImplementedError

    def register(self, login, password, name, surname):
        return self.do("register", login, password, name, surname)

    def login(self, login, password):
        return self.do("login", login, password)

    def logout(self, token):
        return self.do("logout", token)

    def check(self, token):
        return self.do("check", token)

    def get(self, token, keys):
        return self.do("get", token, keys)

    def put(self, token, pairs):
        return self.do("put", token, pairs)

    def close(self) -> None:
        pass


def lifetime(token: str) -> int:
    """The seconds for which a token says it is good."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return claims["exp"] - claims["iat"]


def procedure(operation: str) -> str:
    return PROCEDURES.get(operation) or v1.procedure(operation)


def _value(operation: str, args: tuple, answer) -> object:
    """The common value of what a procedure answered, which has to have exactly the promised members."""
    match operation:
        case _ if operation in v1.OPERATIONS:
            return v1.answered(operation, answer).value
        case "register":
            assert answer == {"login": args[0]}, answer
            return None
        case "login":
            token = answer["token"]
            assert answer == {"token": token, "token_type": "Bearer", "expires_in": lifetime(token)}, answer
            return token
        case "logout":
            assert answer == {"revoked": True}, answer
            return None
        case "check" if not answer["authorized"]:
            assert answer == {"authorized": False}, answer
            return False
        case "check":
            assert answer.keys() == {"authorized", "login", "expires_at"}, answer
            assert answer["authorized"] is True and isinstance(answer["expires_at"], int), answer
            return True
        case "get":
            assert answer.keys() == {"data"}, answer
            return answer["data"]
        case "put":
            assert answer.keys() == {"written", "existing"}, answer
            assert answer["written"] + len(answer["existing"]) == len(args[1]), answer
            return answer["existing"]


@dataclass(frozen=True)
class Response:
    """An HTTP response, whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @cached_property
    def json(self):
        assert self.headers.get_content_type() == "application/json", self
        return json.loads(self.body)

    @cached_property
    def problem(self):
        assert self.headers["Content-Type"] == "application/problem+json", self
        return json.loads(self.body)


class HttpTransport(Transport):
    """HTTP under /api and /v1 over one kept connection, from the address `source` where it is given. `timeout`: seconds that a
    connection or an answer may take."""

    name = "http"
    is_http = True

    def __init__(
        self, instance: Instance, port: int | None = None, source: str | None = None, host: str | None = None, timeout: float = DEADLINE
    ):
        self.connection = http.client.HTTPConnection(
            host or instance.host, port or instance.http_port, timeout=timeout, source_address=source and (source, 0)
        )

    def request(self, method: str, path: str, body=None, headers: dict | None = None) -> Response:
        """Sends bytes as they are and anything else as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body, ensure_ascii=False).encode()
        content = {"Content-Type": "application/json"} if body is not None else {}
        if self.connection.sock and select.select([self.connection.sock], [], [], 0)[0]:
            self.connection.close()  # the instance has closed it, having waited for long enough
        try:
            self.connection.request(method, path, body, content | (headers or {}))
            response = self.connection.getresponse()
            return Response(response.status, response.headers, response.read())
        except (OSError, http.client.HTTPException):
            self.connection.close()  # so that one failure is not also that of the next request
            raise

    def do(self, operation, *args):
        if operation in v1.OPERATIONS:
            asked = v1.http(operation, args)
            who = bearer(asked.token) if asked.token is not None else {}
            response = self.request(asked.method, asked.path, asked.body, asked.headers | who)
            return v1.outcome(operation, response, asked)
        match operation:
            case "register":
                members = dict(zip(("login", "password", "name", "surname"), args, strict=True))
                response = self.request("POST", "/api/register/", members)
                success = 201, {"message": "You have been successfully registered!"}
                value = None
            case "login":
                response = self.request("POST", "/api/login/", dict(zip(("login", "password"), args, strict=True)))
                value = response.json.get("token")
                success = 201, {"token": value, "message": "You have been successfully authenticated"}
            case "logout":
                response = self.request("GET", "/api/logout/", headers=bearer(args[0]))
                success = 200, {"message": LOGOUT}
                value = None
            case "check":
                # The body holds the token, so that a token which is no string is sent as it is.
                token = f"Bearer {args[0]}" if isinstance(args[0], str) else args[0]
                response = self.request("POST", "/api/check/", {"authorization": token})
                value = response.json.get("authorized") == "YES"
                success = 200, {"authorized": "YES" if value else "NO"}
            case "get":
                response = self.request("POST", "/api/read/", {"keys": args[1]}, bearer(args[0]))
                value = response.json.get("data")
                success = 200, {"data": value}
            case "put":
                response = self.request("POST", "/api/write/", {"data": args[1]}, bearer(args[0]))
                value = existing_keys(response.json.get("status", ""))
                success = 201, {"status": written_status(value)}
        if response.status < 300:
            assert (response.status, response.json) == success, response
            return Ok(value)
        message = response.json["message"]
        # An empty token may count as none.
        sent = operation not in ("register", "login") and bool(args[0])
        v1.assert_headers(response, message, invalid=sent or None)
        members = {"message": message}
        if operation == "login" and response.status == 404 and "token" in response.json:
            members["token"] = "-"
        assert response.json == members, response
        return Refusal(None, response.status, message)

    def close(self):
        self.connection.close()


class HttpQueryTransport(HttpTransport):
    """HTTP, with the key of operations on one key in the query."""

    name = "http_query"

    def request(self, method: str, path: str, body=None, headers: dict | None = None) -> Response:
        found = re.fullmatch(r"/v1/kv/([^/?]+)(/incr)?(?:\?(.*))?", path)
        if found:
            key, verb, query = found.groups()
            # As people write it: a slash may stand as it is.
            query = "&".join([f"key={key.replace('%2F', '/')}", *([query] if query else [])])
            path = f"/v1/pair{verb or ''}?{query}"
        return super().request(method, path, body, headers)


LOGOUT = (
    "You have been successfully logout from your account! Please, remove a jwt token from your Authorization Headers) I'm so lazy to do it)"
)
_BUT, _BECAUSE = "success, but these keys have not been written: ", ". Because they have already been in kv store"


def bearer(token: str) -> dict:
    return {"Authorization": f"Bearer {token}"}


def written_status(existing: list[str]) -> str:
    """The status of a write where these keys existed already."""
    return f"{_BUT}{' '.join(existing)}{_BECAUSE}" if existing else "success"


def existing_keys(status: str) -> list[str]:
    """The keys that such a status names; none of them may hold a space."""
    return status.removeprefix(_BUT).removesuffix(_BECAUSE).split(" ") if status.startswith(_BUT) else []


def refusal(code: int, text: str) -> Refusal:
    """The failure of a procedure, whose message is `name: text`."""
    name, _, message = text.partition(": ")
    return Refusal(name, code, message)


class IprotoTransport(Transport):
    """PyPI's `tarantool` connector."""

    name = "iproto"

    def __init__(self, instance: Instance, user: str = "authkv", password: str = CLIENT_PASSWORD, timeout: float = DEADLINE):
        self.connection = tarantool.Connection(
            instance.host,
            instance.iproto_port,
            user=user,
            password=password,
            socket_timeout=timeout,
            connection_timeout=timeout,
            unpacker_factory=unpacker,
        )

    def do(self, operation, *args):
        try:
            answer = self.connection.call(procedure(operation), args)
        except tarantool.NetworkError:
            raise
        except tarantool.DatabaseError as error:
            return refusal(*error.args[:2])
        # Whatever Tarantool's version: see documentation/connectors.md.
        (returned,) = answer
        (value,) = returned
        return Ok(_value(operation, args, value))

    def close(self):
        self.connection.close()


class NetBoxTransport(Transport):
    """net.box in another `tarantool` process."""

    name = "netbox"
    exact = False

    def __init__(self, instance: Instance):
        self.process = subprocess.Popen(
            ["tarantool", str(ROOT / "test" / "support" / "netbox.lua"), f"{HOST}:{instance.iproto_port}"],
            env=os.environ | {"NETBOX_USER": "authkv", "NETBOX_PASSWORD": CLIENT_PASSWORD},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        connected, _, error = self._answer()
        assert connected, error

    def _answer(self):
        readable, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        assert readable, "net.box does not answer"
        line = self.process.stdout.readline()
        assert line, "the process of net.box has ended"
        return unpack(bytes.fromhex(line.decode()))

    def call(self, procedure: str, args) -> Ok | Refusal:
        """All that the call returned, as a list."""
        self.process.stdin.write(pack([procedure, args]).hex().encode() + b"\n")
        self.process.stdin.flush()
        ok, *answer = self._answer()
        return Ok(answer) if ok else refusal(*answer)

    def do(self, operation, *args):
        seen = self.call(procedure(operation), args)
        if not isinstance(seen, Ok):
            return seen
        ((answer,),) = seen.value
        value = _value(operation, args, answer)
        return Ok(sorted(value) if operation == "put" else value)

    def close(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


# The end of what the console prints at a time, and the beginning of what is pushed before it is done.
END, PUSHED = "\n...\n", "%TAG !push! tag:tarantool.io/push"


def _is_answered(printed: bytearray) -> bool:
    """Whether the last that was printed is whole, and no push."""
    if not printed.endswith(END.encode()):
        return False
    last = printed[: -len(END)].rpartition(END.encode())[2]
    return not last.lstrip().startswith(PUSHED.encode())


class Console:
    """The text console on a unix socket, as a person or a script at the instance uses it."""

    def __init__(self, path: Path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(str(path))
        self._receive(lambda text: text.count(b"\n") == 2)

    def _receive(self, is_whole) -> str:
        chunks = bytearray()
        while not is_whole(chunks):
            chunk = self.socket.recv(1 << 20)
            assert chunk, f"the console closed the connection after {bytes(chunks[-500:])}"
            chunks += chunk
        return chunks.decode()

    def send(self, line: str) -> None:
        """Has one line of Lua executed, and does not wait for what the console prints."""
        self.socket.sendall(line.encode() + b"\n")

    def show(self, line: str) -> str:
        """What the console prints for one line of Lua."""
        self.send(line)
        return self._receive(_is_answered)

    def evaluate(self, line: str) -> list:
        """What one line of Lua returns, as YAML gives it; what it pushed before is left out."""
        return yaml.load(self.show(line).split(END)[-2], yaml.CSafeLoader) or []

    def close(self) -> None:
        self.socket.close()


class WithConsole(Instance):
    """An instance that is asked in its console, each time over a connection of its own."""

    def evaluate(self, code: str) -> list:
        """What this line of Lua returns."""
        console = Console(self.console_path)
        try:
            return console.evaluate(code)
        finally:
            console.close()


class ConsoleTransport(Console, Transport):
    """What the facade answers in the console of an instance."""

    name = "console"
    exact = False

    def __init__(self, instance: Instance):
        super().__init__(instance.console_path)

    def outcome(self, expression: str) -> Ok | Refusal:
        """What a call of the facade returns. Values come as msgpack, since the console rounds doubles."""
        seen = self.evaluate(
            "return (function(value, err) "
            "if value == nil then return false, err.code, err.name, err.message end "
            "return true, 'mp' .. require('msgpack').encode(value):hex() "
            f"end)({expression})"
        )
        match seen:
            case [True, packed]:
                return Ok(unpack(bytes.fromhex(packed.removeprefix("mp"))))
            case [False, code, name, message]:
                return Refusal(name, code, message)
        raise AssertionError(f"{expression[:500]} raised {seen}")

    def do(self, operation, *args):
        seen = self.outcome(self._expression(operation, args))
        if not isinstance(seen, Ok):
            return seen
        answer = {"data": seen.value} if operation == "get" else seen.value
        value = _value(operation, args, answer)
        return Ok(sorted(value) if operation == "put" else value)

    def _expression(self, operation: str, args: tuple) -> str:
        if operation in v1.OPERATIONS:
            return v1.expression(operation, args)
        match operation:
            case "register":
                members = zip(("login", "password", "name", "surname"), args, strict=True)
                return "authkv.register{" + ", ".join(f"{name} = {lua(value)}" for name, value in members) + "}"
            case "get" | "put":
                token, batch = args
                return f"authkv.as({lua(token)}).{operation}({lua(batch) if batch else '{}'})"
        return f"authkv.{operation}({', '.join(map(lua, args))})"

    def counts(self) -> list:
        """How many rows each space of the instance has, but for that of the uses of API keys, which is written once a minute."""
        return self.evaluate(
            "local counts = {} for _, row in box.space._space:pairs() do if row[1] >= 512 and row[3] ~= 'authkv_api_key_use' then "
            "table.insert(counts, box.space[row[1]]:len()) end end return counts"
        )

    def stored_hash(self, login: str) -> str:
        (stored,) = self.evaluate(f"return box.space.user:get({lua(login)})[2]")
        return stored


class OwnerTransport(ConsoleTransport):
    """The console without a token: whoever an operation of administration or on keys is said to be by, it is by the
    owner."""

    name = "owner"

    def _expression(self, operation, args):
        if operation in v1.ADMINISTRATION or operation in v1.KEY_VALUES or operation == "session_introspect":
            args = (v1.OWNER, *args[1:])
        return super()._expression(operation, args)


class RockTransport(HttpTransport):
    """The same HTTP on a server of the http rock, which the application at the instance has made."""

    name = "rock"

    def __init__(self, instance: Instance):
        self.port = free_port()
        self.console = ConsoleTransport(instance)
        made = self.console.evaluate(
            f"local httpd = require('http.server').new('{HOST}', {self.port}) "
            f"authkv.mount(httpd, {{prefix = '/{self.name}'}}) httpd:start() rawset(_G, 'rock{self.port}', httpd) return true"
        )
        assert made == [True], made
        super().__init__(instance, self.port)

    def request(self, method, path, body=None, headers=None):
        return super().request(method, f"/{self.name}{path}", body, headers)

    def close(self):
        super().close()
        with contextlib.suppress(BrokenPipeError):  # where the instance has gone, its server has too
            self.console.evaluate(f"rock{self.port}:stop()")
        self.console.close()


_ALL = (HttpTransport, IprotoTransport, NetBoxTransport, ConsoleTransport, *([RockTransport] if has_rock() else []))
TRANSPORTS = {transport.name: transport for transport in _ALL}
# Where administration is tested: as a user everywhere, and as the owner.
ADMIN_TRANSPORTS = TRANSPORTS | {OwnerTransport.name: OwnerTransport}
