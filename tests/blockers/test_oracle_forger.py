"""What is left unknown to whoever forges every process: programs forced to their end, and guesses."""

import ast
import json
from textwrap import dedent
from typing import Any

import pytest

from agent_env.grading.runner.probes import to_text
from blockers.oracle import Report, forced, tells
from tasks.oracle import Oracle, Probe, ProbeProgram, Slot, SlotKind


def run_forced(source: str) -> dict[int, list[object]]:
    """What a forced program reports, less what was no plain data."""
    reported: dict[int, list[object]] = {}

    def slot(number: int, value: object) -> None:
        reported.setdefault(number, []).append(json.loads(to_text(value)))

    scope: dict[str, Any] = {"__slot_7f__": slot, "__name__": "program"}
    exec(compile(forced(dedent(source)), "program", "exec"), scope)
    scope["probe"]()
    return reported


def test_a_forced_program_asserts_nothing_and_goes_on_after_what_fails() -> None:
    reported = run_forced(
        """
        from __future__ import annotations
        from collections import nosuch, deque

        helper = {0: "0", 2: "2"}.__getitem__

        def probe():
            assert False
            missing = helper(1)
            assert missing
            __slot_7f__(0, deque is not None)
            for number in range(3):
                helper(number)
                __slot_7f__(1, helper(number))
            __slot_7f__(2, missing)
            while True:
                nosuch()
                break
            __slot_7f__(3, 'end')
        """
    )
    assert reported == {
        0: [True],
        1: ["0", ["opaque", "builtins.ellipsis"], "2"],
        2: [["opaque", "builtins.ellipsis"]],
        3: ["end"],
    }


def test_a_forced_program_is_python_in_all_its_forms() -> None:
    source = """
    import os

    class TestA:
        x = 1
        async def later(self):
            async with self as one:
                return one
        def probe(self):
            try:
                return os.nosuch
            except (ValueError, TypeError):
                raise
            else:
                pass
            finally:
                del self.x
            with open("x") as file, file:
                yield 1
            match self:
                case 1:
                    return [n for n in (yield)]
    """
    ast.parse(forced(dedent(source)))


def oracle(*expected: object, kind: SlotKind = "eq", test: str = "t") -> Oracle:
    slots = tuple(Slot(number=number, kind=kind, expected=(to_text(value),)) for number, value in enumerate(expected))
    probe = Probe(test=test, program=0, entry="e", slots=slots)
    return Oracle(programs=(ProbeProgram(path="p", source=""),), probes=(probe,), discriminating=False)


def reports(*values: object) -> dict[int, Report]:
    return {0: Report({number: [(to_text(value),)] for number, value in enumerate(values)}, ended=True)}


TELLING: dict[str, tuple[Oracle, list[dict[int, Report]], bool]] = {
    "another value": (oracle(5), [reports(6)], True),
    "no value": (oracle("text"), [reports()], True),
    "no report": (oracle("text"), [{}], True),
    "the same value": (oracle(5), [reports(5)], False),
    "the same value in one of the runs": (oracle(5), [reports(6), reports(5)], False),
    "each value in some run": (oracle(5, 6), [reports(5, 0), reports(0, 6)], False),
    "an empty list": (oracle([]), [reports(3)], False),
    "True": (oracle(True, kind="is"), [reports(False)], False),
    "True and False": (oracle(True, False, kind="is"), [reports(False, True)], True),
    "True twice": (oracle(True, True, kind="is"), [reports(False, None)], False),
    "True, where False is known": (oracle(True, False, kind="is"), [reports(False, False)], False),
    "two values that one guess meets": (oracle(1, True), [reports(4, 4)], False),
    "an exception": (oracle(["ValueError"], kind="raises"), [reports([])], False),
    "an order": (oracle(10, kind="lt"), [reports(11)], False),
    "one of two": (oracle([7, 8], kind="in"), [reports(11)], True),
    "what counts for nothing": (oracle(None, kind="any"), [reports(1)], False),
    "a test that does not fail": (oracle(5, test="other"), [reports(6)], False),
}


@pytest.mark.parametrize("name", TELLING)
def test_a_value_tells_that_is_neither_computed_nor_guessed(name: str) -> None:
    made, runs, tells_it = TELLING[name]
    assert tells(made, {"t"}, runs) is tells_it
