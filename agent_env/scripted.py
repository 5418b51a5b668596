"""Scripted agents: an oracle that solves a task by its gold patch through real tool calls, and one that does nothing.

The oracle looks, edits, tests and submits, as a good policy would, in short turns: its episodes prove the environment,
and are what a policy is warmed up on. Its edits give the gold state byte for byte.
"""

import difflib
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from agent_env.grading.states import start_edits
from agent_env.tools.calls import MAX_CALLS, ToolCall
from agent_env.tools.formats import DEFAULT_FORMAT, choose_format
from agent_env.tools.lines import split_lines
from agent_env.tools.matching import Place, find_once
from tasks.patch import apply_patch, reader
from tasks.task import Task

JOIN_GAP = 2
"""Changed places with at most so many untouched lines between them make one edit."""

MAX_EDIT_TURNS = 8
"""Beyond so many edits, several go into one turn, so that any task fits the usual limit of steps."""

MAX_EDITS = 12
"""A file with more changed places than this is written anew."""

LOOK_LINES = (20, 40, 80)
"""How many lines a look at a function shows: the first that reach the change. Few, so that a policy can learn them."""

_DEFINITION = re.compile(r"^(\s*)(?:async\s+)?(def|class)\s+(\w+)")


class _Said(NamedTuple):
    """One turn."""

    words: str
    calls: list[ToolCall]


class _Change(NamedTuple):
    """Lines ``first`` to ``last`` (from 0, ``last`` excluded) of the text before become ``new``."""

    first: int
    last: int
    new: list[str]


def noop_actions(task: Task, call_format: str = DEFAULT_FORMAT) -> list[str]:
    """The turns of an agent that submits at once."""
    del task
    return _write([_say("Nothing to do.", ToolCall("submit"))], call_format)


def oracle_actions(task: Task, tree: Path, call_format: str = DEFAULT_FORMAT) -> list[str]:
    """The turns of an agent that knows the gold patch.

    Args:
        tree: the clean tree of the task's environment, as ``Workbench.build(task).tree`` has it.
        call_format: the form in which the calls are written.

    Raises:
        PatchError: a patch of the task does not fit the tree.
    """
    read = reader(tree, start_edits(task, tree))
    looks: list[_Said] = []
    edits: list[ToolCall] = []
    for path, after in apply_patch(task.gold_patch, read).items():
        before = read(path)
        if after is None:
            edits.append(ToolCall("bash", {"command": f"rm {shlex.quote(path)}"}))
        elif before is None:
            edits.append(_create(path, after.decode()))
        elif before != after:
            changes = _changes(before.decode(), after.decode())
            looks.append(_look(path, before.decode(), changes[0]))
            edits += _edit(path, before.decode(), after.decode(), changes)
    turns = looks[:MAX_EDIT_TURNS] + _edit_turns(edits)
    test = ToolCall("bash", {"command": f"{task.test_command} 2>&1 | tail -n 3"})
    return _write([*turns, _say("Now the tests.", test), _say("Done.", ToolCall("submit"))], call_format)


def _write(turns: list[_Said], call_format: str) -> list[str]:
    form = choose_format(call_format)
    return [f"{turn.words}\n{form.write(turn.calls)}" for turn in turns]


def _say(words: str, *calls: ToolCall) -> _Said:
    return _Said(words, list(calls))


def _look(path: str, text: str, change: _Change) -> _Said:
    """Show the function around a change by its name, which a policy can know, or else the lines."""
    lines = split_lines(text)
    found = _enclosing(lines, change)
    if found is not None:
        match = _DEFINITION.match(lines[found])
        assert match is not None
        wanted = f"{match[2]} {match[3]}"
        places = sum(re.search(rf"\b{wanted}\b", line) is not None for line in lines)
        size = next((size for size in LOOK_LINES if found + size > max(change.last, change.first + 1)), None)
        if places == 1 and size:
            command = f"grep -w -A {size} {shlex.quote(wanted)} {shlex.quote(path)}"
            return _say(f"I look at {match[3]} in {path}.", ToolCall("bash", {"command": command}))
    first, last = max(change.first - 9, 1), change.last + 10
    command = f"sed -n {first},{last}p {shlex.quote(path)}"
    return _say(f"I look at {path}.", ToolCall("bash", {"command": command}))


def _enclosing(lines: list[str], change: _Change) -> int | None:
    """The line of the nearest definition that holds the change, by indentation."""
    inside = next((line for line in [*lines[change.first : change.last], *change.new] if line.strip()), "")
    depth = len(inside) - len(inside.lstrip())
    for number in range(min(change.first, len(lines) - 1), -1, -1):
        match = _DEFINITION.match(lines[number])
        if match and (len(match[1]) < depth or number == change.first):
            return number
    return None


def _edit_turns(edits: list[ToolCall]) -> list[_Said]:
    """The edits as turns: one each, or several together where there are many."""
    size = min(max(-(-len(edits) // MAX_EDIT_TURNS), 1), MAX_CALLS)
    groups = [edits[start : start + size] for start in range(0, len(edits), size)]
    return [_say("I fix it." if number == 0 else "Next place.", *group) for number, group in enumerate(groups)]


def _edit(path: str, before: str, after: str, changes: list[_Change]) -> list[ToolCall]:
    """Calls that turn ``before`` into ``after``, one for each change, from the last up so that places stay."""
    if len(changes) > MAX_EDITS or not before:
        return [_create(path, after)]
    calls: list[ToolCall] = []
    lines = split_lines(before)
    for change in reversed(changes):
        replaced = _unique(lines, change)
        if replaced is None:
            return [_create(path, after)]
        old, new = replaced
        place = find_once("".join(lines), old, new)
        if not isinstance(place, Place) or place.new != new:  # the editor would give it the line ends of the file
            return [_create(path, after)]
        calls.append(ToolCall("edit", {"command": "str_replace", "path": path, "old_str": old, "new_str": new}))
        lines[change.first : change.last] = change.new
    assert "".join(lines) == after
    return calls


def _create(path: str, text: str) -> ToolCall:
    return ToolCall("edit", {"command": "create", "path": path, "file_text": text})


def _changes(before: str, after: str) -> list[_Change]:
    """The changed places, near ones joined."""
    old, new = split_lines(before), split_lines(after)
    found: list[_Change] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if found and a - found[-1].last <= JOIN_GAP:
            last = found.pop()
            found.append(_Change(last.first, b, [*last.new, *old[last.last : a], *new[c:d]]))
        else:
            found.append(_Change(a, b, new[c:d]))
    return found


def _unique(lines: list[str], change: _Change) -> tuple[str, str] | None:
    """The text to replace and its replacement, with as few lines around as make it unique; None if nothing does."""
    text = "".join(lines)
    above = below = 0
    while True:
        head = lines[change.first - above : change.first]
        tail = lines[change.last : change.last + below]
        old = "".join([*head, *lines[change.first : change.last], *tail])
        new = "".join([*head, *change.new, *tail])
        if old.endswith("\n") and new.endswith("\n") and old.strip():
            old, new = old[:-1], new[:-1]
        if old.strip() and _occurs_once(text, old):
            return old, new
        can_above, can_below = above < change.first, change.last + below < len(lines)
        if not (can_above or can_below):
            return None
        if can_above and (above <= below or not can_below):
            above += 1
        else:
            below += 1


def _occurs_once(text: str, part: str) -> bool:
    first = text.find(part)
    return first >= 0 and text.find(part, first + 1) < 0
