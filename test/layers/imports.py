"""What the modules of the workspace import: from each other, and from other crates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from layers.resolve import Found, Resolver
from layers.rust_files import read_crate
from layers.rust_modules import Mention, Module, Segments


class Import(NamedTuple):
    """A module that the code of another one names."""

    importer: Module
    imported: Module
    line: int
    written: str

    def place(self) -> str:
        return f"{self.importer.file}:{self.line}"


class Use(NamedTuple):
    """Something of another crate that the code of a module names."""

    user: Module
    line: int
    path: Segments
    brought: Segments  # the part of the path that a `use` of the module has named already
    written: str


@dataclass
class Workspace:
    modules: list[Module]
    imports: list[Import]  # those of code that is no test
    uses: list[Use]


def read_workspace(src: Path) -> Workspace:
    """Reads the library at src/lib.rs, and the crates in src/crates, which others import as `authkv_` and the name of the folder."""
    crates = {}
    for file in sorted(src.glob("crates/*/lib.rs")):
        name = file.parent.name.replace("-", "_")
        crates[f"authkv_{name}"] = read_crate(name, file)
    if (src / "lib.rs").is_file():
        crates[""] = read_crate("", src / "lib.rs")
    modules = [module for crate in crates.values() for module in crate.all()]
    return Workspace(modules, *find_imports(Resolver(crates), modules))


def find_imports(resolver: Resolver, modules: list[Module]) -> tuple[list[Import], list[Use]]:
    imports: dict[tuple, Import] = {}
    uses = []
    for module in modules:
        for mention in module.mentions:
            found, brought = meaning(resolver, mention)
            written = "::".join(mention.segments)
            if not found.module and not found.through and found.elsewhere:
                uses.append(Use(module, mention.line, found.elsewhere, brought.elsewhere, written))
            if not mention.in_test:
                known = set(imported_modules(module, brought))
                for imported in imported_modules(module, found):
                    if imported not in known:
                        imports.setdefault((module.file, mention.line, imported.file), Import(module, imported, mention.line, written))
    return list(imports.values()), uses


def meaning(resolver: Resolver, mention: Mention) -> tuple[Found, Found]:
    """What a path names, and what the first of its names does, if a `use` brought that."""
    scope, segments = mention.scope, mention.segments
    if mention.in_use:
        return resolver.resolve(scope, segments), Found(None)
    if len(segments) == 1:
        return resolver.through_glob(scope, segments[0]) or Found(None), Found(None)
    return resolver.resolve(scope, segments), resolver.brought(scope, segments[0]) or Found(None)


def imported_modules(importer: Module, found: Found) -> Iterator[Module]:
    """The modules of other files that a path names: where it ends, and those that re-export it.

    Some re-exports are left out. To children, the names of a parent are a way to reach each other; to other crates, the root of
    a crate is a list of what it has; and to a parent, what its child re-exports is the child's.
    """
    for module in dict.fromkeys((*found.through, found.module)):
        if module is None or module.file == importer.file or (module is not found.module and is_only_a_list(module, importer, found)):
            continue
        yield module
        if module.parent and module.parent.file == importer.file:
            return


def is_only_a_list(module: Module, importer: Module, found: Found) -> bool:
    """Whether a module that re-exports something counts as no more than a list of names."""
    is_its_root = found.module is not None and module is found.module.root()
    return is_its_root or module in importer.lineage()
