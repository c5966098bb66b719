"""The commands of the README: its `sh` blocks, in order, in one shell, against an instance with default settings."""

import os
import re
import subprocess

from support import harness


def commands(instance: harness.Instance) -> str:
    text = (harness.ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks, "the README has no commands"
    # The instance of the test has ports of its own.
    script = "".join(blocks).replace("127.0.0.1:8080", f"127.0.0.1:{instance.http_port}")
    return script.replace("127.0.0.1:3301", f"127.0.0.1:{instance.iproto_port}")


def test_the_commands_of_the_readme_work(instance):
    script = commands(instance)
    assert f":{instance.http_port}" in script
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        text=True,
        capture_output=True,
        cwd=harness.ROOT,
        env=os.environ
        | {
            "AUTHKV_ADMIN_PASSWORD": harness.ADMIN_PASSWORD,
            "AUTHKV_CLIENT_PASSWORD": harness.CLIENT_PASSWORD,
        },
        timeout=harness.DEADLINE,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
