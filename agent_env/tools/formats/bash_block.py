"""The form of mini-swe-agent: exactly one fenced block a turn, which is one shell command. ::

    ```bash
    ls
    ```

The fence may also say ``mswea_bash_command``, as mini-swe-agent's own prompts do since version 2. The shell is the only
tool, and a command whose output begins with the line ``COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT`` submits.
"""

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from agent_env.tools.bash import SUBMIT_LINE
from agent_env.tools.calls import ToolCall
from agent_env.tools.formats.as_shell import as_shell
from agent_env.tools.formats.form import WholeCallsError
from agent_env.tools.formats.here_document import HERE_DOCUMENT, lacks_end
from tasks.errors import BadInputError

_OPENING = re.compile(r"```(?:bash|mswea_bash_command)[ \t]*\r?\n")
_CLOSING = re.compile(r"\n[ \t]*```")

_FENCE_LINE = re.compile(r"^[ \t]*```", re.MULTILINE)


class Fenced(NamedTuple):
    """A fenced block."""

    start: int
    command: str
    end: int


def find_blocks(text: str) -> Iterator[Fenced]:
    """The fenced blocks of a turn, in order."""
    position = 0
    while (opening := _OPENING.search(text, position)) and (closing := _CLOSING.search(text, opening.end())):
        position = closing.end()
        yield Fenced(opening.start(), text[opening.end() : closing.start()], position)


class BashBlock:
    """See the module."""

    name: ClassVar[str] = "bash"
    rule: ClassVar[str] = "Write exactly one block a turn, so"
    ending: ClassVar[str] = f"When you are done, run this alone: echo {SUBMIT_LINE}"
    shell_only: ClassVar[bool] = True
    submits_by_output: ClassVar[bool] = True

    def read(self, text: str) -> list[ToolCall]:
        """See ``CallFormat.read``."""
        blocks = [*find_blocks(text)]
        if len(blocks) > 1:
            raise WholeCallsError(f"the turn holds {len(blocks)} fenced blocks; expected exactly one")
        if blocks and _goes_on(blocks[0].command, text[blocks[0].end :]):
            raise WholeCallsError(
                "the block ends at its first line of ```, and what follows looks like more of it: "
                "a command cannot hold such a line; write the file in another way"
            )
        return [ToolCall("bash", {"command": block.command.strip()}) for block in blocks]

    def write(self, calls: Sequence[ToolCall]) -> str:
        """See ``CallFormat.write``. Several calls make one block, so that they are read back as one; edits are
        written as commands that do the same."""
        if any(call.name == "submit" for call in calls):
            if len(calls) > 1:
                raise BadInputError("a fenced block cannot submit and do something else: write two turns")
            command = f"echo {SUBMIT_LINE}"
        else:
            command = "\n".join(map(as_shell, calls))
        text = f"```bash\n{command}\n```"
        if [block.command for block in find_blocks(text)] != [command]:
            raise BadInputError(f"a fenced block cannot hold this command: {command[:80]!r}")
        return text


def _goes_on(command: str, rest: str) -> bool:
    """Whether the fence between them was rather one of a text that the command writes: it opens a block of its own,
    leaves an odd one behind, or cuts a here-document off. Where the last line of one stands nowhere, the turn may have
    been cut off too; with nothing behind the fence the policy rather forgot that line.
    """
    ends = {"".join(words) for words in HERE_DOCUMENT.findall(command)}
    is_cut_off = bool((ends & _lines(rest)) - _lines(command)) or (lacks_end(command) and bool(rest.strip()))
    return is_cut_off or rest[:1].isalnum() or len(_FENCE_LINE.findall(rest)) % 2 == 1


def _lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines()}
