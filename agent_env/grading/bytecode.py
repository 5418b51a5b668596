"""Compiled tests, packages and source, made once for each build and mounted read-only in grading sandboxes.

Most of a short suite's time goes into compiling, which gives the same result each time. Kept apart from each other are
the bytecode of packages, of the *tests*, and of the project's own source. A sandbox of a task never gets the last of a
file that the task's start state changes: for a bug that was put in, it would be the solution, and the code under test
could load it. What it gets of the others, it has as source anyway.
"""

import shutil
from collections.abc import Collection, Sequence
from glob import escape
from pathlib import Path, PurePosixPath

from agent_env.sandbox.base import VENV_DIR, WORK_DIR, Mount, SandboxBackend
from agent_env.sandbox.residence import passing_residence, remove_tree
from agent_env.store import Build, lock
from tasks.environment import Environment
from tasks.paths import PathKind, path_kind
from tasks.record import digest_json

BYTECODE_DIR = "/opt/bytecode"
"""Where grading sandboxes see it (PYTHONPYCACHEPREFIX)."""

PLAIN_ASSERTIONS = ("--assert=plain",)
"""pytest's argument that leaves assertions as Python compiles them; their bytecode has another name then."""

COLLECT_SECONDS = 300.0

_WORK = WORK_DIR.strip("/")
_PACKAGES, _TESTS, _SOURCE = "packages", "tests", "source"


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
        with passing_residence(build.making) as place:
            beside = place / "modules"
            packages = beside / _PACKAGES
            packages.mkdir(parents=True)
            _collect(backend, build, packages, PLAIN_ASSERTIONS)
            _collect(backend, build, packages)
            _sort(packages / _WORK, beside)
            beside.rename(build.bytecode)


def bytecode_mounts(build: Build, changed: Collection[str] | None, *, tests: bool) -> tuple[Mount, ...]:
    """What a grading sandbox sees of the compiled modules; ``ensure_bytecode`` comes first.

    Args:
        changed: the files that the task's start state changes; of all other source files there is bytecode. None where
            they are not known: of no source file then.
        tests: whether there is bytecode of tests.
    """
    mounts = (Mount(source=build.bytecode / _PACKAGES, target=BYTECODE_DIR),)
    if changed is None and not tests:
        return mounts
    return (*mounts, Mount(source=_of_state(build, changed, tests=tests), target=f"{BYTECODE_DIR}/{_WORK}"))


def _of_state(build: Build, changed: Collection[str] | None, *, tests: bool) -> Path:
    """The folder with what a state may see of the work tree's bytecode, made where it is not there yet."""
    compiled = build.bytecode
    source = compiled / _SOURCE
    held_back = sorted(path for path in changed or () if any((source / path).parent.glob(_bytecode_of(path))))
    target = compiled / f"state-{digest_json([None if changed is None else held_back, tests])[:20]}"
    if target.is_dir():
        return target
    with passing_residence(build.making) as place:
        beside = place / "state"
        beside.mkdir()
        if tests:
            shutil.copytree(compiled / _TESTS, beside, dirs_exist_ok=True)
        if changed is not None:
            shutil.copytree(source, beside, dirs_exist_ok=True)
            for path in held_back:
                for file in (beside / path).parent.glob(_bytecode_of(path)):
                    file.unlink()
        try:
            beside.rename(target)
        except OSError:
            if not target.is_dir():  # else another thread or process was first
                raise
    return target


def _bytecode_of(path: str) -> str:
    """Pattern of the names of a module's bytecode, which lies in the folder of its module."""
    return f"{escape(PurePosixPath(path).name.removesuffix('.py'))}.*"


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


def _sort(work: Path, beside: Path) -> None:
    """Take the bytecode of the work tree apart: that of tests, and that of source; leave an empty folder."""
    places = {PathKind.TEST: beside / _TESTS, PathKind.SOURCE: beside / _SOURCE}
    for place in places.values():
        place.mkdir()
    for path in list(work.rglob("*.pyc")):
        module = PurePosixPath(path.relative_to(work).as_posix())
        source = module.with_name(module.name.partition(".")[0] + ".py")
        found = places.get(path_kind(source.as_posix()))
        if found and path.is_file() and not path.is_symlink():  # code of the repository has made them
            (found / module).parent.mkdir(parents=True, exist_ok=True)
            path.rename(found / module)
    remove_tree(work)
    work.mkdir()
