"""One pool on one machine: opens the start state of a task in a sandbox, and grades what was changed there.

Cheap to make, safe to share between threads. An environment that this machine lacks is built on first use.
"""

import copy
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from agent_env.grading import Grade, grade
from agent_env.grading.states import start_edits
from agent_env.layers import task_layer
from agent_env.sandbox.base import Limits, Sandbox, SandboxSpec, Snapshot
from agent_env.store import Build, EnvironmentStore
from agent_env.watch import watch_context
from agent_env.wired_layer import tripwire_key, wired_layer
from blockers.crossing import crossing
from blockers.monitor.hit import Context
from blockers.tripwires import Tripwires, make_tripwires
from tasks.patch import Reader, make_patch, reader
from tasks.pool import Pool
from tasks.task import Task
from tasks.tree import Edits, list_files

if TYPE_CHECKING:  # who asks for no packages pays nothing for them
    from agent_env.packages.service import PackageAccess, PackageService
    from blockers.package_proxy.policy import Policy


class UnblockedWarning(UserWarning):
    """A pool is in use whose blockers are off."""


class Workbench:
    """See the module.

    Args:
        tripwires: lay decoys with secret tokens into the sandboxes; see ``blockers/tripwires.py``.
    """

    def __init__(self, pool: Pool, store: EnvironmentStore, *, tripwires: bool = False) -> None:
        self.pool = pool
        self.store = store
        self._contexts: dict[str, Context] = {}
        self._key: bytes | Tripwires | None = tripwire_key(store.root) if tripwires else None
        """What tokens are derived from, or the tokens themselves."""
        self._service: PackageService | None = None
        self._policies: dict[str, Policy] = {}
        self._lock = threading.Lock()
        if pool.unblocked:
            warnings.warn(
                f"{pool.path} is UNBLOCKED: agents find the solution in the repository's history. Its rewards measure "
                "what an agent does with the hole and nothing else: never publish them as if they were real",
                UnblockedWarning,
                stacklevel=2,
            )

    def build(self, task: Task) -> Build:
        """The task's built environment."""
        environment = self.pool.environment(task.environment_id)
        return self.store.build(environment, lambda target: self.pool.unpack_environment(environment.id, target))

    def layer(self, task: Task) -> Path:
        """The layer of the task's start state, over the layers of its build."""
        return task_layer(self.build(task), task, unblocked=self.pool.unblocked)

    def watch_context(self, task: Task) -> Context:
        """What the monitor knows of the task."""
        known = self._contexts.get(task.id)
        if known is None:
            tree = self.build(task).tree
            edits = start_edits(task, tree)
            removed = {path for path, content in edits.items() if content is None}
            known = watch_context(task.repo, (set(list_files(tree)) | set(edits)) - removed)
            self._contexts[task.id] = known
        return known

    def packages(self, task: Task) -> "PackageAccess":
        """A way to the package index, frozen at the day of the task's environment and without its project, for one
        sandbox; the caller closes it.

        Raises:
            BadInputError: the host's package index is not one that can be asked, or as for ``open``.
        """
        from agent_env.packages.project import frozen_policy
        from agent_env.packages.service import PackageAccess, PackageService

        build = self.build(task)
        with self._lock:
            self._service = self._service or PackageService()
            if build.environment.id not in self._policies:
                self._policies[build.environment.id] = frozen_policy(build)
            policy = self._policies[build.environment.id]
        return PackageAccess(self._service, policy, build.environment.requirements)

    def open(self, task: Task, limits: Limits | None = None, *, packages: "PackageAccess | None" = None) -> Sandbox:
        """A sandbox on the task's start state.

        Args:
            packages: what ``packages`` gave for this sandbox alone; None keeps every package away from it.

        Raises:
            SandboxError: it did not start.
            BadInputError: the pool lacks the environment, or it cannot be built.
        """
        spec = self._spec(task, limits)
        return self._create(packages.extend(spec) if packages else spec, packages)

    def fork(self, start: Snapshot, *, packages: "PackageAccess | None" = None) -> Sandbox:
        """A sandbox that starts from another's frozen files; see ``open``.

        Args:
            packages: given if and only if that other had them.
        """
        return self._create(start.spec, packages)

    def wires(self, task: Task) -> Tripwires | None:
        """The task's tripwires, or None where they are off."""
        if self._key is None or isinstance(self._key, Tripwires):
            return self._key
        return make_tripwires(self._key, task.shown_id)

    def wired_as(self, wires: Tripwires | None) -> "Workbench":
        """The same, but every task has these tripwires, or none: for a replay of one."""
        twin = copy.copy(self)
        twin._key = wires
        return twin

    def grade(self, task: Task, changes: Edits) -> Grade:
        """Grade changed files in fresh sandboxes."""
        return grade(task, changes, self.build(task), self.store.backend)

    def start_reader(self, task: Task) -> Reader:
        """Reads files of the task's start state."""
        tree = self.build(task).tree
        return reader(tree, start_edits(task, tree))

    def submission(self, task: Task, changes: Edits) -> str:
        """What of the changed files crosses to the grading, as a diff against the start state.

        Raises:
            PatchError: no diff can hold it.
        """
        crossed = crossing(changes, existing=list_files(self.build(task).tree)).files
        read = self.start_reader(task)
        return make_patch({path: read(path) for path in crossed}, crossed)

    def _create(self, spec: SandboxSpec, packages: "PackageAccess | None") -> Sandbox:
        sandbox = self.store.backend.create(spec)
        if packages:
            try:
                packages.hand_over(sandbox)
            except BaseException:
                sandbox.close()
                raise
        return sandbox

    def _spec(self, task: Task, limits: Limits | None) -> SandboxSpec:
        build = self.build(task)
        wires = self.wires(task)
        if wires is None:
            return build.spec(self.layer(task), limits=limits)
        layer, mounts = wired_layer(build, task, wires)
        return build.spec(layer, limits=limits, mounts=mounts)
