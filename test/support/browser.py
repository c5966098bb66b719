"""The page `/docs` in headless Chromium, used as a person uses it: by clicking."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from urllib.parse import urlsplit

import requests

from support.harness import DEADLINE, HOST, wait_until

ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

# Set before any script of a page runs.
WATCH = """
window.violations = [];
addEventListener('securitypolicyviolation', event => violations.push(event.violatedDirective + ' ' + event.blockedURI));
"""

# The first element of a selector, inside another, that is shown; brought to where it can be clicked.
SHOWN = """
const [selector, inside] = arguments;
const found = [...(inside || document).querySelectorAll(selector)].find(one => one.checkVisibility());
if (found) found.scrollIntoView({block: 'center', behavior: 'instant'});
return found;
"""

# The member that stands for an element: https://www.w3.org/TR/webdriver2/#elements
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One Chromium with a profile of its own. WebDriver is JSON over HTTP, so that it takes no library."""

    def __init__(self, width: int = 1280, height: int = 1000, arguments: list[str] = ()):
        self.session = self.chromium = None
        self.profile = tempfile.mkdtemp(prefix="authkv-chromium-")
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        try:
            port = next(filter(None, (re.search(r"on port (\d+)\.$", line) for line in self.process.stdout)))[1]
            self.session = f"http://{HOST}:{port}/session"
            options = {
                "binary": shutil.which("chromium"),
                "args": [*ARGUMENTS, *arguments, f"--user-data-dir={self.profile}", f"--window-size={width},{height}"],
            }
            logs = {"browser": "ALL", "performance": "ALL"}
            wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": logs}
            made = self.command("POST", "", {"capabilities": {"alwaysMatch": wanted}})
            self.session += "/" + made["sessionId"]
            self.chromium = made["capabilities"]["goog:processID"]
            self.devtools("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends Chromium and its driver and removes the profile."""
        try:
            if self.session:
                self.command("DELETE", "")
        finally:
            # Where the driver could not end Chromium.
            if self.chromium:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.chromium, signal.SIGKILL)
            self.process.terminate()
            self.process.wait(DEADLINE)
            self.process.stdout.close()
            shutil.rmtree(self.profile, ignore_errors=True)

    def command(self, method: str, path: str, body: dict | None = None):
        """The value that the driver returns for a command."""
        data = None if method != "POST" else json.dumps(body or {})
        answer = requests.request(method, self.session + path, data=data, timeout=DEADLINE)
        value = answer.json()["value"]
        assert answer.ok, value
        return value

    def devtools(self, name: str, params: dict) -> dict:
        return self.command("POST", "/goog/cdp/execute", {"cmd": name, "params": params})

    def script(self, text: str, *arguments):
        return self.command("POST", "/execute/sync", {"script": text, "args": arguments})

    def log(self, name: str) -> list[str]:
        """What has been logged since this was last asked."""
        return [entry["message"] for entry in self.command("POST", "/se/log", {"type": name})]

    def open(self, url: str, shows: str = ".opblock") -> None:
        """Opens the page and waits for an element: on `/docs`, its operations."""
        self.command("POST", "/url", {"url": url})
        self.find(shows)

    def find(self, selector: str, inside: dict | None = None) -> dict:
        """The element, once it is shown."""
        return wait_until(lambda: self.script(SHOWN, selector, inside), selector)

    def text(self, selector: str, inside: dict | None = None) -> str:
        return self.script("return arguments[0].innerText", self.find(selector, inside))

    def click(self, selector: str, inside: dict | None = None) -> None:
        self.command("POST", f"/element/{self.find(selector, inside)[ELEMENT]}/click")

    def click_button(self, name: str) -> None:
        """Clicks the button that has this text."""
        found = "return [...document.querySelectorAll('button')].find(one => one.innerText === arguments[0] && one.checkVisibility())"
        button = wait_until(lambda: self.script(found, name), f"the button {name}")
        self.command("POST", f"/element/{button[ELEMENT]}/click")

    def write(self, text: str, selector: str, inside: dict | None = None) -> None:
        """Replaces the text of a field, as by pasting: Swagger UI takes its time with each key."""
        self.script("arguments[0].select()", self.find(selector, inside))
        self.devtools("Input.insertText", {"text": text})

    def execute(self, operation: str, body: dict | None = None) -> tuple[int, dict]:
        """Opens an operation, tries it out, and returns the status and the body that the page then shows. Once per
        operation and page."""
        block = self.find(f".opblock[id$='-{operation}']")
        if "is-open" not in self.script("return arguments[0].className", block):
            self.click(".opblock-summary-control", block)
            self.click(".try-out__btn", block)
        if body is not None:
            self.write(json.dumps(body), "textarea.body-param__text", block)
        self.click("button.execute", block)
        status = self.text(".live-responses-table tbody .response-col_status", block)
        shown = self.text(".live-responses-table tbody .response-col_description code", block)
        return int(status.split()[0]), json.loads(shown)

    def login_state(self) -> str:
        """What the page says of who is logged in."""
        return self.text("#who")

    def complaints(self) -> list[str]:
        """What the console says, and what the policy of the page has stopped."""
        return self.log("browser") + self.script("return violations")

    def hosts(self) -> set[str]:
        """The hosts to which requests have gone since this was last asked, but for Chromium's own pages."""
        events = [json.loads(entry)["message"] for entry in self.log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return {url.netloc for url in map(urlsplit, sent) if not url.scheme.startswith(("chrome", "data"))}

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self.command("GET", "/screenshot"))
