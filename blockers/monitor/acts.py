"""What one tool call does, in three kinds of act that the rules read: commands run, files changed, code written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any, NamedTuple

from blockers.monitor.invocation import UNKNOWN, Invocation
from blockers.monitor.script import Script, read_script
from blockers.monitor.shell import MAX_DEPTH, literal_output
from blockers.monitor.wrappers import expand, unwrap

WORK_DIR = "/testbed"
"""Where the work tree stands in every sandbox."""

_PYTHON = ("python", "pypy")
_INLINE = {"perl": "e", "node": "e", "ruby": "e"}


class Change(NamedTuple):
    """One file that is written, removed or linked."""

    path: str
    """Relative to the work tree where it lies in it, else absolute; ``~`` is the home directory."""
    kind: str
    """``write``, ``append``, ``edit``, ``script`` (an in-place stream edit), ``remove``, ``link``, ``folder`` or
    ``mode``."""
    new: str | None = None
    """The new text as far as it stands in the call; of a link where it points; of a stream edit its script."""
    old: str = ""
    """What an edit replaces."""
    source: tuple[str, ...] = ()
    """The files whose text it gets, placed, where that does not stand in the call."""


@dataclass(frozen=True)
class Acts:
    """All acts of one tool call."""

    commands: tuple[Invocation, ...] = ()
    changes: tuple[Change, ...] = ()
    scripts: tuple[Script, ...] = ()
    """Python that is run at once, or written as a script outside the project."""
    reads: tuple[str, ...] = ()
    """Files that the editor shows."""
    foreign: tuple[str, ...] = field(default=())
    """Code in other languages, given inline."""


def acts_of(tool: str, arguments: Mapping[str, Any]) -> Acts:
    """Read a tool call.

    Args:
        tool: ``bash``, ``edit`` or ``search``; any other does nothing.
        arguments: as the policy gave them.
    """
    if tool == "bash" and isinstance(command := arguments.get("command"), str):
        return from_commands(expand(command))
    if tool == "edit" and isinstance(path := arguments.get("path"), str):
        return _from_edit(place(path), arguments)
    if tool == "search":
        return _from_search(arguments)
    return Acts()


def _from_search(arguments: Mapping[str, Any]) -> Acts:
    """A search reads as the command that does the same."""
    pattern, name, path = (str(arguments.get(key) or "") for key in ("pattern", "glob", "path"))
    root = path or "."
    words = ("grep", "-r", pattern, root) if pattern else ("find", root)
    named = (Invocation(words=("find", root, "-name", name)),) if name else ()
    return Acts(commands=(Invocation(words=words), *named), reads=(place(root),))


def place(path: str) -> str:
    """A path in the one form that the rules know."""
    path = path.strip()
    path = "~" + path.removeprefix("/root") if path == "/root" or path.startswith("/root/") else path
    path = normpath(path.replace("$HOME", "~")) if path else "."
    if path == WORK_DIR:
        return "."
    return path.removeprefix(WORK_DIR + "/")


def in_tree(path: str) -> bool:
    """Whether a placed path lies in the work tree."""
    return not path.startswith(("/", "~", "..", UNKNOWN))


def _from_edit(path: str, arguments: Mapping[str, Any]) -> Acts:
    def text(name: str) -> str:
        return str(arguments.get(name) or "")

    match arguments.get("command"):
        case "view":
            return Acts(reads=(path,))
        case "create":
            change = Change(path, "write", text("file_text"))
        case "str_replace":
            change = Change(path, "edit", text("new_str"), text("old_str"))
        case "insert":
            change = Change(path, "edit", text("new_str"))
        case _:
            return Acts()
    return with_scripts(Acts(changes=(change,)))


def from_commands(commands: list[Invocation]) -> Acts:
    """The acts of shell commands."""
    changes = [change for command in commands for change in _changes(command)]
    scripts: list[Script] = []
    foreign: list[str] = []
    extra: list[Invocation] = []
    for command in commands:
        code = _inline_code(command)
        script = read_script(code) if code and command.name.startswith(_PYTHON) else None
        if script:
            scripts.append(script)
            extra += _run_by(script)
            changes += script_changes(script)
        elif code:
            foreign.append(code)
    changes += [change for command in extra for change in _changes(command)]
    return with_scripts(Acts((*commands, *extra), tuple(changes), tuple(scripts), foreign=tuple(foreign)))


def with_scripts(acts: Acts) -> Acts:
    """Read Python scripts written outside the project, or at the root of the tree, as if they were run."""
    commands, changes, scripts = [*acts.commands], [*acts.changes], [*acts.scripts]
    for change in acts.changes:
        if change.kind not in ("write", "append") or not change.new or not change.path.endswith((".py", ".sh")):
            continue
        if in_tree(change.path) and "/" in change.path:
            continue
        if change.path.endswith(".sh"):
            found = expand(change.new, depth=1)
            commands += found
            changes += [inner for command in found for inner in _changes(command)]
        elif script := read_script(change.new):
            scripts.append(script)
            commands += _run_by(script)
            changes += script_changes(script)
    return Acts(tuple(commands), tuple(changes), tuple(scripts), acts.reads, acts.foreign)


def _inline_code(command: Invocation) -> str | None:
    """Code that an interpreter is given on its command line or its standard input."""
    python = command.name.startswith(_PYTHON)
    letter = "c" if python else _INLINE.get(command.name)
    if letter is None:
        return None
    for number, word in enumerate(command.arguments):
        if word.startswith("-") and not word.startswith("--") and word.endswith(letter):
            return command.arguments[number + 1] if number + 1 < len(command.arguments) else None
        if python and not word.startswith("-"):
            return None
    return command.stdin if python else None


def _run_by(script: Script) -> list[Invocation]:
    """The commands that Python code starts."""
    found: list[Invocation] = []
    for call in script.calls():
        if call.name.startswith("subprocess.") or call.name in ("os.system", "os.popen", "os.execvp", "pty.spawn"):
            given = call.arguments[0] if call.arguments else None
            if isinstance(given, str):
                found += expand(given, depth=1)
            elif isinstance(given, list) and given:
                words = tuple(str(part) if part is not None else UNKNOWN for part in given)
                found += unwrap(Invocation(words=words), depth=MAX_DEPTH - 2)
        elif call.name in ("pip._internal.main", "pip.main", "pip._internal.cli.main.main"):
            given = call.arguments[0] if call.arguments else None
            if isinstance(given, list):
                found.append(Invocation(words=("pip", *(str(part) for part in given if part is not None))))
    return found


def script_changes(script: Script) -> Iterator[Change]:
    """The files that Python code writes, removes or links, where their names stand in it."""
    writes = [call for call in script.calls() if call.name.rpartition(".")[2] in ("write", "writelines")]
    for call in script.calls():
        first = call.arguments[0] if call.arguments else None
        if not isinstance(first, str):
            continue
        second = call.arguments[1] if len(call.arguments) > 1 else None
        tail = call.name.rpartition(".")[2]
        if call.name in ("open", "io.open") and isinstance(second, str) and second[:1] in "wax":
            text = next((str(part) for write in writes for part in write.arguments[2:] if isinstance(part, str)), None)
            yield Change(place(first), "append" if "a" in second else "write", text)
        elif tail in ("write_text", "write_bytes"):
            yield Change(place(first), "write", second if isinstance(second, str) else None)
        elif call.name in ("os.remove", "os.unlink", "shutil.rmtree", "os.rmdir", "shutil.move", "os.rename") or (
            tail == "unlink"
        ):
            yield Change(place(first), "remove")
        elif tail in ("symlink", "link") and isinstance(second, str):
            yield Change(place(second), "link", first)
        elif call.name.startswith("py_compile.") and (target := _keyword(script, call.node, "cfile")):
            yield Change(place(target), "write")


def _keyword(script: Script, node: Any, name: str) -> str:
    values = [script.literal(keyword.value) for keyword in node.keywords if keyword.arg == name]
    return str(values[0]) if values and values[0] else ""


def _changes(command: Invocation) -> Iterator[Change]:
    """The files that a command changes."""
    printed = literal_output(command) if command.words else ""
    for redirect in command.redirects:
        if redirect.operator.startswith((">", "&>")) and redirect.target not in ("/dev/null", "1", "2"):
            kind = "append" if ">>" in redirect.operator else "write"
            yield Change(
                place(redirect.target), kind, printed, source=() if printed is not None else _printed_files(command)
            )
    plain = [word for word in command.plain if word]
    match command.name:
        case "tee" | "sponge":
            kind = "append" if command.has("-a", "--append") else "write"
            yield from (Change(place(word), kind, command.stdin) for word in plain)
        case "rm" | "unlink" | "shred" | "rmdir":
            yield from (Change(place(word), "remove") for word in plain)
        case "truncate":
            yield from (Change(place(word), "write", "") for word in plain[-1:])
        case "touch":
            yield from (Change(place(word), "append", "") for word in plain)
        case "mkdir":
            yield from (Change(place(word), "folder") for word in plain)
        case "chmod" | "chown":
            yield from (Change(place(word), "mode", plain[0]) for word in plain[1:])
        case "cp" | "mv" | "install" | "ln":
            yield from _copies(command, plain)
        case "sed" | "perl" | "ruby" | "awk":
            yield from _stream_edits(command, plain)
        case "git" if plain[:1] == ["rm"] and "--cached" not in command.words:
            yield from (Change(place(word), "remove") for word in plain[1:])


def _printed_files(command: Invocation) -> tuple[str, ...]:
    """The files that a command prints whole."""
    return tuple(map(place, command.plain)) if command.name in ("cat", "head", "tail") else ()


def _copies(command: Invocation, plain: list[str]) -> Iterator[Change]:
    if len(plain) < 2:
        return
    *sources, target = plain
    if target.endswith("/") or target == "." or ("." not in PurePosixPath(target).name and len(sources) > 1):
        target = f"{target.rstrip('/')}/{PurePosixPath(sources[0]).name}"
    if command.name == "ln" or (command.name == "cp" and command.has("-s", "--symbolic-link", "-l")):
        yield Change(place(target), "link", sources[0])
        return
    empty = sources == ["/dev/null"]
    yield Change(place(target), "write", "" if empty else None, source=() if empty else tuple(map(place, sources[:1])))
    if command.name == "mv":
        yield from (Change(place(source), "remove") for source in sources)


def _stream_edits(command: Invocation, plain: list[str]) -> Iterator[Change]:
    in_place = any(word.startswith(("-i", "--in-place")) or (word[:1] == "-" and "i" in word) for word in command.words)
    if not in_place or not plain:
        return
    script, *files = plain
    given = [command.words[at + 1] for at, word in enumerate(command.words[:-1]) if word in ("-e", "-pe", "-ne")]
    if given:
        script, files = ";".join(given), [word for word in plain if word not in given]
    yield from (Change(place(file), "script", script) for file in files)
