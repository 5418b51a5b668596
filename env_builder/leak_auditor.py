"""The leak audit of the candidates of one environment."""

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path

from agent_env.pool_audit import index_build
from agent_env.root_search import SEARCH_LIMITS, find_newer, newer_in_root, wanted_in_root
from agent_env.sandbox.base import SandboxBackend
from agent_env.store import Build
from blockers.findings import Finding
from blockers.leak_audit import LeakIndex, audit_leaks
from blockers.leaks.image import compiled_findings, image_findings, newer_findings
from env_builder.root_lines import RootLines
from env_builder.validation import Draft
from tasks.task import Statement


class LeakAuditor:
    """Audits one candidate after the other; safe to use from several threads.

    Args:
        root: the search of the sandbox's root, shared by all environments of a build.
        newest: tree of the project's newest release.
    """

    def __init__(self, build: Build, backend: SandboxBackend, root: RootLines, newest: Path) -> None:
        self._build = build
        self._backend = backend
        self._root = root
        self._newest = newest
        self._lock = threading.Lock()
        self._indexes: dict[str, LeakIndex] = {}

    def __call__(self, draft: Draft, statement: Statement) -> Sequence[str]:
        """What would give the candidate's answer away; nothing where it may become a task.

        Raises:
            SandboxError: the machine failed.
            AuditError: the search of the root did not run to its end.
        """
        with self._lock:
            self._indexes = self._indexes or index_build(self._build)
        findings = audit_leaks(
            gold_patch=draft.patches.gold,
            setup_patch=draft.patches.setup,
            statement=statement.text,
            hidden_files=draft.patches.hidden,
            failing=draft.fail_to_pass,
            roots=self._indexes,
            newest=self._newest,
        )
        return [str(finding) for finding in [*findings, *self._elsewhere(draft), *self._newer_elsewhere(draft)]]

    def _elsewhere(self, draft: Draft) -> list[Finding]:
        wanted = wanted_in_root(draft.patches.gold, draft.patches.setup, self._indexes)
        found = list(compiled_findings(wanted, self._root.modules(self._build)))
        return [*found, *image_findings(wanted, self._root.find(wanted.lines, self._build))] if wanted.lines else found

    def _newer_elsewhere(self, draft: Draft) -> list[Finding]:
        newer = newer_in_root(draft.patches.gold, draft.patches.setup, self._indexes, self._newest)
        if not newer:
            return []
        with contextlib.closing(self._backend.create(self._build.spec(limits=SEARCH_LIMITS))) as sandbox:
            return list(newer_findings(newer, find_newer(sandbox, self._root.modules(self._build), [newer])))
