"""The index as one task may see it: an upstream under a policy."""

from typing import BinaryIO

from packaging.utils import canonicalize_name

from blockers.package_proxy.contents import copy_in_wheel
from blockers.package_proxy.page import Wheel, visible, write_page
from blockers.package_proxy.policy import Policy, RefusedError
from blockers.package_proxy.upstream import Upstream


class FrozenIndex:
    """See the module. Each method raises ``RefusedError`` for what may not be seen or cannot be had."""

    def __init__(self, upstream: Upstream, policy: Policy) -> None:
        self._upstream = upstream
        self._policy = policy

    def page(self, name: str) -> bytes:
        """The page of a project, in JSON."""
        name = canonicalize_name(name)
        wheels = self._visible(name)
        if not wheels:
            raise RefusedError(404, f"the package index has no wheel of {name} from before the date of this task")
        return write_page(name, wheels)

    def wheel(self, name: str, filename: str) -> BinaryIO:
        """A file, open at its start."""
        file = self._upstream.wheel(self._find(name, filename))
        found = copy_in_wheel(file, self._policy)
        if found:
            file.close()
            raise RefusedError(403, f"{filename} is not served: {found}")
        file.seek(0)
        return file

    def metadata(self, name: str, filename: str) -> BinaryIO:
        """The metadata of a wheel, open at its start."""
        return self._upstream.metadata(self._find(name, filename))

    def _find(self, name: str, filename: str) -> Wheel:
        for wheel in self._visible(canonicalize_name(name)):
            if wheel.filename == filename:
                return wheel
        raise RefusedError(404, f"there is no file {filename} from before the date of this task")

    def _visible(self, name: str) -> list[Wheel]:
        self._policy.require_project(name)
        return visible(self._upstream.page(name), self._policy)
