"""The first half of a build: repositories fetched, their environments tried, their candidates listed.

A repository that cannot be used does not stop the others; it is remembered with its cause.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from env_builder.benches import Benches
from env_builder.errors import NothingBuiltError, SourceError
from env_builder.fanout import fan_out
from env_builder.plan import Planned, RepoPlan, in_order, plan_repo
from env_builder.progress import Progress
from env_builder.request import RepoRequest
from env_builder.snapshot import RepoSnapshot
from env_builder.sources.base import RepoSource
from env_builder.sources.open import open_source
from tasks.errors import BadInputError, InfraError


class Fetched(NamedTuple):
    """A repository that can be had."""

    request: RepoRequest
    source: RepoSource
    head: RepoSnapshot
    newest: Path
    """Tree of the newest state that the source has, which is not ``head`` where the request names a ref."""


Faults = dict[str, str]
"""Why repositories cannot be used, by name."""


def fetch(requests: Sequence[RepoRequest], faults: Faults, progress: Progress, resources: ExitStack) -> list[Fetched]:
    """Clone or download each repository; ``resources`` closes what reads them.

    Raises:
        NothingBuiltError: none can be had.
    """
    stage = "fetch repositories"
    progress.started(stage, len(requests))
    found = []
    for request in requests:
        try:
            source = open_source(request, progress=progress)
            resources.callback(source.close)
            head = source.snapshot()
            found.append(Fetched(request, source, head, _newest(request, source, head)))
        except BadInputError as error:
            faults[request.name] = str(error)
        progress.advanced(stage, request.name)
    progress.finished(stage)
    _require(found, faults)
    return found


def _newest(request: RepoRequest, source: RepoSource, head: RepoSnapshot) -> Path:
    if request.ref is None:
        return head.tree
    try:
        return source.snapshot("HEAD").tree
    except SourceError:
        return head.tree  # a repository whose default branch is empty, or gone


def try_environments(
    fetched: Sequence[Fetched],
    benches: Benches,
    faults: Faults,
    progress: Progress,
    *,
    workers: int,
    give_up: Callable[[], None],
) -> list[Fetched]:
    """Those repositories whose newest state installs and passes its tests.

    Raises:
        NothingBuiltError: there is none.
    """
    stage = "build environments"
    progress.started(stage, len(fetched))

    def attempt(item: Fetched) -> str | None:
        try:
            benches.get(item.head, item.request)
        except (BadInputError, InfraError) as error:
            return str(error)
        return None

    try:
        for item, fault in fan_out(iter(fetched), attempt, workers=workers, give_up=give_up):
            if fault is not None:
                faults[item.request.name] = fault
            progress.advanced(stage, item.request.name)
    finally:
        progress.finished(stage)
    found = [item for item in fetched if item.request.name not in faults]
    _require(found, faults)
    return found


def list_candidates(
    fetched: Sequence[Fetched], progress: Progress, *, strategies: Sequence[str], seed: int, limit: int
) -> list[Planned]:
    """The candidates of all repositories in their order."""
    stage = "list candidates"
    progress.started(stage, len(fetched))
    plans: list[RepoPlan] = []
    for item in fetched:
        plans.append(plan_repo(item.request, item.source, item.head, strategies=strategies, seed=seed, limit=limit))
        progress.advanced(stage, item.request.name)
    progress.finished(stage)
    return in_order(plans)


def _require(found: Sequence[Fetched], faults: Faults) -> None:
    if not found:
        causes = "\n".join(f"- {name}: {cause}" for name, cause in faults.items())
        raise NothingBuiltError(f"no repository of the list can be used:\n{causes}")
