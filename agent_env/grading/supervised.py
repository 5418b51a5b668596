"""A process inside a fresh sandbox, under the supervisor, whose report nobody else can make (``runner/``)."""

import hmac
import json
import secrets
import signal
import time
from collections.abc import Mapping
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from agent_env.grading.bytecode import BYTECODE_DIR
from agent_env.grading.states import trusted_files
from agent_env.sandbox.base import VENV_DIR, CommandResult, Limits, Mount, SandboxBackend, StopCause
from agent_env.sandbox.hostroot import HOME_DIR
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import passing_residence, residence_base
from agent_env.store import Build
from tasks.tree import Edits

RUNNER_DIR = Path(str(files("agent_env.grading").joinpath("runner")))
_RUNNER = "/opt/repodojo"
_REQUEST, _SAID = f"{HOME_DIR}/.request", f"{HOME_DIR}/.said"

_LIMITS = Limits(output_bytes=64 << 20, processes=512)


class Said(NamedTuple):
    """What came out of a supervised process."""

    lines: list[str] | None
    """What it wrote to its pipe; None where the supervisor could not report."""
    status: int | None
    """Its exit status."""
    output: str
    """The end of what it printed."""
    stopped: StopCause | None
    """Why the run was ended, or None."""
    seconds: float
    """Wall time by the host's clock, start and end of the sandbox included."""
    rewritten: tuple[str, ...] = ()
    """Of the state's tests, their data and what steers them, the files that were written meanwhile."""


def run_supervised(
    backend: SandboxBackend,
    build: Build,
    edits: Edits,
    *,
    child: str,
    request: Mapping[str, object],
    mounts: tuple[Mount, ...],
    timeout: float,
) -> Said:
    """Run one of the runner's programs on a state, without network.

    Once more where its processes were killed, some or all: that may have been the machine, as when Docker Engine was
    restarted or memory ran out on the host, and code under test that kills them does so again.

    Args:
        edits: the state, over the environment's tree.
        child: the program's file name in the runner's folder.
        request: what it reads from its standard input, as JSON.
        mounts: compiled modules, below ``BYTECODE_DIR``.
        timeout: seconds.

    Raises:
        SandboxError: the sandbox did not start or broke; never for what the process does.
    """
    given = (backend, build, edits, child, request, mounts, timeout)
    said = _run(*given)
    return _run(*given) if _was_killed(said) else said


def _was_killed(said: Said) -> bool:
    """Whether the supervisor, or the process it watched, was ended from outside of both and by no limit."""
    if said.lines is None:
        return said.stopped in (None, StopCause.SHELL_DIED)
    return said.stopped is None and said.status == -signal.SIGKILL


def _run(
    backend: SandboxBackend,
    build: Build,
    edits: Edits,
    child: str,
    request: Mapping[str, object],
    mounts: tuple[Mount, ...],
    timeout: float,
) -> Said:
    begun = time.monotonic()
    key, label = secrets.token_hex(32), secrets.token_hex(16)
    head = [key, label, *(f"{name}={value}" for name, value in _variables(build).items())]
    whole = "\0".join(head) + "\0\0" + json.dumps(request)
    with passing_residence(residence_base()) as layer:
        lay_edits(edits, layer)
        runner = Mount(source=RUNNER_DIR, target=_RUNNER)
        sandbox = backend.create(build.spec(layer, limits=_LIMITS, mounts=(runner, *mounts)))
        try:
            sandbox.write(_REQUEST, whole.encode())
            command = f"{VENV_DIR}/bin/python -I -S {_RUNNER}/supervisor.py {_REQUEST} {_RUNNER}/{child} {_SAID}"
            done = sandbox.run(command, timeout=timeout)
            sandbox.stop()
            rewritten = tuple(sandbox.written(trusted_files(build.tree, edits)))
        finally:
            sandbox.close()
    return _read(done, key, label, time.monotonic() - begun)._replace(rewritten=rewritten)


def _variables(build: Build) -> dict[str, str]:
    """The whole environment of the process."""
    return {
        "PATH": f"{VENV_DIR}/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": HOME_DIR,
        "LANG": "C.UTF-8",
        "VIRTUAL_ENV": VENV_DIR,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPYCACHEPREFIX": BYTECODE_DIR,
        "PYTHONHASHSEED": "0",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        **build.spec().variables,
    }


def _read(done: CommandResult, key: str, label: str, seconds: float) -> Said:
    """The report, if it is signed: what was printed elsewhere, changed on its way or cut short counts for nothing."""
    parts = f"\n{done.output}".split(f"\n{label}")
    report = parts[1].removeprefix("\n") if len(parts) == 3 else ""
    signed = blake2b(report.encode(), key=key.encode()).hexdigest()
    if len(parts) != 3 or not hmac.compare_digest(parts[2].strip().encode(), signed.encode()):
        return Said(None, None, "", done.stopped, seconds)
    head, _, rest = report.partition("\n")
    status, length = map(int, head.split())
    return Said(rest[:length].split("\n"), status, rest[length:], done.stopped, seconds)
