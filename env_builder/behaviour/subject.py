"""The public thing that a failing check is about: the function or method of the project that it calls."""

import ast
from collections import deque
from collections.abc import Iterable, Iterator

from env_builder.behaviour.excerpt import Excerpt
from env_builder.behaviour.names import bound_names, root_name
from env_builder.behaviour.origin import is_project


def find_subject(
    excerpt: Excerpt, packages: frozenset[str], target_modules: frozenset[str] = frozenset()
) -> tuple[str, str]:
    """What is called (``partition``, ``Cache.get``) and the module it is imported from; empty where nothing is.

    The outermost call in the check counts; where the check calls nothing of the project, the last call of its setup.
    Something that the example imports from one of ``target_modules`` comes before all others.
    """
    made = _made_by(excerpt, packages)
    places: list[ast.AST] = [*excerpt.check.nodes(), *reversed(excerpt.setup)]
    called = [
        *_called(excerpt.check.nodes(), excerpt, packages, made),
        *_used_objects(excerpt.check.nodes(), made),
        *_called(excerpt.setup[::-1], excerpt, packages, made),
    ]
    meant = [found for found in called if found[1] in target_modules] or _mentioned(places, excerpt, target_modules)
    if meant or called:
        return (meant or called)[0]
    for statement in excerpt.check.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            return ast.unparse(statement), ""
    return "", ""


def _called(
    places: Iterable[ast.AST], excerpt: Excerpt, packages: frozenset[str], made: dict[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    for place in places:
        for node in _outermost_first(place):
            found = _subject_of(node, excerpt, packages, made)
            if found is not None:
                yield found


def _used_objects(places: Iterable[ast.AST], made: dict[str, tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Classes of the objects in places that call nothing: an operator or an attribute is looked at."""
    for place in places:
        for node in _outermost_first(place):
            if isinstance(node, ast.Name) and node.id in made:
                yield made[node.id]


def _mentioned(places: list[ast.AST], excerpt: Excerpt, modules: frozenset[str]) -> list[tuple[str, str]]:
    """What an example imports from some modules and passes on, as in ``curry(Cache)``."""
    every = [node for place in places for node in _outermost_first(place)]
    looked_into = {id(node.value) for node in every if isinstance(node, ast.Attribute)}  # modules, mostly
    names = (node.id for node in every if isinstance(node, ast.Name) and id(node) not in looked_into)
    origins = (excerpt.origins.get(name, "").rpartition(".") for name in names)
    return [(name, module) for module, _, name in origins if module in modules]


def _subject_of(
    node: ast.AST, excerpt: Excerpt, packages: frozenset[str], made: dict[str, tuple[str, str]]
) -> tuple[str, str] | None:
    if not isinstance(node, ast.Call):
        return None
    root = root_name(node.func)
    origin = excerpt.origins.get(root, "")
    if root in made and isinstance(node.func, ast.Attribute):
        cls, module = made[root]
        return f"{cls}.{node.func.attr}", module
    if not origin or not is_project(origin, packages):
        return None
    written = ast.unparse(node.func)
    if isinstance(node.func, ast.Name):
        module, _, name = origin.rpartition(".")
        return name, module
    module = origin if origin[:1].islower() and _is_module_like(origin) else origin.rpartition(".")[0]
    path = written.partition(".")[2] if module == origin else written
    return path, module


def _is_module_like(origin: str) -> bool:
    """Whether a dotted name reads like a module: classes begin with a capital."""
    return not origin.rpartition(".")[2][:1].isupper()


def _made_by(excerpt: Excerpt, packages: frozenset[str]) -> dict[str, tuple[str, str]]:
    """Names of the setup that stand for objects of a class of the project, with the class and its module."""
    made: dict[str, tuple[str, str]] = {}
    for statement in excerpt.setup:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            found = _subject_of(statement.value, excerpt, packages, {})
            if found is not None and found[0].rpartition(".")[2][:1].isupper():
                made |= dict.fromkeys(bound_names(statement), found)
    return made


def _outermost_first(node: ast.AST) -> Iterator[ast.AST]:
    queue = deque([node])
    while queue:
        found = queue.popleft()
        yield found
        queue.extend(ast.iter_child_nodes(found))
