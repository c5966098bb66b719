"""What `/openapi.json` says holds: its examples are of their schemas, and generators of clients can use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from jsonschema import Draft202012Validator

from support import harness

PROBLEM = "application/problem+json"
# Not each of their answers has them: they need a key or a line, or an unknown path; a token that is valid.
OPTIONAL = {"Cluster": {"leader"}, "Problem": {"key", "revision", "message", "line"}}


def fetch(instance) -> dict:
    return requests.get(f"{instance.url}/openapi.json", timeout=harness.DEADLINE).json()


@pytest.fixture(scope="module")
def document(instance):
    return fetch(instance)


def operations(document: dict) -> Iterator[tuple[str, str, dict]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in ("get", "put", "post", "delete"), method
            yield path, method, operation


def check(document: dict, schema: dict, value) -> None:
    Draft202012Validator(schema | {"components": document["components"]}).validate(value)


def named(schema: dict) -> str:
    return schema.get("$ref", "").rpartition("/")[2]


def variants(document: dict, schema: dict) -> list[dict]:
    """The alternatives of a schema."""
    schemas = document["components"]["schemas"]
    return [schemas[named(one)] if named(one) else one for one in schema.get("oneOf", [schema])]


def test_an_answer_has_the_members_of_its_schema_and_no_more(document):
    used = set()
    for path, method, operation in operations(document):
        responses, codes = operation["responses"], []
        for status, response in responses.items():
            for media_type, content in response.get("content", {}).items():
                used.add(named(content["schema"]))
                for name, example in content["examples"].items():
                    check(document, content["schema"], example["value"])
                    if media_type == PROBLEM:
                        assert (example["value"]["code"], str(example["value"]["status"])) == (name, status), path
                        codes.append(name)
        assert len(codes) == len(set(codes)), path
        both = method == "put" and path in ("/v1/kv/{key}", "/v1/pair")
        assert len({"200", "201", "204"} & responses.keys()) == 1 + both, path
    # A value has no schema.
    for name in used - {"", "Value"}:
        for one in variants(document, document["components"]["schemas"][name]):
            assert one["additionalProperties"] is False, name
            members = {"active"} if name == "Introspection" else one["properties"].keys() - OPTIONAL.get(name, set())
            assert members == set(one["required"]), name


def test_the_example_of_a_body_is_of_its_schema(document):
    for _, _, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            check(document, content["schema"], content["example"])


def test_a_member_that_may_be_left_out_may_be_null(document):
    def schemas(schema: dict) -> Iterator[dict]:
        for one in variants(document, schema):
            yield one
            for inner in one.get("properties", {}).values():
                yield from schemas(inner.get("items", inner))

    never = set()
    for path, _, operation in operations(document):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for schema in schemas(content["schema"]):
                for name in schema.get("properties", {}).keys() - set(schema.get("required", ())):
                    kinds = [one.get("type", "null") for one in variants(document, schema["properties"][name])]
                    if "null" not in str(kinds):
                        never.add((path, name))
    # One of them is needed.
    assert never == {("/v1/txn", "exists"), ("/v1/txn", "revision")}


def test_a_schema_that_is_named_is_there_and_one_that_is_there_is_named(document):
    def names(value) -> Iterator[str]:
        if isinstance(value, dict):
            yield named(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from names(inner)

    assert set(names(document)) - {""} == document["components"]["schemas"].keys()


def test_the_document_is_that_of_the_settings(make):
    closed = make(AUTHKV_REGISTRATION="admin", AUTHKV_PASSWORD_MIN="15", AUTHKV_PASSWORD_CLASSES="lower,digit").start()
    document = fetch(closed)
    for path in ("/api/register", "/v1/users"):
        operation = document["paths"][path]["post"]
        assert operation["security"][0]["token"] == [] and "403" in operation["responses"], path
    password = document["components"]["schemas"]["NewPassword"]["properties"]["password"]
    assert (password["minLength"], password["pattern"]) == (15, r"^(?=[\s\S]*[a-z])(?=[\s\S]*[0-9])")


def test_a_failure_has_one_form(document):
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if status < "400":
                continue
            for media_type, content in response["content"].items():
                schema = "LoginFailure" if (path, status) == ("/api/login", "404") else "Message"
                assert named(content["schema"]) == ("Problem" if media_type == PROBLEM else schema), (path, status)
            assert path.startswith("/api/") or response["content"].keys() == {PROBLEM}, (path, status)


@pytest.mark.parametrize("operation,status,headers", [
    ("post /v1/login", 401, {"WWW-Authenticate"}),
    ("get /v1/me", 401, {"WWW-Authenticate"}),
    ("get /v1/admin/roles", 403, {"WWW-Authenticate"}),
    ("post /v1/login", 429, {"Retry-After"}),
    ("post /v1/login", 405, {"Allow"}),
    ("post /v1/login", 400, set()),
    ("post /v1/import", 415, {"Accept-Encoding"}),
    ("put /v1/kv/{key}", 415, {"Accept-Encoding"}),
    ("post /api/login", 404, set()),
    ("get /v1/kv/{key}", 200, {"Authkv-Expires-At", "ETag"}),
    ("get /v1/kv/{key}", 304, {"ETag"}),
    ("put /v1/kv/{key}", 200, {"Authkv-Revision", "ETag"}),
    ("put /v1/kv/{key}", 201, {"Authkv-Revision", "ETag"}),
    ("delete /v1/kv/{key}", 200, {"Authkv-Revision"}),
    ("post /v1/kv/{key}/incr", 200, {"Authkv-Revision"}),
    ("post /v1/batch/put", 200, {"Authkv-Revision"}),
    ("post /v1/batch/get", 200, set()),
    ("delete /v1/kv", 200, {"Authkv-Revision"}),
    ("post /v1/txn", 200, {"Authkv-Revision"}),
    ("post /api/write", 201, {"Authkv-Revision"}),
    ("get /v1/export", 200, {"X-Total-Count"}),
])  # fmt: skip
def test_what_an_answer_adds_to_the_header_is_described(document, operation, status, headers):
    method, path = operation.split()
    response = document["paths"][path][method]["responses"][str(status)]
    assert response.get("headers", {}).keys() == headers


def test_a_value_is_described_in_every_form_in_which_it_comes(document):
    pair = document["paths"]["/v1/kv/{key}"]
    read = pair["get"]["responses"]
    assert read["200"]["content"].keys() == {"*/*", "application/octet-stream"}
    for content in read["200"]["content"].values():
        assert content["examples"]["bytes"]["value"] == "Halley"
        assert content["examples"]["json"]["value"].startswith('{"days":')
    assert "content" not in read["304"]
    [(media_type, content)] = pair["put"]["requestBody"]["content"].items()
    assert (media_type, named(content["schema"])) == ("application/json", "Value")
    listed = document["paths"]["/v1/kv"]["get"]["responses"]["200"]["content"]["application/json"]["examples"]["pairs"]
    assert listed["value"]["pairs"][1]["value"] == {"$binary": "SGFsbGV5"}


def test_generators_can_use_the_document(document):
    """Alternatives and objects with members have names, whole numbers have a format, nothing is constant, and each body that a
    client chooses by its schema has another one."""

    def look(value, *place: str) -> None:
        for item in value if isinstance(value, list) else ():
            look(item, *place)
        if not isinstance(value, dict):
            return
        for name, member in value.items():
            if not name.startswith("example"):
                look(member, *place, name)
        if "type" not in value and "oneOf" not in value:
            return
        kinds = value.get("type", [])
        is_named = len(place) == 3 and place[:2] == ("components", "schemas")
        assert "const" not in value and not (kinds == "boolean" and "enum" in value), place
        assert "oneOf" not in value or is_named, place
        assert is_named or not any("properties" in one for one in value.get("oneOf", [value])), place
        assert "integer" not in ([kinds] if isinstance(kinds, str) else kinds) or "format" in value, place

    look(document)
    for path, _, operation in operations(document):
        assert not path.endswith("/"), path
        assert operation["operationId"].replace("_", "").isalpha() and operation["operationId"].islower()
        schemas = [content["schema"] for content in operation.get("requestBody", {}).get("content", {}).values()]
        assert all(one.get("format") == "binary" or schemas.count(one) == 1 for one in schemas), path
