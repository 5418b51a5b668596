"""The remote mode with the real OpenEnv package: the gate, sessions, limits, secrets, TLS, and the end of a server."""

import contextlib
import ipaddress
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gymnasium
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from gymnasium.utils.env_checker import check_env
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from agent_env.adapters.openenv_client import SWEClient
from agent_env.adapters.openenv_server import SWEEnvironment, make_app
from agent_env.adapters.openenv_types import SWEAction, SWEState
from agent_env.env import SWEEnv
from agent_env.errors import EpisodeError, SandboxError
from agent_env.remote.client import RemoteSWEEnv
from agent_env.remote.errors import RemoteError
from agent_env.remote.server import EnvServer, ServeOptions
from agent_env.remote.wire import MAX_MESSAGE_BYTES
from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.residence import residence_base
from agent_env.scripted import noop_actions, oracle_actions
from agent_env.store import EnvironmentStore
from agent_env.tools import ToolCall, format_call
from agent_env.tools.calls import MAX_TURN_CHARS
from repodojo.cli import main
from tasks.errors import BadInputError
from tasks.pool import Pool

KEY = "a key that is no key".replace(" ", "-")
SUBMIT = format_call(ToolCall("submit"))
SESSIONS = 16


def bash(command: str) -> str:
    return format_call(ToolCall("bash", {"command": command}))


@contextlib.contextmanager
def serving(env: SWEEnv, **options: Any) -> Iterator[EnvServer]:
    server = EnvServer(env, ServeOptions(**{"port": 0, "api_key": KEY, **options}))
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        until(lambda: server.is_ready)
        yield server
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


def until(met: Callable[[], bool]) -> None:
    """Wait for something that must come; the deadline is far beyond what it takes."""
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def residences() -> set[Path]:
    """The folders of this process's sandboxes."""
    return set(residence_base().glob(f"{os.getpid()}-*/*"))  # not by iterdir: a folder may go meanwhile


_others: set[Path] = set()
"""Those of other modules' tests."""


@pytest.fixture(scope="module", autouse=True)
def _know_others() -> None:
    _others.update(residences())


def sandboxes() -> int:
    """How many sandboxes the tests of this module have."""
    return len(residences() - _others)


def is_running(command: str) -> bool:
    """Whether some process of this machine has that command line."""
    wanted = command.replace(" ", "\0").encode() + b"\0"
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == wanted:
                return True
    return False


PUBLIC = ("task_id", "step", "outcome", "masked", "detail")
"""What a client may know of an episode; how many hidden tests passed, and what the monitor saw, stay on the server."""


def public(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """What ``SWEEnv`` gave, as a client is to get it."""
    *rest, info = answer
    return (*rest, {key: info[key] for key in PUBLIC})


def ask(socket: ClientConnection, message: object) -> dict[str, Any]:
    socket.send(json.dumps(message))
    reply: dict[str, Any] = json.loads(socket.recv(30))
    return reply


def raw(server: EnvServer, *, key: str | None = KEY, **options: Any) -> connect:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = server.url.replace("http", "ws") + options.pop("path", "/ws")
    return connect(url, additional_headers=headers | options.pop("headers", {}), proxy=None, **options)


def get(server: EnvServer, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and body of a plain request, with the key unless ``headers`` are given."""
    given = {"Authorization": f"Bearer {KEY}"} if headers is None else headers
    request = urllib.request.Request(server.url + path, method=method, headers=given)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def env(bare_pool: Pool, store: EnvironmentStore) -> SWEEnv:
    made = SWEEnv(pool=bare_pool, store=store, max_steps=5)
    made.bench.build(made.tasks[0])
    return made


@pytest.fixture(scope="module")
def server(env: SWEEnv) -> Iterator[EnvServer]:
    with serving(env, max_sessions=SESSIONS) as running:
        yield running


@pytest.fixture
def remote(server: EnvServer) -> Iterator[RemoteSWEEnv]:
    with RemoteSWEEnv(server.url, api_key=KEY) as opened:
        yield opened


class TestSession:
    def test_gymnasiums_checker(self, server: EnvServer) -> None:
        made = gymnasium.make("RepoDojo/RemoteSWE-v0", url=server.url, api_key=KEY).unwrapped
        check_env(made)
        made.close()

    def test_it_is_the_same_environment(self, remote: RemoteSWEEnv, env: SWEEnv) -> None:
        for seed in (0, 1, 7, None, None):
            assert public(env.reset(seed=seed)) == remote.reset(seed=seed)
            for action in (bash("cat tiny/words.py; false"), "garbage", bash("echo a") + bash("exit 3"), bash("pwd")):
                assert public(env.step(action)) == remote.step(action)
        env.close()

    def test_a_task_by_its_id(self, remote: RemoteSWEEnv) -> None:
        prompt, info = remote.reset(options={"task_id": "tiny-longest"})
        assert "longest" in prompt
        assert info == {"task_id": "tiny-longest", "step": 0, "outcome": None, "masked": False, "detail": ""}

    @pytest.mark.parametrize(
        ("given", "says"),
        [({"task_id": "tiny-9"}, "no task 'tiny-9' among the 2"), ({"task": "x"}, "unknown reset options")],
    )
    def test_bad_options(self, remote: RemoteSWEEnv, given: dict[str, Any], says: str) -> None:
        with pytest.raises(BadInputError, match=says):
            remote.reset(options=given)
        assert remote.reset(seed=0)[1]["step"] == 0

    @pytest.mark.parametrize(
        "data",
        [{"seed": "x"}, {"seed": -1}, {"seed": 1 << 70}, {"task_id": ["tiny-total"]}, {"split": "all"}, {"self": 1}],
    )
    def test_bad_requests_leave_the_session_usable(self, server: EnvServer, data: dict[str, Any]) -> None:
        with raw(server) as socket:
            assert ask(socket, {"type": "reset", "data": data})["type"] == "error"
            assert ask(socket, {"type": "step", "data": {"txt": 1}})["type"] == "error"
            assert ask(socket, {"type": "reset", "data": {}})["type"] == "observation"

    @pytest.mark.parametrize("text", ["", "\0", "\ud800", "😀" * (MAX_TURN_CHARS + 7)], ids=["", "nul", "half", "long"])
    def test_what_a_policy_writes_never_ends_the_session(self, remote: RemoteSWEEnv, text: str) -> None:
        remote.reset(seed=0)
        observation, _, terminated, truncated, info = remote.step(text)
        assert observation.startswith("Error: ")
        assert (terminated, truncated, info["masked"]) == (False, False, False)
        assert remote.step(bash("echo fine"))[0] == "fine"

    def test_nor_through_openenvs_client(self, server: EnvServer) -> None:
        with SWEClient(base_url=server.url, headers={"Authorization": f"Bearer {KEY}"}).sync() as client:
            assert client.state() == SWEState()
            first = client.reset(seed=1, episode_id="mine")
            assert "/testbed" in first.observation.text
            assert (first.reward, first.done) == (None, False)
            assert client.step(SWEAction(text="\ud800 is no text")).observation.text.startswith("Error")
            assert client.step(SWEAction(text=bash("echo hi"))).observation.text == "hi"
            state = client.state()
            assert (state.episode_id, state.step_count, state.outcome) == ("mine", 2, None)
            assert state.task_id == first.observation.task_id
            for _ in range(3):
                last = client.step(SWEAction(text=bash("true")))
            assert (last.reward, last.done) == (0.0, True)
            assert (last.observation.outcome, last.observation.detail) == ("LimitStopped", "steps")
            with pytest.raises(RuntimeError, match="has ended"):
                client.step(SWEAction(text=bash("true")))

    def test_order(self, remote: RemoteSWEEnv) -> None:
        with pytest.raises(EpisodeError, match="call reset"):
            remote.step("x")
        remote.reset(seed=0)
        with pytest.raises(BadInputError, match="got bytes"):
            remote.step(b"x")  # type: ignore[arg-type]
        for _ in range(5):
            *_, truncated, info = remote.step(bash("true"))
        assert truncated
        assert (info["outcome"], info["detail"]) == ("LimitStopped", "steps")
        with pytest.raises(EpisodeError, match="call reset"):
            remote.step("x")

    def test_as_many_as_are_allowed_at_once(self, server: EnvServer) -> None:
        until(lambda: sandboxes() == 0)
        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(RemoteSWEEnv(server.url, api_key=KEY)) for _ in range(SESSIONS)]
            with ThreadPoolExecutor(SESSIONS) as pool:
                prompts = list(pool.map(lambda pair: pair[1].reset(seed=pair[0])[0], enumerate(opened)))
                said = list(pool.map(lambda pair: pair[1].step(bash(f"echo {pair[0]}"))[0], enumerate(opened)))
            assert len(set(prompts)) == 2
            assert said == [str(number) for number in range(SESSIONS)]
            assert sandboxes() == SESSIONS
            over = stack.enter_context(RemoteSWEEnv(server.url, api_key=KEY))
            with pytest.raises(RemoteError, match="at capacity: 16/16"):
                over.reset()
            opened[0].close()
            until(lambda: sandboxes() < SESSIONS)
            assert "/testbed" in over.reset()[0]
        until(lambda: sandboxes() == 0)


class TestEnds:
    def test_a_client_that_vanishes(self, server: EnvServer) -> None:
        until(lambda: sandboxes() == 0)
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            assert sandboxes() == 1
            socket.socket.close()
        until(lambda: sandboxes() == 0)

    def test_a_client_that_vanishes_in_a_turn(self, server: EnvServer, caplog: pytest.LogCaptureFixture) -> None:
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            socket.send(json.dumps({"type": "step", "data": {"text": bash("sleep 0.3")}}))
            socket.socket.close()
        until(lambda: sandboxes() == 0)
        assert not caplog.records

    def test_silence(self, env: SWEEnv) -> None:
        with serving(env, idle_seconds=0.2) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            with raw(server) as socket:
                ask(socket, {"type": "reset", "data": {}})
                with pytest.raises(ConnectionClosed, match=r"4008.*silent for 0.2 s"):
                    socket.recv(30)
            remote.reset(seed=0)
            until(lambda: sandboxes() == 0)
            observation, reward, terminated, truncated, info = remote.step(bash("true"))
            assert (observation, reward) == ("[the connection to the server failed]", 0.0)
            assert (terminated, truncated, info["outcome"], info["masked"]) == (False, True, "InfraFailed", True)
            assert remote.reset(seed=0)[1]["step"] == 0

    def test_a_long_command_is_no_silence(self, env: SWEEnv) -> None:
        with serving(env, idle_seconds=0.2) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
            assert remote.step(bash("sleep 0.5; echo awake"))[0] == "awake"

    def test_an_old_episode(self, env: SWEEnv) -> None:
        with serving(env, episode_seconds=1e-6) as server, RemoteSWEEnv(server.url, api_key=KEY) as remote:
            remote.reset(seed=0)
            observation, reward, terminated, truncated, info = remote.step(bash("true"))
            assert observation.startswith("[the episode ends here: it began over 1e-06 s ago")
            assert (reward, terminated, truncated) == (0.0, False, True)
            assert (info["outcome"], info["detail"], info["masked"]) == ("LimitStopped", "abandoned", False)
            assert sandboxes() == 0
            with raw(server) as socket:
                ask(socket, {"type": "reset", "data": {}})
                assert ask(socket, {"type": "state"})["data"]["outcome"] == "LimitStopped"

    def test_a_server_that_stops_closes_every_sandbox(self, env: SWEEnv) -> None:
        with RemoteSWEEnv("http://127.0.0.1:9", api_key=KEY) as nowhere, pytest.raises(RemoteError, match="no server"):
            nowhere.reset()
        with serving(env) as server:
            remote = RemoteSWEEnv(server.url, api_key=KEY)
            remote.reset(seed=0)
            busy = threading.Thread(target=remote.step, args=(bash("exec sleep 60.25"),))
            busy.start()
            until(lambda: is_running("sleep 60.25"))
        busy.join(30)
        assert not busy.is_alive()
        assert not is_running("sleep 60.25")
        assert sandboxes() == 0
        remote.close()


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
    def test_every_route_needs_the_key(self, server: EnvServer, headers: dict[str, str]) -> None:
        for path in ("/health", "/metadata", "/schema", "/docs", "/openapi.json", "/ws", "/nowhere", "//ws"):
            assert get(server, path, headers=headers)[0] == 401
        for path in ("/ws", "/mcp"):
            with pytest.raises(InvalidStatus, match="401"), raw(server, key=None, headers=headers, path=path):
                pass

    def test_two_keys_are_none(self, server: EnvServer) -> None:
        both = [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")]
        url = server.url.replace("http", "ws") + "/ws"
        with pytest.raises(InvalidStatus, match="401"), connect(url, additional_headers=both, proxy=None):
            pass

    def test_only_what_a_session_needs_is_there(self, server: EnvServer, env: SWEEnv) -> None:
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
    def test_what_is_no_message_ends_the_session(self, server: EnvServer, message: str | bytes) -> None:
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            socket.send(message)
            with pytest.raises(ConnectionClosed, match="4000"):
                socket.recv(30)
        until(lambda: sandboxes() == 0)

    def test_a_message_beyond_the_limit_ends_the_session(self, server: EnvServer) -> None:
        with raw(server) as socket:
            ask(socket, {"type": "reset", "data": {}})
            with contextlib.suppress(ConnectionClosed):  # it may be refused before it is sent whole
                socket.send("x" * (MAX_MESSAGE_BYTES + 1))
            with pytest.raises(ConnectionClosed):
                socket.recv(30)
        until(lambda: sandboxes() == 0)


class TestSecrets:
    @pytest.mark.network
    def test_nothing_of_the_answer_is_on_the_wire(self, graded_pool: Pool, store: EnvironmentStore) -> None:
        task = graded_pool.task("tiny-total")
        env = SWEEnv(pool=graded_pool, store=store)
        heard = []
        with serving(env) as server:
            for path in ("/health", "/metadata", "/schema", "/docs", "/openapi.json", "/repodojo/tasks"):
                heard.append(get(server, path)[1])
            for actions in (
                [bash("cat tiny/counting.py"), *noop_actions(task)],
                oracle_actions(task, env.bench.build(task).tree),
            ):
                with raw(server) as socket:
                    heard.append(ask(socket, {"type": "reset", "data": {"task_id": task.id}}))
                    for action in actions:
                        heard.append(ask(socket, {"type": "state"}))
                        heard.append(ask(socket, {"type": "step", "data": {"text": action}}))
                    heard.append(ask(socket, {"type": "state"}))
                    heard.append(ask(socket, {"type": "step", "data": {"text": "x"}}))
        finals = [one["data"] for one in heard if isinstance(one, dict) and one["data"].get("done")]
        assert [(one["reward"], one["observation"]["text"]) for one in finals] == [
            (0.0, "Submitted."),
            (1.0, "Submitted."),
        ]
        wire = json.dumps(heard)
        for secret in (
            "result += number",
            "test_hidden",
            "test_total",
            "tests_failed",
            "passed",
            "certificate",
            "gold",
        ):
            assert secret not in wire.replace("1 passed", ""), secret  # the oracle's own test run
        for place in (str(graded_pool.path), str(store.root), str(residence_base())):
            assert place not in wire

    def test_nor_are_the_words_of_a_failing_machine(
        self, bare_pool: Pool, store: EnvironmentStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(BubblewrapBackend):
            def create(self, spec: SandboxSpec) -> Sandbox:  # type: ignore[override]
                raise SandboxError("/srv/secret is on fire")

        broken = SWEEnv(pool=bare_pool, store=EnvironmentStore(Broken(), store.root))
        with (
            serving(broken) as server,
            RemoteSWEEnv(server.url, api_key=KEY) as remote,
            pytest.raises(RemoteError, match="its log says how") as told,
        ):
            remote.reset()
        assert "fire" not in str(told.value)
        assert "/srv/secret is on fire" in caplog.text

    def test_nor_where_it_fails_in_an_episode(self, env: SWEEnv, caplog: pytest.LogCaptureFixture) -> None:
        session = SWEEnvironment(env)
        session.reset(seed=0)
        assert session._env.episode is not None
        assert session._env.episode._sandbox is not None
        session._env.episode._sandbox.close()
        observation = session.step(SWEAction(text=bash("true")))
        assert (observation.outcome, observation.masked, observation.detail) == ("InfraFailed", True, "")
        assert "SandboxError" in caplog.text

    def test_a_closed_environment_stays_closed(self, env: SWEEnv) -> None:
        session = SWEEnvironment(env)
        session.close()
        with pytest.raises(EpisodeError, match="connect again"):
            session.reset()
        assert sandboxes() == 0


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
        (tmp_path / "x").write_text("x")
        with pytest.raises(BadInputError, match="no certificate and its key"):
            EnvServer(env, ServeOptions(port=0, tls_cert=tmp_path / "x", tls_key=tmp_path / "x"))
        with pytest.raises(BadInputError, match="no certificate of an authority"):
            RemoteSWEEnv("https://localhost:1", tls_ca=tmp_path / "x")
        with pytest.raises(BadInputError, match="without TLS"):
            RemoteSWEEnv("http://localhost:1", tls_ca=tmp_path / "x")


class TestOptions:
    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"host": "0.0.0.0"}, "give an API key"),
            ({"host": "example.org"}, "give an API key"),
            ({"host": "::"}, "give an API key"),
            ({"api_key": ""}, "has 0 characters; expected at least 16"),
            ({"api_key": "short"}, "has 5 characters"),
            ({"api_key": "with a blank in it, and long"}, "without blanks"),
            ({"max_sessions": 0}, "expected a number above 0"),
            ({"idle_seconds": -1}, "expected a number above 0"),
            ({"port": 70_000}, "expected 0 to 65535"),
            ({"tls_cert": Path("x")}, "give both"),
        ],
    )
    def test_bad_ones(self, given: dict[str, Any], says: str) -> None:
        with pytest.raises(BadInputError, match=says):
            ServeOptions(**given)

    def test_an_address_that_is_taken(self, server: EnvServer, env: SWEEnv) -> None:
        with pytest.raises(BadInputError, match="cannot listen at"):
            EnvServer(env, ServeOptions(port=server.port))

    def test_the_wrong_key(self, server: EnvServer, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(BadInputError, match="needs its API key"):
            RemoteSWEEnv(server.url, api_key="another key").reset()
        monkeypatch.setenv("REPODOJO_API_KEY", KEY)
        with RemoteSWEEnv(server.url) as remote:
            assert remote.reset()[1]["step"] == 0

    @pytest.mark.parametrize("url", ["", "localhost:8200", "ftp://localhost", "http://"])
    def test_urls_that_are_none(self, url: str) -> None:
        with pytest.raises(BadInputError, match="expected http://HOST:PORT"):
            RemoteSWEEnv(url)


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


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_clean(bare_pool: Pool, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    command = [sys.executable, "-m", "repodojo", "serve", str(bare_pool.path), "--port", "0", "--sandbox", "bubblewrap"]
    with subprocess.Popen(
        [*command, "--api-key-file", str(tmp_path / "key"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "REPODOJO_HOME": str(tmp_path / "home")},
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        said = next(line for line in process.stderr if "tasks at" in line)
        with RemoteSWEEnv(said.split()[3].rstrip(","), api_key=KEY) as remote:
            remote.reset(seed=0)
            busy = threading.Thread(target=remote.step, args=(bash("exec sleep 60.75"),))
            busy.start()
            until(lambda: is_running("sleep 60.75"))
            process.send_signal(number)
            result = json.loads(process.stdout.read())
            assert process.wait(60) == 0, process.stderr.read()
            busy.join(30)
        assert result["tasks"] == 2
        assert not is_running("sleep 60.75")
        assert not list(residence_base().glob(f"{process.pid}-*"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "give an API key"),
        (["--api-key-file", "/nowhere"], "cannot be read from /nowhere"),
        (["--port", "99999"], "expected 0 to 65535"),
        (["--split", "none"], "expected all, train or test"),
    ],
)
def test_bad_arguments_exit_with_2(
    bare_pool: Pool,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("REPODOJO_API_KEY", raising=False)
    assert main(["serve", str(bare_pool.path), *arguments]) == 2
    assert says in capsys.readouterr().err
