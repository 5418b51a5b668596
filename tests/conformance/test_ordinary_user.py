"""The suite once more as an ordinary user, where it is run by root, whom the kernel lets do more."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
USER = 54321
TESTS = ("tests/conformance", "tests/agent_env/test_cgroup.py", "tests/agent_env/test_sandbox_failures.py")

if os.getuid() == 0:

    @pytest.mark.slow
    def test_what_holds_for_root_holds_for_an_ordinary_user(tmp_path: Path) -> None:
        home = tmp_path / "home"
        home.mkdir()
        os.chown(home, USER, USER)
        call = [sys.executable, "-m", "pytest", *TESTS, "-q", "-m", "not docker", "-p", "no:cacheprovider"]
        drop = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        given = ["env", "-u", "REPODOJO_NO_SKIP", "-u", "REPODOJO_HOME", "-u", "TMPDIR", f"HOME={home}"]
        given += [f"PYTHONPATH={CHECKOUT}", "PYTHONDONTWRITEBYTECODE=1"]
        script = f"{opened(tmp_path / 'stage')}\ncd {shlex.quote(str(CHECKOUT))}\n{shlex.join([*drop, *given, *call])}"
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script], capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert " passed" in done.stdout


def opened(stage: Path) -> str:
    """Shell text for a mount namespace of its own: what the tests run on is there for everybody, also where it lies
    below a folder that is root's alone, in whose place there is nothing else then.
    """
    needed = sorted({CHECKOUT, Path(sys.prefix), Path(sys.base_prefix), stage.parent})
    closed = {
        path: next((above for above in (*path.parents[::-1], path) if not above.stat().st_mode & 1), None)
        for path in needed
    }
    places = {path: stage / str(number) for number, path in enumerate(needed) if closed[path]}
    lines = [
        f"mkdir -p {shlex.quote(str(place))}\nmount --bind {shlex.quote(str(path))} {shlex.quote(str(place))}"
        for path, place in places.items()
    ]
    lines += [f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(folder))}" for folder in {*closed.values()} if folder]
    lines += [
        f"mkdir -p {shlex.quote(str(path))}\nmount --bind {shlex.quote(str(place))} {shlex.quote(str(path))}"
        for path, place in places.items()
    ]
    return "\n".join(lines)
