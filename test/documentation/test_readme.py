"""The commands of the README: its `sh` blocks, in order, in one shell, against an instance with default settings; and what it
shows of the console."""

import re

from support import harness
from support.blocks import blocks, replaced, run

TEXT = (harness.ROOT / "README.md").read_text()


def test_the_commands_of_the_readme_work(instance, console):
    script = "".join(block.code for block in blocks(TEXT, "sh"))
    assert "127.0.0.1:8080" in script and "127.0.0.1:3301" in script
    # The instance of the test has ports of its own.
    own = {"127.0.0.1:8080": f"127.0.0.1:{instance.http_port}", "127.0.0.1:3301": f"127.0.0.1:{instance.iproto_port}"}
    passwords = {"AUTHKV_ADMIN_PASSWORD": harness.ADMIN_PASSWORD, "AUTHKV_CLIENT_PASSWORD": harness.CLIENT_PASSWORD}
    run(replaced(script, own), **passwords)
    # The session goes on with the pairs of the commands.
    session = "".join(block.code for block in blocks(TEXT, "console"))
    shown = re.findall(r"^unix/:\./var/console\.sock> (.*)\n((?:.*\n)*?\.\.\.\n)", session, re.MULTILINE)
    assert shown
    for line, printed in shown:
        # The program that a person uses adds a line between the answer and its prompt.
        assert console.show(line).rstrip("\n") == printed.rstrip("\n")
