"""Errors of the blockers room.

RepoDojoError
├── BadInputError
│   └── PatchError
│       └── PatchRefusedError   a patch holds something that never crosses to the grader
└── InfraError
    ├── GitError                the git program failed, or a repository of our own making is not what was meant
    │   └── GitUnavailableError     it is missing, could not be started, or was killed: nothing is said of a repository
    └── AuditError              a search for leaks did not run to its end, so nothing is proven
"""

from tasks.errors import InfraError, PatchError


class PatchRefusedError(PatchError):
    """A patch holds something that never crosses to the grader.

    Attributes:
        path: the file that the patch names, or "" where the fault is in no single file.
        rule: a short fixed word for the rule that was broken (``binary``, ``symlink``, ``rename``, ...).
        detail: what was got, what was expected and how to mend it.
    """

    def __init__(self, path: str, rule: str, detail: str) -> None:
        super().__init__(path, rule, detail)
        self.path = path
        self.rule = rule
        self.detail = detail

    def __str__(self) -> str:
        where = f" for {self.path!r}" if self.path else ""
        return f"the patch is refused{where} ({self.rule}): {self.detail}"


class GitError(InfraError):
    """The git program failed where it must not, or what it made is not what was meant."""


class GitUnavailableError(GitError):
    """The git program is missing, could not be started, or was killed; that says nothing of a repository."""


class AuditError(InfraError):
    """A search for leaks did not run to its end, so nothing is proven."""
