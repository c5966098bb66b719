"""The commands of the README: its `sh` blocks, in order, in one shell, against an instance with default settings."""

from support import harness
from support.blocks import blocks, replaced, run


def test_the_commands_of_the_readme_work(instance):
    script = "".join(block.code for block in blocks((harness.ROOT / "README.md").read_text(), "sh"))
    assert "127.0.0.1:8080" in script and "127.0.0.1:3301" in script
    # The instance of the test has ports of its own.
    own = {"127.0.0.1:8080": f"127.0.0.1:{instance.http_port}", "127.0.0.1:3301": f"127.0.0.1:{instance.iproto_port}"}
    passwords = {"AUTHKV_ADMIN_PASSWORD": harness.ADMIN_PASSWORD, "AUTHKV_CLIENT_PASSWORD": harness.CLIENT_PASSWORD}
    run(replaced(script, own), **passwords)
