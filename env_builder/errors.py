"""Errors of the builder's room.

RepoDojoError
├── StatementRefusedError      a candidate's statement would say nothing, or too much
└── BadInputError
    ├── RepoListError          a repo list has a mistake; names the file and the line
    ├── SourceError            a repository cannot be had: it does not exist, cannot be reached or read
    ├── UnusableRepoError      a repository cannot be used: it does not install, has no tests, or they fail or hang
    └── NothingBuiltError      no repository of the list could be used; names each with its cause
KeyboardInterrupt
└── BuildInterruptedError      Ctrl-C; the message says how to go on
"""

from tasks.errors import BadInputError, RepoDojoError


class RepoListError(BadInputError):
    """A repo list has a mistake; the message names the file, the line, what was got and what was expected."""


class SourceError(BadInputError):
    """A repository cannot be had; the message holds what git or the package index said."""


class UnusableRepoError(BadInputError):
    """A repository was installed or tried, and cannot be used.

    ``reason`` is the ledger's short word: ``python_unsupported``, ``install_failed``, ``no_tests``, ``tests_crash``,
    ``tests_fail``, ``suite_hangs``.
    """

    def __init__(self, message: str, reason: str = "install_failed") -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class NothingBuiltError(BadInputError):
    """No repository of the list could be used; the message names each with its cause."""


class StatementRefusedError(RepoDojoError, RuntimeError):
    """No statement can be written that helps and gives neither the solution nor the hidden tests away.

    ``reason`` is the ledger's short word: ``statement_leak`` or ``statement_empty``.
    """

    def __init__(self, message: str, reason: str = "statement_leak") -> None:
        super().__init__(message, reason)
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class BuildInterruptedError(KeyboardInterrupt):
    """The user stopped a build; the message says what is kept and how to go on."""
