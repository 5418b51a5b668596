"""A project so small that grading an episode of it takes a fraction of a second, and its pool."""

from pathlib import Path

from agent_env.sandbox.select import select_backend
from env_builder.build import BuildOptions, build_pool
from env_builder.repo_list import load_repo_list
from tasks.pool import Pool

TALLY = """\
def total(numbers):
    result = 0
    for number in numbers:
        result += number
    return result


def largest(numbers):
    best = None
    for number in numbers:
        if best is None or number > best:
            best = number
    return best
"""

TESTS = """\
from tally import largest, total


def test_total():
    assert total([1, 2, 3]) == 6


def test_largest():
    assert largest([1, 5, 2]) == 5


def test_empty():
    assert total([]) == 0
"""

FILES = {
    "pyproject.toml": "[project]\nname = 'tally'\nversion = '1.0'\n",
    "tally.py": TALLY,
    "tests/test_tally.py": TESTS,
}


def small_pool(folder: Path, sandbox: str) -> Pool:
    """Build the pool in ``folder``."""
    for name, text in FILES.items():
        (folder / "tally" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "tally" / name).write_text(text)
    options = BuildOptions(strategies=("procedural",), max_tasks=4)
    build_pool(load_repo_list(str(folder / "tally")), folder / "pool", backend=select_backend(sandbox), options=options)
    return Pool(folder / "pool")
