"""The suite once more as an ordinary user, where it is run by root, whom the kernel lets do more."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent.parent
USER = 54321
DROP = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
TESTS = ("tests/conformance", "tests/agent_env/test_cgroup.py", "tests/agent_env/test_sandbox_failures.py")

if os.getuid() == 0:

    @pytest.mark.slow
    def test_what_holds_for_root_holds_for_an_ordinary_user() -> None:
        # In a container root may not mount, and on some systems no other user may make the namespaces of a sandbox.
        may = ["unshare", "--mount", *DROP, "unshare", "--user", "--map-root-user", "true"]
        if subprocess.run(may, capture_output=True, check=False).returncode:
            pytest.skip("an ordinary user's sandboxes cannot be tried here")
        with tempfile.TemporaryDirectory(prefix="repodojo-user-") as folder:
            os.chown(folder, USER, USER)
            Path(folder).chmod(0o755)
            script = shell_text(Path(folder))
            done = subprocess.run(
                ["unshare", "--mount", "sh", "-ec", script], capture_output=True, text=True, timeout=900, check=False
            )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert " passed" in done.stdout


def shell_text(home: Path) -> str:
    """Runs the tests as that user. What they run on is there for everybody in a mount namespace of their own, also
    where it lies below a folder that is root's alone; in that folder's place there is nothing else then.
    """
    keep, hide, show = [], set(), []
    for number, (path, closed) in enumerate(closed_paths().items()):
        place = home / f"kept-{number}"
        keep += [f"mkdir {place}", shlex.join(["mount", "--bind", str(path), str(place)])]
        hide.add(shlex.join(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed)]))
        show += [shlex.join(["mkdir", "-p", str(path)]), shlex.join(["mount", "--bind", str(place), str(path)])]
    unset = [part for name in ("REPODOJO_NO_SKIP", "REPODOJO_HOME", "TMPDIR") for part in ("-u", name)]
    given = [f"HOME={home}", f"PYTHONPATH={CHECKOUT}", "PYTHONDONTWRITEBYTECODE=1"]
    run = [sys.executable, "-m", "pytest", *TESTS, "-q", "-m", "not docker", "-p", "no:cacheprovider"]
    go = [shlex.join(["cd", str(CHECKOUT)]), shlex.join([*DROP, "env", *unset, *given, *run])]
    return "\n".join([*keep, *hide, *show, *go])


def closed_paths() -> dict[Path, Path]:
    """What the tests run on and only root can reach: with the folder that keeps others out."""
    found = {}
    for path in (CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)):
        closed = next((above for above in path.parents[::-1] if not above.stat().st_mode & 1), None)
        if closed:
            found[path] = closed
    return found
