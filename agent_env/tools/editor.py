"""The tool ``edit``: looks at and changes text files, in the manner of ``str_replace_based_edit_tool``.

Files are read and written through the sandbox, so an agent reaches with it what its commands reach and no more. A file
whose lines all end in CRLF keeps that: texts given with plain line breaks are matched and written with its own. A byte
order mark stays the first thing in its file.
"""

import shlex
from collections.abc import Callable
from typing import ClassVar, Literal

from pydantic import Field

from agent_env.sandbox.base import WORK_DIR, Sandbox
from agent_env.tools.arguments import ArgumentError, Arguments, LineRange, fail_arguments
from agent_env.tools.edit_history import MAX_BYTES, EditHistory, PastEdit, is_changed_since
from agent_env.tools.lines import split_lines
from agent_env.tools.matching import Place, explain_mismatch, find_once
from agent_env.tools.observation import Observation, clip
from tasks.errors import is_of_machine

MAX_FILE_BYTES = 10_000_000
"""Largest file that the editor opens."""

BYTE_ORDER_MARK = "\ufeff"

REMOVE_SECONDS = 10.0
"""How long the removal of one file may take."""


class EditArguments(Arguments):
    """Arguments of ``edit``; which of them a command takes stands in ``USES``."""

    command: Literal["view", "create", "str_replace", "insert", "undo_edit"]
    """What to do."""
    path: str
    """Relative to the repository, or absolute."""
    file_text: str = ""
    """create: the whole content."""
    view_range: LineRange = Field(default_factory=list)
    """view: first and last line, counted from 1; a last line of -1 is the end."""
    old_str: str = ""
    """str_replace: text that occurs exactly once in the file."""
    new_str: str = ""
    """str_replace: what to put in its place. insert: the new lines."""
    insert_line: int = 0
    """insert: the line after which the new ones go; 0 for the top."""


USES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "view": (frozenset(), frozenset({"view_range"})),
    "create": (frozenset({"file_text"}), frozenset()),
    "str_replace": (frozenset({"old_str"}), frozenset({"new_str"})),
    "insert": (frozenset({"insert_line", "new_str"}), frozenset()),
    "undo_edit": (frozenset(), frozenset()),
}
"""Per command, the arguments that it needs and those that it may take, beside command and path."""


class Editor:
    """Views and changes text files.

    Args:
        chars: longest observation.
    """

    name: ClassVar[str] = "edit"
    signature: ClassVar[str] = "command, path, ..."
    help: ClassVar[str] = (
        "command is view (view_range [first, last]?), create (file_text), "
        "str_replace (old_str, which must occur exactly once, new_str), insert (insert_line, new_str) or undo_edit."
    )
    arguments: ClassVar[type[Arguments]] = EditArguments

    def __init__(self, *, chars: int) -> None:
        self._chars = chars
        self._history = EditHistory()
        self._commands: dict[str, Callable[[Sandbox, EditArguments], str]] = {
            "view": self._view,
            "create": self._create,
            "str_replace": self._replace,
            "insert": self._insert,
            "undo_edit": self._undo,
        }

    def run(self, sandbox: Sandbox, arguments: EditArguments) -> Observation:
        """Carry out one command; what the file system or the text refuses is told.

        Raises:
            SandboxError: as for the sandbox.
            OSError: the machine failed.
        """
        _check_use(arguments)
        try:
            text = self._commands[arguments.command](sandbox, arguments)
        except FileNotFoundError:
            text = f"Error: {arguments.path} does not exist. Paths are relative to {WORK_DIR}, or absolute."
        except IsADirectoryError:
            text = f"Error: {arguments.path} is a directory. List it with bash: ls {arguments.path}"
        except OSError as error:
            if is_of_machine(error):
                raise
            text = f"Error: cannot {arguments.command} {arguments.path}: {error.strerror or error}"
        return Observation(clip(text, self._chars))

    def _view(self, sandbox: Sandbox, arguments: EditArguments) -> str:
        lines = split_lines(_read(sandbox, arguments.path))
        first, last = _line_range(arguments.view_range, len(lines))
        if not lines:
            return f"{arguments.path} is empty"
        shown = "".join(f"{number}\t{line}" for number, line in enumerate(lines[first - 1 : last], first))
        shown = shown.removesuffix("\n")
        more = f"\n[{len(lines)} lines in all]" if (first, last) != (1, len(lines)) else ""
        return shown + more

    def _create(self, sandbox: Sandbox, arguments: EditArguments) -> str:
        before = _content(sandbox, arguments.path)
        self._write(sandbox, arguments.path, before, arguments.file_text)
        done = "Created" if before is None else "Overwrote"
        return f"{done} {arguments.path} ({len(split_lines(arguments.file_text))} lines)."

    def _replace(self, sandbox: Sandbox, arguments: EditArguments) -> str:
        if not arguments.old_str:
            raise ArgumentError("edit: old_str is empty; give the text to replace, or use insert or create")
        text = _read(sandbox, arguments.path)
        found = find_once(text, arguments.old_str, arguments.new_str)
        if not isinstance(found, Place):
            return f"Error: {explain_mismatch(arguments.path, text, arguments.old_str, found)}"
        new = text[: found.start] + found.new + text[found.end :]
        self._write(sandbox, arguments.path, text.encode(), new)
        first = text.count("\n", 0, found.start) + 1
        last = first + text[found.start : found.end].removesuffix("\n").count("\n")
        return f"Replaced line{f's {first}-{last}' if last > first else f' {first}'} of {arguments.path}."

    def _insert(self, sandbox: Sandbox, arguments: EditArguments) -> str:
        text = _read(sandbox, arguments.path)
        lines = split_lines(text)
        after = arguments.insert_line
        if not 0 <= after <= len(lines):
            return (
                f"Error: insert_line is {after}; {arguments.path} has {len(lines)} lines: expected 0 to {len(lines)}."
            )
        ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
        given = arguments.new_str.replace("\r\n", "\n").removesuffix("\n").split("\n")
        new = "".join(line + ending for line in given)
        if after and not lines[after - 1].endswith("\n"):
            new = ending + new.removesuffix(ending)  # the last line has no end: it gets one, the new last line has none
        mark = BYTE_ORDER_MARK if after == 0 and text.startswith(BYTE_ORDER_MARK) else ""
        below = "".join(lines[after:]).removeprefix(mark)
        self._write(sandbox, arguments.path, text.encode(), "".join([mark, *lines[:after], new, below]))
        return f"Inserted {len(given)} line{'s' * (len(given) > 1)} after line {after} of {arguments.path}."

    def _undo(self, sandbox: Sandbox, arguments: EditArguments) -> str:
        path = arguments.path
        said = ""

        def undo(edit: PastEdit) -> None:
            nonlocal said
            lost = is_changed_since(edit, _content(sandbox, path))
            if edit.before is None:
                _remove(sandbox, path)
            else:
                sandbox.write(path, edit.before)
            said = "it is removed again, as before it was created" if edit.before is None else "it is as before that"
            said += "; what other commands had changed in it since is gone too" if lost else ""

        if not self._history.take_back(path, undo):
            why = "edit has not changed it, or all is undone already"
            if self._history.has_forgotten(path):
                why = f"of what files held before, only the latest {MAX_BYTES // 1_000_000} MB are remembered"
            return f"Error: there is no edit of {path} to undo: {why}."
        return f"Undid the last edit of {path}: {said}. Edits left to undo there: {self._history.count(path)}."

    def _write(self, sandbox: Sandbox, path: str, before: bytes | None, text: str) -> None:
        data = text.encode()
        sandbox.write(path, data)
        self._history.record(path, before, data)


def _check_use(arguments: EditArguments) -> None:
    """Check that the arguments given are those that the command takes."""
    needed, allowed = USES[arguments.command]
    given = arguments.model_fields_set - {"command", "path"}
    takes = ", ".join(["path", *sorted(needed), *(f"{name} (optional)" for name in sorted(allowed))])
    if missing := needed - given:
        raise ArgumentError(f"edit: {arguments.command} needs {', '.join(sorted(missing))}. It takes: {takes}")
    if extra := given - needed - allowed:
        raise ArgumentError(f"edit: {arguments.command} does not take {', '.join(sorted(extra))}. It takes: {takes}")
    if not arguments.path.strip():
        fail_arguments("edit", EditArguments, "argument 'path' is empty")


def _line_range(given: list[int], total: int) -> tuple[int, int]:
    """First and last line to show; a last line of -1, or beyond the end, is the end."""
    if not given:
        return 1, total
    if len(given) != 2:
        raise ArgumentError(f"edit: view_range is {given[:5]}; expected [first, last]")
    first, last = given
    last = total if last == -1 else min(last, total)
    if not (1 <= first <= max(total, 1) and (first <= last or total == 0)):
        raise ArgumentError(f"edit: view_range is {given}; the file has {total} lines: expected 1 <= first <= last")
    return first, last


def _content(sandbox: Sandbox, path: str) -> bytes | None:
    try:
        return sandbox.read(path)
    except FileNotFoundError:
        return None


def _remove(sandbox: Sandbox, path: str) -> None:
    done = sandbox.run(f"command rm -f -- {shlex.quote(path)} || (exit 0)", timeout=REMOVE_SECONDS, cwd=WORK_DIR)
    if _content(sandbox, path) is not None:
        raise OSError(f"it cannot be removed: {done.output.strip()}")


def _read(sandbox: Sandbox, path: str) -> str:
    data = sandbox.read(path)
    if len(data) > MAX_FILE_BYTES:
        raise ArgumentError(f"edit: {path} is {len(data)} bytes; the editor opens at most {MAX_FILE_BYTES}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ArgumentError(f"edit: {path} is not UTF-8 text (byte {error.start}); use bash for it") from None
    if "\0" in text:
        raise ArgumentError(f"edit: {path} is not a text file (it holds NUL bytes); use bash for it")
    return text
