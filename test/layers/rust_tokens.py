"""Splits Rust source into tokens. Comments disappear; a string is one token, whatever it contains."""

import re
from typing import NamedTuple


class Token(NamedTuple):
    kind: str  # "word", "string", "mark", or "other": characters, lifetimes and numbers
    text: str  # of a string: what is between its quotes
    line: int


TOKEN = re.compile(
    r"""
      (?P<space> \s+ | //[^\n]* )
    | (?P<comment> /\* )
    | (?P<raw_string> [bc]?r (?P<hashes>\#*) " (?P<raw_text>.*?) " (?P=hashes) )
    | (?P<string> [bc]?" (?P<text>(?:[^"\\]|\\.)*) " )
    | (?P<character> b?' (?:[^'\\]|\\(?:u\{[^}]*\}|x[0-9a-fA-F]{2}|.)) ' )
    | (?P<lifetime> '[^\W\d]\w* )
    | (?P<word> (?:r\#)?[^\W\d]\w* )
    | (?P<number> \d\w*(?:\.\d\w*)? )
    | (?P<mark> ::|. )
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT_MARK = re.compile(r"/\*|\*/")


def tokens(text: str) -> list[Token]:
    """The tokens of a Rust file."""
    found = []
    at, line = 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        assert match, "each character is at least a mark"
        kind = match.lastgroup
        end = end_of_comment(text, at) if kind == "comment" else match.end()
        if kind == "word":
            found.append(Token("word", match[0].removeprefix("r#"), line))
        elif kind == "mark":
            found.append(Token("mark", match[0], line))
        elif kind == "string":
            found.append(Token("string", match["text"], line))
        elif kind == "raw_string":
            found.append(Token("string", match["raw_text"], line))
        elif kind not in ("space", "comment"):
            found.append(Token("other", match[0], line))
        line += text.count("\n", at, end)
        at = end
    return found


def end_of_comment(text: str, start: int) -> int:
    """Where the block comment that begins at `start` ends. Block comments nest."""
    depth = 0
    for mark in COMMENT_MARK.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)
