"""The operations of /v1: what each is called over every transport, and what its answers may look like there.

`transports.py` runs them. Arguments are those of the procedure: the token first where there is one, a map of options last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import quote, unquote

from support import kv_answers, rest
from support.lua import lua
from support.outcome import ERRORS, Ok, Refusal
from support.values import from_json, to_json

# In place of a token: the owner of the instance, who needs none on the console.
OWNER = object()

USER = {"login", "name", "surname", "created_at", "disabled", "roles", "email_verified"}
LISTED_SESSION = {"session", "created_at", "refreshed_at", "expires_at", "address", "user_agent", "current"}
API_KEY = {"api_key", "name", "roles", "created_at", "expires_at", "used_at"}
SESSION = {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
INTROSPECTED = {"active", "token_type", "username", "sub", "iss", "aud", "jti", "iat", "nbf", "exp", "email_verified"}
ROLE = {"name", "permissions"}


@dataclass(frozen=True)
class Operation:
    """One operation. `args` are the names of the members over HTTP and in Lua's tables, in the procedure's order."""

    method: str
    path: str
    answer: set[str]
    lua: str
    args: tuple[str, ...] = ()
    # Whether the first argument is a token.
    takes_token: bool = True
    # Whether Lua takes one table with all arguments.
    as_table: bool = False
    # Whether a map of options may follow: members of the body or the query over HTTP, a table of its own in Lua.
    options: bool = False
    # Whether a request without members has no body.
    bare: bool = False
    status: int = 200

    @property
    def is_administration(self) -> bool:
        return "/admin/" in self.path or self.path == "/v1/cluster"


def _of_user(verb: str, answer: set[str], lua: str, method: str = "POST", **more) -> Operation:
    path = f"/v1/admin/users/{{login}}{verb}"
    return Operation(method, path, answer, lua, ("login", *more.pop("args", ())), **more)


OPERATIONS = {
    "user_register": Operation(
        "POST", "/v1/users", {"login"}, "users.register", ("login", "password", "name", "surname"),
        takes_token=False, as_table=True, status=201,
    ),
    "session_login": Operation("POST", "/v1/login", SESSION, "session.login", ("login", "password"), takes_token=False),
    "session_refresh": Operation("POST", "/v1/refresh", SESSION, "session.refresh", ("refresh_token",), takes_token=False),
    "session_list": Operation("GET", "/v1/sessions", {"sessions"}, "session.list"),
    "session_revoke": Operation("DELETE", "/v1/sessions/{session}", {"revoked"}, "session.revoke", ("session",)),
    "auth_logout": Operation("POST", "/v1/logout", {"revoked"}, "logout"),
    "session_logout_all": Operation("POST", "/v1/logout/all", {"revoked"}, "logout_all"),
    "user_me": Operation("GET", "/v1/me", USER | {"permissions"}, "me"),
    "user_password": Operation("PUT", "/v1/me/password", {"changed"}, "password", ("old_password", "new_password")),
    "user_rename": Operation("PUT", "/v1/me", USER, "rename", ("name", "surname")),
    "user_delete_own": Operation("DELETE", "/v1/me", {"deleted"}, "delete", ("password",)),
    "user_reset_token": Operation(
        "POST", "/v1/users/{login}/reset-token", {"reset_token", "expires_at"}, "users.reset_token", ("login",),
        options=True, bare=True,
    ),
    "user_verification_token": Operation(
        "POST", "/v1/users/{login}/verification-token", {"verification_token", "expires_at"}, "users.verification_token",
        ("login",), options=True, bare=True,
    ),
    "user_verify_email": Operation(
        "POST", "/v1/verify-email", {"login", "email_verified"}, "users.verify_email", ("verification_token",), takes_token=False
    ),
    "user_reset_password": Operation(
        "POST", "/v1/reset-password", {"changed"}, "users.reset_password", ("reset_token", "password"), takes_token=False
    ),
    "session_introspect": Operation("POST", "/v1/introspect", INTROSPECTED, "introspect", ("token",)),
    "api_key_create": Operation(
        "POST", "/v1/api-keys", API_KEY | {"key"}, "api_keys.create", ("name",), options=True, status=201
    ),
    "api_key_list": Operation("GET", "/v1/api-keys", {"api_keys"}, "api_keys.list"),
    "api_key_revoke": Operation("DELETE", "/v1/api-keys/{api_key}", {"revoked"}, "api_keys.revoke", ("api_key",)),
    "key_set": Operation("GET", "/.well-known/jwks.json", {"keys"}, "keys.set", takes_token=False),
    # Over HTTP the answer has no body: its members are in the header.
    "auth_access": Operation("GET", "/v1/auth", {"login", "roles"}, "access", as_table=True, options=True, status=204),
    "user_list": Operation("GET", "/v1/admin/users", {"users", "next"}, "users.list", as_table=True, options=True),
    "user_get": _of_user("", USER, "users.get", "GET"),
    "user_create": Operation(
        "POST", "/v1/admin/users", USER, "users.create", ("login", "password", "name", "surname"),
        as_table=True, options=True, status=201,
    ),
    "user_delete": _of_user("", {"deleted"}, "users.delete", "DELETE"),
    "user_disable": _of_user("/disable", USER, "users.disable"),
    "user_enable": _of_user("/enable", USER, "users.enable"),
    "user_logout": _of_user("/logout", {"revoked"}, "users.logout"),
    "user_session_list": _of_user("/sessions", {"sessions"}, "users.sessions", "GET"),
    "user_session_revoke": _of_user("/sessions/{session}", {"revoked"}, "users.revoke_session", "DELETE", args=("session",)),
    "user_api_key_create": _of_user(
        "/api-keys", API_KEY | {"key"}, "users.create_api_key", args=("name",), options=True, status=201
    ),
    "user_api_key_list": _of_user("/api-keys", {"api_keys"}, "users.api_keys", "GET"),
    "user_api_key_revoke": _of_user("/api-keys/{api_key}", {"revoked"}, "users.revoke_api_key", "DELETE", args=("api_key",)),
    "user_create_service": Operation(
        "POST", "/v1/admin/services", USER, "users.create_service", ("login",), options=True, status=201
    ),
    "user_set_password": _of_user("/password", {"changed"}, "users.set_password", "PUT", args=("password",)),
    "role_grant": _of_user("/roles/{role}", USER, "roles.grant", "PUT", args=("role",)),
    "role_revoke": _of_user("/roles/{role}", USER, "roles.revoke", "DELETE", args=("role",)),
    "role_list": Operation("GET", "/v1/admin/roles", {"roles"}, "roles.list"),
    "role_set": Operation("PUT", "/v1/admin/roles/{role}", ROLE, "roles.set", ("role", "permissions")),
    "role_delete": Operation("DELETE", "/v1/admin/roles/{role}", {"deleted"}, "roles.delete", ("role",)),
    "server_metrics": Operation("GET", "/v1/admin/metrics", {"metrics"}, "metrics", as_table=True, options=True),
    "server_cluster": Operation(
        "GET", "/v1/cluster", {"instance", "leads", "leader", "election_mode", "term", "quorum", "members"}, "cluster"
    ),
    "key_list": Operation("GET", "/v1/admin/keys", {"keys"}, "keys.list"),
    "key_rotate": Operation(
        "POST", "/v1/admin/keys/rotate", {"kid", "alg", "signs_from"}, "keys.rotate", as_table=True, options=True
    ),
    "key_retire": Operation("POST", "/v1/admin/keys/{kid}/retire", {"kid", "verifies_until"}, "keys.retire", ("kid",)),
    "quota_list": Operation("GET", "/v1/admin/quotas", {"quotas", "next"}, "quotas.list", as_table=True, options=True),
}  # fmt: skip

KEY_VALUES = {
    "batch_get": Operation("POST", "/v1/batch/get", {"pairs", "missing"}, "batch.get", ("keys",), options=True),
    "batch_put": Operation("POST", "/v1/batch/put", {"committed", "results", "revision"}, "batch.put", ("pairs",), options=True),
    "batch_delete": Operation("POST", "/v1/batch/delete", {"committed", "results", "revision"}, "batch.delete", ("keys",), options=True),
    "kv_txn": Operation("POST", "/v1/txn", {"succeeded", "results", "revision"}, "kv.txn", as_table=True, options=True),
    "kv_list": Operation("GET", "/v1/kv", {"pairs", "next"}, "kv.list", as_table=True, options=True),
    "kv_delete": Operation("DELETE", "/v1/kv", {"deleted", "more", "revision"}, "kv.delete", as_table=True, options=True),
    "kv_incr": Operation("POST", "/v1/kv/{key}/incr", {"key", "value", "revision"}, "kv.incr", ("key",), options=True, bare=True),
    "pair_get": Operation("GET", "/v1/kv/{key}", {"key", "value", "revision"}, "pair.get", ("key",), options=True),
    "pair_put": Operation(
        "PUT", "/v1/kv/{key}", {"key", "revision", "created"}, "pair.put", ("key", "value"), options=True
    ),
    "pair_delete": Operation("DELETE", "/v1/kv/{key}", {"deleted", "revision"}, "pair.delete", ("key",), options=True),
    # Over HTTP it is a stream of events, which has a client of its own: sse.py.
    "kv_watch": Operation("GET", "/v1/watch", {"events", "revision"}, "kv.watch", as_table=True, options=True),
}  # fmt: skip
OPERATIONS |= KEY_VALUES
ADMINISTRATION = [name for name, operation in OPERATIONS.items() if operation.is_administration]

# The members of the maps inside of answers.
_INNER = {
    "users": USER,
    "sessions": LISTED_SESSION,
    "api_keys": API_KEY,
    "quotas": {"quota", "prefix", "pairs", "pairs_max", "bytes", "bytes_max"},
}
# A permission has one of these, then these, and others only where they are true.
_KEYED, _FLAGS, _PARTS = {"prefix", "key"}, {"read", "write"}, {"insert", "update", "delete"}
_KEY = {"kid", "alg", "created_at", "signs_from", "verifies_until", "signs"}
_JWK = {
    "RSA": {"kty", "use", "alg", "kid", "n", "e"},
    "EC": {"kty", "use", "alg", "kid", "crv", "x", "y"},
    "OKP": {"kty", "use", "alg", "kid", "crv", "x"},
}


def procedure(name: str) -> str:
    return f"authkv.{name}"


def _assert_permissions(answer: dict) -> None:
    for one in answer.get("permissions", []):
        parts = one.keys() & _PARTS
        assert len(one.keys() & _KEYED) == 1 and one.keys() - _KEYED == _FLAGS | parts, one
        assert not (one["write"] and parts) and all(one[part] is True for part in parts), one


def answered(name: str, answer) -> Ok:
    """The outcome of what a transport answered, which has to have exactly the promised members."""
    assert isinstance(answer, dict), answer
    if name in KEY_VALUES:
        assert answer.keys() == kv_answers.members(name, answer, KEY_VALUES[name].answer), answer
        kv_answers.assert_answer(name, answer)
        return Ok(answer)
    members = OPERATIONS[name].answer
    if name == "session_introspect" and not answer.get("active"):
        members = {"active"}
    assert answer.keys() == members, answer
    for member, inner in _INNER.items():
        assert all(one.keys() == inner for one in answer.get(member, [])), answer
    _assert_permissions(answer)
    for role in answer["roles"] if name == "role_list" else []:
        assert role.keys() == ROLE, role
        _assert_permissions(role)
    for key in answer.get("keys", []):
        assert key.keys() == (_JWK[key["kty"]] if name == "key_set" else _KEY), key
    return Ok(answer)


def _split(name: str, args: tuple) -> tuple[object, dict, tuple]:
    """The token, or None, all other arguments by name, and the options where they are given."""
    operation = OPERATIONS[name]
    token, *rest = args if operation.takes_token else (None, *args)
    options = (rest.pop(),) if len(rest) > len(operation.args) else ()
    assert operation.options or not options, name
    # An argument that is left out is left out everywhere.
    return token, dict(zip(operation.args, rest, strict=False)), options


@dataclass(frozen=True)
class Request:
    """A request over HTTP. `token` is None where none is sent."""

    method: str
    path: str
    body: object
    token: str | None
    headers: dict = field(default_factory=dict)
    # The key that it is about, where its path names one.
    key: str | None = None


def http(name: str, args: tuple) -> Request:
    operation = OPERATIONS[name]
    token, members, given = _split(name, args)
    options = (given[0] if given else None) or {}
    if name.startswith("pair_"):
        method, path, body, headers = rest.request(name, members, options)
        return Request(method, path, body, token, headers, members["key"])
    members |= options
    key = members.get("key")
    path = re.sub(r"{(\w+)}", lambda found: quote(members.pop(found[1]), safe=""), operation.path)
    if operation.method == "GET" or name == "kv_delete":
        return Request(operation.method, path + rest.question(members), None, token)
    if name in KEY_VALUES and not operation.bare:
        return Request(operation.method, path, to_json(members), token)
    return Request(operation.method, path, members or None, token, key=key)


def expression(name: str, args: tuple) -> str:
    """The call in Lua: as the user of the token, or as the owner."""
    operation = OPERATIONS[name]
    token, members, options = _split(name, args)
    given = [*members.values(), *options]
    if name == "auth_logout":
        given = [token]
    if operation.as_table:
        given = [members | options[0]] if options and isinstance(options[0], dict) else list(options) or [members]
    of_user = operation.takes_token and token is not OWNER and name != "auth_logout"
    where = f"authkv.as({lua(token)})" if of_user else "authkv"
    return f"{where}.{operation.lua}({', '.join(map(lua, given))})"


# How the message of `not_durable` begins.
NOT_WRITTEN = "The server cannot write to its disk"

# What the registry has called two statuses since RFC 9110, and what it called them before.
_TITLES = {413: {"Content Too Large", "Payload Too Large"}, 422: {"Unprocessable Content", "Unprocessable Entity"}}


def assert_headers(response, message: str, invalid: bool | None) -> None:
    """What a failure's headers have to be, under /api too. `invalid` is whether a token was sent that does not hold;
    None where it may be seen either way."""
    challenge = 'Bearer realm="authkv"'
    allowed = {
        401: [*([challenge] if not invalid else []), *([f'{challenge}, error="invalid_token"'] if invalid is not False else [])],
        403: [f'{challenge}, error="insufficient_scope"'],
    }.get(response.status, [None])
    assert response.headers["WWW-Authenticate"] in allowed, response.headers
    assert len(response.headers.get_all("WWW-Authenticate", [])) < 2, response.headers
    if message.startswith("Too many failed logins"):
        assert response.headers["Retry-After"] == str(seconds(message)), response.headers
    if message.startswith(NOT_WRITTEN):
        assert response.headers["Retry-After"].isdecimal(), response.headers


# What a problem tells besides: what it has to, and what it may.
_MORE = {"forbidden": ({"key"}, set()), "conflict": ({"key", "revision"}, set())}
_ABOUT_A_KEY = set(), {"key", "revision"}
_MORE |= dict.fromkeys(("no_such_key", "not_an_integer", "out_of_range", "value_too_large"), _ABOUT_A_KEY)
MEMBERS = {"type", "title", "status", "code", "detail"}


def assert_members(told: dict, more: set[str] = frozenset()) -> None:
    """What a problem has to say of itself (RFC 9457), wherever it stands."""
    code, status, detail = told["code"], told["status"], told["detail"]
    must, may = _MORE.get(code, (set(), set()))
    assert MEMBERS | must | more <= told.keys() <= MEMBERS | must | may | more, told
    assert told["type"] == "about:blank" and detail and status == ERRORS[code][2], told
    assert told["title"] in _TITLES.get(status, {HTTPStatus(status).phrase}), told
    assert "key" not in told or f" key {told['key']}" in detail, told
    if code == "conflict":
        revision = told["revision"]
        ending = f" is at revision {revision}" if revision else " does not exist"
        assert detail == f"The key {told['key']}{ending}", told


def problem(response, token: str | None = None, more: set[str] = frozenset()) -> Refusal:
    """The failure that an HTTP response tells, whose members and headers have to be exactly those of RFC 9457, and
    `more`."""
    told = response.problem
    code, status = told["code"], response.status
    assert_members(told, more)
    assert told["status"] == status, told
    assert response.headers.get_all("Cache-Control") == ["no-store"], response
    assert_headers(response, told["detail"], bool(token) and code == "unauthenticated" if token != "" else None)
    return Refusal(code, status, told["detail"])


def seconds(message: str) -> int:
    """How long to wait, as too_many_attempts says it."""
    found = re.fullmatch(r"Too many failed logins: try again in (\d+) seconds?", message)
    assert found, message
    return int(found[1])


def outcome(name: str, response, request: Request) -> Ok | Refusal:
    """The outcome that an HTTP response to this operation tells."""
    if response.status >= 400:
        return problem(response, request.token)
    if name == "pair_get":
        assert response.status == 200, response
        return answered(name, rest.pair(request.key, response))
    if name == "auth_access":
        assert (response.status, response.body) == (204, b""), response
        login, roles = (response.headers.get_all(f"X-Authkv-{name}") for name in ("Login", "Roles"))
        assert response.headers.get_all("Cache-Control") == ["no-store"] and len(login) == len(roles) == 1, response
        return answered(name, {"login": unquote(login[0]), "roles": [unquote(role) for role in roles[0].split(",") if role]})
    caching = "public, max-age=60" if name == "key_set" else "no-store"
    assert response.headers.get_all("Cache-Control") == [caching], response
    answer = from_json(response.json) if name in KEY_VALUES else response.json
    status = OPERATIONS[name].status
    if name == "pair_put":
        status = 201 if answer["created"] else 200
        assert rest.revision(response) == answer["revision"], response
    assert response.status == status, response
    return answered(name, answer)
