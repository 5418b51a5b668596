"""What stands before the remote mode: the key, the routes, the form of messages, TLS."""

import contextlib
import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from agent_env.env import SWEEnv
from agent_env.remote.client import RemoteSWEEnv
from agent_env.remote.errors import RemoteError
from agent_env.remote.wire import MAX_MESSAGE_BYTES
from tasks.errors import BadInputError
from tests.agent_env.remote.serving import (
    KEY,
    ask,
    get,
    raw,
    sandboxes,
    serving,
    until,
)

if TYPE_CHECKING:
    from agent_env.remote.server import EnvServer

pytestmark = pytest.mark.slow  # OpenEnv alone takes seconds to import


class TestGate:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer"},
            {"Authorization": "Bearer " + KEY[:-1]},
            {"Authorization": KEY},
            {"Authorization": f"Basic {KEY}"},
            {"X-Api-Key": KEY},
            {"Cookie": f"Authorization=Bearer {KEY}"},
        ],
    )
    def test_every_route_needs_the_key(self, server: "EnvServer", headers: dict[str, str]) -> None:
        for path in ("/health", "/metadata", "/schema", "/docs", "/openapi.json", "/ws", "/nowhere", "//ws"):
            assert get(server, path, headers=headers)[0] == 401
        for path in ("/ws", "/mcp"):
            with pytest.raises(InvalidStatus, match="401"), raw(server, key=None, headers=headers, path=path):
                pass

    def test_two_keys_are_none(self, server: "EnvServer") -> None:
        both = [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")]
        url = server.url.replace("http", "ws") + "/ws"
        with pytest.raises(InvalidStatus, match="401"), connect(url, additional_headers=both, proxy=None):
            pass

    def test_only_what_a_session_needs_is_there(self, server: "EnvServer", env: SWEEnv) -> None:
        from agent_env.adapters.openenv_server import make_app

        paths = {route.path for route in make_app(env, max_sessions=2, episode_seconds=1).routes}
        assert {"/mcp", "/docs", "/openapi.json", "/ws", "/health", "/{env_name}/tasks"} <= paths
        for path in {*paths, "/reset", "/step", "/state", "/web", "/ws/../docs", "/repodojo/splits"}:
            expected = {200} if path in ("/health", "/metadata", "/schema") else {404}
            assert {get(server, path)[0]} == expected, path
            assert get(server, path, method="POST")[0] in (404, 405), path
        for path in ("/mcp", "/harness", "/ws?session_id=1", "/ws/"):
            with pytest.raises(InvalidStatus, match="404"), raw(server, path=path):
                pass

    def test_web_pages_are_refused(self, env: SWEEnv) -> None:
        with serving(env, api_key=None) as server:
            with raw(server, key=None) as socket:
                assert ask(socket, {"type": "state"})["type"] == "state"
            with pytest.raises(InvalidStatus, match="403"), raw(server, key=None, origin="http://localhost"):
                pass
            assert get(server, "/health", headers={"Origin": "http://evil.example"})[0] == 403

    @pytest.mark.parametrize(
        "message",
        [
            '{"type": "mcp", "data": {"jsonrpc": "2.0", "id": 1, "method": "openenv/session/create"}}',
            '{"type": "reset", "type": "mcp"}',
            "[]",
            "{",
            "[" * 100_000,
            b'{"type": "state"}',
            '{"type": ["reset"]}',
        ],
        ids=["mcp", "mcp behind a reset", "list", "cut off", "deep", "bytes", "no type"],
    )
    def test_what_is_no_message_ends_the_session(self, server: "EnvServer", message: str | bytes) -> None:
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            socket.send(message)
            with pytest.raises(ConnectionClosed, match="4000"):
                socket.recv(30)
        until(lambda: sandboxes() == 0)

    def test_a_message_beyond_the_limit_ends_the_session(self, server: "EnvServer") -> None:
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            with contextlib.suppress(ConnectionClosed):  # it may be refused before it is sent whole
                socket.send("x" * (MAX_MESSAGE_BYTES + 1))
            with pytest.raises(ConnectionClosed):
                socket.recv(30)
        until(lambda: sandboxes() == 0)


class TestTLS:
    def test_a_private_authority(self, env: SWEEnv, tmp_path: Path) -> None:
        cert, key = make_certificate(tmp_path)
        with serving(env, tls_cert=cert, tls_key=key) as server:
            assert server.url.startswith("https://")
            with RemoteSWEEnv(server.url, api_key=KEY, tls_ca=cert) as remote:
                assert "/testbed" in remote.reset()[0]
            with (
                RemoteSWEEnv(server.url, api_key=KEY) as remote,
                pytest.raises(RemoteError, match="CERTIFICATE_VERIFY"),
            ):
                remote.reset()

    def test_a_certificate_that_is_none(self, env: SWEEnv, tmp_path: Path) -> None:
        from agent_env.remote.server import EnvServer, ServeOptions

        (tmp_path / "x").write_text("x")
        with pytest.raises(BadInputError, match="no certificate and its key"):
            EnvServer(env, ServeOptions(port=0, tls_cert=tmp_path / "x", tls_key=tmp_path / "x"))
        with pytest.raises(BadInputError, match="no certificate of an authority"):
            RemoteSWEEnv("https://localhost:1", tls_ca=tmp_path / "x")
        with pytest.raises(BadInputError, match="without TLS"):
            RemoteSWEEnv("http://localhost:1", tls_ca=tmp_path / "x")


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "repodojo test")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(cert.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"
