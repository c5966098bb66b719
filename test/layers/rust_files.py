"""Reads the modules of a crate, file by file."""

import re
from pathlib import Path

from layers.rust_modules import Mention, Module, Scope, Segments
from layers.rust_tokens import Token, tokens

ITEMS = {"fn", "struct", "enum", "union", "trait", "type", "const", "static"}
STARTS_OF_ITEMS = ITEMS | {"pub", "mod", "use", "impl", "unsafe", "async", "extern", "macro_rules", "let"}
# Words that stand before a path and are none of its segments, even if a `::` follows.
KEYWORDS = {"as", "break", "const", "dyn", "for", "if", "impl", "in", "let", "match", "mut", "pub", "return", "where", "while", "yield"}
OPENING, CLOSING = {"(", "[", "{"}, {")", "]", "}"}
GLOB = re.compile(r"\*\s*[;,}]")
PATH_IN_A_STRING = re.compile(r"(?:crate|self|super|authkv_\w+)(?:::\w+)+")


def read_crate(name: str, file: Path) -> Module:
    """The root module of the crate whose root is `file`."""
    root = Module(name, name, file, file.parent)
    Reader(root).read()
    return root


class Reader:
    """Reads one file, and the files of the modules that it declares."""

    def __init__(self, module: Module) -> None:
        text = module.file.read_text()
        self.tokens = module.tokens = tokens(text)
        self.may_have_globs = GLOB.search(text) is not None
        self.at = 0
        self.scopes = [module.scope]
        self.test_until = len(self.tokens) if module.test else 0
        self.path_attribute = ""
        self.exported = False

    def read(self) -> None:
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == "word":
                self.read_word(token)
            elif token.kind == "mark":
                self.read_mark(token)
            else:
                self.at += 1

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    def text(self, at: int) -> str:
        """The text of a token, unless it is a string."""
        if 0 <= at < len(self.tokens) and self.tokens[at].kind != "string":
            return self.tokens[at].text
        return ""

    def is_word(self, at: int) -> bool:
        return at < len(self.tokens) and self.tokens[at].kind == "word"

    def texts(self, start: int, end: int) -> str:
        return "".join(token.text for token in self.tokens[start:end] if token.kind != "string")

    def closing(self, start: int) -> int:
        """The place of the bracket that closes the one at `start`."""
        depth = 0
        for at in range(start, len(self.tokens)):
            text = self.text(at)
            depth += (text in OPENING) - (text in CLOSING)
            if depth == 0:
                return at
        return len(self.tokens)

    def mention(self, segments: Segments, line: int, in_use: bool = False) -> None:
        in_test = self.at < self.test_until
        self.scope.module.mentions.append(Mention(segments, line, self.scope, in_test, in_use))

    # Marks: blocks, attributes and paths with a leading `::`.

    def read_mark(self, token: Token) -> None:
        if token.text == "{":
            self.scopes.append(Scope(self.scope.module, self.scope))
        elif token.text == "}" and len(self.scopes) > 1:
            self.scopes.pop()
        elif token.text == "#" and self.text(self.at + 1) in ("[", "!"):
            self.read_attribute()
        elif token.text == "::" and self.is_word(self.at + 1) and self.text(self.at - 1) != ">":
            self.at += 1
            self.read_path(("",))
            return
        self.at += 1

    def read_attribute(self) -> None:
        """Takes from an attribute what matters here. Its paths are read like the rest of the code."""
        inner = self.text(self.at + 1) == "!"
        start = self.at + (2 if inner else 1)
        if self.text(start) != "[":
            return
        end = self.closing(start)
        content = self.texts(start + 1, end)
        if re.match(r"cfg\((test\)|all\(([^()]*,)?test[,)])", content):
            self.test_until = len(self.tokens) if inner else max(self.test_until, self.end_of_item(end + 1))
        if content.startswith("path="):
            self.path_attribute = self.tokens[end - 1].text
        self.exported = self.exported or content.startswith("macro_export")
        for token in self.tokens[start:end]:
            if token.kind == "string" and PATH_IN_A_STRING.fullmatch(token.text):
                self.mention(tuple(token.text.split("::")), token.line)

    def end_of_item(self, start: int) -> int:
        """Where the item, statement, field or branch at `start` ends."""
        while self.text(start) == "#":
            start = self.closing(start + 1) + 1
        ends = {";"} if self.text(start) in STARTS_OF_ITEMS else {";", ","}
        braces_end = self.text(start) not in ("use", "let") and not self.is_public_use(start)
        at = start
        while at < len(self.tokens) and self.text(at) not in CLOSING:
            if self.text(at) in ends:
                return at + 1
            if self.text(at) in OPENING:
                is_brace = self.text(at) == "{"
                at = self.closing(at)
                if is_brace and braces_end:
                    return at + 1
            at += 1
        return at

    def is_public_use(self, start: int) -> bool:
        after = self.closing(start + 1) + 1 if self.text(start + 1) == "(" else start + 1
        return self.text(start) == "pub" and self.text(after) == "use"

    # Words: declarations and paths.

    def read_word(self, token: Token) -> None:
        after = self.text(self.at + 1)
        if token.text == "pub" and after == "(" and self.is_visibility():
            self.at = self.closing(self.at + 1) + 1
        elif token.text == "mod" and self.is_word(self.at + 1) and self.text(self.at + 2) in (";", "{"):
            self.read_module()
        elif token.text == "use" and after != "<":
            self.read_use()
        elif token.text == "extern" and after == "crate":
            self.read_extern_crate()
        elif token.text == "macro_rules" and after == "!":
            self.read_macro()
        elif token.text in ITEMS and self.is_word(self.at + 1) and self.scope is self.scope.module.scope:
            self.scope.module.items.add(after)
            self.at += 1 if after in ITEMS else 2
        elif token.text in KEYWORDS:
            self.at += 1
        else:
            self.read_path(())

    def is_visibility(self) -> bool:
        """Whether `pub(` here begins a visibility, not a public field that is a tuple."""
        first, second = self.text(self.at + 2), self.text(self.at + 3)
        return first == "in" or (first in ("crate", "self", "super") and second == ")")

    def read_module(self) -> None:
        """Reads `mod name;` or the head of `mod name {`."""
        name = self.text(self.at + 1)
        outer = self.scope.module
        in_this_file = self.text(self.at + 2) == "{"
        test = self.at < self.test_until
        file = outer.file if in_this_file else self.file_of(name)
        folder = outer.folder / name if in_this_file or file.name != "mod.rs" else file.parent
        if self.path_attribute and not in_this_file:
            folder = file.parent
        self.path_attribute = ""
        self.at += 3
        known = outer.children.get(name)
        is_new = known is None or (known.test and not test)
        module = Module(name, outer.crate, file, folder, outer, test) if is_new else known
        outer.children[name] = module
        if in_this_file:
            self.scopes.append(module.scope)
        elif is_new and file.is_file():
            Reader(module).read()

    def file_of(self, name: str) -> Path:
        outer = self.scope.module
        if self.path_attribute:
            return outer.file.parent / self.path_attribute
        beside = outer.folder / f"{name}.rs"
        return beside if beside.is_file() else outer.folder / name / "mod.rs"

    def read_extern_crate(self) -> None:
        """Reads `extern crate name;` or `extern crate name as other;`."""
        name = self.text(self.at + 2)
        known_as = self.text(self.at + 4) if self.text(self.at + 3) == "as" else name
        self.mention(("", name), self.tokens[self.at].line, in_use=True)
        self.scope.names[known_as] = (self.scope, ("", name))
        self.at += 3

    def read_macro(self) -> None:
        name = self.text(self.at + 2)
        module = self.scope.module
        module.items.add(name)
        if self.exported:
            module.root().scope.names[name] = (module.scope, ("self", name))
        self.exported = False
        self.at += 3

    def read_path(self, before: Segments) -> None:
        """Reads a path, or a name alone, which may come from a glob."""
        start = self.at
        segments = [*before, self.tokens[start].text]
        while self.text(self.at + 1) == "::" and self.is_word(self.at + 2):
            self.at += 2
            segments.append(self.tokens[self.at].text)
        is_counted = len(segments) > 1 or (self.may_have_globs and self.at >= self.test_until)
        if is_counted and (before or not self.belongs_to_what_precedes(start)):
            self.mention(tuple(segments), self.tokens[start].line)
        self.at += 1

    def belongs_to_what_precedes(self, at: int) -> bool:
        """Whether the word here is a field, a method, an item of a type, or a variable of a macro; not the start of a path."""
        previous = self.text(at - 1)
        is_range = self.text(at - 2) == "."
        return previous == "::" or (previous == "." and not is_range) or (previous == "$" and self.text(at) != "crate")

    def read_use(self) -> None:
        self.at += 1
        self.read_use_tree(())
        while self.at < len(self.tokens) and self.text(self.at) not in (";", "}"):
            self.at += 1

    def read_use_tree(self, before: Segments) -> None:
        """Reads a path of a `use`, and what its braces hold, up to the `,`, `}` or `;` behind it."""
        segments = list(before)
        line = self.tokens[self.at].line if self.at < len(self.tokens) else 0
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.text == "{":
                self.read_use_group(tuple(segments))
                return
            if token.text in (",", "}", ";"):
                break
            if token.text == "as":
                self.bring(tuple(segments), self.text(self.at + 1), line)
                self.at += 2
                return
            if token.kind == "word" or token.text == "*":
                segments.append(token.text)
                line = token.line
            elif token.text == "::" and not segments:
                segments.append("")
            self.at += 1
        if len(segments) > len(before):
            self.bring(tuple(segments), "", line)

    def read_use_group(self, before: Segments) -> None:
        while self.at < len(self.tokens) and self.text(self.at) not in ("}", ";"):
            self.at += 1
            self.read_use_tree(before)
        self.at += 1

    def bring(self, segments: Segments, known_as: str, line: int) -> None:
        """Takes note of one name that a `use` brings into the scope."""
        if len(segments) > 1 and segments[-1] == "self":
            segments = segments[:-1]
        self.mention(segments, line, in_use=True)
        if segments[-1] == "*":
            self.scope.globs.append(segments[:-1])
        elif known_as != "_":
            self.scope.names[known_as or segments[-1]] = (self.scope, segments)
