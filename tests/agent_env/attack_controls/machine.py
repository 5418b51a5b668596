"""A bubblewrap sandbox without walls, in which nothing can be harmed: what it may write is thrown away with it.

It has every capability over its own namespaces and no system-call filter, and its programs, packages and /etc are
writable copies. Its network stays its own: where an attack wants a wider one, a small internet is served on loopback
(``INTERNET``), so that no probe reaches a real host.
"""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pip

from agent_env.sandbox.base import VENV_DIR, Mount, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend, BubblewrapSandbox, _root, find_program
from tasks.home import home

_ETC = "/etc"


class _Open(BubblewrapSandbox):
    """Without the arguments and the filter that make the walls."""

    def _arguments(self) -> list[str]:
        arguments = super()._arguments()
        arguments[arguments.index("--cap-drop")] = "--cap-add"
        end = arguments.index("--chdir")
        assert arguments[end - 2 : end] == ["--remount-ro", "/"]
        del arguments[end - 2 : end]
        return arguments

    def _request(self, mark: str) -> Any:
        return {**super()._request(mark), "filter": ""}


class OpenBackend(BubblewrapBackend):
    """Makes sandboxes without walls.

    Args:
        folder: where copies of what the sandboxes may write are kept.
        shared: folders of the host that they see and may write at the same paths.
    """

    def __init__(self, folder: Path, *, shared: tuple[Path, ...] = ()) -> None:
        self._folder = folder
        self._shared = shared
        self._made = 0

    def create(self, spec: SandboxSpec) -> BubblewrapSandbox:
        """See ``SandboxBackend.create``."""
        self._made += 1
        own = self._folder / str(self._made)
        mounts = [
            dataclasses.replace(mount, source=_venv_with_pip(mount.source, own / "venv"), writable=True)
            if mount.target == VENV_DIR
            else mount
            for mount in spec.mounts
        ]
        mounts += [Mount(source=path, target=str(path), writable=True) for path in self._shared]
        root = list(_root(home() / "etc"))
        place = root.index(_ETC) - 1
        shutil.copytree(root[place], own / "etc", symlinks=True)
        root[place - 1 : place + 1] = ["--bind", str(own / "etc")]
        return _Open(dataclasses.replace(spec, mounts=tuple(mounts)), find_program(), root, "")


def _venv_with_pip(venv: Path, target: Path) -> Path:
    shutil.copytree(venv, target, symlinks=True)
    [site] = target.glob("lib/python*/site-packages")
    if not (site / "pip").exists():
        shutil.copytree(Path(pip.__file__).parent, site / "pip", ignore=shutil.ignore_patterns("__pycache__"))
    return target
