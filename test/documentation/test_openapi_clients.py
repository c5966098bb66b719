"""Clients that generators make of `/openapi.json` type-check and work, and linters have nothing to say about the document."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from support import harness
from support.bulk import counts, is_complete

TEST = harness.ROOT / "test"
PROGRAMS = TEST / "documentation" / "openapi_clients"
NPM = TEST / "npm" / "node_modules"

# Of the clients in Python `pair_put` takes None for no body.
VALUES = {"string": "Earth", "number": 365.25, "object": {"next": None}, "null": None, "bytes": {"$binary": "AP+A"}}
EXPECTED = {
    "wrong_password": [401, "invalid_credentials"], "login": "Bearer", "introspected": [True, "admin"],
    "unknown": {"active": False}, "batch_put": ["written"] * 5, "batch_get": VALUES, "missing": ["none"],
    "pair_get": VALUES | {"bytes": "00ff80"}, "conflict": [412, "conflict"], "no_such_key": [404, "no_such_key"],
    "incr": 2, "incr_without_body": 3, "list": sorted([*VALUES, "count"]),
    "txn": [True, [["written", None], ["written", 4], ["found", VALUES["bytes"]]]],
    "batch_delete": ["deleted", "deleted"], "pair_delete": True,
    "import": counts(lines=2, written=2),
    "export": [0, 1], "role": 1000, "logged_out": [401, "unauthenticated"],
}  # fmt: skip


def run(*command, cwd: Path) -> str:
    """What a program prints, which has to succeed."""
    ours = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, cwd=cwd, env=os.environ | {"PATH": ours}, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@dataclass(frozen=True)
class Place:
    """A directory with the document of a running instance."""

    instance: harness.Instance
    directory: Path

    @property
    def address(self) -> str:
        return self.instance.url

    def run(self, *command) -> str:
        return run(*command, cwd=self.directory)

    def client(self, *program, nulls: bool = False) -> None:
        """Runs the program of a client; `nulls`: whether it can send null alone."""
        prefix = f"{program[-1]}/"
        printed = json.loads(self.run(*program, self.address, harness.ADMIN_PASSWORD, prefix))
        assert is_complete(printed["import"], EXPECTED["import"])
        printed["import"] = printed["import"]["done"]
        keys = requests.get(f"{self.address}/.well-known/jwks.json", timeout=harness.DEADLINE).json()["keys"]
        kinds = [kind for kind in VALUES if nulls or kind != "null"]
        assert printed == EXPECTED | {"pair_put": dict.fromkeys(kinds, False), "key_set": [key["kty"] for key in keys]}


@pytest.fixture(scope="module")
def place(instance, tmp_path_factory):
    directory = tmp_path_factory.mktemp("clients")
    for file in PROGRAMS.iterdir():
        if file.is_file():
            shutil.copy(file, directory)
    (directory / "node_modules").symlink_to(NPM)
    (directory / "package.json").write_text('{"type": "module"}')
    place = Place(instance, directory)
    document = requests.get(f"{place.address}/openapi.json", timeout=harness.DEADLINE).content
    (directory / "openapi.json").write_bytes(document)
    return place


def mypy(place: Place, package: str, program: str) -> None:
    place.run(sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-error-summary", "-p", package)
    place.run(sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-error-summary", program)


def test_openapi_python_client(place):
    place.run(
        sys.executable, "-m", "openapi_python_client", "generate", "--path", "openapi.json", "--output-path", "made_by_opc",
        "--meta", "none", "--config", "openapi_python_client.yml", "--fail-on-warning",
    )  # fmt: skip
    mypy(place, "made_by_opc", "with_openapi_python_client.py")
    place.client(sys.executable, "with_openapi_python_client.py")


def test_openapi_generator(place):
    place.run(
        "openapi-generator-cli", "generate", "-g", "python", "-i", "openapi.json", "-o", ".", "--package-name", "made_by_og",
    )  # fmt: skip
    mypy(place, "made_by_og", "with_openapi_generator.py")
    place.client(sys.executable, "with_openapi_generator.py")


def test_openapi_typescript(place):
    place.run(NPM / ".bin/openapi-typescript", "openapi.json", "-o", "made_by_ts.ts")
    place.run(NPM / ".bin/tsc")
    place.client("node", "built/with_openapi_fetch.js", nulls=True)


def test_linters_have_nothing_to_say(place):
    place.run("openapi-spec-validator", "openapi.json")
    problems = json.loads(place.run(NPM / ".bin/redocly", "lint", "openapi.json", "--format=json"))
    assert problems["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}, problems["problems"]
