"""The Gymnasium environment ``RepoDojo/SWE-v0``: texts in, texts out, one task an episode.

An observation is what the policy reads next, an action is what it wrote. ``terminated`` says that the work was judged
(``Scored``) or that the policy broke its sandbox (``PolicyFault``); ``truncated`` that a limit or the machine ended it.
``info["masked"]`` is True where the reward must not be used (``InfraFailed``). Everything in ``info`` is a function of
the task and the actions, unless a limit of time or the machine ended the episode: of a machine's failure
``info["detail"]`` holds the raw words, which may name its processes and folders.
"""

import copy
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

import gymnasium

from agent_env import given
from agent_env.atif import Agent, Metrics
from agent_env.episode import Episode, Rules
from agent_env.errors import EpisodeError
from agent_env.outcome import InfraFailed, LimitStopped, Scored
from agent_env.sandbox.select import select_backend
from agent_env.spaces import TextSpace
from agent_env.store import EnvironmentStore
from agent_env.tools.formats import DEFAULT_FORMAT
from agent_env.tools.observation import DEFAULT_CHARS
from agent_env.trajectory import TrajectoryRecorder
from agent_env.workbench import Workbench
from tasks.errors import BadInputError, InfraError
from tasks.pool import Pool
from tasks.task import Split, Task


class SWEEnv(gymnasium.Env[str, str]):
    """Software-engineering tasks of a pool.

    Args:
        pool: a pool, or its directory.
        split: which of its tasks: ``all``, ``train`` or ``test``.
        sandbox: ``auto``, ``bubblewrap`` or ``docker``.
        max_steps: turns of an episode.
        time_limit: seconds that the tools may run in one episode.
        command_timeout: seconds that one command may run.
        silence_timeout: seconds that one command of the shell may print nothing; None: as long as it runs.
        observation_chars: longest observation of one call.
        feedback: whether an observation gets a note where the environment blocked what was tried.
        tripwires: lay decoys with secret tokens into the sandboxes, whose use the events then prove.
        packages: ``frozen`` lets agents install packages of the task's day; None, nothing (docs/threat-model.md).
        call_format: how the policy writes tool calls: one of ``agent_env.tools.FORMATS``, or ``auto``.
        tasks: ids of the only tasks to use, impossible twins among them where they are named; None means all of the
            split but the twins.
        store: where built environments are kept; None means this user's cache.
        trajectories: folder that gets one ATIF file an episode; None means none.
        agent: who acts, as the trajectories name it.

    Raises:
        BadInputError: what of the arguments is wrong, and how to mend it.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        *,
        pool: str | Path | Pool,
        split: Split = "all",
        sandbox: str = "auto",
        max_steps: int = 30,
        time_limit: float = 1800.0,
        command_timeout: float = 30.0,
        silence_timeout: float | None = None,
        observation_chars: int = DEFAULT_CHARS,
        call_format: str = DEFAULT_FORMAT,
        feedback: bool = True,
        tripwires: bool = False,
        packages: Literal["frozen"] | None = None,
        render_mode: str | None = None,
        tasks: Sequence[str] | None = None,
        store: EnvironmentStore | None = None,
        trajectories: str | Path | None = None,
        agent: str = "policy",
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise BadInputError(f"render_mode is {render_mode!r}; expected None or 'ansi'")
        self.render_mode = render_mode
        self.rules = Rules(
            max_steps=max_steps,
            time_limit=time_limit,
            command_timeout=command_timeout,
            silence_timeout=silence_timeout,
            observation_chars=observation_chars,
            call_format=call_format,
            feedback=feedback,
            packages=packages,
        )
        if store is not None and not isinstance(store, EnvironmentStore):
            raise BadInputError(f"store is {store!r:.100}; expected an EnvironmentStore, or None for this user's cache")
        given.flag("tripwires", tripwires)
        self._agent = given.text("agent", agent, "who acts")
        self.trajectories = trajectories
        opened = pool if isinstance(pool, Pool) else Pool(given.path("pool", pool))
        self.tasks = _choose(opened, split, tasks)
        self.bench = Workbench(opened, store or EnvironmentStore(select_backend(sandbox)), tripwires=tripwires)
        self.observation_space = TextSpace()
        self.action_space = TextSpace()
        self.episode: Episode | None = None
        """The running or last episode: its task, transcript, recorder and outcome."""

    def __enter__(self) -> "SWEEnv":
        return self

    @property
    def trajectories(self) -> Path | None:
        """The folder that gets a file of each episode that begins from now on; None: no file is written."""
        return self._trajectories

    @trajectories.setter
    def trajectories(self, folder: str | Path | None) -> None:
        self._trajectories = None if folder is None else given.folder("trajectories", folder)

    def twin(self) -> "SWEEnv":
        """Another environment on the same tasks, pool and built environments, with episodes and chance of its own."""
        twin = copy.copy(self)
        twin.episode = twin._np_random = twin._np_random_seed = None
        twin.observation_space, twin.action_space = TextSpace(), TextSpace()
        return twin

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode, on the task ``options["task_id"]`` or on one that the seed picks; the prompt comes back.

        Raises:
            BadInputError: no such option, no such task, or an environment that cannot be built.
            SandboxError: the machine failed; no episode has begun.
        """
        super().reset(seed=given.seed(seed))
        task = self._pick(given.options(options))
        episode = Episode(task, self.bench, self.rules)
        if self._trajectories is not None:
            agent = Agent(name=self._agent, version=_version(), tool_definitions=episode.toolbox.schemas())
            episode.recorder = TrajectoryRecorder(self._trajectories, agent, task_id=task.id)
        try:
            self.close()
        except (InfraError, OSError) as error:  # by the former episode; what is told from now on is about this one
            episode.outcome = InfraFailed(f"the episode before could not be closed: {type(error).__name__}: {error}")
            self.episode = episode
            raise
        self.episode = episode
        return episode.start(), _info(episode)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take one turn of the policy; see ``Episode.turn`` for what it raises."""
        episode = self.episode  # another thread may reset this environment meanwhile
        if episode is None:
            raise EpisodeError("no episode has begun: call reset() first")
        turn = episode.turn(action)
        outcome = turn.outcome
        truncated = isinstance(outcome, LimitStopped | InfraFailed)
        terminated = outcome is not None and not truncated
        return turn.observation, outcome.reward if outcome else 0.0, terminated, truncated, _info(episode)

    def measure(self, metrics: Metrics) -> None:
        """Add to the trajectory, if one is written, what sampling the latest action cost and gave: token counts, token
        ids (the whole prompt's), log probabilities. Also for the last action, once the episode has ended.

        Raises:
            EpisodeError: no episode has begun.
            BadInputError: ``metrics`` is none, or a trajectory is written and no turn has been taken.
            InfraError: the trajectory cannot be written.
        """
        if not isinstance(metrics, Metrics):
            raise BadInputError(f"metrics is {metrics!r:.100}; expected an agent_env.atif.Metrics")
        if self.episode is None:
            raise EpisodeError("no episode has begun: call reset() first")
        self.episode.measure(metrics)

    def context_full(self, unplayed: str | None = None) -> None:
        """End the running episode, if any, as ``LimitStopped("context")``: its policy can read no more.

        Args:
            unplayed: what the policy wrote last, where the context ended before it did; recorded, and not played.

        Raises:
            BadInputError: ``unplayed`` is no text.
            InfraError: the sandbox cannot be closed, or the trajectory cannot be written.
        """
        if unplayed is not None:
            given.text("unplayed", unplayed, "what the policy wrote last")
        if self.episode:
            self.episode.interrupt("context", unplayed)

    def fork(self, count: int = 1) -> list["SWEEnv"]:
        """Other environments whose episodes go on from where this one's stands; see ``Episode.fork`` for what they
        share and what it raises. They are bare: wrap each anew, and close each.
        """
        if self.episode is None:
            raise EpisodeError("no episode has begun: call reset() first")
        twins = []
        for episode in self.episode.fork(count):
            twins.append(self.twin())
            twins[-1].episode = episode
        return twins

    def render(self) -> str | None:
        """The transcript so far, where ``render_mode`` is ``ansi``."""
        if self.render_mode is None or self.episode is None:
            return None
        return self.episode.render()

    def close(self) -> None:
        """End the running episode, if any, and close its sandbox."""
        if self.episode:
            self.episode.close()

    def info(self) -> dict[str, Any]:
        """What is known of the running or last episode.

        ``outcome`` is None while it goes on; ``detail`` says more of it; ``passed_share`` is the share of the hidden
        tests that passed, where they were run; ``events`` is what the monitor saw so far, for the trainer alone.

        Raises:
            EpisodeError: no episode has begun.
        """
        if self.episode is None:
            raise EpisodeError("no episode has begun: call reset() first")
        return _info(self.episode)

    def _pick(self, options: dict[str, Any]) -> Task:
        if unknown := sorted(set(options) - {"task_id"}):
            raise BadInputError(f"unknown reset options {unknown}; expected 'task_id' or none")
        wanted = options.get("task_id")
        if wanted is None:
            return self.tasks[int(self.np_random.integers(len(self.tasks)))]
        for task in self.tasks:
            if task.id == wanted:
                return task
        raise BadInputError(
            f"no task {wanted!r:.100} among the {len(self.tasks)} of this environment: expected one of their ids, as "
            "[task.id for task in env.tasks] gives them"
        )


def _info(episode: Episode) -> dict[str, Any]:
    """See ``SWEEnv.info``."""
    outcome = episode.outcome
    return {
        "task_id": episode.task.id,
        "step": episode.steps,
        "outcome": outcome.name if outcome else None,
        "masked": outcome.masked if outcome else False,
        "detail": outcome.detail if outcome else "",
        "passed_share": outcome.passed_share if isinstance(outcome, Scored) else 0.0,
        "events": tuple(event.model_dump(mode="json") for event in episode.events),
    }


def _choose(pool: Pool, split: Split, ids: Sequence[str] | None) -> list[Task]:
    if split not in get_args(Split):
        raise BadInputError(f"split is {split!r}; expected one of {', '.join(get_args(Split))}")
    if ids is None:
        chosen = pool.tasks(split)
    else:
        ids = given.texts("tasks", ids, "task ids")
        found = {task.id: task for task in pool.rows(split)}
        if unknown := sorted(set(ids) - set(found)):
            raise BadInputError(f"{pool.path} has no task {unknown[0]!r} in split {split!r}; see `repodojo pool ls`")
        chosen = [found[id_] for id_ in sorted(set(ids))]
    if not chosen:
        raise BadInputError(f"{pool.path} holds no task in split {split!r}: build some, or name another split")
    return chosen


def _version() -> str:
    try:
        return version("repodojo")
    except PackageNotFoundError:
        return "unknown"
