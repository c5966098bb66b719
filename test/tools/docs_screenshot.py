"""Makes `documentation/docs-page.png`: the page `/docs` after a login, with a read that was tried. Run by hand."""

from support.browser import Browser
from support.contract import GOOD
from support.harness import HOST, ROOT, Instance
from support.transports import HttpTransport

WIDTH, HEIGHT = 1180, 1420
DATA = {"planet": "Earth", "orbit": {"days": 365.25, "next": None}}


def main() -> None:
    with Instance(AUTHKV_HTTP_LISTEN=f"{HOST}:8080") as instance, Browser(WIDTH, HEIGHT) as browser:
        instance.http_port = 8080
        transport = HttpTransport(instance)
        transport.register("alice", GOOD, "Alice", "Smith")
        transport.close()
        browser.open(f"http://{HOST}:8080/docs")
        browser.execute("login", {"login": "alice", "password": GOOD})
        browser.execute("write", {"data": DATA})
        for operation in ("login", "write"):
            browser.click(f".opblock[id$='-{operation}'] .opblock-summary-control")
        browser.execute("read", {"keys": ["orbit", "planet"]})
        browser.script("scrollTo({top: 0, behavior: 'instant'})")
        (ROOT / "documentation" / "docs-page.png").write_bytes(browser.screenshot())


if __name__ == "__main__":
    main()
