"""Blocks of code in pages of the documentation: which there are, what a shell makes of them, and whether an answer is the
one that the page shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from support import harness

# At the beginning of a line, but for the indent of a list.
_FENCED = re.compile(r"^( *)```(.*)\n((?:(?! *```).*\n)*) *```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: the words after its fence, its lines without the indent, and the number of the fence's line."""

    kind: str
    code: str
    line: int


def blocks(text: str, *kinds: str) -> list[Block]:
    """The blocks of a page, in their order; with `kinds` only those of these kinds."""
    found = []
    for fence in _FENCED.finditer(text):
        indent, kind, code = fence.groups()
        if not kinds or kind in kinds:
            code = re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
            found.append(Block(kind, code, text.count("\n", 0, fence.start()) + 1))
    return found


def replaced(text: str, own: dict[str, object]) -> str:
    """The text with what a test has instead of the addresses and directories of the page, replaced all at once."""
    return re.sub("|".join(map(re.escape, own)), lambda found: str(own[found[0]]), text) if own else text


def run(script: str, directory: Path = harness.ROOT, **environment: str) -> str:
    """What a script printed, in a shell of its own; fails with the script if one of its commands fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        text=True,
        capture_output=True,
        cwd=directory,
        env=os.environ | environment,
        timeout=harness.DEADLINE,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# A … outside of a string.
NUMBER = {"…": "a number"}


def from_json(text: str):
    """What an answer says, with NUMBER for each bare …"""
    return json.loads(re.sub(r'"(?:[^"\\]|\\.)*"|…', lambda token: json.dumps(NUMBER) if token[0] == "…" else token[0], text))


def from_yaml(text: str):
    """What a console prints, with NUMBER for each member that is a bare …"""
    return yaml.safe_load(re.sub(r": …$", lambda _: f": {json.dumps(NUMBER)}", text, flags=re.MULTILINE))


def is_like(expected: str, seen: str) -> bool:
    """Whether a text is the expected one, in which … stands for any text."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("…"))), seen, re.DOTALL) is not None


def matches(expected, seen, ordered: bool) -> bool:
    """Whether a value is the expected one, in which … stands for any text and NUMBER for any number."""
    if expected == NUMBER:
        return isinstance(seen, int | float) and not isinstance(seen, bool)
    match expected:
        case dict():
            same = isinstance(seen, dict) and expected.keys() == seen.keys() and (not ordered or list(expected) == list(seen))
            return same and all(matches(one, seen[name], ordered) for name, one in expected.items())
        case list():
            same = isinstance(seen, list) and len(expected) == len(seen)
            return same and all(map(matches, expected, seen, [ordered] * len(seen)))
        case str():
            return isinstance(seen, str) and is_like(expected, seen)
    return expected == seen and isinstance(expected, bool) == isinstance(seen, bool)
