"""The leak audit of the candidates of one environment."""

import threading
from collections.abc import Sequence

from agent_env.pool_audit import AUDITED_APART, SEARCH_LIMITS, index_build, wanted_in_image
from agent_env.sandbox.base import SandboxBackend
from agent_env.store import Build
from blockers.findings import Finding
from blockers.leak_audit import LeakIndex, audit_leaks
from blockers.leaks.image import list_modules, search_image
from env_builder.validation import Draft
from tasks.task import Statement


class LeakAuditor:
    """Audits one candidate after the other; safe to use from several threads.

    What the environment shows is indexed once, and the modules of the rest of the sandbox's root are listed once, when
    the first candidate gets that far. Of that rest only copies of a candidate's changed modules are read: to search all
    of it takes seconds (``repodojo pool audit`` does).
    """

    def __init__(self, build: Build, backend: SandboxBackend) -> None:
        self._build = build
        self._backend = backend
        self._lock = threading.Lock()
        self._indexes: dict[str, LeakIndex] = {}
        self._modules: list[str] = []

    def __call__(self, draft: Draft, statement: Statement) -> Sequence[str]:
        """What would give the candidate's answer away; nothing where it may become a task.

        Raises:
            SandboxError: the machine failed.
            AuditError: the search of the root did not run to its end.
        """
        self._prepare()
        findings = audit_leaks(
            gold_patch=draft.patches.gold,
            setup_patch=draft.patches.setup,
            statement=statement.text,
            hidden_files=draft.patches.hidden,
            failing=draft.fail_to_pass,
            roots=self._indexes,
        )
        return [str(finding) for finding in [*findings, *self._copies(draft)]]

    def _prepare(self) -> None:
        with self._lock:
            if not self._indexes:
                sandbox = self._backend.create(self._build.spec(limits=SEARCH_LIMITS))
                try:
                    self._modules = list_modules(sandbox, skipped=AUDITED_APART)
                finally:
                    sandbox.close()
                self._indexes = index_build(self._build)

    def _copies(self, draft: Draft) -> list[Finding]:
        wanted = wanted_in_image(draft.patches.gold, draft.patches.setup, self._indexes)
        ends = tuple(f"/{module}" for module in wanted.modules)
        copies = [path for path in self._modules if path.endswith(ends)]
        if not copies:
            return []
        sandbox = self._backend.create(self._build.spec(limits=SEARCH_LIMITS))
        try:
            return search_image(sandbox, {"": wanted}, skipped=(), among=copies)[""]
        finally:
            sandbox.close()
