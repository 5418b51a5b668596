"""What an episode's calls wrote so far: a payload written by one call and put in place by the next is still one act."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from blockers.monitor.acts import Acts, Change, from_commands, place, with_scripts
from blockers.monitor.invocation import UNKNOWN, Invocation
from blockers.monitor.wrappers import SHELLS, expand

MOST_FILES, MOST_TEXT = 64, 256_000
"""Files that are remembered, and their characters in sum; the oldest go first."""

_RUNNERS = ("python", "pypy")


class Memory:
    """The texts of the files that one episode wrote, as far as its calls show them. Bounded."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, str] = OrderedDict()

    def recall(self, acts: Acts) -> Acts:
        """The acts with what earlier calls wrote filled in: the text of copied files, and the code of files that are
        run; and remember what these acts write."""
        changes = []
        for change in acts.changes:
            if change.new is None and change.source:
                text = self._joined(change.source)
                change = change._replace(new=text, source=()) if text is not None else change
            self._remember(change)
            changes.append(change)
        filled = replace(acts, changes=tuple(changes))
        return _merged(filled, [self._run(command) for command in acts.commands])

    def _run(self, command: Invocation) -> Acts:
        """What a remembered file does that a command runs; nothing for those that ``acts_of`` reads when written."""
        runs = command.name in SHELLS or command.words[:1] in (("source",), (".",)) or command.name.startswith(_RUNNERS)
        path = place(command.plain[0]) if runs and command.plain else ""
        text = self._texts.get(path)
        if text is None or path.endswith((".py", ".sh")):
            return Acts()
        if command.name.startswith(_RUNNERS):
            return with_scripts(Acts(changes=(Change(f"{path}.py", "write", text),)))
        return from_commands(expand(text, depth=1))

    def _joined(self, sources: Iterable[str]) -> str | None:
        """The texts of files one after the other; None where one of them is not known."""
        texts = [self._texts.get(path) for path in sources]
        return (
            "\n".join(text for text in texts if text is not None) if all(text is not None for text in texts) else None
        )

    def _remember(self, change: Change) -> None:
        path, before = change.path, self._texts.pop(change.path, None)
        if UNKNOWN in path or change.kind in ("remove", "link", "folder"):
            return
        text = _after(change, before)
        if text is None or len(text) > MOST_TEXT:
            return
        self._texts[path] = text
        while len(self._texts) > MOST_FILES or sum(map(len, self._texts.values())) > MOST_TEXT:
            self._texts.popitem(last=False)


def _after(change: Change, before: str | None) -> str | None:
    """The text of a file after a change; None where it cannot be told."""
    match change.kind:
        case "write":
            return change.new
        case "append":
            return f"{before or ''}\n{change.new or ''}".lstrip("\n")
        case "edit" if before is not None and change.old and change.new is not None:
            return before.replace(change.old, change.new, 1)
        case "edit" | "mode":
            return before
    return None


def _merged(first: Acts, others: Iterable[Acts]) -> Acts:
    for other in others:
        first = replace(
            first,
            commands=first.commands + other.commands,
            changes=first.changes + other.changes,
            scripts=first.scripts + other.scripts,
            foreign=first.foreign + other.foreign,
        )
    return first
