"""A sandbox with a few files, reset before each test."""

from collections.abc import Iterator

import pytest

from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    layer = tmp_path_factory.mktemp("layer")
    (layer / "a.py").write_text("one = 1\ntwo = 2\nthree = 3\n")
    (layer / "bytes.bin").write_bytes(b"\xff\xfe\0\1")
    (layer / "nul.txt").write_bytes(b"a\0b")
    (layer / "pkg").mkdir()
    (layer / "pkg" / "m.py").write_text("def f():\n    return 1\n\n\ndef g():\n    return 1\n")
    sandbox = BubblewrapBackend().create(SandboxSpec(layers=(layer,)))
    yield sandbox
    sandbox.close()


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running
