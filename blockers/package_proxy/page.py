"""A project's page of the index (PEP 691 and 700): read from upstream, cut down to what may be seen, written for the
agent.

Only fields that an installer needs are written, each checked: neither free text (a yank's reason) nor addresses, dates
or the list of versions of upstream pass through.
"""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urljoin

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from blockers.package_proxy.policy import Policy

JSON_PAGE = "application/vnd.pypi.simple.v1+json"
"""The media type of PEP 691."""

MAX_WHEEL_BYTES = 256 << 20
"""Larger wheels are not offered."""

WHEEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.whl")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PYTHONS = re.compile(r"[0-9a-zA-Z.*,<>=!~ ]{1,200}")


class PageError(Exception):
    """What upstream gave is no page of that project."""


class Wheel(NamedTuple):
    """One file of a project."""

    filename: str
    url: str
    """Where upstream has it; never told to the agent."""
    sha256: str
    size: int | None
    uploaded: datetime
    requires_python: str | None
    yanked: bool
    metadata_sha256: str | None
    """Of the metadata file beside it (PEP 658), where there is one."""


def read_page(text: bytes, name: str, url: str) -> tuple[Wheel, ...]:
    """The wheels of a page that can be served at all: of that project, with a hash and a date.

    A file without a date is left out since it could be of any day; a source archive since to install it is to run it,
    and since its build could fetch or hold anything.

    Args:
        name: the project's canonical name.
        url: the page's address, to which those of files may be relative.

    Raises:
        PageError: it is no such page.
    """
    try:
        page = json.loads(text)
        named = canonicalize_name(page["name"])
        entries = list(page["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PageError(f"no JSON page of a project ({type(error).__name__})") from error
    if named != name:
        raise PageError(f"a page of another project, {named!r:.80}")
    found = (_read_wheel(entry, name, url) for entry in entries if isinstance(entry, dict))
    return tuple(wheel for wheel in found if wheel)


def visible(wheels: Iterable[Wheel], policy: Policy) -> list[Wheel]:
    """The wheels that a policy lets see."""
    return [
        wheel
        for wheel in wheels
        if wheel.uploaded < policy.until and (wheel.size is None or wheel.size <= MAX_WHEEL_BYTES)
    ]


def write_page(name: str, wheels: Iterable[Wheel]) -> bytes:
    """The page for the agent; addresses are relative, so that all stays with the one who serves it."""
    files = [_entry(name, wheel) for wheel in wheels]
    versions = sorted({str(parse_wheel_filename(str(entry["filename"]))[1]) for entry in files})
    page = {"meta": {"api-version": "1.1"}, "name": name, "versions": versions, "files": files}
    return json.dumps(page).encode()


def _read_wheel(entry: dict[str, Any], name: str, url: str) -> Wheel | None:
    filename, hashes, size = entry.get("filename"), entry.get("hashes"), entry.get("size")
    uploaded = _moment(entry.get("upload-time"))
    if not isinstance(filename, str) or not WHEEL_NAME.fullmatch(filename) or uploaded is None:
        return None
    try:
        if parse_wheel_filename(filename)[0] != name:
            return None
    except InvalidWheelFilename:
        return None
    sha256 = _sha256(hashes)
    if sha256 is None or not isinstance(entry.get("url"), str) or not isinstance(size, int | None):
        return None
    python = entry.get("requires-python")
    return Wheel(
        filename=filename,
        url=urljoin(url, entry["url"]),
        sha256=sha256,
        size=size,
        uploaded=uploaded,
        requires_python=python if isinstance(python, str) and _PYTHONS.fullmatch(python) else None,
        yanked=entry.get("yanked", False) is not False,
        metadata_sha256=_sha256(entry.get("core-metadata", entry.get("dist-info-metadata"))),
    )


def _entry(name: str, wheel: Wheel) -> dict[str, object]:
    entry: dict[str, object] = {
        "filename": wheel.filename,
        "url": f"../../files/{name}/{wheel.filename}",
        "hashes": {"sha256": wheel.sha256},
        "requires-python": wheel.requires_python,
        "yanked": wheel.yanked,
    }
    if wheel.size is not None:
        entry["size"] = wheel.size
    if wheel.metadata_sha256:
        entry["core-metadata"] = {"sha256": wheel.metadata_sha256}
    return entry


def _sha256(hashes: Any) -> str | None:
    found = hashes.get("sha256") if isinstance(hashes, dict) else None
    return found if isinstance(found, str) and _SHA256.fullmatch(found) else None


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None
