"""The Postman collection, by newman: both services on one port, twice on the same data, and on two ports."""

import subprocess

from support import harness
from support.split import http_to, two_instances


def run_collection(auth: harness.Instance, kv: harness.Instance) -> None:
    done = subprocess.run(
        [
            "node_modules/.bin/newman",
            "run",
            "authkv.postman_collection.json",
            "--env-var",
            f"baseUrl=http://127.0.0.1:{auth.http_port}",
            "--env-var",
            f"kvBaseUrl=http://127.0.0.1:{kv.http_port}",
            "--env-var",
            f"adminPassword={harness.ADMIN_PASSWORD}",
        ],
        cwd=harness.ROOT / "postman_tests",
        text=True,
        capture_output=True,
        timeout=5 * harness.DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_collection_passes_on_one_port_and_again_on_the_same_data(instance):
    run_collection(instance, instance)
    run_collection(instance, instance)


def test_the_collection_passes_on_two_ports():
    with two_instances() as split, http_to(*split):
        run_collection(*split)
