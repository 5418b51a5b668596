"""The tool ``search``: where a text occurs in files, or which files have a name. Runs ``find`` and ``grep`` in the
sandbox, so it reaches what the agent's commands reach and no more; sorted and bounded, so that it can be relied on.
"""

import shlex
from typing import ClassVar

from agent_env.sandbox.base import WORK_DIR, Sandbox
from agent_env.tools.arguments import ArgumentError, Arguments
from agent_env.tools.bash import stop_note
from agent_env.tools.observation import Observation, clip

MAX_MATCHES = 100
"""So many lines or names are shown."""

MAX_LINE_BYTES = 250
"""A row is cut beyond this: so all of them together are less than a sandbox returns of a command's output, where more
would lose its middle, and with it the count of the rows."""

_ROW_BYTES = MAX_LINE_BYTES + 10
"""So much of a row leaves the sandbox: it shows that there was more, also without ``./`` and with half a character."""


class SearchArguments(Arguments):
    """Arguments of ``search``; at least ``pattern`` or ``glob``."""

    pattern: str = ""
    """Regular expression (POSIX extended) that a line must match; absent: list the files."""
    glob: str = ""
    """Pattern of file names, such as *.py."""
    path: str = "."
    """File or folder to search, relative to the repository, or absolute."""


class Search:
    """Searches files.

    Args:
        timeout: seconds a search may take.
        chars: longest observation.
    """

    name: ClassVar[str] = "search"
    signature: ClassVar[str] = "pattern?, glob?, path?"
    help: ClassVar[str] = "lines that match a regular expression, in files named like glob; without pattern, the files."
    arguments: ClassVar[type[Arguments]] = SearchArguments

    def __init__(self, *, timeout: float, chars: int) -> None:
        self.timeout = timeout
        self._chars = chars

    def run(self, sandbox: Sandbox, arguments: SearchArguments) -> Observation:
        """Search; sorted by path and line, ``.git`` and ``__pycache__`` left out, binary files too."""
        _check(arguments)
        result = sandbox.run(_script(arguments), timeout=self.timeout, cwd=WORK_DIR)
        if result.stopped is not None:
            return Observation(stop_note(result, self.timeout), stopped=result.stopped)
        state, _, output = result.output.replace("\0", "\ufffd").partition("\n")
        if state == "path":
            return Observation(
                f"Error: {arguments.path} does not exist. Paths are relative to {WORK_DIR}, or absolute."
            )
        if state == "pattern":
            return Observation(clip(f"Error: pattern is no regular expression: {output.strip()}", self._chars))
        if state != "ok":
            return Observation(clip(f"Error: the search could not run: {result.output.strip()}", self._chars))
        return Observation(clip(_show(output, arguments), self._chars))


def _check(arguments: SearchArguments) -> None:
    if not (arguments.pattern or arguments.glob):
        raise ArgumentError("search: give pattern (what a line must match), glob (what a file is named like), or both")
    if "\n" in arguments.pattern:
        raise ArgumentError("search: pattern holds a line break; a match is always one line")
    if "/" in arguments.glob:
        raise ArgumentError(f"search: glob is {arguments.glob[:80]!r}; expected a name like *.py. Folders go into path")
    if not arguments.path:
        raise ArgumentError("search: path is empty; leave it out, or name a file or folder")


def _script(arguments: SearchArguments) -> str:
    """The shell commands. They always succeed, since the agent may have said ``set -e``, and say first how it went."""
    path = shlex.quote(arguments.path if arguments.path.startswith("/") else f"./{arguments.path}")
    named = f"-name {shlex.quote(arguments.glob)}" if arguments.glob else ""
    files = f"find -H {path} \\( -name .git -o -name __pycache__ \\) -prune -o -type f {named} -print0"
    check = ""
    rows = "tr '\\0' '\\n'"
    if arguments.pattern:
        pattern = shlex.quote(arguments.pattern)
        check = f"grep -qE -e {pattern} </dev/null 2>/dev/null; "
        check += f"if [ $? -gt 1 ]; then echo pattern; grep -qE -e {pattern} </dev/null; exit 0; fi; "
        rows = f"xargs -0 -r grep -nHIE -e {pattern} --"
    return (
        "( { set +exu +o pipefail; builtin unset -f find grep sort xargs tr head cut; } 2>/dev/null; "
        f"if ! [ -e {path} ]; then echo path; exit 0; fi; {check}echo ok; "
        f"{files} 2>/dev/null | LC_ALL=C sort -z | {rows} 2>/dev/null "
        f"| head -n {MAX_MATCHES + 1} | cut -b -{_ROW_BYTES}; exit 0 )"
    )


def _show(output: str, arguments: SearchArguments) -> str:
    rows = [_trim(row.removeprefix("./").removeprefix("./")) for row in output.split("\n") if row]
    if not rows:
        what = f"No line matches {arguments.pattern!r}" if arguments.pattern else "No file"
        named = f" in files named like {arguments.glob}" if arguments.pattern else f" is named like {arguments.glob}"
        return f"{what}{named if arguments.glob else ''} under {arguments.path}."
    more = len(rows) > MAX_MATCHES
    note = [f"[more than {MAX_MATCHES}: only the first are shown; narrow the search]"] if more else []
    return "\n".join(rows[:MAX_MATCHES] + note)


def _trim(row: str) -> str:
    raw = row.encode()
    return row if len(raw) <= MAX_LINE_BYTES else f"{raw[:MAX_LINE_BYTES].decode(errors='ignore')} [...]"
