"""Leaks told by where something stands rather than by what it says: bytecode, installers' lists, repositories."""

import json
from collections.abc import Iterator, Mapping
from importlib.util import source_hash
from pathlib import Path

from blockers.findings import Finding
from blockers.leaks.index import LeakIndex, module_path
from blockers.leaks.marks import GoldMarks, import_path
from blockers.leaks.texts import normal


def structural_findings(marks: GoldMarks, indexes: Mapping[str, LeakIndex]) -> Iterator[Finding]:
    """Foreign repositories, and records that the project itself was installed, or was fetched from its origin."""
    for root, index in indexes.items():
        for path in index.repositories():
            yield Finding("repository", f"{root}:{path}", None, "version control data, which holds other versions")
        for module in marks.pairs:
            place = index.recorded.get(module)
            if (
                place
                and not place.path.endswith("SOURCES.txt")
                and module not in {path[-len(module) :] for path in index.copies(module)}
            ):
                yield Finding("record", f"{root}:{place.path}", place.line, f"an installer's list names {module}")
        for created in sorted(marks.created):
            listed = [index.recorded[path] for path in {created, import_path(created)} if path in index.recorded]
            for place in [*listed, *index.lines(normal(created))]:
                yield Finding("gold-path", f"{root}:{place.path}", place.line, f"names {created}, which the gold adds")
        yield from _origin_findings(
            root, index, {module.partition("/")[0].removesuffix(".py") for module in marks.pairs}
        )


def _origin_findings(root: str, index: LeakIndex, packages: set[str]) -> Iterator[Finding]:
    """The project's own ``direct_url.json`` where it names more than the work tree: a commit, an archive."""
    for path in index.paths:
        folder, _, name = path.rpartition("/")
        if name != "direct_url.json" or _project(folder) not in packages:
            continue
        try:
            shown = json.loads(index.document(path).text)
        except ValueError:
            shown = {"url": "unreadable"}
        if not isinstance(shown, dict) or shown.keys() & {"vcs_info", "archive_info"} or "dir_info" not in shown:
            yield Finding("direct-url", f"{root}:{path}", 1, f"the project was installed from {shown}"[:300])


def _project(folder: str) -> str:
    name = folder.rpartition("/")[2].removesuffix(".dist-info").partition("-")[0]
    return name.replace("-", "_").lower()


def stale_bytecode(index: LeakIndex, path: str) -> bool:
    """Whether a compiled module is not known to come from the source file that the same index holds beside it."""
    if index.root is None or "!" in path or module_path(path) not in index.paths:
        return True
    header = (index.root / path).read_bytes()[:16]
    source = index.root / module_path(path)
    if len(header) < 16:
        return True
    if int.from_bytes(header[4:8], "little"):
        return header[8:16] != source_hash(source.read_bytes())
    return header[8:16] != _stamp(source)


def _stamp(source: Path) -> bytes:
    """Modification time and size as the header of a compiled module holds them."""
    state = source.stat()
    return b"".join((number & 0xFFFFFFFF).to_bytes(4, "little") for number in (int(state.st_mtime), state.st_size))
