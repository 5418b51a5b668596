"""Reads shell text into invocations with tree-sitter's bash grammar, which recovers from what does not parse.

Follows what can be followed without running: quotes, literal variables, aliases, substitutions, loops, here-documents,
pipes out of ``echo``, and through ``unwrap`` the programs that run others. Nothing here runs anything. Call it through
``reader.py``, which does so in another process.
"""

import base64
import binascii
import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from blockers.monitor.invocation import UNKNOWN, Invocation, Redirect

MAX_DEPTH = 6
"""How many texts within texts (``sh -c`` in ``sh -c``) are followed."""

_MANY_ROUNDS = 1_000_000


@cache
def _language() -> Language:
    return Language(tree_sitter_bash.language())


@dataclass
class _Scope:
    """What is known while one text is walked."""

    variables: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    stdin: str | None = None
    feeds: str = ""
    background: bool = False
    forever: bool = False
    redirects: tuple[Redirect, ...] = ()

    def inside(self, **changes: object) -> "_Scope":
        """The same names, seen from inside a construct."""
        return replace(self, **changes)  # type: ignore[arg-type]


def read_shell(text: str) -> list[Invocation]:
    """The invocations of a shell text in the order written, those in substitutions before the one that uses them.

    Other characters than ASCII are read as question marks: the grammar's scanner looks characters up in tables of the C
    library without asking for their range, and code points beyond them end the process (seen with 0.25.1).
    """
    data = text.encode("ascii", errors="replace")
    root = Parser(_language()).parse(data).root_node
    return list(_walk(root, _Scope()))


def _walk(node: Node, scope: _Scope) -> Iterator[Invocation]:
    handler = _HANDLERS.get(node.type)
    if handler is not None:
        yield from handler(node, scope)
        return
    children = node.children
    for place, child in enumerate(children):
        background = scope.background or (place + 1 < len(children) and children[place + 1].type == "&")
        yield from _walk(child, scope.inside(background=background))


def _command(node: Node, scope: _Scope) -> Iterator[Invocation]:
    words: list[str] = []
    variables: dict[str, str] = {}
    redirects: list[Redirect] = []
    for child in node.children:
        yield from _substitutions(child, scope)
        if child.type == "variable_assignment":
            name, value = _assignment(child, scope)
            variables[name] = value
        elif child.type == "herestring_redirect":
            scope = scope.inside(stdin=_word(child.children[-1], scope))
        elif child.type == "file_redirect":
            redirects.append(_redirect(child, scope))
        elif child.is_named and child.type != "comment":
            words.append(_word(child, scope))
    if words and words[0] in scope.aliases:
        words = [*scope.aliases[words[0]].split(), *words[1:]]
    if words[:1] == ["alias"]:
        scope.aliases.update((word.partition("=")[0], word.partition("=")[2]) for word in words[1:] if "=" in word)
    if not words:
        scope.variables.update(variables)
    yield Invocation(
        words=tuple(words),
        variables=variables,
        redirects=(*redirects, *scope.redirects),
        stdin=scope.stdin,
        feeds=scope.feeds,
        background=scope.background,
        forever=scope.forever,
    )


def _declaration(node: Node, scope: _Scope) -> Iterator[Invocation]:
    """``export A=b`` and its kin: the assignments are the words."""
    words = [node.children[0].type]
    for child in node.children[1:]:
        yield from _substitutions(child, scope)
        if child.type == "variable_assignment":
            name, value = _assignment(child, scope)
            scope.variables[name] = value
            words.append(f"{name}={value}")
        else:
            words.append(_word(child, scope))
    yield Invocation(words=tuple(words), redirects=scope.redirects, background=scope.background)


def _bare_assignment(node: Node, scope: _Scope) -> Iterator[Invocation]:
    yield from _substitutions(node, scope)
    name, value = _assignment(node, scope)
    scope.variables[name] = value
    yield Invocation(words=("export", f"{name}={value}"))


def _assignment(node: Node, scope: _Scope) -> tuple[str, str]:
    name = _text(node.children[0])
    value = _word(node.children[-1], scope) if len(node.children) > 2 else ""
    return name, value


def _redirected(node: Node, scope: _Scope) -> Iterator[Invocation]:
    body = node.child_by_field_name("body")
    redirects = list(scope.redirects)
    stdin = scope.stdin
    rest: list[Node] = []
    for child in node.children:
        if child.type == "file_redirect":
            yield from _substitutions(child, scope)
            redirects.append(_redirect(child, scope))
        elif child.type == "herestring_redirect":
            stdin = _word(child.children[-1], scope)
        elif child.type == "heredoc_redirect":
            stdin, more, rest = _heredoc(child, scope)
            redirects += more
    feeds = next((_first_name(part) for part in rest if part.type == "pipeline"), scope.feeds)
    inner = scope.inside(stdin=stdin, redirects=tuple(redirects), feeds=feeds)
    found = (
        [Invocation(words=(), redirects=tuple(redirects), stdin=stdin)] if body is None else list(_walk(body, inner))
    )
    yield from found
    for part in rest:
        yield from _walk(part, scope.inside(stdin=literal_output(found[-1]) if found else None))


def _heredoc(node: Node, scope: _Scope) -> tuple[str | None, list[Redirect], list[Node]]:
    """The text of a here-document, the redirections beside it, and what comes after it on its line."""
    stdin: str | None = None
    redirects: list[Redirect] = []
    rest: list[Node] = []
    for child in node.children:
        if child.type == "heredoc_body":
            stdin = _text(child)
        elif child.type == "file_redirect":
            redirects.append(_redirect(child, scope))
        elif child.type in ("pipeline", "list", "command", "redirected_statement"):
            rest.append(child)
    return stdin, redirects, rest


def _first_name(node: Node) -> str:
    """The name of the first command in a construct, without walking it all."""
    while node.type != "command":
        inner = next((child for child in node.children if child.is_named), None)
        if inner is None:
            return ""
        node = inner
    name = next((_text(child) for child in node.children if child.type == "command_name"), "")
    return name.rpartition("/")[2]


def _pipeline(node: Node, scope: _Scope) -> Iterator[Invocation]:
    stages = [child for child in node.children if child.is_named and child.type != "comment"]
    stdin = scope.stdin
    for place, stage in enumerate(stages):
        feeds = _first_name(stages[place + 1]) if place + 1 < len(stages) else scope.feeds
        redirects = scope.redirects if place + 1 == len(stages) else ()
        found = list(_walk(stage, scope.inside(stdin=stdin, feeds=feeds, redirects=redirects)))
        yield from found
        stdin = literal_output(found[-1]) if found else None


def _function(node: Node, scope: _Scope) -> Iterator[Invocation]:
    """A definition; one that calls itself through a pipe or in the background is marked as endless."""
    name = _text(node.children[0] if node.children[0].type == "word" else node.children[1])
    yield Invocation(words=("function", name))
    body = list(_walk(node.children[-1], scope.inside()))
    calls = [found for found in body if found.words[:1] == (name,)]
    endless = len(calls) > 1 and any(call.background or call.feeds == name for call in calls)
    for found in body:
        yield replace(found, forever=found.forever or (endless and found in calls))


def _loop(node: Node, scope: _Scope) -> Iterator[Invocation]:
    """``while`` and ``until``: without an end where the condition is ``true`` or ``:``."""
    condition = [_text(child).strip() for child in node.children if child.is_named and child.type != "do_group"]
    forever = scope.forever or condition in (["true"], [":"], ["1"])
    for child in node.children:
        yield from _walk(child, scope.inside(forever=forever))


def _for(node: Node, scope: _Scope) -> Iterator[Invocation]:
    """``for x in A B``: the body is read once with the first literal word."""
    values = [child for child in node.children if child.type not in ("for", "in", ";", "do_group", "variable_name")]
    rounds = 0
    for value in values:
        found = list(_substitutions(value, scope))
        rounds = max([rounds, *(_rounds(invocation) for invocation in found)])
        yield from found
    name = next((_text(child) for child in node.children if child.type == "variable_name"), "")
    known = dict(scope.variables) | ({name: _word(values[0], scope)} if values else {})
    forever = scope.forever or rounds >= _MANY_ROUNDS
    for child in node.children:
        if child.type == "do_group":
            yield from _walk(child, scope.inside(variables=known, forever=forever))


def _rounds(found: Invocation) -> int:
    if found.name == "seq" and found.words[-1].isdigit():
        return int(found.words[-1])
    return 0


def _substitutions(node: Node, scope: _Scope) -> Iterator[Invocation]:
    """What runs inside ``$(...)`` and ``<(...)`` of a word."""
    if node.type in ("command_substitution", "process_substitution"):
        for child in node.children:
            yield from _walk(child, scope.inside(redirects=(), stdin=None, feeds=""))
        return
    for child in node.children:
        yield from _substitutions(child, scope)


def _redirect(node: Node, scope: _Scope) -> Redirect:
    operator = next((child.type for child in node.children if not child.is_named), ">")
    return Redirect(operator, _word(node.children[-1], scope))


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _word(node: Node, scope: _Scope) -> str:
    """A word with its quotes removed and its literal variables filled in."""
    kind = node.type
    if kind == "raw_string":
        return _text(node)[1:-1]
    if kind == "ansi_c_string":
        return _unescape(_text(node)[2:-1])
    if kind in ("simple_expansion", "expansion"):
        name = next((_text(child) for child in node.children if child.type == "variable_name"), "")
        return scope.variables.get(name, UNKNOWN)
    if kind in ("command_substitution", "process_substitution", "arithmetic_expansion"):
        return UNKNOWN
    if kind == "string":
        return _string(node, scope)
    if kind in ("concatenation", "command_name"):
        return "".join(_word(child, scope) for child in node.children) if node.children else _plain(node)
    return _plain(node)


def _string(node: Node, scope: _Scope) -> str:
    """A double-quoted string; blanks between expansions have no node and are taken from between."""
    data, parts, place = node.text or b"", [], node.start_byte + 1
    for child in node.children:
        if child.type == '"':
            continue
        parts.append(data[place - node.start_byte : child.start_byte - node.start_byte].decode(errors="replace"))
        shown = _word(child, scope) if child.is_named and child.type != "string_content" else _text(child)
        parts.append(shown)
        place = child.end_byte
    text = "".join(parts) if parts else data[1:-1].decode(errors="replace")
    for escaped in ('"', "$", "`", "\\"):
        text = text.replace("\\" + escaped, escaped)
    return text


def _plain(node: Node) -> str:
    text = _text(node)
    text = text.replace("\\\n", "")
    return text.replace("\\", "") if "\\" in text else text


def _unescape(text: str) -> str:
    try:
        return codecs.decode(text.encode("latin-1", errors="backslashreplace"), "unicode_escape")
    except UnicodeDecodeError:
        return text


def literal_output(found: Invocation) -> str | None:
    """What a command prints, where that stands in its words: ``echo``, ``printf``, ``cat`` of a here-document, and
    ``base64 -d`` of either."""
    if found.name == "echo":
        given = found.arguments
        text = " ".join(word for place, word in enumerate(given) if place or word not in ("-n", "-e", "-ne", "-en"))
        return _unescape(text) if given[:1] and given[0].startswith("-") and "e" in given[0] else text
    if found.name == "printf" and found.arguments:
        form, *values = found.arguments
        for value in values:
            form = form.replace("%s", value, 1) if "%s" in form else f"{form}{value}"
        return _unescape(form)
    if found.name in ("cat", "tee"):
        return found.stdin
    if found.name == "base64" and found.stdin and found.has("-d", "-D", "--decode"):
        try:
            return base64.b64decode(found.stdin).decode(errors="replace")
        except (binascii.Error, ValueError):
            return None
    return None


_HANDLERS = {
    "command": _command,
    "declaration_command": _declaration,
    "variable_assignment": _bare_assignment,
    "redirected_statement": _redirected,
    "pipeline": _pipeline,
    "function_definition": _function,
    "while_statement": _loop,
    "for_statement": _for,
}
