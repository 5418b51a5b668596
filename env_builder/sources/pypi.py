"""The release history of a project on the package index: each final source release is one commit, its version the tag.

Releases are downloaded and unpacked by ``unearth``; nothing of theirs is run. The index asked is the one that pip is
configured with. Commits follow version order, and carry the time of upload, so that the same releases give the same
commit ids everywhere.

Not guaranteed: that the ids stay when a newer release appears, since the window of releases moves. An upper bound
(``pypi:NAME<=1.2``) pins it.
"""

import hashlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from unearth import Package, PackageFinder
from unearth.errors import UnpackError
from unearth.preparer import HTTPErrors

from agent_env.packages.index_url import index_url
from env_builder.cache import fresh_directory, locked
from env_builder.errors import SourceError
from env_builder.progress import Progress
from env_builder.request import PYPI_PREFIX, RepoRequest
from env_builder.sources.git import GitSource
from env_builder.sources.synthesis import Step, write_history
from env_builder.sources.walk import read_tree
from tasks.home import home
from tasks.scratch import scratch

NEWEST = 12
"""How many releases make up the history: the newest of those in the requested range."""

DOWNLOADS = 6
"""How many releases are downloaded at once."""


def open_pypi(request: RepoRequest, *, progress: Progress) -> GitSource:
    """Download the newest releases of a project and make a git history of them.

    Raises:
        SourceError: no such project, no source release in the range, or a release cannot be unpacked safely.
    """
    requirement = Requirement(request.source.removeprefix(PYPI_PREFIX))
    finder = PackageFinder(index_urls=[index_url()], no_binary=[":all:"], ignore_compatibility=True)
    releases = _newest(requirement, _find(finder, requirement))
    names = [(str(version), package.link.url_without_fragment) for version, package in releases]
    address = hashlib.sha256(repr(names).encode()).hexdigest()[:12]
    git_dir = home() / "sources" / f"pypi-{request.name}-{address}.git"
    with locked(git_dir):
        if not git_dir.is_dir():
            with fresh_directory(git_dir) as beside:
                write_history(beside, _steps(requirement.name, finder, releases, progress))
    return GitSource(request, git_dir, kind="release")


def _find(finder: PackageFinder, requirement: Requirement) -> list[Package]:
    heard = _Listener()
    logger = logging.getLogger("unearth")
    logger.addHandler(heard)
    try:
        found = list(finder.find_all_packages(canonicalize_name(requirement.name)))
    except HTTPErrors as error:
        raise SourceError(f"the package index {index_url()} cannot be reached: {error}") from error
    finally:
        logger.removeHandler(heard)
    if not found:
        said = f" ({heard.last})" if heard.last else ""
        raise SourceError(f"the package index has no source release of {requirement.name!r}{said}; check the name")
    return found


def _newest(requirement: Requirement, packages: list[Package]) -> list[tuple[Version, Package]]:
    """The newest final releases in the range, the oldest of them first."""
    final: dict[Version, Package] = {}
    for package in packages:
        try:
            version = Version(str(package.version))
        except InvalidVersion:
            continue
        if not (version.is_prerelease or version.is_devrelease) and requirement.specifier.contains(version):
            final.setdefault(version, package)
    if not final:
        offered = ", ".join(str(package.version) for package in packages[:5])
        raise SourceError(
            f"no final source release of {requirement.name} is in the range {str(requirement.specifier) or 'any'!r}; "
            f"the newest are {offered}"
        )
    return sorted(final.items())[-NEWEST:]


def _steps(name: str, finder: PackageFinder, releases: list[tuple[Version, Package]], progress: Progress) -> list[Step]:
    stage = f"download {name}"
    progress.started(stage, len(releases))
    lock = threading.Lock()

    def step(release: tuple[Version, Package]) -> Step:
        made = _unpack(name, finder, *release)
        with lock:
            progress.advanced(stage, str(release[0]))
        return made

    try:
        with ThreadPoolExecutor(max_workers=DOWNLOADS) as executor:
            return list(executor.map(step, releases))
    finally:
        progress.finished(stage)


def _unpack(name: str, finder: PackageFinder, version: Version, package: Package) -> Step:
    with scratch("release") as folder:
        downloads = home() / "sdists" / canonicalize_name(name)
        try:
            tree = finder.download_and_unpack(package.link, folder / "tree", downloads)
        except UnpackError as error:
            raise SourceError(f"{package.link.filename} is refused: {error}") from error
        except HTTPErrors as error:
            raise SourceError(f"{package.link.filename} cannot be downloaded: {error}") from error
        files = list(read_tree(tree))
        when = package.link.upload_time or _newest_time(tree)
    return Step(version=str(version), subject=f"Release {version} of {name}", when=when, files=files)


def _newest_time(tree: Path) -> datetime:
    """When the newest file of a release was written, for an index that does not tell the time of upload."""
    newest = max((path.lstat().st_mtime for path in tree.rglob("*") if path.is_file()), default=0.0)
    return datetime.fromtimestamp(int(newest), UTC)


class _Listener(logging.Handler):
    """Keeps the last warning of the finder, which reports a missing project in no other way."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()
