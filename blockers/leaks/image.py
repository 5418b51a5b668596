"""Searches the root of a sandbox, from inside it, for the answers of many tasks at once.

The tree and the environment's packages are indexed by the host (``blockers/leaks/index.py``). All else that an agent
can read, the programs and libraries of the image or of the host, is too much to index for each pool, and is not ours:
there grep looks for the gold lines themselves. A line is an idiom, and tells nothing, where code files of two names or
the standard library have it; any other counts in a file that is no code, in a copy of the changed module, or where two
more stand in the same file. Code is Python source and what begins as a script (``#!``), in whatever language.
"""

import contextlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from blockers.errors import AuditError
from blockers.findings import Finding
from blockers.leaks.archives import NAMES, lines_in, python_members
from blockers.leaks.index import MIN_LINE, module_path
from blockers.leaks.texts import is_code, normal

IMAGE = "image"
"""Name under which findings show what stands outside of the indexed roots."""

SECONDS = 1800.0
"""How long the search may take: some gigabytes of files, on a slow disk."""

COPY_LINES = 3
"""Gold lines that make a code file a copy; one line may stand there by chance."""

_PATTERNS = "/tmp/repodojo-gold-lines"
_HIT_FILES = "/tmp/repodojo-hit-files"
_AMONG = "/tmp/repodojo-search-among"
_FOUND = "/tmp/repodojo-search-found"
_CANARY, _CANARY_LINE = "/tmp/repodojo-search-canary", "a line that a search which works finds"
LARGEST_MIB = 60
"""Largest file that is read whole, of those that are."""
_STANDARD_LIBRARY = re.compile(r"/lib/python3\.\d+/(?!site-packages/|dist-packages/)")
_HIT = re.compile(r"(/[^\0]*)\0(\d+):([^\n]*)\n")
"""Path, line number, line; a path may hold line breaks."""


class Said(Protocol):
    """What a command showed; ``agent_env.sandbox.base.CommandResult`` is one."""

    @property
    def output(self) -> str: ...
    @property
    def exit_code(self) -> int | None: ...


class Shell(Protocol):
    """What the search needs of a sandbox."""

    def run(self, command: str, *, timeout: float) -> Said: ...
    def read(self, path: str) -> bytes: ...
    def write(self, path: str, data: bytes) -> None: ...


class Wanted(NamedTuple):
    """What would answer one task."""

    lines: frozenset[str]
    """Added lines of the gold patch that no source has by right, without the blanks around them."""
    modules: frozenset[str]
    """Import paths of the changed files (``pkg/mod.py``)."""


class Hits(NamedTuple):
    """Where lines stand."""

    searched: frozenset[str]
    """The lines."""
    numbers: Mapping[str, Mapping[str, int]]
    """By file, by line: the number of its first place there."""
    code: frozenset[str]
    """Those of the files that are code."""


def list_modules(shell: Shell, *, skipped: tuple[str, ...]) -> list[str]:
    """Paths of the Python modules of the whole root, source and compiled, less the folders that are skipped.

    Raises:
        AuditError: the search did not run to its end.
    """
    return _named(shell, ("py", "pyc"), skipped)


def find_lines(
    shell: Shell, lines: Collection[str], *, skipped: tuple[str, ...], among: Collection[str] | None = None
) -> Hits:
    """Where lines stand in the root: some seconds for hundreds of them, one for a few.

    Args:
        shell: a sandbox whose commands may print a lot; its ``/tmp`` gets some files.
        lines: without the blanks around them.
        skipped: absolute folders that are audited by other means.
        among: search these files alone; None searches the whole root.

    Raises:
        AuditError: the search did not run to its end, or found more than can be shown.
    """
    hits: dict[str, dict[str, int]] = defaultdict(dict)
    if lines:
        shell.write(_PATTERNS, "".join(f"{line}\n" for line in (_CANARY_LINE, *sorted(lines))).encode())
        shell.write(_CANARY, f"{_CANARY_LINE}\n".encode())
        for path, number, text in _grep(shell, skipped, among):
            for line in lines:
                if line in text:
                    hits[path].setdefault(line, number)
        if among is None:
            hits |= _packed(shell, lines, skipped)
    code = {path for path in hits if is_code(path)} | _scripts(shell, hits)
    return Hits(frozenset(lines), hits, frozenset(code))


def image_findings(wanted: Wanted, hits: Hits) -> Iterator[Finding]:
    """What of one task's answer stands there; all its lines were searched for."""
    idioms = {line for line in wanted.lines if _is_idiom({path for path in hits.code if line in hits.numbers[path]})}
    for path, mine in _by_file(wanted.lines - idioms, hits):
        is_module = any(path.endswith(f"/{module}") for module in wanted.modules)
        if is_module or path not in hits.code or len(mine) >= COPY_LINES:
            line, number = min(mine.items(), key=lambda entry: entry[1])
            yield Finding("image", f"{IMAGE}:{path}", number, f"a line of the solution: {line[:120]}")


def compiled_findings(wanted: Wanted, modules: Collection[str]) -> Iterator[Finding]:
    """Compiled copies of changed modules whose source, which could be searched, does not stand beside them.

    Args:
        modules: of the whole root.
    """
    known = set(modules)
    for path in sorted(known):
        module = next((one for one in wanted.modules if module_path(path).endswith(f"/{one}")), None)
        if module and path.endswith(".pyc") and f"/{module_path(path).lstrip('/')}" not in known:
            yield Finding("bytecode", f"{IMAGE}:{path}", None, f"{module}, compiled from a source that is not here")


def newer_findings(newer: Mapping[str, frozenset[str]], hits: Hits) -> Iterator[Finding]:
    """Copies of changed modules that hold lines which only a later release has.

    Args:
        newer: those lines, by import path of the module.
    """
    for module, lines in newer.items():
        for path, mine in _by_file(lines, hits):
            if path.endswith(f"/{module}") and len(mine) >= COPY_LINES:
                line, number = min(mine.items(), key=lambda entry: entry[1])
                yield Finding("newer-release", f"{IMAGE}:{path}", number, f"as a later release has it: {line[:120]}")


def _by_file(lines: frozenset[str], hits: Hits) -> Iterator[tuple[str, dict[str, int]]]:
    for path, found in sorted(hits.numbers.items()):
        mine = {line: number for line, number in found.items() if line in lines}
        if mine:
            yield path, mine


def telling_lines(gold_patch: str) -> frozenset[str]:
    """The added lines of a patch that are long enough to tell anything."""
    return telling(line[1:] for line in gold_patch.splitlines() if line.startswith("+") and line[:4] != "+++ ")


def telling(lines: Iterable[str]) -> frozenset[str]:
    """Those that are long enough to tell anything, without the blanks around them."""
    return frozenset(line.strip() for line in lines if len(normal(line)) >= MIN_LINE)


def _grep(shell: Shell, skipped: tuple[str, ...], among: Collection[str] | None) -> Iterator[tuple[str, int, str]]:
    """Each hit. A line that was put there for it must be among them, or there is no such grep."""
    grep = f"xargs -0 -r grep -nHZIF -f {_PATTERNS} --"
    if among is None:
        said = _find(shell, (*skipped, _PATTERNS), f"-readable -print0 | {grep}; echo search ended ${{PIPESTATUS[1]}}")
    else:
        _write_paths(shell, _AMONG, {*among, _CANARY})
        said = _must_end(shell, f"{grep} < {_AMONG}; echo search ended $?")
    hits = [(hit[1], int(hit[2]), hit[3]) for hit in _HIT.finditer(said)]
    if not any(path == _CANARY for path, _, _ in hits):
        raise AuditError(f"the search of the image does not find what is there: {said[-300:]}")
    return (hit for hit in hits if hit[0] != _CANARY)


def _packed(shell: Shell, lines: Collection[str], skipped: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Hits in packed Python source; an archive that cannot be read in one piece is passed over."""
    found: dict[str, dict[str, int]] = {}
    for path in _named(shell, NAMES, skipped):
        with contextlib.suppress(FileNotFoundError, PermissionError):
            found |= lines_in(list(python_members(path, shell.read(path))), lines)
    return found


def _named(shell: Shell, endings: Iterable[str], skipped: tuple[str, ...]) -> list[str]:
    """Paths of the plain files whose names end so, no larger than what is read."""
    names = " -o ".join(f"-name '*.{ending}'" for ending in endings)
    found = _find(shell, skipped, f"-size -{LARGEST_MIB + 1}M \\( {names} \\) -print0; echo search ended $?")
    return [path for path in found.rpartition("search ended")[0].split("\0") if path]


def _find(shell: Shell, skipped: tuple[str, ...], then: str) -> str:
    """What comes of the plain files of the root that are not skipped."""
    pruned = " -o ".join(f"-path {path}" for path in ("/proc", "/sys", "/dev", _FOUND, *skipped))
    return _must_end(shell, f"find / \\( {pruned} \\) -prune -o -type f {then}")


def _must_end(shell: Shell, command: str) -> str:
    """What a search found: NUL bytes end what it names, and are counted, since what is shown may be cut."""
    done = shell.run(
        f"{{ {command}; }} > {_FOUND} 2>/dev/null; tr -cd '\\0' < {_FOUND} | wc -c; cat {_FOUND}", timeout=SECONDS
    )
    count, _, found = done.output.partition("\n")
    # find ends with 1 where it may not look into a folder, xargs with 123 where grep found nothing in some files.
    if not found.endswith(("search ended 0\n", "search ended 123\n", "search ended 1\n")):
        raise AuditError(f"the search of the image did not end ({done.exit_code}): {done.output[-300:]}")
    if not count.strip().isdigit() or int(count) != found.count("\0"):
        raise AuditError(f"the search of the image found {count.strip()} places, more than can be shown")
    return found


def _write_paths(shell: Shell, file: str, paths: Collection[str]) -> None:
    shell.write(file, "".join(f"{path}\0" for path in sorted(paths)).encode(errors="surrogateescape"))


def _scripts(shell: Shell, paths: Collection[str]) -> set[str]:
    """Those that begin as a script."""
    if not paths:
        return set()
    _write_paths(shell, _HIT_FILES, paths)
    begins = 'IFS= read -r -n 2 begin < "$path"; [ "$begin" = "#!" ] && printf "%s\\0" "$path"'
    done = shell.run(
        f"while IFS= read -r -d '' path; do {begins}; done < {_HIT_FILES} 2>/dev/null; echo looked", timeout=SECONDS
    )
    if not done.output.endswith("looked\n"):
        raise AuditError(f"the search of the image did not end ({done.exit_code}): {done.output[-300:]}")
    return {path for path in done.output.split("\0")[:-1] if path in paths}


def _is_idiom(code: set[str]) -> bool:
    """Whether these places of a line, all code, say that it is nobody's own."""
    return len({path.rpartition("/")[2] for path in code}) > 1 or any(map(_STANDARD_LIBRARY.search, code))
