"""A package index made by hand and served on loopback: real wheels, real pages, and whatever a test wants wrong."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON_PAGE = "application/vnd.pypi.simple.v1+json"
OLD, NEW = "2020-01-02T03:04:05.678Z", "2030-01-02T03:04:05Z"


def wheel(name: str, version: str, files: Mapping[str, str], *, requires: str = "") -> bytes:
    """A wheel that installs."""
    info = f"{name}-{version}.dist-info"
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    whole[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*whole, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in whole.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


class ToyIndex:
    """What is served: bodies by path, and what was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, str | None]] = []
        """Path and Authorization of each request."""
        self._entries: dict[str, list[dict[str, Any]]] = {}

    def put(
        self, path: str, body: bytes, kind: str = "application/octet-stream", status: int = 200, **head: str
    ) -> None:
        """Serve ``body`` at ``path``."""
        self.bodies[path] = (status, {"Content-Type": kind, **head}, body)

    def add(self, project: str, filename: str, content: bytes, uploaded: str | None = OLD, **changes: Any) -> None:
        """Publish a file; ``changes`` overwrite fields of its entry, those that are None take them out."""
        self.put(f"/packages/{filename}", content)
        entry = {
            "filename": filename,
            "url": f"{self.url}/packages/{filename}",
            "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
            "size": len(content),
            "upload-time": uploaded,
            "yanked": False,
            **changes,
        }
        self._entries.setdefault(project, []).append({key: value for key, value in entry.items() if value is not None})
        page = {"meta": {"api-version": "1.1"}, "name": project, "versions": ["9"], "files": self._entries[project]}
        self.put(f"/simple/{project}/", json.dumps(page).encode(), JSON_PAGE)

    def add_wheel(
        self, name: str, version: str, files: Mapping[str, str], uploaded: str = OLD, **changes: Any
    ) -> bytes:
        """Publish a wheel; its content."""
        requires = changes.pop("requires", "")
        content = wheel(name, version, files, requires=requires)
        self.add(name, f"{name}-{version}-py3-none-any.whl", content, uploaded, **changes)
        return content


@contextmanager
def serve_toy_index() -> Iterator[ToyIndex]:
    """A toy index on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append((self.path, self.headers["Authorization"]))
            status, head, body = index.bodies.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in head.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        index = ToyIndex(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield index
        server.shutdown()
        thread.join()
