"""Serves a pool's environment over HTTP and WebSocket: OpenEnv's application behind the gate, in uvicorn.

Loopback by default; any other address needs an API key. When the server ends, by a signal or by ``stop``, running
commands are killed, sessions end, and every sandbox is closed before ``serve`` returns.
"""

import contextlib
import ipaddress
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from agent_env.adapters.openenv_server import close_all, make_app
from agent_env.env import SWEEnv
from agent_env.remote.gate import Gate
from agent_env.remote.wire import MAX_MESSAGE_BYTES
from agent_env.sandbox.local import kill_running
from tasks.errors import BadInputError

SHORTEST_KEY = 16
"""Characters that an API key must have at least."""

GRACE_SECONDS = 15
"""How long sessions have to end once their commands have been killed."""

PING_SECONDS = 20.0
"""How often a client is asked whether it is there; one whose host is gone is noticed so."""

PONG_SECONDS = 120.0
"""How long it may take to answer: a trainer may be busy."""


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Where and how to serve."""

    host: str = "127.0.0.1"
    port: int = 8200
    """0 means any free one."""
    max_sessions: int = 64
    """Sessions at once, each with at most one sandbox; one more is refused."""
    api_key: str | None = None
    """What clients must show; None only on loopback."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    idle_seconds: float = 600.0
    """A session that sends nothing for so long is ended."""
    episode_seconds: float = 7200.0
    """An episode that began so long ago is ended."""

    def __post_init__(self) -> None:
        for name in ("max_sessions", "idle_seconds", "episode_seconds"):
            if not getattr(self, name) > 0:
                raise BadInputError(f"{name} is {getattr(self, name)!r}; expected a number above 0")
        if not 0 <= self.port < 1 << 16:
            raise BadInputError(f"port is {self.port}; expected 0 to 65535")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise BadInputError("TLS needs a certificate and its key: give both --tls-cert and --tls-key, or neither")
        if self.api_key is not None:
            _check_key(self.api_key)
        elif not is_loopback(self.host):
            raise BadInputError(
                f"{self.host} can be reached from other machines, and whoever reaches it runs commands in sandboxes "
                "here: give an API key (--api-key-file FILE, or REPODOJO_API_KEY), or serve on 127.0.0.1"
            )


class EnvServer:
    """A server, not yet listening. Its end is the end of every command that runs in a sandbox of this process, and of
    every session that another server of this process has: give it a process of its own, as ``repodojo serve`` does.

    Args:
        template: the environment to serve; each session gets one like it.

    Raises:
        BadInputError: the address cannot be used, or the certificate cannot be read.
    """

    def __init__(self, template: SWEEnv, options: ServeOptions) -> None:
        _check_tls(options)
        self._socket = _bind(options.host, options.port)
        self.port: int = self._socket.getsockname()[1]
        app = make_app(template, max_sessions=options.max_sessions, episode_seconds=options.episode_seconds)
        gate = Gate(app, api_key=options.api_key, idle_seconds=options.idle_seconds)
        scheme = "https" if options.tls_cert else "http"
        shown = f"[{options.host}]" if ":" in options.host else options.host
        self.url = f"{scheme}://{shown}:{self.port}"
        self._server = _Server(
            uvicorn.Config(
                gate,
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PONG_SECONDS,
                ws_per_message_deflate=False,
                ssl_certfile=options.tls_cert,
                ssl_keyfile=options.tls_key,
                log_config=None,
                log_level=logging.WARNING,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self._server.started

    def serve(self) -> None:
        """Serve until a signal (SIGTERM, SIGINT) or ``stop``; from another thread than the main one, until ``stop``."""
        with contextlib.ExitStack() as stack:
            stack.callback(close_all)
            stack.callback(self._socket.close)
            stack.enter_context(_signals_to(self.stop))
            log = logging.getLogger("uvicorn.error")
            log.addFilter(_is_news)
            stack.callback(log.removeFilter, _is_news)
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Have ``serve`` return, from any thread."""
        self._server.should_exit = True


def _is_news(record: logging.LogRecord) -> bool:
    """uvicorn takes a refused upgrade, which anyone can cause, for a fault of the application."""
    return record.getMessage() != "ASGI callable returned without completing handshake."


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        kill_running()  # or a session would end only with its command
        await super().shutdown(sockets)


@contextlib.contextmanager
def _signals_to(stop: Callable[[], None]) -> Iterator[None]:
    """Have signals stop the server also before uvicorn listens to them. uvicorn raises the one that ended it once more
    at the end, which would skip what is left to do here."""
    handled = (signal.SIGTERM, signal.SIGINT)
    try:
        before = {number: signal.signal(number, lambda *_: stop()) for number in handled}
    except ValueError:  # not the main thread: signals are not ours
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than ``localhost`` counts as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_key(key: str) -> None:
    if len(key) < SHORTEST_KEY or not (key.isascii() and key.isprintable() and " " not in key):
        raise BadInputError(
            f"the API key has {len(key)} characters; expected at least {SHORTEST_KEY}, printable ASCII without blanks. "
            "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )


def _check_tls(options: ServeOptions) -> None:
    if options.tls_cert is None or options.tls_key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise BadInputError(
            f"{options.tls_cert} and {options.tls_key} are no certificate and its key: {error}"
        ) from error


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except OSError as error:
        raise BadInputError(f"cannot listen at {host}:{port}: {error}; name another --host or --port") from error
