"""The root that a bubblewrap sandbox sees: the host's programs read-only, with nothing of the host's own in it.

Installed Python packages of the host are hidden: one of them may be the fixed copy of the very project that a task
broke.
"""

import contextlib
import hashlib
import shutil
import tempfile
from functools import cache
from pathlib import Path

from agent_env.sandbox.base import VENV_DIR, Mount

_SHARED_MEMORY = 256 << 20
"""Bytes of /dev/shm, which counts as memory where groups can be made, and lies in no quota."""

HOME_DIR = "/home/agent"
USER_ID = 1000

_FILES = {
    "passwd": f"root:x:0:0:root:/root:/bin/bash\nagent:x:{USER_ID}:{USER_ID}:agent:{HOME_DIR}:/bin/bash\n",
    "group": f"root:x:0:\nagent:x:{USER_ID}:\n",
    "hosts": "127.0.0.1 localhost repodojo\n::1 localhost\n",
    "hostname": "repodojo\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "gitconfig": "[safe]\n\tdirectory = *\n[user]\n\tname = agent\n\temail = agent@repodojo.invalid\n",
    "resolv.conf": "",
}
"""The sandbox's /etc; ``resolv.conf`` is empty, and a place to mount the host's on for an install."""

_COPIED = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "mime.types")
"""What programs need of the host's /etc."""


def etc_files(user: int) -> dict[str, str]:
    """What of /etc a sandbox on another root has: its user, and no trace of the host's resolver."""
    names = ("passwd", "group", "gitconfig", "resolv.conf")
    return {name: _FILES[name].replace(f":{USER_ID}:", f":{user}:") for name in names}


def base_variables() -> dict[str, str]:
    """The variables that every sandbox has."""
    return {
        "PATH": f"{VENV_DIR}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": VENV_DIR,
        "HOME": HOME_DIR,
        "USER": "agent",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@cache
def root_arguments(etc: Path) -> tuple[str, ...]:
    """bubblewrap's arguments for the root: programs, /etc, empty places to mount on; all read-only."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/") / name
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    for folder in package_folders():
        arguments += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    arguments += ["--ro-bind", str(etc), "/etc", "--proc", "/proc"]
    # The kernel lets the user that owns the machine write here without any capability: core_pattern runs as root.
    arguments += ["--ro-bind", "/proc/sys", "/proc/sys"]
    shared = ["--perms", "1777", "--size", str(_SHARED_MEMORY), "--tmpfs", "/dev/shm"]
    return (*arguments, "--dev", "/dev", *shared, "--remount-ro", "/dev")


def network_arguments() -> list[str]:
    """bubblewrap's arguments for an install: the host's resolver and its certificates."""
    mounts = network_mounts()
    return [part for mount in mounts for part in ("--ro-bind", str(mount.source), mount.target)]


def network_mounts() -> list[Mount]:
    """What of the host's /etc an install needs to reach the network."""
    mounts = [Mount(source=Path("/etc/resolv.conf").resolve(), target="/etc/resolv.conf")]
    mounts += [Mount(source=Path("/etc") / name, target=f"/etc/{name}") for name in ("ssl", "pki")]
    return [mount for mount in mounts if mount.source.exists()]


@cache
def package_folders() -> tuple[Path, ...]:
    """Folders below /usr where the host keeps installed Python packages."""
    patterns = ("lib/python3*/dist-packages", "local/lib/python3*/*-packages", "lib/python3*/site-packages")
    found = {
        path for pattern in patterns for path in Path("/usr").glob(pattern) if path.is_dir() and not path.is_symlink()
    }
    return tuple(sorted(found))


def make_etc(folder: Path) -> Path:
    """The sandboxes' /etc below ``folder``, made where it is not there yet; named by what is in it."""
    stamp = [(name, _stat_stamp(Path("/etc") / name)) for name in _COPIED]
    target = folder / f"etc-{hashlib.sha256(repr((_FILES, stamp)).encode()).hexdigest()[:12]}"
    if target.is_dir():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=folder))
    try:
        beside.chmod(0o755)
        for name, content in _FILES.items():
            (beside / name).write_text(content)
        for name in ("ssl", "pki"):
            (beside / name).mkdir()
        for name in _COPIED:
            _copy(Path("/etc") / name, beside / name)
        with contextlib.suppress(OSError):  # another thread or process was first
            beside.rename(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def _stat_stamp(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else None


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    elif source.is_file():
        shutil.copyfile(source, target)
