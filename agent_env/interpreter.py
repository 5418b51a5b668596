"""Python interpreters of the host that environments are built on."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import uv

from agent_env.errors import EnvironmentBuildError
from agent_env.interpreter_speed import seconds_of
from agent_env.sandbox.base import Mount

_PROBE = """
import json, os, platform, sys, sysconfig
version = platform.python_version()
stdlib = sysconfig.get_path("stdlib")
library = os.path.join(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
parts = {stdlib, sysconfig.get_path("platstdlib"), sysconfig.get_path("include"), library}
folders = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
folders |= {os.path.join(stdlib, name) for name in ("site-packages", "dist-packages")}
base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
header = os.path.join(sysconfig.get_path("include"), "Python.h")
print(json.dumps([base, sys.base_prefix, version, sorted(folders), sorted(parts), os.path.exists(header)]))
"""

_FASTER = 1.2
"""An interpreter is preferred to an earlier one of the same version where it is faster by this factor."""


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
    compiles: bool
    """Whether its headers are there, for packages with modules in C."""

    def mounts(self) -> tuple[Mount, ...]:
        """What a sandbox needs to see to run it."""
        seen = self.parts if self.prefix.is_relative_to("/usr") else (self.prefix,)
        return tuple(Mount(source=path, target=str(path)) for path in seen)

    def hidden(self) -> tuple[str, ...]:
        """Folders inside ``mounts`` that a sandbox must see empty."""
        return self.package_folders


@cache
def find_interpreter(version: str) -> Interpreter:
    """An interpreter of that ``major.minor`` version: the running one's where it fits, then what uv finds installed;
    one with headers before one without, and one that is clearly faster before the others.

    Raises:
        EnvironmentBuildError: there is none.
    """
    found = _installed(version)
    if not found:
        raise EnvironmentBuildError(
            f"no Python {version} on this machine: install it, or set `python` for the repository"
        )
    return choose(found, seconds_of)


def choose(found: Sequence[Interpreter], seconds_of: Callable[[Path], float]) -> Interpreter:
    """The first of those that compile, if any do, that none of them is clearly faster than.

    Args:
        seconds_of: how long an executable takes for a fixed piece of work; asked only where there is a choice.
    """
    equal = [interpreter for interpreter in found if interpreter.compiles] or found
    if len(equal) == 1:
        return equal[0]
    seconds = [seconds_of(interpreter.executable) for interpreter in equal]
    return next(one for one, taken in zip(equal, seconds, strict=True) if taken <= _FASTER * min(seconds))


def _installed(version: str) -> list[Interpreter]:
    """Each interpreter of that version once."""
    found: dict[Path, Interpreter] = {}
    for executable in _executables(version):
        with contextlib.suppress(OSError, subprocess.SubprocessError, ValueError):
            interpreter = _probe(executable)
            if interpreter.version.startswith(f"{version}."):
                found.setdefault(interpreter.executable, interpreter)
    return [*found.values()]


def _executables(version: str) -> Iterator[Path]:
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        yield Path(sys.executable)
    command = [uv.find_uv_bin(), "python", "list", "--only-installed", "--no-python-downloads", "--no-config"]
    command += ["--output-format", "json", version]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    entries = [entry for entry in json.loads(done.stdout or "[]") if entry["implementation"] == "cpython"]
    names = {
        (Path(entry["path"]).parent, entry["version"]): entry for entry in entries if entry["variant"] == "default"
    }
    yield from (Path(entry["path"]) for entry in names.values())  # one of several names in a folder


def _probe(executable: Path) -> Interpreter:
    done = subprocess.run(
        [executable, "-I", "-c", _PROBE],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={"PATH": os.environ.get("PATH", os.defpath)},
    )
    base, prefix, version, folders, parts, compiles = json.loads(done.stdout)
    inside = tuple(folder for folder in folders if Path(folder).is_dir())
    needed = tuple(path for path in (Path(base), *map(Path, parts)) if path.exists() and path.is_absolute())
    return Interpreter(Path(base), Path(prefix), version, inside, needed, compiles)
