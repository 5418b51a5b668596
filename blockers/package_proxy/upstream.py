"""The package index behind the proxy: its pages and files, fetched by the host and checked. One index, by GET alone."""

import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
from requests.auth import HTTPBasicAuth

from blockers.package_proxy.cache import ContentError, FileCache
from blockers.package_proxy.page import JSON_PAGE, MAX_WHEEL_BYTES, PageError, Wheel, read_page
from blockers.package_proxy.policy import RefusedError
from tasks.errors import BadInputError

MAX_PAGE_BYTES = 32 << 20
MAX_METADATA_BYTES = 4 << 20
FETCH_SECONDS = 120.0
"""How long one page or file may take."""
PAGE_SECONDS = 600.0
"""How long a page is remembered."""
MAX_WHEELS = 200_000
"""How many wheels the remembered pages may hold together."""
_PARSERS = 2
"""Pages that are read at once: a long one fills memory while it is."""
_SILENCE = (10.0, 30.0)
"""Seconds to connect, and between bytes."""


class Upstream:
    """See the module; safe to use from several threads.

    Args:
        url: where its simple API begins; may hold a user and password.
        cache: of its files.

    Raises:
        BadInputError: the address is not one that can be asked.
    """

    def __init__(self, url: str, cache: FileCache) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadInputError(
                f"the package index is at a {parts.scheme or 'nameless'!r} address: expected http or https; set "
                "UV_DEFAULT_INDEX or PIP_INDEX_URL"
            )
        self._host = parts.netloc.rpartition("@")[2]
        self._auth = HTTPBasicAuth(parts.username, parts.password or "") if parts.username else None
        self._base = parts._replace(netloc=self._host, query="", fragment="").geturl().rstrip("/")
        self._secure = parts.scheme == "https"
        self._cache = cache
        self._pages: OrderedDict[str, tuple[float, tuple[Wheel, ...]]] = OrderedDict()
        self._lock = threading.Lock()
        self._parsers = threading.Semaphore(_PARSERS)

    def page(self, name: str) -> tuple[Wheel, ...]:
        """The wheels of a project that can be served at all.

        Args:
            name: canonical.

        Raises:
            RefusedError: the index has no such project, or gave nothing of use.
        """
        kept = self._remembered(name)
        if kept is not None:
            return kept
        with self._parsers:
            kept = self._remembered(name)  # another has asked meanwhile
            if kept is not None:
                return kept
            with self._get(f"{self._base}/{name}/", accept=JSON_PAGE) as (parts, final):
                text = _join(parts, MAX_PAGE_BYTES)
            try:
                wheels = read_page(text, name, final)
            except PageError as error:
                raise RefusedError(502, f"the package index gave {error}") from error
        self._remember(name, wheels)
        return wheels

    def wheel(self, wheel: Wheel) -> BinaryIO:
        """The file, open at its start and hashed.

        Raises:
            RefusedError: it cannot be had, or is not what the page says.
        """
        return self._file(wheel.url, wheel.sha256, wheel.size or MAX_WHEEL_BYTES)

    def metadata(self, wheel: Wheel) -> BinaryIO:
        """The metadata beside it, likewise."""
        if not wheel.metadata_sha256:
            raise RefusedError(404, "there is no such file")
        path = urlsplit(wheel.url)
        return self._file(
            path._replace(path=path.path + ".metadata").geturl(), wheel.metadata_sha256, MAX_METADATA_BYTES
        )

    def _remembered(self, name: str) -> tuple[Wheel, ...] | None:
        with self._lock:
            when, wheels = self._pages.get(name, (-math.inf, ()))
        return wheels if time.monotonic() < when + PAGE_SECONDS else None

    def _remember(self, name: str, wheels: tuple[Wheel, ...]) -> None:
        with self._lock:
            self._pages[name] = (time.monotonic(), wheels)
            held = sum(len(kept) + 1 for _, kept in self._pages.values())
            while held > MAX_WHEELS:
                held -= len(self._pages.popitem(last=False)[1][1]) + 1

    def _file(self, url: str, sha256: str, limit: int) -> BinaryIO:
        kept = self._cache.open(sha256)
        if kept:
            return kept
        try:
            with self._get(url, accept="*/*") as (parts, _):
                return self._cache.add(sha256, parts, limit=limit)
        except ContentError as error:
            raise RefusedError(502, f"a file of the package index is not served: {error}") from error

    @contextmanager
    def _get(self, url: str, *, accept: str) -> Iterator[tuple[Iterator[bytes], str]]:
        """The body in parts, and the address that gave it."""
        try:
            with self._session() as session:
                # Never the index's password to another host.
                auth = self._auth if urlsplit(url).netloc == self._host else None
                headers = {"Accept": accept, "Accept-Encoding": "identity"}
                with session.get(url, headers=headers, auth=auth, stream=True, timeout=_SILENCE) as answer:
                    if answer.status_code == 404:
                        raise RefusedError(404, "the package index has no such project or file")
                    answer.raise_for_status()
                    yield _until(answer.iter_content(1 << 16), time.monotonic() + FETCH_SECONDS), answer.url
        except (requests.RequestException, OSError, ValueError) as error:
            # The text of the error would tell addresses of the host.
            raise RefusedError(502, f"the package index cannot be reached ({type(error).__name__})") from error

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.max_redirects = 5
        if certificates := os.environ.get("SSL_CERT_FILE"):  # as uv does
            session.verify = certificates
        if self._secure:  # whatever a page or a redirect says
            del session.adapters["http://"]
        return session


def _until(parts: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    for part in parts:
        if time.monotonic() > deadline:
            raise TimeoutError
        yield part


def _join(parts: Iterator[bytes], limit: int) -> bytes:
    text = bytearray()
    for part in parts:
        text += part
        if len(text) > limit:
            raise RefusedError(502, "the page of the package index is too long")
    return bytes(text)
