"""``RemoteSWEEnv``: a served pool as a Gymnasium environment, with the observations, rewards and infos of ``SWEEnv``.

Where the connection or the server fails in an episode, that episode ends as ``InfraFailed``: masked, never a reward.
What the server keeps to itself (why the hidden tests refused, and how many) stands in no ``info``. It speaks OpenEnv's
protocol and needs the package ``websockets`` alone.
"""

import json
import logging
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gymnasium
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from agent_env import given
from agent_env.errors import EpisodeError
from agent_env.outcome import InfraFailed
from agent_env.remote.errors import RemoteError
from agent_env.remote.wire import BAD_REQUEST, KEY_VARIABLE, REPLY_SECONDS, encodable
from agent_env.spaces import TextSpace
from tasks.errors import BadInputError

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}

PONG_SECONDS = 120.0
"""How long the server may take to answer a ping before it counts as gone."""

LONGEST_REPLY = 64 << 20
"""Bytes of the longest observation that is taken."""


class RemoteSWEEnv(gymnasium.Env[str, str]):
    """One session with a server that `repodojo serve` started.

    The session is opened by the first ``reset`` and by one that finds the connection lost, as after a silence longer
    than the server allows; seeds are the server's to keep, so then give one again. One ``reset`` or ``step`` at a time.

    Args:
        url: ``http://HOST:PORT`` or, with TLS, ``https://HOST:PORT``.
        api_key: the server's key; None means the variable ``REPODOJO_API_KEY``, or none.
        tls_ca: certificate of the authority that signed the server's; None means the system's authorities.
        reply_seconds: the longest wait for an answer. A submit is answered when it is graded; the first reset on an
            environment that the server has yet to build takes minutes.

    Raises:
        BadInputError: what of the arguments is wrong.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        tls_ca: str | Path | None = None,
        reply_seconds: float = REPLY_SECONDS,
    ) -> None:
        self._url, self._tls = _socket_url(given.text("url", url, "http://HOST:PORT or https://HOST:PORT"), tls_ca)
        self._key = _checked_key(api_key if api_key is not None else os.environ.get(KEY_VARIABLE))
        self._reply_seconds = given.seconds("reply_seconds", reply_seconds)
        self._socket: ClientConnection | None = None
        self._session = ExitStack()
        self._info: dict[str, Any] | None = None
        self._asking = threading.RLock()
        self.observation_space = TextSpace()
        self.action_space = TextSpace()

    def __enter__(self) -> "RemoteSWEEnv":
        return self

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Start an episode, on the task ``options["task_id"]`` or on one that the seed picks; the prompt comes back.

        Raises:
            BadInputError: no such option or task, or the API key is refused; a running episode goes on.
            EpisodeError: another thread waits for an answer.
            RemoteError: the server cannot be reached, is full, or failed.
        """
        super().reset(seed=given.seed(seed))
        options = given.options(options)
        if unknown := sorted(set(options) - {"task_id"}):
            raise BadInputError(f"unknown reset options {unknown}; expected 'task_id' or none")
        wanted = {key: value for key, value in (("seed", seed), *options.items()) if value is not None}
        if "task_id" in wanted:
            wanted["task_id"] = encodable(given.text("task_id", wanted["task_id"], "a task's id"))
        with self._one_at_a_time():
            if self._socket is None or self._socket.state is not State.OPEN:
                self._info = None
                self._drop()  # as after a silence longer than the server allows
                self._connect()
            try:
                reply = self._ask({"type": "reset", "data": wanted})
            except RemoteError:
                self._info = None
                raise
            text, info = _read_observation(reply)
            self._info = info
            return text, dict(info)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take one turn of the policy.

        Raises:
            EpisodeError: no episode is running, or another thread waits for an answer.
            BadInputError: ``action`` is not text.
        """
        if not isinstance(action, str):
            raise BadInputError(f"an action is the policy's text (str); got {type(action).__name__}")
        with self._one_at_a_time():
            info = self._info
            if info is None or info["outcome"]:
                raise EpisodeError("no episode is running: call reset() first")
            try:
                reply = self._ask({"type": "step", "data": {"text": encodable(action)}})
            except RemoteError as error:
                self._info = info | {"outcome": InfraFailed.name, "masked": True, "detail": str(error)}
                return "[the connection to the server failed]", 0.0, False, True, dict(self._info)
            text, self._info = _read_observation(reply)
            truncated = bool(reply["observation"]["truncated"])
            return text, float(reply["reward"] or 0.0), reply["done"] and not truncated, truncated, dict(self._info)

    def close(self) -> None:
        """End the session; its sandbox is closed by the server. Safe to call twice, and while a step of another thread
        waits, which then ends its episode as masked; a reset that connects is waited for."""
        self._drop()
        with self._asking:
            self._drop()
            self._info = None

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._asking.acquire(blocking=False):
            raise EpisodeError("another reset or step of this session still waits for its answer: one at a time")
        try:
            yield
        finally:
            self._asking.release()

    def _connect(self) -> None:
        local = urlsplit(self._url).hostname in ("localhost", "127.0.0.1", "::1")
        logger = logging.getLogger("repodojo.remote.socket")
        logger.setLevel(logging.INFO)  # at DEBUG it would tell every header, the key among them
        try:
            connection = connect(
                self._url,
                additional_headers={"Authorization": f"Bearer {self._key}"} if self._key else None,
                ssl=self._tls,
                proxy=None if local else True,
                compression=None,
                max_size=LONGEST_REPLY,
                ping_timeout=PONG_SECONDS,
                logger=logger,
            )
            self._socket = self._session.enter_context(connection)
        except InvalidStatus as error:
            said = bytes(error.response.body or b"")[:300].decode(errors="replace")
            message = f"{self._url} refused the session (status {error.response.status_code}): {said}"
            raise (BadInputError if error.response.status_code in (401, 403) else RemoteError)(message) from None
        except (OSError, WebSocketException) as error:
            raise RemoteError(f"no server answers at {self._url}: {error}; start `repodojo serve POOL`") from error

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message and wait for its answer; whatever keeps it away ends the session."""
        socket = self._socket
        if socket is None:
            raise RemoteError("the session is closed")
        try:
            with suppress(ConnectionClosed):  # a refused session may be closed already: its last words say why
                socket.send(json.dumps(message))
            reply = json.loads(socket.recv(self._reply_seconds))
        except TimeoutError:
            self._drop()
            raise RemoteError(f"the server did not answer within {self._reply_seconds:g} s") from None
        except (OSError, WebSocketException, ValueError) as error:
            self._drop()
            raise RemoteError(f"the connection to {self._url} failed: {error}") from error
        except (
            BaseException
        ):  # an interrupt: the answer that is still to come would be taken for that to the next message
            self._drop()
            raise
        if reply.get("type") == "error":
            said = str(reply.get("data", {}).get("message", "unknown error"))
            if said.startswith(BAD_REQUEST):
                raise BadInputError(said.removeprefix(BAD_REQUEST))
            self._drop()
            raise RemoteError(f"{self._url} says: {said}")
        data: dict[str, Any] = reply["data"]
        return data

    def _drop(self) -> None:
        self._socket = None
        self._session.close()


def _read_observation(reply: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    shown = reply["observation"]
    return shown["text"], {key: shown[key] for key in ("task_id", "step", "outcome", "masked", "detail")}


def _socket_url(url: str, tls_ca: str | Path | None) -> tuple[str, ssl.SSLContext | None]:
    """The address of the session, and how to check the server's certificate."""
    scheme, found, rest = url.partition("://")
    if not found or scheme not in _SCHEMES or not _has_host(url):
        raise BadInputError(f"the server's url is {url!r}; expected http://HOST:PORT or https://HOST:PORT")
    address = f"{_SCHEMES[scheme]}://{rest.rstrip('/')}/ws"
    if _SCHEMES[scheme] == "ws":
        if tls_ca is not None:
            raise BadInputError(f"tls_ca is given, and {url} is without TLS: write https://")
        return address, None
    try:
        return address, ssl.create_default_context(cafile=given.path("tls_ca", tls_ca) if tls_ca is not None else None)
    except (OSError, ssl.SSLError) as error:
        raise BadInputError(f"{tls_ca} is no certificate of an authority (expected a PEM file): {error}") from error


def _has_host(url: str) -> bool:
    """Whether it names a host, and a port that can be one if any."""
    try:
        split = urlsplit(url)
        return bool(split.hostname) and split.port != 0
    except ValueError:
        return False


def _checked_key(key: object) -> str | None:
    """A key that can stand in a header; its content stays out of the error."""
    if key is None or (isinstance(key, str) and key.isascii() and key.isprintable()):
        return key
    shown = "a text with other characters" if isinstance(key, str) else type(key).__name__
    raise BadInputError(f"api_key is {shown}; expected printable ASCII (str), or None")
