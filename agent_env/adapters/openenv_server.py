"""An OpenEnv ``Environment`` over ``SWEEnv``, one a session, and the application that serves it.

A closed environment stays closed: a session that the server has given up cannot open another sandbox. A timer ends each
episode at its age, since a client may send for ever what OpenEnv refuses before it gets here.
"""

import functools
import logging
import threading
import time
import uuid
import weakref
from typing import Any, NoReturn

from fastapi import FastAPI
from openenv.core.env_server.http_server import create_fastapi_app
from openenv.core.env_server.interfaces import Environment
from openenv.core.env_server.types import ConcurrencyConfig, EnvironmentMetadata, ServerMode
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_env.adapters.openenv_types import SWEAction, SWEObservation, SWEState
from agent_env.env import SWEEnv
from agent_env.episode import Episode
from agent_env.errors import EpisodeError
from agent_env.outcome import LimitStopped
from agent_env.remote.wire import BAD_REQUEST, refused
from tasks.errors import BadInputError, InfraError

_log = logging.getLogger("repodojo.remote")

_live: "weakref.WeakSet[SWEEnvironment]" = weakref.WeakSet()
"""Those that are not closed."""


class _ResetOptions(BaseModel):
    """What a client may say to ``reset``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    seed: int | None = Field(default=None, ge=0, lt=1 << 63)
    episode_id: str | None = Field(default=None, max_length=255)
    task_id: str | None = Field(default=None, max_length=1000)


class SWEEnvironment(Environment):
    """One session's environment.

    Args:
        template: what to step; its tasks, rules and backend are shared, its episode is not.
        episode_seconds: an episode of that age is ended, whatever its client does: a command that runs is cut off, a
            grading is finished.
    """

    SUPPORTS_CONCURRENT_SESSIONS = True

    def __init__(self, template: SWEEnv, *, episode_seconds: float = 7200.0) -> None:
        super().__init__()
        self._env = template.twin()
        self._ids = {task.id for task in template.tasks}
        self._episode_seconds = episode_seconds
        self._begun = 0.0
        self._timer: threading.Timer | None = None
        """Ends the episode at its age; None where the client has heard of an end."""
        self._episode_id: str | None = None
        self._closed = False
        _live.add(self)

    def reset(self, seed: int | None = None, episode_id: str | None = None, **options: Any) -> SWEObservation:
        """Start an episode, on ``task_id`` or on a task that the seed picks.

        Raises:
            BadInputError: no such option or task.
            EpisodeError: the session is closed.
            RuntimeError: the machine failed; the server's log says how.
        """
        self._require_open()
        try:
            wanted = _ResetOptions(seed=seed, episode_id=episode_id, **options)
        except ValidationError as error:
            raise refused(error) from None
        if wanted.task_id is not None and wanted.task_id not in self._ids:
            raise BadInputError(
                f"{BAD_REQUEST}no task {wanted.task_id[:200]!r} among the {len(self._ids)} that are served"
            )
        try:
            text, info = self._env.reset(
                seed=wanted.seed, options={"task_id": wanted.task_id} if wanted.task_id is not None else None
            )
            self._start_timer()
        except Exception as error:  # noqa: BLE001 - the boundary to the client: its words stay here
            self._fail("reset", error)
        self._episode_id = wanted.episode_id or uuid.uuid4().hex
        return SWEObservation(text=text, **_public(info))

    def step(self, action: SWEAction, timeout_s: float | None = None, **options: Any) -> SWEObservation:
        """Take one turn. ``timeout_s`` is not used: the rules of the episode bound it.

        Raises:
            EpisodeError: no episode is running, or the session is closed.
            RuntimeError: the machine failed outside the episode; the server's log says how.
        """
        del timeout_s, options
        self._require_open()
        try:
            return self._end_overdue() or self._take_turn(action.text)
        except EpisodeError:
            if too_old := self._end_overdue():  # its timer came first
                return too_old
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._fail("step", error)

    def _take_turn(self, said: str) -> SWEObservation:
        text, reward, terminated, _, info = self._env.step(said)
        done = info["outcome"] is not None  # which its timer may have set since the turn
        if done:
            self._stop_timer()
        if info["masked"]:
            _log.error("task %s: %s", info["task_id"], info["detail"])
        return SWEObservation(
            done=done,
            reward=reward if done and not info["masked"] else None,
            text=text,
            truncated=done and not terminated,
            **_public(info),
        )

    @property
    def state(self) -> SWEState:
        """Where the session stands. OpenEnv asks in the thread of all sessions, so nothing is waited for here."""
        episode = self._env.episode
        if episode is None:
            return SWEState()
        outcome = episode.outcome.name if episode.outcome else None
        return SWEState(episode_id=self._episode_id, step_count=episode.steps, task_id=episode.task.id, outcome=outcome)

    def get_metadata(self) -> EnvironmentMetadata:
        """Name and a line of description, the same for every pool."""
        return EnvironmentMetadata(name="RepoDojo/SWE-v0", description="Software-engineering tasks, texts in and out.")

    def close(self) -> None:
        """End the episode, close its sandbox, and open no other. What fails is told in the log alone: OpenEnv passes
        over errors here, and other environments are still to be closed."""
        self._closed = True
        self._stop_timer()
        try:
            self._env.close()
        except (InfraError, OSError) as error:
            _log.error("a session could not be cleared away: %s: %s", type(error).__name__, error)
        _live.discard(self)

    def _start_timer(self) -> None:
        """Count the age of the episode that has just begun."""
        assert self._env.episode is not None
        self._stop_timer()
        self._begun = time.monotonic()
        seconds = min(self._episode_seconds, threading.TIMEOUT_MAX)
        self._timer = timer = threading.Timer(seconds, _end_aged, (self._env.episode,))
        timer.daemon = True
        timer.start()
        if self._closed:  # from another thread, which may have seen neither this timer nor this episode
            timer.cancel()
            self._env.close()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer:
            timer.cancel()

    def _end_overdue(self) -> SWEObservation | None:
        """End the episode if it is too old: what its client is to hear, or None if it has heard of an end, or if age
        is not what ended it."""
        episode = self._env.episode
        if episode is None or self._timer is None or not self._is_overdue():
            return None
        episode.close()
        if not isinstance(episode.outcome, LimitStopped):
            return None
        self._stop_timer()
        text = f"[the episode ends here: it began over {self._episode_seconds:g} s ago]"
        info = _public(self._env.info())
        return SWEObservation(done=True, reward=0.0, text=text, truncated=True, **info)

    def _is_overdue(self) -> bool:
        return time.monotonic() - self._begun > self._episode_seconds

    def _require_open(self) -> None:
        if self._closed:
            raise EpisodeError("the server has closed this session: connect again")

    def _fail(self, what: str, error: Exception) -> NoReturn:
        reference = uuid.uuid4().hex[:8]
        _log.error("%s failed (reference %s): %s: %s", what, reference, type(error).__name__, error)
        raise RuntimeError(f"{what} failed on the server; its log says how (reference {reference})") from None


def _end_aged(episode: Episode) -> None:
    """What a timer does, in its own thread. An episode that has ended stays as it is."""
    try:
        episode.interrupt()
    except Exception as error:  # noqa: BLE001 - nobody waits for this thread
        _log.error("task %s: its end at its age failed: %s: %s", episode.task.id, type(error).__name__, error)


def close_all() -> None:
    """Close every environment of this process that is still open."""
    for environment in list(_live):
        environment.close()


def make_app(template: SWEEnv, *, max_sessions: int, episode_seconds: float) -> FastAPI:
    """OpenEnv's application over a pool, without its routes that make environments outside of any session.

    It is meant to stand behind ``agent_env.remote.gate.Gate``, which lets through what a session needs and no more.
    """
    app: FastAPI = create_fastapi_app(
        functools.partial(SWEEnvironment, template, episode_seconds=episode_seconds),
        SWEAction,
        SWEObservation,
        concurrency_config=ConcurrencyConfig(max_concurrent_envs=max_sessions),
        env_name="repodojo",
        state_cls=SWEState,
        mode=ServerMode.PRODUCTION,
    )
    return app


def _public(info: dict[str, Any]) -> dict[str, Any]:
    """Of ``SWEEnv``'s info, what a client may know: the grader's and the machine's words stay here."""
    detail = info["detail"] if info["outcome"] == LimitStopped.name else ""
    return {**{key: info[key] for key in ("task_id", "step", "outcome", "masked")}, "detail": detail}
