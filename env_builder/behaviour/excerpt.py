"""An excerpt of a test: one demand, and just the statements that it needs to be run by itself."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from env_builder.behaviour.check import Check, blocks_of, read_check, statement_at
from env_builder.behaviour.names import bound_names, needed_names, read_names, root_name, touched_names
from env_builder.behaviour.origin import Imports
from env_builder.behaviour.plain import plain
from tasks.syntax import parse_python

NodeType = TypeVar("NodeType", bound=ast.stmt)

_FIXTURES = {"tmp_path": ("import pathlib, tempfile", "tmp_path = pathlib.Path(tempfile.mkdtemp())")}
"""What pytest's own fixtures stand for: an import and an assignment."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass
class Excerpt:
    """A demand with what it needs, in the order in which it runs."""

    check: Check
    imports: list[ast.stmt] = field(default_factory=list)
    setup: list[ast.stmt] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    """Names that nothing in the module explains: fixtures, values of a loop."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """By name: the dotted thing that it was imported as."""


class SourceModule:
    """A hidden test module, parsed."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.tree = parse_python(content)
        self.imports = Imports(self.tree, path)
        self._globals = {name: node for node in _top_level(self.tree.body) for name in bound_names(node)}

    def excerpt(
        self, line: int, arguments: Mapping[str, str], *, cls: str = "", literal: bool = False, sliced: bool = True
    ) -> Excerpt | None:
        """The excerpt for the statement at a line; None where no statement that runs is there.

        Args:
            line: from 1.
            arguments: known values of the function's arguments, as literals.
            cls: name of the test's class, where that is not the one around the line but inherits from it.
            sliced: leave out what the statement does not seem to need.
            literal: take the statement as it is written, even if it reads like a demand for an exception.
        """
        around = statement_at(self.tree.body, line)
        at = next((index for index, node in enumerate(around) if isinstance(node, _FUNCTIONS)), None)
        if at is None and around and isinstance(around[-1], ast.Import | ast.ImportFrom):
            return Excerpt(check=Check("runs", body=(self.imports.outside(around[-1]),)), origins={})
        if at is None and around and not isinstance(around[-1], ast.ClassDef):
            return self._complete(read_check(around[-1], literal=literal), [])
        if at is None or at + 1 >= len(around):
            return None
        owner = around[at - 1] if at and isinstance(around[at - 1], ast.ClassDef) else None
        owner = self._globals.get(cls, owner) if owner is not None else None
        members = _Members(self.tree, owner)
        chain = _whole_loop(_up_to_check(around[at + 1 :]))
        check = read_check(members.plain(chain[-1]), literal=literal)
        before = [members.plain(node) for node in _before(around[at], chain)]
        defaults = _defaults(around[at])
        before = [*defaults, *_assignments(arguments), *members.statements, *before]
        return self._complete(check, before, sliced=sliced)

    def passed(self, line: int) -> dict[str, str]:
        """Arguments, in source, that the statement at a line passes to a function of the module; empty for others."""
        around = statement_at(self.tree.body, line)
        call = around[-1].value if around and isinstance(around[-1], ast.Expr) else None
        function = self._globals.get(root_name(call.func)) if isinstance(call, ast.Call) else None
        if not isinstance(call, ast.Call) or not isinstance(function, ast.FunctionDef):
            return {}
        names = [argument.arg for argument in function.args.args]
        given = dict(zip(names, call.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        return {name: ast.unparse(value) for name, value in given.items()}

    def whole(self, name: str, arguments: Mapping[str, str]) -> Excerpt | None:
        """All that a function does, where it is not known which of its statements failed."""
        found = [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef) and node.name == name]
        if len(found) != 1:
            return None
        body = [node for node in plain(undocumented(found[0])).body if not isinstance(node, ast.Pass)]
        return self._complete(Check("runs", body=tuple(body)), [*_defaults(found[0]), *_assignments(arguments)])

    def _complete(self, check: Check, before: list[ast.stmt], *, sliced: bool = True) -> Excerpt:
        needed = needed_names(check.nodes())
        if check.exception:
            needed |= read_names([parse_python(check.exception)])
        kept: list[ast.stmt] = []
        for node in reversed(before):
            relevant = _relevant(node, needed, self.imports.modules) if sliced else node
            if relevant is None:
                continue
            kept.insert(0, relevant)
            if isinstance(relevant, ast.Assign | ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
                needed -= bound_names(relevant)
            needed |= needed_names([relevant])
        excerpt = Excerpt(check=check, setup=kept, origins=self.imports.modules)
        self._add_globals(excerpt, needed)
        return excerpt

    def _add_globals(self, excerpt: Excerpt, needed: set[str]) -> None:
        """Imports and definitions of the module that the excerpt needs, and what those need."""
        defined: dict[str, ast.stmt] = {}
        imported: dict[str, ast.stmt] = {}
        open_names = sorted(needed)
        while open_names:
            name = open_names.pop(0)
            if name in defined or name in imported or name in excerpt.missing:
                continue
            statement = self.imports.statement(name)
            node = self._globals.get(name)
            if node is None and name in _FIXTURES:
                excerpt.imports.append(parse_python(_FIXTURES[name][0]).body[0])
                defined[name] = parse_python(_FIXTURES[name][1]).body[0]
            elif node is not None and not isinstance(node, ast.Import | ast.ImportFrom) and not _is_fixture(node):
                defined[name] = node
                open_names += sorted(read_names([node]) - {name})
            elif statement is not None:
                imported[name] = statement
            else:
                excerpt.missing.add(name)
        if excerpt.missing and self.imports.stars:
            excerpt.imports += self.imports.stars
            excerpt.missing.clear()
        excerpt.imports += _merged(list(imported.values()))
        unique = {id(node): node for node in defined.values()}
        excerpt.setup[:0] = [undocumented(node) for node in sorted(unique.values(), key=lambda node: node.lineno)]


class _Members(ast.NodeTransformer):
    """Attributes of a test class as plain names: ``self.cache`` of a ``setUp`` becomes ``cache``."""

    def __init__(self, tree: ast.Module, owner: ast.stmt | None) -> None:
        self.statements: list[ast.stmt] = []
        self._known: set[str] = set()
        for cls in reversed(_line_of_classes(tree, owner)):
            for node in cls.body:
                self._add(node)

    def plain(self, node: ast.stmt) -> ast.stmt:
        """The statement without ``self.``."""
        if not self._known:
            return node
        copied: ast.stmt = self.visit(parse_python(ast.unparse(node)).body[0])
        ast.copy_location(copied, node)
        return ast.fix_missing_locations(copied)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """Replace ``self.NAME`` where NAME is known."""
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") and node.attr in self._known:
            return ast.Name(id=node.attr, ctx=node.ctx)
        return self.generic_visit(node)

    def _add(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            self._known |= bound_names(node)
            self.statements.append(node)
        elif isinstance(node, ast.FunctionDef) and node.name in ("setUp", "setup_method", "setup"):
            self._known |= {
                inner.attr
                for inner in ast.walk(node)
                if isinstance(inner, ast.Attribute)
                and isinstance(inner.ctx, ast.Store)
                and isinstance(inner.value, ast.Name)
            }
            self.statements += [self.plain(inner) for inner in node.body]
        elif isinstance(node, ast.FunctionDef) and any(
            isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in node.decorator_list
        ):
            self._known.add(node.name)
            bare = ast.FunctionDef(**{**dict(ast.iter_fields(node)), "decorator_list": []})
            self.statements.append(ast.fix_missing_locations(ast.copy_location(bare, node)))


def _line_of_classes(tree: ast.Module, owner: ast.stmt | None) -> list[ast.ClassDef]:
    """A class and its bases in the same module, nearest first."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    line: list[ast.ClassDef] = []
    queue = [owner] if isinstance(owner, ast.ClassDef) else []
    while queue:
        cls = queue.pop(0)
        if cls not in line:
            line.append(cls)
            queue += [classes[base.id] for base in cls.bases if isinstance(base, ast.Name) and base.id in classes]
    return line


def _top_level(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements of a module, those under ``if`` and ``try`` included."""
    found = []
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            found += [inner for block in blocks_of(node) for inner in _top_level(block)]
        else:
            found.append(node)
    return found


def _up_to_check(chain: list[ast.stmt]) -> list[ast.stmt]:
    """The chain down to the statement that demands: a ``with raises`` is one, whatever is in it."""
    for index, node in enumerate(chain):
        if isinstance(node, ast.With) and read_check(node).kind == "raises":
            return chain[: index + 1]
    return chain


def _whole_loop(chain: list[ast.stmt]) -> list[ast.stmt]:
    """The chain down to the outermost loop, cut off after the statement that demands: its values change each turn."""
    for index, node in enumerate(chain[:-1]):
        if isinstance(node, ast.For | ast.While):
            return [*chain[:index], plain(_cut(node, chain[index + 1 :]))]
    return chain


def _cut(node: ast.stmt, chain: list[ast.stmt]) -> ast.stmt:
    """A compound statement with the parts of its body that lead to a statement inside it, other demands left out."""
    if not chain:
        return node
    blocks = [(name, getattr(node, name, None)) for name in ("body", "orelse", "finalbody")]
    for name, block in blocks:
        if isinstance(block, list) and chain[0] in block:
            kept = [inner for inner in block[: block.index(chain[0])] if not isinstance(inner, ast.Assert)]
            fields = {**dict(ast.iter_fields(node)), name: [*kept, _cut(chain[0], chain[1:])]}
            return ast.copy_location(type(node)(**fields), node)
    return node


def _before(function: ast.stmt, chain: list[ast.stmt]) -> list[ast.stmt]:
    """Statements that run before the last of the chain, outermost first; a loop binds its names by its first value."""
    found: list[ast.stmt] = []
    parent = function
    for node in chain:
        block = next(block for block in blocks_of(parent) if any(inner.lineno == node.lineno for inner in block))
        found += [inner for inner in block if inner.lineno < node.lineno]
        if node is not chain[-1]:
            found += _header(node)
        parent = node
    return found


def _header(node: ast.stmt) -> list[ast.stmt]:
    """What a compound statement does before its body."""
    if isinstance(node, ast.With):
        return [
            ast.Assign(targets=[item.optional_vars], value=item.context_expr, lineno=node.lineno)
            for item in node.items
            if item.optional_vars is not None
        ]
    return []


def _relevant(node: ast.stmt, needed: set[str], imported: Mapping[str, str]) -> ast.stmt | None:
    """The statement, less what only checks, if it says something about needed names."""
    changed = touched_names(node) - imported.keys()
    if isinstance(node, ast.Assert):
        steps = isinstance(node.test, ast.Compare) and touched_names(node.test.left) & needed and _steps(node.test.left)
        return (
            ast.copy_location(ast.Expr(node.test.left), node) if steps and isinstance(node.test, ast.Compare) else None
        )
    if not (bound_names(node) | changed) & needed:
        return None
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == ast.unparse(node.value):
        return None
    return node


def _steps(node: ast.AST) -> bool:
    """Whether reading a value changes what is read next: ``next(x)``, ``x.pop()``."""
    names = [
        inner.func.attr if isinstance(inner.func, ast.Attribute) else getattr(inner.func, "id", "")
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call)
    ]
    return any(name == "next" or name.startswith(("pop", "read", "send", "__next")) for name in names)


def undocumented(node: NodeType) -> NodeType:
    """A definition without docstrings."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node
    body = [undocumented(inner) for inner in node.body]
    if ast.get_docstring(node, clean=False) is not None:
        body = body[1:] or [ast.Pass()]
    return ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), "body": body}), node)


def _defaults(function: ast.stmt) -> list[ast.stmt]:
    """Arguments of a test function that have default values, as assignments."""
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    named = function.args.args[len(function.args.args) - len(function.args.defaults) :]
    return [
        ast.Assign(targets=[ast.Name(id=argument.arg, ctx=ast.Store())], value=value, lineno=function.lineno)
        for argument, value in zip(named, function.args.defaults, strict=True)
    ]


def _is_fixture(node: ast.stmt) -> bool:
    return any("fixture" in ast.unparse(mark) for mark in getattr(node, "decorator_list", []))


def _assignments(arguments: Mapping[str, str]) -> list[ast.stmt]:
    return [parse_python(f"{name} = {value}").body[0] for name, value in arguments.items()]


def _merged(statements: list[ast.stmt]) -> list[ast.stmt]:
    """Imports from one module in one statement, those of modules first."""
    plain = [node for node in statements if isinstance(node, ast.Import)]
    merged: list[ast.stmt] = [*sorted(plain, key=lambda node: node.names[0].name)]
    by_module: dict[str, list[ast.alias]] = {}
    for node in statements:
        if isinstance(node, ast.ImportFrom):
            by_module.setdefault(node.module or "", []).extend(node.names)
    for module in sorted(by_module):
        names = {alias.name + (alias.asname or ""): alias for alias in by_module[module]}
        merged.append(ast.ImportFrom(module=module, names=[names[key] for key in sorted(names)], level=0))
    return merged
