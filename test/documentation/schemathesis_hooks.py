"""What schemathesis needs to know of authkv: how to get a token, and when a well-formed request may be refused."""

import json
import os

import requests
import schemathesis

from support.harness import ADMIN_PASSWORD, DEADLINE

ADDRESS = os.environ["AUTHKV_URL"]
ADMIN = "admin"
# Operations after which the token is good for nothing.
ENDING = ("logout", "auth_logout", "session_logout_all", "user_password")
LINES = "application/x-ndjson"

# What no schema can say: what is stored, and how many bytes a text takes.
OF_STATE = (
    "A user with this login is already exists",
    "These keys don't exist: ",
    "Incorrect keys: the length of a key should be ",
    "Incorrect role: a prefix is longer than a key may be",
    "Incorrect role: admin and introspect cannot be changed",
    "Incorrect role: default cannot be deleted",
    "Incorrect login: it is no e-mail address",
    "Incorrect role: only {login} may stand in braces",
    "Incorrect role: after {login} a prefix should go on",
    "Incorrect role: write is all of insert, update and delete",
    "Incorrect role: a key should not be empty",
    "permissions should be an array of objects with prefix or key",
    "Incorrect access: it should be given together with key",
    "Incorrect all: it should be ",
    "Incorrect password: it is one of the most common ones",
    "Incorrect keys: you cannot pass identical keys: ",
    "Incorrect ttl: it should be given without expires_at",
    "Incorrect expires_at: it should be seconds since 1970, in the future",
)


def login_for(operation: str) -> str:
    """The login of the user whom only this operation logs out."""
    return operation.replace("_", "")


def log_in(login: str) -> str:
    credentials = {"login": login, "password": ADMIN_PASSWORD}
    answer = requests.post(f"{ADDRESS}/v1/login", json=credentials, timeout=DEADLINE)
    return answer.json()["access_token"]


class Token:
    """A token of the user `admin` in the header."""

    def get(self, case, context) -> str:
        return log_in(ADMIN)

    def set(self, case, token: str, context) -> None:
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.auth().skip_for(operation_id=list(ENDING))
class SharedToken(Token):
    pass


@schemathesis.auth(refresh_interval=None).apply_to(operation_id=list(ENDING))
class TokenForOneCall(Token):
    """A token of a user of this operation's own, so that others go on."""

    def get(self, case, context) -> str:
        login = login_for(case.operation.definition.raw["operationId"])
        person = {"login": login, "password": ADMIN_PASSWORD, "name": "Leaves", "surname": "Soon"}
        # It is there already from the second time on.
        requests.post(f"{ADDRESS}/v1/users", json=person, timeout=DEADLINE)
        return log_in(login)


@schemathesis.serializer(LINES)
def write_lines(context, value) -> bytes:
    """The document knows lines as bytes only, so here they become some: what is generated is the value of a pair."""
    pair = {"key": "imported", "value": value.decode("latin-1") if isinstance(value, bytes) else value}
    return f"{json.dumps(pair)}\n".encode()


@schemathesis.deserializer(LINES)
def read_lines(context, response) -> str:
    lines = response.content.decode()
    assert all(isinstance(json.loads(line), dict) for line in lines.splitlines()), lines
    return lines


@schemathesis.deserializer("application/json")
def read_json(context, response) -> object:
    """The value of a pair is bytes to the document, JSON text or not."""
    is_value = context.operation.definition.raw["operationId"].startswith("pair_get") and response.status_code == 200
    return response.content.decode() if is_value else json.loads(response.content)


@schemathesis.hook
def filter_case(context, case) -> bool:
    """Leaves out what is taken for wrong and is not: outside of /v1 a query is ignored."""
    return case.operation.path.startswith("/v1/") or not case.query


@schemathesis.hook
def before_call(context, case, kwargs) -> None:
    """Keeps those who log in here, whom a list of users names, from being disabled and deleted."""
    if case.path_parameters and case.path_parameters.get("login") in (ADMIN, *map(login_for, ENDING)):
        case.path_parameters["login"] = "nobody"
    keep_from_waiting(case)
    if case.operation.definition.raw["operationId"].removesuffix("_by_query") in ("pair_get", "pair_put", "pair_delete"):
        # The document cannot say that these may not stand together.
        is_said = "if_revision" in case.query or "mode" in case.query
        if "If-Match" in case.headers and (is_said or "If-None-Match" in case.headers):
            del case.headers["If-Match"]
        if "If-None-Match" in case.headers and is_said:
            del case.headers["If-None-Match"]


def keep_from_waiting(case) -> None:
    """Asks for revisions that are there, and for nothing in the header, which may not differ from the rest."""
    for name in ("Authkv-Min-Revision", "Authkv-Consistency"):
        case.headers.pop(name, None)
    for members in (case.query, case.body):
        # In a query it may be a text.
        if isinstance(members, dict) and str(members.get("min_revision")).isdigit():
            members["min_revision"] = min(int(members["min_revision"]), 1)


@schemathesis.check
def refuses_well_formed_requests_for_what_is_stored_only(context, response, case) -> None:
    # Bytes that are said to be an import may be no lines.
    if case.operation.definition.raw["operationId"] == "kv_import":
        return
    if response.status_code in (400, 422) and case.meta and case.meta.generation.mode.is_positive:
        answer = response.json()
        text = answer.get("message") or answer["detail"]
        assert text.startswith(OF_STATE), text
