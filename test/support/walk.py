"""A page of the documentation as a person walks through it: its blocks are run exactly as they stand, in their order, in a
fresh directory.

| kind of a block | what is done |
|---|---|
| `sh` | given to one shell, which goes on from block to block; each has to succeed |
| `sh server` | run in a shell of its own until the walk ends; the `text answer` after it is in what it prints |
| `sh stop` | as `sh`, once the servers have been stopped |
| `LANGUAGE NAME`, NAME with a dot | saved as the file NAME |
| `lua console`, `lua console PATH` | given to the console of the instance, by lines; PATH of its socket if it is not that of `./var` |
| `text browser` | done in Chromium: `open URL`, `write FIELD TEXT`, `click BUTTON`, `see TEXT`, `miss TEXT` |
| `json answer`, `text answer`, `yaml answer` | compared with what the block before has given; … stands for what differs |

Blocks of other kinds, and without one, are for the reader only.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from support import harness
from support.blocks import Block, blocks, from_json, from_yaml, is_like, matches, replaced
from support.browser import Browser
from support.transports import Console


class Shell:
    """A shell whose variables stay from one script to the next."""

    def __init__(self, directory: Path, results: Path, environment: dict[str, str]):
        self._results = results
        self._number = 0
        self._process = subprocess.Popen(
            ["bash", "-o", "pipefail"], stdin=subprocess.PIPE, text=True, cwd=directory, env=environment, start_new_session=True
        )

    def run(self, script: str) -> str:
        """What a script prints; fails if its last command does, or one before it under `set -e`."""
        self._number += 1
        # Outputs in files, so that nothing is mixed up.
        output, status = (self._results / f"{self._number}.{what}" for what in ("output", "status"))
        self._process.stdin.write(f"{{\n{script}\n}} >'{output}' 2>&1 </dev/null\necho $? >'{status}.new'; mv '{status}.new' '{status}'\n")
        self._process.stdin.flush()
        harness.wait_until(lambda: status.exists() or self._process.poll() is not None, f"the shell has run {script}")
        said = output.read_text()
        assert status.exists() and status.read_text().strip() == "0", f"{script}\n{said}"
        return said

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(harness.DEADLINE)


class Server:
    """A script that does not end by itself."""

    def __init__(self, script: str, directory: Path, results: Path, environment: dict[str, str]):
        self._output = results
        self._script = script
        with results.open("w") as output:
            self._process = subprocess.Popen(
                # A test that runs in the background of a shell ignores SIGINT, and so would a server, which could not be stopped.
                ["env", "--default-signal=INT", "bash", "-euo", "pipefail", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._output.read_text()

    def prints(self, expected: str) -> None:
        """Returns once it has printed this."""
        harness.wait_until(
            lambda: is_like(f"…{expected}…", self.said()) or self._process.poll() is not None, f"{self._script} prints {expected}"
        )
        assert is_like(f"…{expected}…", self.said()), f"{self._script}\n{self.said()}"

    def stop(self) -> None:
        """Stops all its processes as Ctrl-C does."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)
        try:
            self._process.wait(harness.DEADLINE)
        finally:
            # One that has not ended would have the port of the next test.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


class Walk:
    """A walk through a page. `own` has what replaces addresses of the page; the shells have `environment`."""

    def __init__(self, directory: Path, own: dict[str, object], **environment: str):
        self.directory = directory / "walk"
        self._results = directory / "results"
        self._own = own
        python = str(Path(sys.executable).parent)
        inherited = {name: value for name, value in harness.environment().items() if not name.startswith("AUTHKV_")}
        self._environment = inherited | {"PATH": f"{python}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"} | environment
        self._servers: list[Server] = []
        self._browser: Browser | None = None
        # What the last block gave.
        self.last: object = None
        self._compared: list[tuple[str, object]] = []
        for made in (self.directory, self._results):
            made.mkdir()
        # What a checkout has that was built. `make run` would build it anew for this directory.
        for name in ("init.lua", "backup.lua", "tarantool_infra", "target"):
            (self.directory / name).symlink_to(harness.ROOT / name)
        self._own = {"make run": "exec tarantool init.lua"} | own
        self._shell = Shell(self.directory, self._results, self._environment)

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_) -> None:
        if self._browser is not None:
            self._browser.close()
        self.stop_servers()
        self._shell.close()

    def stop_servers(self) -> None:
        for server in reversed(self._servers):
            server.stop()
        self._servers.clear()

    def go(self, page: str) -> int:
        """Runs the blocks of a page or a part of one; returns how many."""
        done = 0
        for block in blocks(page):
            try:
                done += self._step(block)
            except AssertionError as error:
                raise AssertionError(f"the block at line {block.line}, {block.kind}: {error}\n{self._logs()}") from None
        return done

    def results(self, kind: str) -> list:
        """What was compared with the answers of this kind."""
        return [seen for answer, seen in self._compared if answer == kind]

    def _logs(self) -> str:
        return "\n".join(server.said()[-3000:] for server in self._servers)

    def _step(self, block: Block) -> bool:
        """Whether the block is for more than to be read."""
        code = replaced(block.code, self._own)
        language, _, rest = block.kind.partition(" ")
        match language, rest:
            case "sh", "":
                self.last = self._shell.run(code)
            case "sh", "server":
                place = self._results / f"server-{len(self._servers)}-line-{block.line}"
                self.last = Server(code, self.directory, place, self._environment)
                self._servers.append(self.last)
            case "sh", "stop":
                self.stop_servers()
                self.last = self._shell.run(code)
            case "lua", console if console.startswith("console"):
                path = self.directory / (console.partition(" ")[2] or "./var/console.sock")
                self.last = self._in_console(path, code)
            case "text", "browser":
                self._browse(code)
            case _, "answer":
                self._compare(language, code)
                self._compared.append((block.kind, self.last))
            case _, name if "." in name:
                (self.directory / name).write_text(code)
            case _:
                return False
        return True

    def _in_console(self, path: Path, code: str) -> list:
        console = Console(path)
        results = [console.evaluate(line) for line in code.splitlines()]
        console.close()
        for result in results:
            was_raised = isinstance(result[0], dict) and result[0].keys() == {"error"} if result else False
            was_returned = result[:1] == [None] and len(result) > 1
            assert not was_raised and not was_returned, f"{code}\n{result}"
        return results[-1]

    def _compare(self, language: str, expected: str) -> None:
        seen = self.last
        if isinstance(seen, Server):
            seen.prints(expected.rstrip("\n"))
            return
        match language:
            case "json":
                good = matches(from_json(expected), json.loads(seen), ordered=True)
            case "yaml":
                good = matches(from_yaml(expected), seen, ordered=False)
            case _:
                good = is_like(expected.rstrip("\n"), seen.rstrip("\n"))
        assert good, f"should give\n{expected}\nand gave\n{seen}"

    def _browse(self, code: str) -> None:
        if self._browser is None:
            self._browser = Browser()
        browser = self._browser
        for line in code.splitlines():
            action, _, rest = line.partition(" ")
            match action:
                case "open":
                    browser.open(rest, shows="body")
                case "write":
                    field, _, text = rest.partition(" ")
                    browser.write(text, f"input[name={field}]")
                case "click":
                    browser.click_button(rest)
                case "see":
                    harness.wait_until(lambda text=rest: text in browser.text("body"), f"the browser shows {rest}")
                case "miss":
                    harness.wait_until(lambda text=rest: text not in browser.text("body"), f"the browser no longer shows {rest}")
                case _:
                    raise AssertionError(f"what is {line}?")
