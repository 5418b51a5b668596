"""Here-documents in shell commands: whether one of them lacks the line that ends it."""

import re

_WORDS = r"<<-?[ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|%s([A-Za-z_][^\s;&|<>()'\"`]*)%s)"

HERE_DOCUMENT = re.compile(r"(?<!<)" + _WORDS % (r"\\?", ""))
"""What may begin one, with its last line as one of three groups: it may be a shift, or stand in a text."""

_TOKEN = re.compile(
    r"\\.|'[^']*+'|\"(?:[^\"\\]|\\.)*+\"|(?P<unclosed>['\"])|(?<![^\s;&|(])#[^\n]*|<<<|(?P<line>\n)|"
    + _WORDS % (r"(?:\\|(?=[^\s;&|<>()'\"`]++[ \t]*(?:\r?$|>)))", ""),
    re.DOTALL | re.MULTILINE,
)
"""What decides where one begins: outside of quotes and comments, its end quoted, or last in its line but for
redirections; others may be shifts."""


def lacks_end(command: str) -> bool:
    """Whether a here-document begins in the command whose last line stands on no line behind it."""
    ends: list[str] = []
    position = 0
    while (token := _TOKEN.search(command, position)) and not token["unclosed"]:
        position = token.end()
        if token["line"]:
            for end in ends:
                body_end = _skip_body(command, position, end)
                if body_end is None:
                    return True
                position = body_end
            ends = []
        elif end := token[3] or token[4] or token[5]:
            ends.append(end.strip())
    return bool(ends)


def _skip_body(command: str, start: int, end: str) -> int | None:
    """The place behind the next line that is ``end``, or None."""
    while start < len(command):
        newline = command.find("\n", start)
        line_end = newline if newline >= 0 else len(command)
        if command[start:line_end].strip() == end:
            return line_end
        start = line_end + 1
    return None
