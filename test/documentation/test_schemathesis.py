"""Every answer is as `/openapi.json` says, for requests that schemathesis makes up from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import requests

from support import harness

HERE = Path(__file__).resolve().parent


def test_answers_are_as_the_document_says(make, tmp_path):
    # Small limits, so that requests at the limits are small as well; a cheap hash, because it registers hundreds; no
    # delays, because most of its logins fail.
    settings = {"BATCH_MAX": "8", "KEY_MAX": "40", "TOKEN_ALGORITHM": "EdDSA", "LOGIN_DELAY_MAX": "0"}
    instance = make(**harness.CHEAP_HASHES, **{f"AUTHKV_{name}": value for name, value in settings.items()}).start()
    address = instance.url
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml", "run",
        address + "/openapi.json",
        "--checks=all", "--max-examples=25", "--seed=1", "--continue-on-failure", "--workers=1", "--no-color",
        # It takes a 404 for any login as one for the login that was just created.
        "--exclude-checks=ensure_resource_availability",
    ]  # fmt: skip
    environment = os.environ | {
        "PYTHONPATH": str(HERE.parent), "AUTHKV_URL": address, "SCHEMATHESIS_HOOKS": "documentation.schemathesis_hooks",
    }  # fmt: skip
    # It keeps a cache where it runs.
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    paths = requests.get(address + "/openapi.json", timeout=harness.DEADLINE).json()["paths"]
    count = sum(len(item) for item in paths.values())
    # A watch has no end.
    assert f"{count - 1} selected / {count} total" in run.stdout and " 0 generated" not in run.stdout
    assert instance.is_running()
    # Its token was good to the end.
    credentials = {"login": "admin", "password": harness.ADMIN_PASSWORD}
    answer = requests.post(address + "/v1/login", json=credentials, timeout=harness.DEADLINE)
    me = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    me = requests.get(address + "/v1/me", headers=me, timeout=harness.DEADLINE).json()
    assert me["roles"] == ["admin"]
