"""Whole builds of small projects, through real installs and real sandboxes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agent_env.sandbox.residence import residence_base
from agent_env.sandbox.select import select_backend
from env_builder.build import BuildOptions, BuildReport, build_pool
from env_builder.errors import NothingBuiltError
from env_builder.repo_list import load_repo_list
from tasks.pool import Pool

pytestmark = [pytest.mark.network, pytest.mark.slow]

PYPROJECT = """
[project]
name = "mod"
version = "1.0"
{more}
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[tool.setuptools]
py-modules = ["mod"]
"""

SOURCE = "def f(x):\n    if x > 1:\n        return x + 1\n    return 70\n"
TESTS = "import mod\ndef test_a(): assert mod.f(2) == 3\ndef test_b(): assert mod.f(1) == 70\n" + "".join(
    f"def test_other_{number}(): pass\n" for number in range(6)
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "home"))


def project(folder: Path, tests: str | None = TESTS, more: str = "") -> Path:
    (folder / "tests").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(more=more))
    (folder / "mod.py").write_text(SOURCE)
    if tests is not None:
        (folder / "tests" / "test_mod.py").write_text(tests)
    return folder


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def with_history(folder: Path) -> Path:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    (folder / "mod.py").write_text(SOURCE + "\n\ndef double(x):\n    return 2 * x\n")
    (folder / "tests" / "test_mod.py").write_text(TESTS + "def test_double(): assert mod.double(4) == 8\n")
    git(folder, "commit", "-qam", "double")
    return folder


def build(source: Path, out: Path, **options: object) -> BuildReport:
    return build_pool(
        load_repo_list(source),
        out,
        backend=select_backend(),
        options=BuildOptions(suite_seconds=10.0, **options),  # type: ignore[arg-type]
    )


def test_both_families_give_tasks_and_the_same_again(tmp_path: Path) -> None:
    source = with_history(project(tmp_path / "proj"))
    first = build(source, tmp_path / "one", max_tasks=3, limit_per_repo=6)
    assert first.certified == 3
    assert first.by_strategy["history.commit"] == 1
    pool = Pool(tmp_path / "one")
    assert len(pool.tasks()) == 3
    assert {task.environment_id for task in pool.tasks()} == {item.id for item in pool.environments()}
    again = build(source, tmp_path / "one", max_tasks=3, limit_per_repo=6)
    assert (again.certified, again.candidates) == (first.certified, first.candidates)
    build(source, tmp_path / "two", max_tasks=3, limit_per_repo=6, workers=1)
    assert Pool(tmp_path / "two").hash == pool.hash


@pytest.mark.parametrize(
    ("tests", "more", "said"),
    [
        (None, "", "has no tests"),
        ("import mod\ndef test_a(): assert mod.f(1) == 9\n", "", "fail before anything is changed: 1 of 1"),
        ("import time\ndef test_a(): time.sleep(1000)\n", "", "hangs: it was stopped after 10 s"),
        (TESTS, 'dependencies = ["pytest<1", "pytest>5"]', "cannot be installed"),
        (TESTS, 'requires-python = ">=3.99"', "needs Python >=3.99"),
    ],
    ids=["no tests", "failing", "hanging", "not installable", "python"],
)
def test_a_project_that_cannot_be_used_leaves_nothing(tmp_path: Path, tests: str | None, more: str, said: str) -> None:
    source = project(tmp_path / "proj", tests, more)
    with pytest.raises(NothingBuiltError, match=said):
        build(source, tmp_path / "pool")
    assert not (tmp_path / "pool").exists()


def test_one_bad_repository_does_not_stop_the_others(tmp_path: Path) -> None:
    project(tmp_path / "good")
    project(tmp_path / "bad", None)
    listed = tmp_path / "repos.txt"
    listed.write_text("bad\ngood\n")
    report = build(listed, tmp_path / "pool", limit_per_repo=2, strategies=("procedural",))
    assert report.certified > 0
    assert list(report.faults) == ["bad"]


# Waits as soon as there are tasks (there may be two at once), so that the signal finds the build under way on the
# fastest machine as well; in short pieces, since a signal that comes just before a sleep begins does not end it.
SCRIPT = """
import signal
import sys
import time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests were started in the background
from pathlib import Path
from agent_env.sandbox.select import select_backend
from env_builder.build import build_pool
from env_builder.repo_list import load_repo_list

class Told:
    def started(self, stage, total): print(stage, flush=True)
    def advanced(self, stage, note=""):
        print(stage, note, flush=True)
        if note.endswith(" certified") and note != "0 certified":
            for _ in range(600): time.sleep(0.1)
    def finished(self, stage): pass

build_pool(load_repo_list(sys.argv[1]), Path(sys.argv[2]), backend=select_backend(), progress=Told())
"""


def test_ctrl_c_ends_at_once_keeps_what_is_settled_and_leaves_nothing_running(tmp_path: Path) -> None:
    source = project(tmp_path / "proj", TESTS + "import time\ndef test_slow(): time.sleep(0.5)\n")
    command = [sys.executable, "-c", SCRIPT, str(source), str(tmp_path / "pool")]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.endswith(" certified\n") and " 0 " not in line:
                break
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert "the same command goes on from there" in said
    assert not list(residence_base().glob(f"{running.pid}-*"))
    assert len(Pool(tmp_path / "pool").tasks()) >= 1
    assert not (tmp_path / "home" / "builds").exists() or not list((tmp_path / "home" / "builds").glob("new-*"))
