"""The repo list: which repositories to mine, and how. Every mistake in it is reported with its line.

A TOML file of ``[[repo]]`` tables, or a text file with one source a line and ``#`` comments, or, in place of a file,
one source by itself. A source is ``pypi:NAME`` (with a version range where wanted: ``pypi:NAME>=1``), a git URL
(https, ssh, file) or the path of a directory.
"""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import ValidationError

from env_builder.errors import RepoListError
from env_builder.request import PYPI_PREFIX, RepoRequest, is_url

LineOf = Callable[[str], int]
"""Tells the line in which a key of one table stands."""

_SCHEME_LIKE = re.compile(r"^(\w[\w+.-]*):")
_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]")


OPTIONS = tuple(name for name in RepoRequest.model_fields if name != "folder")
"""Keys of a ``[[repo]]`` table."""


def load_repo_list(path: str | Path) -> tuple[RepoRequest, ...]:
    """Read a repo list, or take a single source given in its place.

    Raises:
        RepoListError: the file is absent or has a mistake; the message names the line.
    """
    file = Path(path)
    if not file.is_file():
        return (_single_source(str(path)),)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RepoListError(f"{file} cannot be read as UTF-8 text: {error}") from error
    found = _read_toml(file, text) if file.suffix == ".toml" else _read_lines(file, text)
    if not found:
        raise RepoListError(f"{file} names no repository: expected a [[repo]] table, or one source a line")
    _check_names(file, found)
    return tuple(request for _, request in found)


def _single_source(source: str) -> RepoRequest:
    mistake = _source_mistake(source, Path())
    if mistake:
        raise RepoListError(f"{mistake}; or give a repo list: a file of [[repo]] tables, or with one source a line")
    return RepoRequest(source=source, name=default_name(source))


def _read_lines(file: Path, text: str) -> list[tuple[int, RepoRequest]]:
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        source = re.sub(r"(^|\s)#.*$", "", line).strip()
        if source:
            found.append((number, _make_request(file, {"source": source}, _always(number))))
    return found


def _read_toml(file: Path, text: str) -> list[tuple[int, RepoRequest]]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RepoListError(f"{file}: not valid TOML: {error}") from error
    lines = text.splitlines()
    for key in content:
        if key != "repo":
            line = _find(lines, rf"^\s*(\[\[?\s*)?[\"']?{re.escape(key)}\b")
            raise RepoListError(f"{file}:{line}: unknown key {key!r}{_did_you_mean(key, ['repo'])}; expected [[repo]]")
    tables = content.get("repo", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        line = _find(lines, r"^\s*(\[\s*)?repo\b")
        raise RepoListError(f"{file}:{line}: 'repo' must be a list of tables: write [[repo]], with two brackets")
    starts = [number for number, line in enumerate(lines, start=1) if re.match(r"^\s*\[\[\s*repo\s*\]\]", line)]
    starts = starts if len(starts) == len(tables) else [1] * len(tables)
    return [
        (start, _make_request(file, table, _key_line(lines, start)))
        for start, table in zip(starts, tables, strict=True)
    ]


def _make_request(file: Path, table: dict[str, Any], line_of: LineOf) -> RepoRequest:
    for key in table:
        if key not in OPTIONS:
            hint = _did_you_mean(key, OPTIONS) or f"; expected one of {', '.join(OPTIONS)}"
            raise RepoListError(f"{file}:{line_of(key)}: unknown key {key!r}{hint}")
    source = table.get("source")
    if not isinstance(source, str) or not source.strip():
        raise RepoListError(f"{file}:{line_of('source')}: 'source' is missing: expected pypi:NAME, a git URL or a path")
    mistake = _source_mistake(source, file.parent)
    if mistake:
        raise RepoListError(f"{file}:{line_of('source')}: {mistake}")
    try:
        return RepoRequest.model_validate({"name": default_name(source, file.parent), **table, "folder": file.parent})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RepoListError(
            f"{file}:{line_of(str(first['loc'][0]))}: {where}: {first['msg']}, got {first['input']!r}"
        ) from error


def _source_mistake(source: str, folder: Path) -> str | None:
    """What is wrong with the words of a source, or None; whether it can be had shows when it is fetched."""
    expected = "expected pypi:NAME, a git URL (https://, ssh://, file://, user@host:path) or the path of a directory"
    if source.startswith(PYPI_PREFIX):
        try:
            requirement = Requirement(source.removeprefix(PYPI_PREFIX))
        except InvalidRequirement as error:
            return f"bad source {source!r}: after 'pypi:' expected NAME or a range such as NAME>=1 ({error})"
        plain = not (requirement.extras or requirement.marker or requirement.url)
        return None if plain else f"bad source {source!r}: extras, markers and URLs have no meaning here"
    if is_url(source):
        named = urlsplit(source).path.strip("/") if "://" in source else source
        return None if named else f"bad source {source!r}: the URL names no repository"
    if (folder / Path(source).expanduser()).is_dir():
        return None
    scheme = _SCHEME_LIKE.match(source)
    if scheme:
        return f"bad source {source!r}{_did_you_mean(scheme[1], ['pypi', 'https', 'ssh', 'file'])}: {expected}"
    return f"bad source {source!r}: there is no such directory; {expected}"


def default_name(source: str, folder: Path = Path()) -> str:
    """The short name of a source: the project's, or the last part of the URL or path."""
    if source.startswith(PYPI_PREFIX):
        return Requirement(source.removeprefix(PYPI_PREFIX)).name
    last = re.split(r"[/:]", source.rstrip("/"))[-1].removesuffix(".git")
    if last in ("", ".", ".."):
        last = (folder / Path(source).expanduser()).resolve().name
    return re.sub(r"[^A-Za-z0-9._-]", "-", last).lstrip("._-") or "repo"


def _check_names(file: Path, found: list[tuple[int, RepoRequest]]) -> None:
    seen: dict[str, int] = {}
    for line, request in found:
        first = seen.setdefault(request.name.lower(), line)
        if first != line:
            raise RepoListError(
                f"{file}:{line}: a second repository is named {request.name!r} (the first in line {first}); "
                "names must differ: set 'name' in its [[repo]] table"
            )


def _key_line(lines: list[str], start: int) -> LineOf:
    def line_of(key: str) -> int:
        for number in range(start, len(lines) + 1):
            if number > start and _HEADER.match(lines[number - 1]):
                break
            if re.match(rf"^\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", lines[number - 1]):
                return number
        return start

    return line_of


def _always(line: int) -> LineOf:
    return lambda _key: line


def _find(lines: list[str], pattern: str) -> int:
    return next((number for number, line in enumerate(lines, start=1) if re.match(pattern, line)), 1)


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""
