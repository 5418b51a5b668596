"""Opens the way to the frozen index for sandboxes of this process.

    <residence>/doors/<secret>   one socket for each sandbox; the folder cannot be listed
    <residence>/bin/pip          what an agent calls

All sandboxes see the same folders, so that containers that were started ahead fit each of them; which socket is its own
a sandbox learns from a file in its home.
"""

import atexit
import json
import os
import secrets
from dataclasses import replace
from pathlib import Path

import uv

from agent_env.packages import client
from agent_env.packages.index_url import index_url
from agent_env.sandbox.base import Mount, Sandbox, SandboxSpec
from agent_env.sandbox.hostroot import HOME_DIR, base_variables
from agent_env.sandbox.residence import new_residence, remove_residence, residence_base
from blockers.package_proxy.cache import FileCache
from blockers.package_proxy.door import Door, DoorLimits
from blockers.package_proxy.frozen import FrozenIndex
from blockers.package_proxy.policy import Policy
from blockers.package_proxy.upstream import Upstream
from tasks.home import home

_INSIDE = "/opt/packages"
_PIP = f'#!/bin/sh\nexec /opt/env/bin/python -I {_INSIDE}/client.py "$@"\n'


class PackageAccess:
    """One sandbox's way to the index; open from the start until ``close``.

    Args:
        requirements: pins of the environment, which an install must not contradict.
    """

    def __init__(
        self, service: "PackageService", policy: Policy, requirements: tuple[str, ...], limits: DoorLimits | None = None
    ) -> None:
        self._service = service
        self._socket = secrets.token_hex(16)
        self._requirements = requirements
        self._door = Door(FrozenIndex(service.upstream, policy), service.doors, self._socket, limits=limits)
        self.new_requests = self._door.new_requests
        self.close = self._door.close

    def extend(self, spec: SandboxSpec) -> SandboxSpec:
        """The spec of a sandbox that has this way."""
        variables = base_variables() | dict(spec.variables)
        path = f"{_INSIDE}/bin:{variables['PATH']}"
        imports = ":".join(filter(None, (variables.get("PYTHONPATH"), f"{HOME_DIR}/.packages")))
        return replace(
            spec,
            mounts=(*spec.mounts, *self._service.mounts()),
            variables=dict(spec.variables) | {"PATH": path, "PYTHONPATH": imports},
        )

    def hand_over(self, sandbox: Sandbox) -> None:
        """Tell a new sandbox which socket is its own."""
        told = {"socket": self._socket, "constraints": list(self._requirements)}
        sandbox.write(client.ADDRESS_FILE.replace("~", HOME_DIR), json.dumps(told).encode())


class PackageService:
    """The index and the folders of this process.

    Args:
        url: of the index; the host's own where None.
    """

    def __init__(self, url: str | None = None) -> None:
        self.upstream = Upstream(url or index_url(), FileCache(home() / "packages"))
        self._folder = new_residence(residence_base())
        self.doors = self._folder / "doors"
        self.doors.mkdir()
        self.doors.chmod(0o311)  # to be entered by who knows a name; never listed
        program = self._folder / "bin" / "pip"
        program.parent.mkdir()
        program.write_text(_PIP)
        program.parent.chmod(0o755)
        program.chmod(0o755)
        self._owner = os.getpid()
        atexit.register(self.close)

    def mounts(self) -> tuple[Mount, ...]:
        """What a sandbox sees of it."""
        return (
            Mount(source=self.doors, target=client.DOORS),
            Mount(source=self._folder / "bin", target=f"{_INSIDE}/bin"),
            Mount(source=Path(client.__file__), target=f"{_INSIDE}/client.py"),
            Mount(source=Path(uv.find_uv_bin()).resolve(), target=client.UV),
        )

    def close(self) -> None:
        """Remove the folders. Safe to call twice."""
        if self._owner == os.getpid():
            remove_residence(self._folder)
        atexit.unregister(self.close)
