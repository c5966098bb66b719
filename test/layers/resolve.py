"""Finds the module that a path names: through `super`, renamed imports, re-exports and globs."""

from dataclasses import dataclass, replace

from layers.rust_modules import Module, Scope, Segments

# Names whose meaning is being looked for, so that imports in a circle do not keep the search going.
Seen = frozenset[tuple[int, str]]


@dataclass(frozen=True)
class Found:
    """What a path names: a module of this workspace or something in it, or something of another crate."""

    module: Module | None
    is_item: bool = False
    elsewhere: Segments = ()  # the whole path in another crate
    through: tuple[Module, ...] = ()  # modules that re-export it


class Resolver:
    def __init__(self, crates: dict[str, Module]) -> None:
        """`crates`: the root of each crate of the workspace, by the name by which others import it."""
        self.crates = crates

    def resolve(self, scope: Scope, segments: Segments, seen: Seen = frozenset()) -> Found:
        first, rest = segments[0], segments[1:]
        if first == "":
            return self.other_crate(rest, seen)
        if first == "crate":
            return self.walk(Found(scope.module.root()), rest, seen)
        if first == "self":
            return self.walk(Found(scope.module), rest, seen)
        if first == "super":
            return self.walk(Found(scope.module), segments, seen)
        known = self.known_name(scope, first, seen)
        return self.walk(known, rest, seen) if known else self.other_crate(segments, seen)

    def brought(self, scope: Scope | None, name: str) -> Found | None:
        """What a name means, if a `use` of this module brought it."""
        while scope:
            if name in scope.names:
                return self.resolve(scope, (name,))
            scope = scope.outer
        return None

    def through_glob(self, scope: Scope | None, name: str) -> Found | None:
        """What a name alone means, if it comes from a glob."""
        while scope:
            if scope.globs:
                return self.known_name(scope, name, frozenset())
            scope = scope.outer
        return None

    def other_crate(self, segments: Segments, seen: Seen) -> Found:
        if segments and segments[0] in self.crates:
            return self.walk(Found(self.crates[segments[0]]), segments[1:], seen)
        return Found(None, elsewhere=segments)

    def known_name(self, scope: Scope | None, name: str, seen: Seen) -> Found | None:
        """What a name means in a block: the innermost scope that knows it decides."""
        while scope:
            found = self.member(scope, name, seen)
            if found:
                return found
            scope = scope.outer
        return None

    def member(self, scope: Scope, name: str, seen: Seen) -> Found | None:
        """What a name means in one module or block alone."""
        module = scope.module
        if scope is module.scope and name in module.children:
            return Found(module.children[name])
        key = (id(scope), name)
        if name in scope.names and key not in seen:
            return self.resolve(*scope.names[name], seen | {key})
        if scope is module.scope and name in module.items:
            return Found(module, is_item=True)
        if key in seen:
            return None
        seen |= {key}
        for glob in scope.globs:
            target = self.resolve(scope, glob, seen)
            if target.module and not target.is_item:
                found = self.member(target.module.scope, name, seen)
                if found:
                    return replace(found, through=(*target.through, target.module, *found.through))
        return None

    def walk(self, found: Found, rest: Segments, seen: Seen) -> Found:
        """Follows the segments after those that named `found`."""
        for place, segment in enumerate(rest):
            module = found.module
            if module is None:
                return replace(found, elsewhere=found.elsewhere + rest[place:])
            if found.is_item:
                return found
            if segment == "super":
                found = replace(found, module=module.parent or module)
                continue
            if segment in module.children:
                found = replace(found, module=module.children[segment])
                continue
            member = self.member(module.scope, segment, seen)
            if member is None or member.module is module:
                return replace(found, is_item=True)
            found = replace(member, through=(*found.through, module, *member.through))
        return found
