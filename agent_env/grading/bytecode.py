"""Compiled tests, made once for each build and mounted read-only in every grading sandbox.

Most of a short suite's time goes into compiling tests and rewriting their assertions, which gives the same result
each time. What is kept is the bytecode of packages and of *tests* alone. That of the project's own source is thrown
away: for a bug that was put in, it would be the solution, and the code under test could load it.
"""

import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from agent_env.sandbox.base import VENV_DIR, WORK_DIR, Mount, SandboxBackend
from agent_env.store import Build, lock
from tasks.environment import Environment
from tasks.paths import PathKind, path_kind

BYTECODE_DIR = "/opt/bytecode"
"""Where grading sandboxes see it (PYTHONPYCACHEPREFIX)."""

PLAIN_ASSERTIONS = ("--assert=plain",)
"""pytest's argument that leaves assertions as Python compiles them; their bytecode has another name then."""

COLLECT_SECONDS = 300.0


def ensure_bytecode(backend: SandboxBackend, build: Build) -> None:
    """Compile the tests of a build, where that has not been done yet.

    Raises:
        SandboxError: the sandbox did not start. A suite that cannot be collected is no error here.
    """
    if build.bytecode.is_dir():
        return
    with lock(build.bytecode):
        if build.bytecode.is_dir():
            return
        beside = build.folder / f"bytecode-{uuid.uuid4().hex}"
        beside.mkdir()
        _collect(backend, build, beside, PLAIN_ASSERTIONS)
        _collect(backend, build, beside)
        _drop_source(beside)
        beside.rename(build.bytecode)


def plugin_arguments(environment: Environment) -> list[str]:
    """pytest's arguments that load the environment's plugins by name."""
    return [part for plugin in environment.plugins for part in ("-p", plugin)]


def _collect(backend: SandboxBackend, build: Build, target: Path, more: Sequence[str] = ()) -> None:
    sandbox = backend.create(build.spec(mounts=(Mount(source=target, target=BYTECODE_DIR, writable=True),)))
    arguments = [*more, *plugin_arguments(build.environment), *build.environment.test_paths]
    variables = f"PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX={BYTECODE_DIR} PYTEST_DISABLE_PLUGIN_AUTOLOAD=1"
    pytest = f"{VENV_DIR}/bin/python -m pytest --collect-only -q -p no:cacheprovider -o addopts="
    try:
        sandbox.run(f"{variables} {pytest} {' '.join(arguments)}", timeout=COLLECT_SECONDS)
    finally:
        sandbox.close()


def _drop_source(folder: Path) -> None:
    """Keep of the project's own bytecode only that of its tests."""
    tree = folder / WORK_DIR.lstrip("/")
    for path in list(tree.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        module = PurePosixPath(path.relative_to(tree).as_posix())
        source = module.with_name(module.name.partition(".")[0] + ".py")
        if path_kind(source.as_posix()) is not PathKind.TEST:
            path.unlink()
