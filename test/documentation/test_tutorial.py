"""documentation/tutorial.md: every step, as the page has it, in a fresh directory."""

from __future__ import annotations

import pytest

from support import harness
from support.blocks import blocks
from support.harness import HOST, free_port
from support.walk import Walk

PAGES = ["tutorial.md"]


@pytest.mark.parametrize("page", PAGES)
def test_each_step_of_the_tutorial_gives_what_it_says(page, tmp_path):
    text = (harness.ROOT / "documentation" / page).read_text()
    own = {f"{HOST}:8080": f"{HOST}:{free_port()}", f"{HOST}:3301": f"{HOST}:{free_port()}", f"{HOST}:8000": f"{HOST}:{free_port()}"}
    # The port of the page in the browser stands alone too.
    port = own[f"{HOST}:8000"].partition(":")[2]
    own |= {f"{HOST} 8000": f"{HOST} {port}", "port 8000": f"port {port}"}
    listen = {"AUTHKV_HTTP_LISTEN": own[f"{HOST}:8080"], "AUTHKV_IPROTO_LISTEN": own[f"{HOST}:3301"]}
    # An RSA key takes seconds.
    with Walk(tmp_path, own, **listen, AUTHKV_TOKEN_ALGORITHM="EdDSA") as walk:
        assert walk.go(text) == len([block for block in blocks(text) if block.kind])
