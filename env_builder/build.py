"""From a repo list to a pool: fetch, install, list candidates, validate, keep.

Every candidate that is settled is in the ledger at once, and its task's environment in the pool before that. So a build
that is killed loses only what was running, and the same command goes on from there. What the pool holds in the end
depends on the inputs, the seed and the versions alone.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path

from agent_env.sandbox.base import SandboxBackend
from agent_env.store import EnvironmentStore
from env_builder.benches import Benches, Rewriter
from env_builder.cut import Cut
from env_builder.environment import SUITE_SECONDS
from env_builder.errors import BuildInterruptedError, NothingBuiltError
from env_builder.fanout import fan_out
from env_builder.keeper import Keeper
from env_builder.plan import FAMILIES, Planned, check_strategies
from env_builder.preparation import Faults, fetch, list_candidates, try_environments
from env_builder.progress import Progress, Silent
from env_builder.request import RepoRequest
from env_builder.stoppable import StoppableBackend
from env_builder.trial import raise_if_full, run_trial
from tasks.errors import InfraError

LIMIT_PER_REPO = 60
"""Candidates tried of each repository and family."""

STAGE = "validate candidates"

MOST_FAILURES = 10
"""Failures of the machine in a row, after which a build gives up: what follows would fail as well."""


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What a build did; ``certified`` tasks are in the pool, whether made now or by the build that this one resumed."""

    pool: Path
    certified: int
    candidates: int
    rejected: dict[str, int]
    """How many candidates are no tasks, by reason."""
    by_strategy: dict[str, int]
    """How many tasks, by strategy."""
    seconds: float
    faults: Faults = field(default_factory=dict)
    """Repositories that could not be used, and why."""


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How a build goes about it."""

    strategies: Sequence[str] = FAMILIES
    """Families, or ``procedural.<modifier>``."""
    seed: int = 0
    limit_per_repo: int = LIMIT_PER_REPO
    """Candidates tried of each repository and family."""
    max_tasks: int | None = None
    """Tasks to keep, by the order of their candidates; None keeps all."""
    workers: int = 2
    """Candidates validated at once."""
    suite_seconds: float = SUITE_SECONDS
    """Longest run of a whole suite; one that takes longer counts as hanging."""
    allow_weak_oracle: bool = False
    """Keep those tasks too whose bug does not show in values that are checked apart from the tests
    (``env_builder/oracle.py``): a forged test run can earn a reward there."""
    rewrite: Rewriter | None = None
    """Makes better problem statements out of the template's; None keeps those."""


def build_pool(
    requests: Sequence[RepoRequest],
    out: Path,
    *,
    backend: SandboxBackend,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a pool, or go on with one.

    Raises:
        BadInputError: an option is wrong, ``out`` is something else than a pool, or no repository can be used.
        InfraError: the machine failed, as by a full disk; what was settled is kept.
        BuildInterruptedError: Ctrl-C; what was settled is kept.
    """
    options, progress = options or BuildOptions(), progress or Silent()
    check_strategies(options.strategies)
    try:
        with ExitStack() as resources:
            return _Build(requests, out, StoppableBackend(backend), options, progress, resources).run()
    except KeyboardInterrupt as interrupt:
        raise BuildInterruptedError(
            f"stopped. What was settled is kept in {out}; the same command goes on from there"
        ) from interrupt
    except OSError as error:
        raise_if_full(error)
        raise


class _Build:
    """One build under way."""

    def __init__(
        self,
        requests: Sequence[RepoRequest],
        out: Path,
        backend: StoppableBackend,
        options: BuildOptions,
        progress: Progress,
        resources: ExitStack,
    ) -> None:
        self._begun = time.monotonic()
        self._requests = requests
        self._out = out
        self._backend = backend
        self._options = options
        self._progress = progress
        self._resources = resources
        self._faults: Faults = {}

    def run(self) -> BuildReport:
        fetched = fetch(self._requests, self._faults, self._progress, self._resources)
        keeper = self._resources.enter_context(Keeper(self._out, Cut(self._options.max_tasks)))
        benches = Benches(
            EnvironmentStore(self._backend),
            self._backend,
            keeper.attempts.put,
            suite_seconds=self._options.suite_seconds,
            rewrite=self._options.rewrite,
            allow_weak_oracle=self._options.allow_weak_oracle,
            newest={item.request.name: item.newest for item in fetched},
        )
        try:
            usable = try_environments(
                fetched,
                benches,
                self._faults,
                self._progress,
                workers=self._options.workers,
                give_up=self._backend.give_up,
            )
        except NothingBuiltError:
            keeper.abandon()
            raise
        plan = list_candidates(
            usable,
            self._progress,
            strategies=self._options.strategies,
            seed=self._options.seed,
            limit=self._options.limit_per_repo,
        )
        self._validate(plan, keeper, benches)
        return BuildReport(
            pool=self._out,
            certified=len(keeper.cut.certified),
            candidates=keeper.cut.tried,
            rejected=keeper.cut.reasons(),
            by_strategy=keeper.by_strategy(),
            seconds=round(time.monotonic() - self._begun, 3),
            faults=self._faults,
        )

    def _validate(self, plan: Sequence[Planned], keeper: Keeper, benches: Benches) -> None:
        open_ones = keeper.resume(plan)
        benches.root.expect((planned.candidate, planned.snapshot.tree) for planned in open_ones)
        self._progress.started(STAGE, len(plan))
        for _ in range(len(plan) - len(open_ones)):
            self._progress.advanced(STAGE)
        wanted = takewhile(lambda _: not keeper.cut.is_full, open_ones)
        failures = 0
        try:
            for planned, trial in fan_out(
                wanted,
                partial(run_trial, benches=benches),
                workers=self._options.workers,
                give_up=self._backend.give_up,
            ):
                keeper.keep(planned, trial)
                self._progress.advanced(STAGE, f"{len(keeper.cut.certified)} certified")
                failures = failures + 1 if trial.entry.outcome == "failed" else 0
                if failures == MOST_FAILURES:
                    raise InfraError(
                        f"{failures} candidates in a row failed for no fault of theirs, the last with: "
                        f"{trial.entry.detail}\nWhat was settled is kept; the same command goes on from there"
                    )
        finally:
            keeper.save()
            self._progress.finished(STAGE)
