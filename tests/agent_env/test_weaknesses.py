"""Each limit that is weaker on some machine is named there, with how to mend it; what ``repodojo doctor`` prints."""

import os
from collections.abc import Callable

import pytest

from agent_env.sandbox import bubblewrap
from agent_env.sandbox.base import Limits
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.cgroup import controls_cpu, make_group
from agent_env.sandbox.residence import FILES_VARIABLE, files_in_memory
from agent_env.sandbox.seccomp import seccomp_program
from agent_env.sandbox.spawn import may_mount

pytestmark = pytest.mark.sandbox

Patch = Callable[[pytest.MonkeyPatch], None]


def gives(name: str, what: object) -> Patch:
    """Lets a function that the backend asks give that."""
    return lambda patch: patch.setattr(bubblewrap, name, lambda *_: what)


def makes_groups() -> bool:
    group = make_group(f"{os.getpid()}-0-weak", Limits())
    if group:
        group.remove()
    return group is not None


def told() -> dict[str, str]:
    found = BubblewrapBackend().problems()
    assert not any(problem.fatal for problem in found)
    return {problem.what: problem.mend for problem in found}


GROUPS = "control groups for memory and processes cannot be made here"
CPU = "processor time cannot be limited here"
FILES = "limits on files are not held by the kernel here"
CALLS = "there is no system-call filter for this processor"


@pytest.mark.parametrize(
    ("what", "mend", "weaken", "is_strong"),
    [
        (GROUPS, "delegated cgroup", gives("make_group", None), makes_groups),
        (GROUPS, "the number of processes are looked at twice a second", gives("make_group", None), makes_groups),
        (CPU, "controller `cpu`", gives("controls_cpu", False), lambda: controls_cpu() or not makes_groups()),
        (FILES, "Linux 6.6", gives("may_mount", False), lambda: files_in_memory() and may_mount()),
        (FILES, FILES_VARIABLE, lambda patch: patch.setenv(FILES_VARIABLE, "disk"), files_in_memory),
        (CALLS, "x86_64 or aarch64", gives("seccomp_program", b""), lambda: seccomp_program() != b""),
    ],
    ids=["groups", "processes", "cpu", "mounts", "disk", "seccomp"],
)
def test_a_weakness_is_told_with_its_mend_and_only_where_it_is(
    what: str, mend: str, weaken: Patch, is_strong: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    if what == CPU and not makes_groups():
        pytest.skip("nothing is said of processors alone where no group can be made")
    before = told()
    assert (what not in before) == is_strong()
    weaken(monkeypatch)
    after = told()
    assert mend in after[what]
    assert after.keys() - before.keys() <= {what}
