"""What stands between the network and the OpenEnv application: an ASGI middleware that lets sessions through, no more.

Every request, the upgrade to a WebSocket included, must carry the API key, if there is one. Only the routes of
``ROUTES`` exist; only messages in the form of ``MESSAGES`` reach a session; one that stays silent too long is ended.
A browser is never a client: a request that a web page makes (it carries ``Origin``) is refused, so that a page which a
user of this machine opens cannot talk to a server on loopback. Not a guarantee: many slow connections without a key are
not fended off; a reverse proxy does that.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from agent_env.remote.wire import BAD_REQUEST

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ROUTES = {("http", "/health"), ("http", "/metadata"), ("http", "/schema"), ("websocket", "/ws")}
"""Kind of request and path; the HTTP ones by GET alone."""

MESSAGES = {"reset": True, "step": True, "state": False, "close": False}
"""Types of messages in a session, and whether they hold data. OpenEnv's ``mcp`` could open sessions beside the one that
sends it."""

MOST_FIELDS = 16
"""Most fields of a message's data: those that a schema refuses cost a hundred times their length."""

CLOSED_GONE, CLOSED_IDLE, CLOSED_REFUSED = 1006, 4008, 4000
"""Close codes of a session whose client has gone, that stayed silent, and that sent what is no message."""


class _Refusal(NamedTuple):
    status: int
    why: str


class Gate:
    """See the module.

    Args:
        app: the application.
        api_key: what ``Authorization: Bearer`` must hold; None lets everyone in.
        idle_seconds: a session may stay silent so long.
    """

    def __init__(self, app: App, *, api_key: str | None, idle_seconds: float) -> None:
        self._app = app
        self._key = hashlib.sha256(api_key.encode()).digest() if api_key is not None else None
        self._idle_seconds = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one connection through, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif refusal := self._refusal(scope):
            await _refuse(refusal, scope, send)
        elif scope["type"] == "websocket":
            session = _Session(receive, send, idle_seconds=self._idle_seconds)
            await self._app(scope, session.receive, session.send)
        else:
            await self._app(scope, _no_body, send)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        if not self._has_key(scope):
            return _Refusal(401, "this server needs its API key: send the header 'Authorization: Bearer KEY'")
        if _headers(scope, b"origin"):
            return _Refusal(403, "requests of web pages (they carry Origin) are refused")
        if (scope["type"], scope["path"]) not in ROUTES or scope.get("query_string"):
            return _Refusal(404, "there is nothing here; a session begins at /ws")
        if scope["type"] == "http" and scope["method"] != "GET":
            return _Refusal(405, f"{scope['path']} is for GET alone")
        return None

    def _has_key(self, scope: Scope) -> bool:
        if self._key is None:
            return True
        given = _headers(scope, b"authorization")
        scheme, _, key = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        same = hmac.compare_digest(hashlib.sha256(key.strip()).digest(), self._key)
        return same and scheme.lower() == b"bearer"


class _Session:
    """The traffic of one WebSocket."""

    def __init__(self, receive: Receive, send: Send, *, idle_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._idle_seconds = idle_seconds
        self._over = False

    async def receive(self) -> Message:
        """The next message for the application; a disconnect where the session is ended here."""
        while not self._over:
            try:
                message = await asyncio.wait_for(self._receive(), self._idle_seconds)
            except TimeoutError:
                return await self._end(CLOSED_IDLE, f"the session was silent for {self._idle_seconds:g} s")
            if message["type"] != "websocket.receive":
                return message
            said = _read_message(message.get("text"))
            if said is None:
                return await self._end(CLOSED_REFUSED, f"expected a JSON object of type {', '.join(sorted(MESSAGES))}")
            complaint = _complaint(said)
            if not complaint:
                return message
            await self._answer(complaint)
        return await self._end(CLOSED_GONE, "the client has gone")  # what it had sent ahead is not run

    async def send(self, message: Message) -> None:
        """Pass on what the application sends, unless the session is over or its client has gone meanwhile."""
        if not self._over:
            try:
                await self._send(message)
            except OSError:  # the application learns it from its next receive
                self._over = True

    async def _answer(self, complaint: str) -> None:
        """An error in OpenEnv's form; its own would hold all that was given, and end the session where JSON cannot."""
        data = {"message": f"{BAD_REQUEST}{complaint}", "code": "VALIDATION_ERROR"}
        await self.send({"type": "websocket.send", "text": json.dumps({"type": "error", "data": data})})

    async def _end(self, code: int, why: str) -> Message:
        if not self._over:
            self._over = True
            await self._send({"type": "websocket.close", "code": code, "reason": why})
        return {"type": "websocket.disconnect", "code": code, "reason": why}


def _read_message(text: object) -> dict[str, Any] | None:
    if not isinstance(text, str):
        return None
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_one = isinstance(message, dict) and isinstance(message.get("type"), str) and message["type"] in MESSAGES
    return message if is_one else None


def _complaint(message: dict[str, Any]) -> str:
    """What is wrong with its fields, or nothing."""
    kind, data = message["type"], message.get("data", {})
    known = ["type", "data"] if MESSAGES[kind] else ["type"]
    if unknown := len(set(message) - set(known)):
        return f"a message of type {kind} holds {unknown} unknown fields; expected {' and '.join(known)} alone"
    if not isinstance(data, dict):
        return f"data is a {type(data).__name__}; expected an object"
    return f"data has {len(data)} fields; expected at most {MOST_FIELDS}" if len(data) > MOST_FIELDS else ""


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _refuse(refusal: _Refusal, scope: Scope, send: Send) -> None:
    """Answer a request, or an upgrade, with a status and one line of JSON."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = json.dumps({"error": refusal.why}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body, "more_body": False})
