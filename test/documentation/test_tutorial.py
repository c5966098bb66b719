"""documentation/tutorial.md: every step, as the page has it, in a fresh directory."""

from __future__ import annotations

import pytest
import requests

from support import harness
from support.blocks import blocks
from support.harness import DEADLINE, HOST, free_port
from support.walk import Walk

PAGES = ["tutorial.md"]


@pytest.mark.parametrize("page", PAGES)
def test_each_step_of_the_tutorial_gives_what_it_says(page, tmp_path):
    text = (harness.ROOT / "documentation" / page).read_text()
    own = {f"{HOST}:8080": f"{HOST}:{free_port()}", f"{HOST}:3301": f"{HOST}:{free_port()}", f"{HOST}:8000": f"{HOST}:{free_port()}"}
    # The port of the page in the browser stands alone too. Left as it is, it would be served where nobody waits for it.
    port = own[f"{HOST}:8000"].partition(":")[2]
    own |= {"page 8000": f"page {port}", "port 8000": f"port {port}"}
    listen = {"AUTHKV_HTTP_LISTEN": own[f"{HOST}:8080"], "AUTHKV_IPROTO_LISTEN": own[f"{HOST}:3301"]}
    # An RSA key takes seconds.
    with Walk(tmp_path, own, **listen, AUTHKV_TOKEN_ALGORITHM="EdDSA") as walk:
        page, rest, end = text.partition("## Notes that expire")
        done = walk.go(page)
        served = f"http://{own[f'{HOST}:8000']}"
        assert requests.get(f"{served}/index.html", timeout=DEADLINE).ok
        # Neither data nor keys are there for others.
        listing = requests.get(served, timeout=DEADLINE)
        assert requests.get(f"{served}/var/", timeout=DEADLINE).status_code == 404 and "var" not in listing.text
        assert done + walk.go(rest + end) == len([block for block in blocks(text) if block.kind])
