"""The modules of a crate: their children, the names that `use` brings, and every path in the code."""

from dataclasses import dataclass, field
from pathlib import Path

from layers.rust_tokens import Token

# A path as it is written, such as ("super", "keys", "Key"). A leading `::` is the segment "", a glob ends with "*".
Segments = tuple[str, ...]


@dataclass(eq=False)
class Scope:
    """A module or a block: where the names of its `use` declarations are known."""

    module: "Module"
    outer: "Scope | None"
    names: dict[str, tuple["Scope", Segments]] = field(default_factory=dict)
    globs: list[Segments] = field(default_factory=list)


@dataclass
class Mention:
    """A path somewhere in the code."""

    segments: Segments
    line: int
    scope: Scope
    in_test: bool  # it is in what `#[cfg(test)]` stands before
    in_use: bool


@dataclass(eq=False)
class Module:
    name: str
    crate: str  # the name of its folder in src/crates; "" for the crate at src/lib.rs
    file: Path
    folder: Path  # where the files of its children are
    parent: "Module | None" = None
    test: bool = False
    children: dict[str, "Module"] = field(default_factory=dict)
    items: set[str] = field(default_factory=set)
    mentions: list[Mention] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)  # those of its file; none if it is in that of its parent
    scope: Scope = field(init=False)

    def __post_init__(self) -> None:
        self.scope = Scope(self, None)

    def lineage(self) -> list["Module"]:
        """The module, its parent and so on, up to the root of its crate."""
        return [self, *(self.parent.lineage() if self.parent else ())]

    def root(self) -> "Module":
        return self.lineage()[-1]

    def all(self) -> list["Module"]:
        """The module and all below it."""
        return [self, *(module for child in self.children.values() for module in child.all())]
