"""What schemathesis needs to know of authkv: how to get a token, and when a well-formed request may be refused."""

import os

import requests
import schemathesis

from harness import ADMIN_PASSWORD, DEADLINE

# What no schema can say: what is stored, and how many bytes a text takes.
OF_STATE = (
    "A user with this login is already exists",
    "These keys don't exist: ",
    "Incorrect keys: the length of a key should be ",
)


class Token:
    """A token of the user `admin` in the header."""

    def get(self, case, context) -> str:
        credentials = {"login": "admin", "password": ADMIN_PASSWORD}
        answer = requests.post(os.environ["AUTHKV_URL"] + "/api/login/", json=credentials, timeout=DEADLINE)
        return answer.json()["token"]

    def set(self, case, token: str, context) -> None:
        case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.auth().apply_to(operation_id=["read", "write"])
class SharedToken(Token):
    pass


@schemathesis.auth(refresh_interval=None).apply_to(operation_id="logout")
class TokenForOneLogout(Token):
    pass


@schemathesis.check
def refuses_well_formed_requests_for_what_is_stored_only(context, response, case) -> None:
    if response.status_code == 400 and case.meta and case.meta.generation.mode.is_positive:
        message = response.json()["message"]
        assert message.startswith(OF_STATE), message
