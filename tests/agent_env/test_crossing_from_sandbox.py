"""What an agent really leaves in its work tree, read from a real sandbox: what crosses, and why the rest stays."""

import pytest

from agent_env.store import EnvironmentStore
from agent_env.workbench import Workbench
from blockers.crossing import Crossing, crossing
from blockers.path_rules import Reason
from tasks.pool import Pool

ODD_FILES = r"""
set -e
cd /testbed
printf 'one\r\ntwo\r\n' > tiny/crlf.py                  # CRLF
printf 'no_newline = 1' > tiny/ends.py                  # no newline at the end
printf '\211PNG\0\1' > tiny/picture.py                  # binary
printf 'name = "caf\351"\n' > tiny/latin.py             # not UTF-8
printf 'x = 1\n' > "$(printf 'tiny/caf\351.py')"        # a name that is not UTF-8
head -c 104857600 /dev/zero | tr '\0' 'x' > tiny/big.py # 100 MB
ln -s /etc/passwd tiny/passwd.py                        # symlinks: out of the tree, within it, of a folder
ln -s ../../outside.py tiny/outside.py
ln -s words.py tiny/alias.py
ln -s /etc tiny/linked
chmod +x tiny/words.py                                  # a mode alone
printf 'made = 1\n' > tiny/made.py; chmod 4755 tiny/made.py
git mv tiny/counting.py tests/test_words.py -f          # a rename over a test
git init -q tiny/sub; printf 'y = 1\n' > tiny/sub/y.py  # a repository in the repository, and a submodule
printf '[submodule "s"]\n path = s\n url = /testbed\n' > .gitmodules
git update-index --add --cacheinfo 160000,"$(git rev-parse HEAD)",s
mkfifo tiny/pipe.py
"""


@pytest.fixture(scope="module")
def crossed(bare_pool: Pool, store: EnvironmentStore) -> Crossing:
    bench = Workbench(bare_pool, store)
    task = bare_pool.task("tiny-total")
    sandbox = bench.open(task)
    try:
        done = sandbox.run(ODD_FILES, timeout=60)
        assert done.exit_code == 0, done.output
        sandbox.stop()
        return crossing(sandbox.changes(), existing=[])
    finally:
        sandbox.close()


def test_text_crosses_byte_for_byte_and_a_renamed_source_is_deleted(crossed: Crossing) -> None:
    assert crossed.files == {
        "tiny/crlf.py": b"one\r\ntwo\r\n",
        "tiny/ends.py": b"no_newline = 1",
        "tiny/made.py": b"made = 1\n",
        "tiny/sub/y.py": b"y = 1\n",
        "tiny/counting.py": None,
    }


def test_the_rest_stays_behind_each_for_its_reason(crossed: Crossing) -> None:
    reasons = {left.path: left.reason for left in crossed.left_out}
    assert reasons.pop("tiny/picture.py") is Reason.NOT_TEXT
    assert reasons.pop("tiny/latin.py") is Reason.NOT_TEXT
    assert reasons.pop("tiny/caf\udce9.py") is Reason.PATH
    assert reasons.pop("tiny/big.py") is Reason.TOO_LARGE
    assert reasons.pop("tests/test_words.py") is Reason.TEST
    assert reasons.pop(".gitmodules") is Reason.CONFIG
    assert reasons == {}
