"""Python interpreters of the host that environments are built on."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import uv

from agent_env.errors import EnvironmentBuildError
from agent_env.sandbox.base import Mount

_PROBE = """
import json, os, platform, sys, sysconfig
version = platform.python_version()
stdlib = sysconfig.get_path("stdlib")
library = os.path.join(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
parts = {stdlib, sysconfig.get_path("platstdlib"), sysconfig.get_path("include"), library}
folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
folders |= {os.path.join(stdlib, name) for name in ("site-packages", "dist-packages")}
print(json.dumps([sys.base_prefix, version, sorted(folders), sorted(parts)]))
"""


class Interpreter(NamedTuple):
    """An installed interpreter."""

    executable: Path
    prefix: Path
    version: str
    """Full version, ``3.11.7``."""
    package_folders: tuple[str, ...]
    """Where packages are installed beside it: hidden from sandboxes."""
    parts: tuple[Path, ...]
    """The executable, its standard library, headers and shared library: what it needs where its prefix is shared with
    the rest of the system."""

    def mounts(self) -> tuple[Mount, ...]:
        """What a sandbox needs to see to run it."""
        seen = self.parts if self.prefix.is_relative_to("/usr") else (self.prefix,)
        return tuple(Mount(source=path, target=str(path)) for path in seen)

    def hidden(self) -> tuple[str, ...]:
        """Folders inside ``mounts`` that a sandbox must see empty."""
        return self.package_folders


@cache
def find_interpreter(version: str) -> Interpreter:
    """An interpreter of that ``major.minor`` version: the running one's where it fits, else what uv finds installed.

    Raises:
        EnvironmentBuildError: there is none.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        base = Path(sys.base_prefix) / "bin" / f"python{version}"
        if base.exists():
            return _probe(base)
    command = [uv.find_uv_bin(), "python", "find", "--no-project", "--system", "--no-python-downloads", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise EnvironmentBuildError(
            f"no Python {version} on this machine: install it, or set `python` for the repository"
        )
    return _probe(Path(done.stdout.strip()))


def _probe(executable: Path) -> Interpreter:
    done = subprocess.run(
        [executable, "-I", "-c", _PROBE],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ.get("PATH", os.defpath)},
    )
    prefix, version, folders, parts = json.loads(done.stdout)
    inside = tuple(folder for folder in folders if Path(folder).is_dir())
    needed = tuple(path for path in (executable.resolve(), *map(Path, parts)) if path.exists() and path.is_absolute())
    return Interpreter(executable.resolve(), Path(prefix), version, inside, needed)
