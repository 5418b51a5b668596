"""Statements by a model, against a scripted server on the loopback interface that speaks HTTP."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent_env.grading import TestOutcome, TestStatus
from env_builder.errors import StatementRefusedError
from env_builder.llm import ATTEMPTS, LLMWriter
from tasks.errors import BadInputError, InfraError
from tasks.task import Statement

GOLD = "--- a/lib.py\n+++ b/lib.py\n@@ -1,2 +1,2 @@\n def double(x):\n-    return x\n+    return x * 2 + 0\n"
HIDDEN = {"tests/test_lib.py": b"from lib import double\n\ndef test_double():\n    assert double(2) == 4\n"}
FAILURES = [TestOutcome("tests/test_lib.py::test_double", TestStatus.FAILED, 0.1, "E  assert 2 == 4")]
DRAFT = Statement(text="# `double` gives a wrong result\n", method="template")
GOOD = "# double returns its argument\n\n`double(2)` gives 2, expected 4."


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its scripted answers, the last one again and again."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.requests: list[dict[str, Any]] = []
        self.hold = threading.Event()
        self.hold.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def say(self, *texts: str | None) -> None:
        self.answers = [(200, json.dumps({"choices": [{"message": {"content": text}}]}).encode()) for text in texts]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
        status, answer = self.server.answers[min(len(self.server.requests), len(self.server.answers)) - 1]
        self.server.hold.wait(10)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client has given up
            self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.hold.set()
        running.shutdown()
        thread.join()


def write(server: Server, **options: Any) -> Statement:
    writer = LLMWriter(server.url, "small", **options)
    return writer.write(DRAFT, gold_patch=GOLD, hidden_files=HIDDEN, failures=FAILURES)


def test_a_clean_text_is_taken(server: Server) -> None:
    server.say(GOOD)
    assert write(server, api_key="k3y") == Statement(text=GOOD + "\n", method="llm:small")
    (request,) = server.requests
    assert (request["path"], request["model"], request["key"]) == ("/v1/chat/completions", "small", "Bearer k3y")
    prompt = request["messages"][0]["content"]
    assert "return x * 2 + 0" in prompt
    assert "assert double(2) == 4" in prompt
    assert DRAFT.text.strip() in prompt
    assert "refused" not in prompt


def test_no_key_is_sent_where_there_is_none(server: Server) -> None:
    server.say(GOOD)
    write(server)
    assert server.requests[0]["key"] is None


def test_thoughts_and_fences_are_taken_off(server: Server) -> None:
    server.say(f"<think>test_double says\nso</think>\n```markdown\n{GOOD}\n```")
    assert write(server).text == GOOD + "\n"


def test_a_leak_is_told_and_the_next_text_taken(server: Server) -> None:
    server.say("# test_double fails\n", "# Write\n\n```\nreturn  x * 2 + 0\n```", GOOD)
    assert write(server).text == GOOD + "\n"
    second, third = (request["messages"][0]["content"] for request in server.requests[1:])
    assert "names the hidden test 'test_double'" in second
    assert "quotes a line of the solution: 'return x * 2 + 0'" in third
    assert "names the hidden test" not in third


@pytest.mark.parametrize("text", ["# See tests/test_lib.py", "", None])
def test_a_model_that_never_behaves_is_refused(server: Server, text: str | None) -> None:
    server.say(text)
    with pytest.raises(StatementRefusedError, match="small was refused 3 times"):
        write(server)
    assert len(server.requests) == ATTEMPTS == 3


@pytest.mark.parametrize(
    "answer",
    [
        (500, b"out of memory"),
        (404, b"no such model"),
        (200, b"<html>"),
        (200, b'{"choices": []}'),
        (200, b"[]"),
        (200, b'{"error": 1}'),
    ],
)
def test_a_server_that_fails_is_the_machine_s_fault(server: Server, answer: tuple[int, bytes]) -> None:
    server.answers = [answer]
    with pytest.raises(InfraError, match="model server at http://127"):
        write(server)


def test_a_slow_server_is_the_machine_s_fault(server: Server) -> None:
    server.say(GOOD)
    server.hold.clear()
    with pytest.raises(InfraError, match="cannot be asked"):
        write(server, timeout=0.05)


def test_no_server_is_the_machine_s_fault() -> None:
    with Server() as unused:
        url = unused.url
    with pytest.raises(InfraError, match="cannot be asked"):
        LLMWriter(url, "small").write(DRAFT, gold_patch=GOLD, hidden_files=HIDDEN, failures=FAILURES)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "http://", ""])
def test_a_bad_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(BadInputError, match="expected http"):
        LLMWriter(url, "small")
