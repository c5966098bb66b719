"""The operations of /v1: what each is called at every front, and what its answers may look like there.

`fronts.py` runs them. Arguments are those of the procedure: the token first where there is one, a map of options last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote, urlencode

from lua import lua
from outcome import ERRORS, Ok, Refusal

# In place of a token: the owner of the instance, who needs none on the console.
OWNER = object()

USER = {"login", "name", "surname", "created_at", "disabled", "roles"}
SESSION = {"access_token", "token_type", "expires_in", "refresh_token", "refresh_expires_in"}
INTROSPECTED = {"active", "token_type", "username", "sub", "iss", "aud", "jti", "iat", "nbf", "exp"}
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
    # Whether a map of options may follow.
    options: bool = False
    status: int = 200

    @property
    def is_administration(self) -> bool:
        return "/admin/" in self.path


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
    "auth_logout": Operation("POST", "/v1/logout", {"revoked"}, "logout"),
    "session_logout_all": Operation("POST", "/v1/logout/all", {"revoked"}, "logout_all"),
    "user_me": Operation("GET", "/v1/me", USER | {"permissions"}, "me"),
    "user_password": Operation("PUT", "/v1/me/password", {"changed"}, "password", ("old_password", "new_password")),
    "session_introspect": Operation("POST", "/v1/introspect", INTROSPECTED, "introspect", ("token",)),
    "key_set": Operation("GET", "/.well-known/jwks.json", {"keys"}, "keys.set", takes_token=False),
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
    "user_set_password": _of_user("/password", {"changed"}, "users.set_password", "PUT", args=("password",)),
    "role_grant": _of_user("/roles/{role}", USER, "roles.grant", "PUT", args=("role",)),
    "role_revoke": _of_user("/roles/{role}", USER, "roles.revoke", "DELETE", args=("role",)),
    "role_list": Operation("GET", "/v1/admin/roles", {"roles"}, "roles.list"),
    "role_set": Operation("PUT", "/v1/admin/roles/{role}", ROLE, "roles.set", ("role", "permissions")),
    "role_delete": Operation("DELETE", "/v1/admin/roles/{role}", {"deleted"}, "roles.delete", ("role",)),
    "key_list": Operation("GET", "/v1/admin/keys", {"keys"}, "keys.list"),
    "key_rotate": Operation(
        "POST", "/v1/admin/keys/rotate", {"kid", "alg", "signs_from"}, "keys.rotate", as_table=True, options=True
    ),
    "key_retire": Operation("POST", "/v1/admin/keys/{kid}/retire", {"kid", "verifies_until"}, "keys.retire", ("kid",)),
}  # fmt: skip
ADMINISTRATION = [name for name, operation in OPERATIONS.items() if operation.is_administration]

# The members of the maps inside of answers.
_INNER = {"users": USER, "permissions": {"prefix", "read", "write"}}
_KEY = {"kid", "alg", "created_at", "signs_from", "verifies_until", "signs"}
_JWK = {
    "RSA": {"kty", "use", "alg", "kid", "n", "e"},
    "EC": {"kty", "use", "alg", "kid", "crv", "x", "y"},
    "OKP": {"kty", "use", "alg", "kid", "crv", "x"},
}


def procedure(name: str) -> str:
    return f"authkv.{name}"


def answered(name: str, answer) -> Ok:
    """The outcome of what a front answered, which has to have exactly the promised members."""
    assert isinstance(answer, dict), answer
    members = OPERATIONS[name].answer
    if name == "session_introspect" and not answer.get("active"):
        members = {"active"}
    assert answer.keys() == members, answer
    for member, inner in _INNER.items():
        assert all(one.keys() == inner for one in answer.get(member, [])), answer
    for role in answer["roles"] if name == "role_list" else []:
        assert role.keys() == ROLE and all(one.keys() == _INNER["permissions"] for one in role["permissions"]), role
    for key in answer.get("keys", []):
        assert key.keys() == (_JWK[key["kty"]] if name == "key_set" else _KEY), key
    return Ok(answer)


def _split(name: str, args: tuple) -> tuple[object, dict]:
    """The token, or None, and all other arguments by name."""
    operation = OPERATIONS[name]
    token, *rest = args if operation.takes_token else (None, *args)
    options = rest.pop() if len(rest) > len(operation.args) else {}
    assert operation.options or not options, name
    # An argument that is left out is left out everywhere.
    return token, dict(zip(operation.args, rest)) | options


def http(name: str, args: tuple) -> tuple[str, str, dict | None, str | None]:
    """Method, path, body and token of a request."""
    operation = OPERATIONS[name]
    token, members = _split(name, args)
    path = re.sub(r"{(\w+)}", lambda found: quote(members.pop(found[1]), safe=""), operation.path)
    if operation.method == "GET":
        return operation.method, f"{path}?{urlencode(members)}" if members else path, None, token
    return operation.method, path, members or None, token


def expression(name: str, args: tuple) -> str:
    """The call in Lua: as the user of the token, or as the owner."""
    operation = OPERATIONS[name]
    token, members = _split(name, args)
    given = list(members.values())
    if name == "auth_logout":
        given = [token]
    of_user = operation.takes_token and token is not OWNER and name != "auth_logout"
    where = f"authkv.as({lua(token)})" if of_user else "authkv"
    arguments = lua(members) if operation.as_table else ", ".join(map(lua, given))
    return f"{where}.{operation.lua}({arguments})"


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


def problem(response, token: str | None = None) -> Refusal:
    """The failure that an HTTP response tells, whose members and headers have to be exactly those of RFC 9457."""
    told = response.problem
    code, status = told["code"], response.status
    assert told.keys() == {"type", "title", "status", "code", "detail"} | ({"key"} if code == "forbidden" else set()), told
    assert told["type"] == "about:blank" and told["status"] == status and told["detail"], told
    assert told["title"] in _TITLES.get(status, {HTTPStatus(status).phrase}), told
    assert status == ERRORS[code][2], told
    assert "key" not in told or told["detail"].endswith(f" the key {told['key']}"), told
    assert response.headers.get_all("Cache-Control") == ["no-store"], response
    assert_headers(response, told["detail"], bool(token) and code == "unauthenticated" if token != "" else None)
    return Refusal(code, status, told["detail"])


def seconds(message: str) -> int:
    """How long to wait, as too_many_attempts says it."""
    found = re.fullmatch(r"Too many failed logins: try again in (\d+) seconds?", message)
    assert found, message
    return int(found[1])


def outcome(name: str, response, token: str | None) -> Ok | Refusal:
    """The outcome that an HTTP response to this operation tells."""
    if response.status >= 400:
        return problem(response, token)
    assert response.status == OPERATIONS[name].status, response
    caching = "public, max-age=60" if name == "key_set" else "no-store"
    assert response.headers.get_all("Cache-Control") == [caching], response
    return answered(name, response.json)
