"""The oracle's tool calls, run through the real tools, give the gold state byte for byte, for any patch."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.scripted import MAX_EDIT_TURNS, noop_actions, oracle_actions
from agent_env.tools import FORMATS, Toolbox, ToolCall, parse_calls
from agent_env.tools.bash import SUBMIT_LINE
from tasks.certificate import Certificate
from tasks.patch import make_patch
from tasks.task import Statement, Task

Files = Mapping[str, str]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = BubblewrapBackend().create(SandboxSpec(layers=(tmp_path_factory.mktemp("layer"),)))
    yield made
    made.close()


def encode(files: Files) -> dict[str, bytes | None]:
    return {path: text.encode() for path, text in files.items()}


def make_task(tree: Files, start: Files, gold: Files) -> Task:
    return Task(
        id="t",
        repo="r",
        commit="0",
        licence="MIT",
        environment_id="e",
        strategy="history.commit",
        setup_patch=make_patch(encode(tree), encode(start)),
        gold_patch=make_patch(encode(start), encode(gold)),
        test_patch="",
        fail_to_pass=(),
        pass_to_pass=(),
        test_command="echo tested; true",
        statement=Statement(text="s", method="template"),
        certificate=Certificate(start_runs=(), gold_runs=(), sandbox="bubblewrap", digests={}),
    )


def play(
    sandbox: Sandbox, task: Task, tree: Path, start: Files, name: str = "qwen"
) -> tuple[list[str], dict[str, str]]:
    """Run the oracle's turns on the start state; the turns and the files that are there afterwards."""
    sandbox.run("find . -mindepth 1 -delete", timeout=10)
    for path, text in start.items():
        sandbox.write(path, text.encode())
    turns = oracle_actions(task, tree, name)
    form = FORMATS[name]
    tools = Toolbox(chars=100_000, shell_only=form.shell_only, submits_by_output=form.submits_by_output)
    shown = [tools.execute(sandbox, call) for turn in turns for call in parse_calls(turn, form)]
    assert shown[-1].submitted
    assert not [observation.text for observation in shown if observation.text.startswith("Error")]
    names = sandbox.run("find . -type f -printf '%P\\n'", timeout=10).output.split("\n")
    return turns, {name: sandbox.read(name).decode() for name in names if name}


FUNCTION = "import math\n\n\ndef area(r):\n    return math.pi * r\n\n\ndef edge(r):\n    return 2 * math.pi * r\n"

CASES: Mapping[str, tuple[Files, Files]] = {
    "one line": ({"m.py": FUNCTION}, {"m.py": FUNCTION.replace("return math.pi * r", "return math.pi * r**2")}),
    "insert only": ({"m.py": "a\nb\n"}, {"m.py": "a\nx\ny\nb\n"}),
    "insert at the top": ({"m.py": "a\n"}, {"m.py": "x\na\n"}),
    "insert at the end": ({"m.py": "a\n"}, {"m.py": "a\nx\n"}),
    "delete only": ({"m.py": "a\nb\nc\n"}, {"m.py": "a\nc\n"}),
    "delete all": ({"m.py": "a\nb\n"}, {"m.py": ""}),
    "fill an empty file": ({"m.py": ""}, {"m.py": "a\n"}),
    "gain a last line end": ({"m.py": "a\nb"}, {"m.py": "a\nb\n"}),
    "lose a last line end": ({"m.py": "a\nb\n"}, {"m.py": "a\nb"}),
    "gain a line without end": ({"m.py": "a"}, {"m.py": "a\nb"}),
    "repeated lines": ({"m.py": "x\n" * 9}, {"m.py": "x\n" * 4 + "y\n" + "x\n" * 5}),
    "repeated blocks": ({"m.py": "def f():\n  r\n" * 6}, {"m.py": "def f():\n  r\n" * 3 + "def f():\n  s\n" * 3}),
    "blank lines": ({"m.py": "a\n\n\n\nb\n"}, {"m.py": "a\n\n\nb\n"}),
    "carriage returns": ({"m.py": "a\r\nb\r\n"}, {"m.py": "a\r\nc\r\n"}),
    "mixed line ends": ({"m.py": "a\r\nb\nc\r\n"}, {"m.py": "a\r\nb\r\nc\n"}),
    "form feeds": ({"m.py": "a\n\x0cb\x0cc\nd\n"}, {"m.py": "a\n\x0cb\nd\n"}),
    "tags": ({"m.py": "a\n"}, {"m.py": "'</parameter>\n</function>\n</tool_call>'\n"}),
    "new file in a new folder": ({}, {"p/q/m.py": "x = 1\n"}),
    "new empty file": ({}, {"p/__init__.py": ""}),
    "deleted file": ({"m.py": "a\n", "it's gone.py": "b\n"}, {"m.py": "a\n"}),
    "several files": ({"a.py": "1\n", "b.py": "2\n"}, {"a.py": "x\n", "b.py": "y\n", "c.py": "z\n"}),
    "far apart": ({"m.py": "\n".join(map(str, range(40)))}, {"m.py": "\n".join(map(str, range(40))) + "\nx"}),
    "unicode": ({"m.py": "s = 'ä'\n"}, {"m.py": "s = '→ 界 😀'\n"}),
}


@pytest.mark.parametrize("call_format", ["qwen", "bash"])
@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_patch(sandbox: Sandbox, tmp_path: Path, name: str, call_format: str) -> None:
    for path, text in CASES[name][0].items():
        (tmp_path / path).write_bytes(text.encode())
    start, gold = CASES[name]
    task = make_task(start, start, gold)
    assert play(sandbox, task, tmp_path, start, call_format)[1] == dict(gold)


LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "    a\n", "def f():\n", "c", "ab\n", "a\r\n"]), max_size=14).map(
    "".join
)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=LINES, after=LINES)
def test_any_two_texts(sandbox: Sandbox, tmp_path: Path, name: str, before: str, after: str) -> None:
    (tmp_path / "m.py").write_bytes(before.encode())
    task = make_task({"m.py": before}, {"m.py": before}, {"m.py": after})
    assert play(sandbox, task, tmp_path, {"m.py": before}, name)[1] == {"m.py": after}


def test_the_turns_of_a_small_fix(sandbox: Sandbox, tmp_path: Path) -> None:
    gold = FUNCTION.replace("return math.pi * r", "return math.pi * r**2")
    (tmp_path / "m.py").write_text(FUNCTION)
    turns, _ = play(
        sandbox, make_task({"m.py": FUNCTION}, {"m.py": FUNCTION}, {"m.py": gold}), tmp_path, {"m.py": FUNCTION}
    )
    look, edit, test, submit = turns
    assert "grep -w -A 20 'def area' m.py" in look
    assert parse_calls(edit, FORMATS["qwen"])[0].arguments == {
        "command": "str_replace",
        "path": "m.py",
        "old_str": "    return math.pi * r",
        "new_str": "    return math.pi * r**2",
    }
    assert "echo tested; true 2>&1 | tail -n 3" in test
    assert parse_calls(submit, FORMATS["qwen"])[0].name == "submit"
    assert max(map(len, turns)) < 400


def test_the_setup_patch_is_where_it_starts(sandbox: Sandbox, tmp_path: Path) -> None:
    broken = FUNCTION.replace("2 * math", "3 * math")
    (tmp_path / "m.py").write_text(FUNCTION)
    task = make_task({"m.py": FUNCTION}, {"m.py": broken}, {"m.py": FUNCTION})
    turns, found = play(sandbox, task, tmp_path, {"m.py": broken})
    assert found == {"m.py": FUNCTION}
    assert "3 * math.pi" in turns[1]


def test_many_edits_fit_into_few_turns(sandbox: Sandbox, tmp_path: Path) -> None:
    start = {f"m{number}.py": "".join(f"line {line}\n" for line in range(100)) for number in range(6)}
    gold = {path: text.replace("5\n", "five\n") for path, text in start.items()}
    for path, text in start.items():
        (tmp_path / path).write_text(text)
    turns, found = play(sandbox, make_task(start, start, gold), tmp_path, start)
    assert found == gold
    assert len(turns) <= 2 * MAX_EDIT_TURNS + 2


def test_noop_submits_at_once() -> None:
    for name, form in FORMATS.items():
        (only,) = noop_actions(make_task({}, {}, {}), name)
        (call,) = parse_calls(only, form)
        assert call == ToolCall("bash", {"command": f"echo {SUBMIT_LINE}"}) if name == "bash" else ToolCall("submit")
