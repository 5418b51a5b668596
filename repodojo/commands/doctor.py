"""``repodojo doctor``: what this machine can do, and how to mend what it cannot."""

import importlib.util
import os
import platform
import shutil
import sys

from rich.markup import escape
from rich.table import Table

from agent_env.errors import BackendUnavailableError
from agent_env.interpreter import find_interpreter
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.select import select_backend
from repodojo.console import Console
from repodojo.options import AsJson
from tasks.home import home

_PACKAGES = {
    "torch": "train a policy: pip install 'repodojo[train]'",
    "transformers": "train a policy: pip install 'repodojo[train]'",
    "docker": "the docker sandbox: pip install 'repodojo[docker]'",
    "vllm": "fast sampling: pip install 'repodojo[vllm]' or 'repodojo[vllm-cpu]'",
    "ray": "many machines: pip install 'repodojo[ray]'",
}

Check = tuple[str, str, str]
"""What was looked at; ``ok``, ``weak``, ``off`` or ``broken``; what was found or how to mend it."""


def doctor(as_json: AsJson = False) -> int:
    """Look at this machine: sandboxes, interpreters, optional packages, room on disk. Exits 1 if no sandbox works."""
    console = Console(as_json=as_json)
    checks = [*_basics(), *_sandboxes(), *_packages()]
    table = Table("what", "state", "found, or how to mend it", box=None)
    colours = {"ok": "green", "weak": "yellow", "off": "dim", "broken": "red"}
    for what, state, found in checks:
        table.add_row(escape(what), f"[{colours[state]}]{state}[/]", escape(found))
    console.say(table)
    usable = any(what.startswith("sandbox ") and state == "ok" for what, state, _ in checks)
    console.say("Ready: `repodojo demo` runs the whole job." if usable else "No sandbox works here; see above.")
    console.result(
        {"usable": usable, "checks": [dict(zip(("what", "state", "found"), c, strict=True)) for c in checks]}
    )
    return 0 if usable else 1


def _basics() -> list[Check]:
    free = shutil.disk_usage(_existing(home())).free >> 30
    git = shutil.which("git")
    built_on = find_interpreter(f"{sys.version_info.major}.{sys.version_info.minor}")
    return [
        (
            "python",
            "ok" if sys.version_info >= (3, 11) else "broken",
            f"{platform.python_version()} at {sys.executable}",
        ),
        ("environments", "ok", f"built on {built_on.version} at {built_on.executable}, where its version will do"),
        ("kernel", "ok", f"{platform.release()} on {platform.machine()}, {os.cpu_count()} cores"),
        ("git", "ok" if git else "broken", git or "install git with your system's package manager"),
        ("cache", "ok" if free >= 2 else "weak", f"{home()} with {free} GiB free (set REPODOJO_HOME to move it)"),
    ]


def _sandboxes() -> list[Check]:
    problems = BubblewrapBackend().problems()
    fatal = any(problem.fatal for problem in problems)
    checks: list[Check] = [("sandbox bubblewrap", "broken" if fatal else "ok", "namespaces, overlay, persistent shell")]
    checks += [(f"  {p.what}", "broken" if p.fatal else "weak", p.mend) for p in problems]
    try:
        found = select_backend("docker").problems()
    except BackendUnavailableError as error:
        return [*checks, ("sandbox docker", "off", str(error))]
    broken = [problem for problem in found if problem.fatal]
    checks.append(("sandbox docker", "broken" if broken else "ok", "; ".join(f"{p.what}: {p.mend}" for p in broken)))
    return checks + [(f"  {p.what}", "weak", p.mend) for p in found if not p.fatal]


def _packages() -> list[Check]:
    return [
        (name, "ok" if importlib.util.find_spec(name) else "off", "" if importlib.util.find_spec(name) else use)
        for name, use in _PACKAGES.items()
    ]


def _existing(path: os.PathLike[str]) -> str:
    found = os.fspath(path)
    while not os.path.exists(found):  # noqa: PTH110
        found = os.path.dirname(found)  # noqa: PTH120
    return found
