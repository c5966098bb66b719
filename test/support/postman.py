"""The Postman collection, by newman."""

from __future__ import annotations

import subprocess

from support.harness import ADMIN_PASSWORD, DEADLINE, ROOT


def run_collection(url: str, kv_url: str | None = None) -> None:
    """Runs the collection of the old system against these addresses. All of its tests have to pass."""
    variables = {"baseUrl": url, "kvBaseUrl": kv_url or url, "adminPassword": ADMIN_PASSWORD}
    done = subprocess.run(
        [
            "node_modules/.bin/newman",
            "run",
            "authkv.postman_collection.json",
            *(part for name, value in variables.items() for part in ("--env-var", f"{name}={value}")),
        ],
        cwd=ROOT / "postman_tests",
        text=True,
        capture_output=True,
        timeout=5 * DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
