"""The editor as a tool: view, create, replace, insert, undo."""

import re
from pathlib import Path

import pytest

from agent_env.sandbox.base import Sandbox
from agent_env.tools import Toolbox, ToolCall
from agent_env.tools.edit_history import MAX_BYTES, EditHistory
from tests.agent_env.tools.using import edit, run


class TestView:
    def test_all(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "view") == "1\tone = 1\n2\ttwo = 2\n3\tthree = 3"

    @pytest.mark.parametrize("lines", [[2, 3], "[2, 3]", [2, -1], [2, 99]])
    def test_a_range(self, sandbox: Sandbox, lines: object) -> None:
        assert edit(sandbox, "view", view_range=lines) == "2\ttwo = 2\n3\tthree = 3\n[3 lines in all]"

    @pytest.mark.parametrize("lines", [[0, 1], [3, 2], [4, 5], [1], [1, 2, 3]])
    def test_a_range_that_is_none(self, sandbox: Sandbox, lines: list[int]) -> None:
        assert str(lines) in edit(sandbox, "view", view_range=lines)
        assert "expected" in edit(sandbox, "view", view_range=lines)

    def test_absolute_path(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "view", "/testbed/a.py", view_range=[1, 1]).startswith("1\tone = 1")

    def test_what_cannot_be_viewed(self, sandbox: Sandbox) -> None:
        assert "does not exist" in edit(sandbox, "view", "b.py")
        assert "is a directory" in edit(sandbox, "view", "pkg")
        assert "not UTF-8" in edit(sandbox, "view", "bytes.bin")
        assert "not a text file" in edit(sandbox, "view", "nul.txt")
        assert "cannot view" in edit(sandbox, "view", "/dev/null")

    def test_an_empty_file(self, sandbox: Sandbox) -> None:
        sandbox.write("empty", b"")
        assert edit(sandbox, "view", "empty") == "empty is empty"

    def test_what_is_cut_out_of_a_long_file_is_told_as_it_is(self, sandbox: Sandbox) -> None:
        sandbox.write("long", b"x" * 100 + b"\n" + b"0123456789\n" * 1000)
        for more in ({}, {"view_range": [2, 1001]}):
            said = edit(sandbox, "view", "long", **more)
            head, cut, tail = re.split(r"\n\[\.\.\. (\d+) characters cut \.\.\.\]\n", said)
            shown = [f"{number}\t0123456789" for number in range(2, 1002)]
            whole = "\n".join([*shown, "[1001 lines in all]"] if more else [f"1\t{'x' * 100}", *shown])
            assert int(cut) == len(whole) - len(head) - len(tail)
            assert (whole.startswith(head), whole.endswith(tail)) == (True, True)


class TestCreate:
    def test_a_new_file_in_new_folders(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "create", "x/y/z.py", file_text="a\nb") == "Created x/y/z.py (2 lines)."
        assert sandbox.read("x/y/z.py") == b"a\nb"

    def test_over_an_old_file(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "create", file_text="") == "Overwrote a.py (0 lines)."
        assert sandbox.read("a.py") == b""

    def test_where_it_cannot_be(self, sandbox: Sandbox) -> None:
        assert "is a directory" in edit(sandbox, "create", "pkg", file_text="x")
        assert "cannot create /usr/x" in edit(sandbox, "create", "/usr/x", file_text="x")


class TestReplace:
    def test_once(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "str_replace", old_str="two = 2", new_str="two = 22") == "Replaced line 2 of a.py."
        assert sandbox.read("a.py") == b"one = 1\ntwo = 22\nthree = 3\n"

    def test_several_lines_by_nothing(self, sandbox: Sandbox) -> None:
        assert edit(sandbox, "str_replace", old_str="one = 1\ntwo = 2\n") == "Replaced lines 1-2 of a.py."
        assert sandbox.read("a.py") == b"three = 3\n"

    def test_many_places(self, sandbox: Sandbox) -> None:
        said = edit(sandbox, "str_replace", "pkg/m.py", old_str="    return 1", new_str="    return 2")
        assert "occurs 2 times in pkg/m.py, at lines 2, 6" in said
        assert sandbox.read("pkg/m.py").count(b"return 1") == 2

    def test_very_many_places(self, sandbox: Sandbox) -> None:
        sandbox.write("many", b"a" * 3_000_000)
        assert "more than 10 times" in edit(sandbox, "str_replace", "many", old_str="a", new_str="b")

    def test_places_that_overlap_are_several(self, sandbox: Sandbox) -> None:
        sandbox.write("o", b"aXaXa")
        assert "occurs 2 times" in edit(sandbox, "str_replace", "o", old_str="aXa", new_str="b")

    def test_other_blanks_are_pointed_out(self, sandbox: Sandbox) -> None:
        said = edit(sandbox, "str_replace", "pkg/m.py", old_str="def g():\n  return 1", new_str="x")
        assert said.endswith("with other blanks it stands at line 5:\ndef g():\n    return 1")

    def test_a_similar_line_is_pointed_out(self, sandbox: Sandbox) -> None:
        said = edit(sandbox, "str_replace", old_str="thee = 3", new_str="x")
        assert said == "Error: old_str does not occur in a.py. The most similar line is 3:\nthree = 3"

    def test_nothing_alike(self, sandbox: Sandbox) -> None:
        assert "copy the text exactly" in edit(sandbox, "str_replace", old_str="class Foo:", new_str="x")
        assert "old_str is empty" in edit(sandbox, "str_replace", old_str="", new_str="x")
        assert "old_str is blank" in edit(sandbox, "str_replace", old_str="\n\n\n\n", new_str="x")

    def test_crlf_files_stay_crlf(self, sandbox: Sandbox) -> None:
        sandbox.write("w.txt", b"a\r\nb\r\nc\r\n")
        edit(sandbox, "str_replace", "w.txt", old_str="a\nb", new_str="x\ny")
        edit(sandbox, "insert", "w.txt", insert_line=1, new_str="i\nj")
        assert sandbox.read("w.txt") == b"x\r\ni\r\nj\r\ny\r\nc\r\n"

    def test_one_line_by_several_in_a_crlf_file(self, sandbox: Sandbox) -> None:
        sandbox.write("w.txt", b"a\r\nfoo\r\nb\r\n")
        edit(sandbox, "str_replace", "w.txt", old_str="foo", new_str="bar\nbaz")
        assert sandbox.read("w.txt") == b"a\r\nbar\r\nbaz\r\nb\r\n"
        edit(sandbox, "str_replace", "w.txt", old_str="\nb\r\n", new_str="\nc\r\nd\n")
        assert sandbox.read("w.txt") == b"a\r\nbar\r\nbaz\r\nc\r\nd\r\n"

    def test_no_special_meaning_of_backslashes_and_groups(self, sandbox: Sandbox) -> None:
        edit(sandbox, "str_replace", old_str="two = 2", new_str=r"two = '\1\n\g<0>$1'")
        assert rb"two = '\1\n\g<0>$1'" in sandbox.read("a.py")


class TestInsert:
    @pytest.mark.parametrize(
        ("line", "new", "content"),
        [
            (0, "zero", b"zero\none = 1\ntwo = 2\nthree = 3\n"),
            ("1", "x\n", b"one = 1\nx\ntwo = 2\nthree = 3\n"),
            (3, "a\nb", b"one = 1\ntwo = 2\nthree = 3\na\nb\n"),
            (2, "", b"one = 1\ntwo = 2\n\nthree = 3\n"),
        ],
    )
    def test_lines(self, sandbox: Sandbox, line: object, new: str, content: bytes) -> None:
        assert edit(sandbox, "insert", insert_line=line, new_str=new).startswith("Inserted ")
        assert sandbox.read("a.py") == content

    def test_after_a_last_line_without_end(self, sandbox: Sandbox) -> None:
        sandbox.write("a.py", b"a")
        edit(sandbox, "insert", insert_line=1, new_str="b")
        assert sandbox.read("a.py") == b"a\nb"

    def test_into_an_empty_file(self, sandbox: Sandbox) -> None:
        sandbox.write("a.py", b"")
        edit(sandbox, "insert", insert_line=0, new_str="b")
        assert sandbox.read("a.py") == b"b\n"

    @pytest.mark.parametrize(("line", "content"), [(0, b"zero\none = 1\n"), (1, b"one = 1\nzero\n")])
    def test_a_byte_order_mark_stays_the_first_thing(self, sandbox: Sandbox, line: int, content: bytes) -> None:
        sandbox.write("a.py", b"\xef\xbb\xbfone = 1\n")
        edit(sandbox, "insert", insert_line=line, new_str="zero")
        assert sandbox.read("a.py") == b"\xef\xbb\xbf" + content

    def test_out_of_range(self, sandbox: Sandbox) -> None:
        assert "has 3 lines: expected 0 to 3" in edit(sandbox, "insert", insert_line=4, new_str="x")
        assert "expected 0 to 3" in edit(sandbox, "insert", insert_line=-1, new_str="x")


def test_the_editor_follows_no_link_to_the_host(sandbox: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host")
    run(sandbox, "bash", command=f"ln -s {secret} link; ln -s ../../../../{secret} up")
    for path in ("link", "up", str(secret), f"../../../..{secret}"):
        assert "does not exist" in edit(sandbox, "view", path)


class TestUndo:
    def test_edits_come_back_one_by_one(self, sandbox: Sandbox) -> None:
        tools = Toolbox(chars=2000)

        def undo(path: str = "a.py") -> str:
            return tools.execute(sandbox, ToolCall("edit", {"command": "undo_edit", "path": path})).text

        states = [sandbox.read("a.py")]
        for arguments in (
            {"command": "str_replace", "old_str": "two = 2", "new_str": "two = 22"},
            {"command": "insert", "insert_line": 0, "new_str": "zero = 0"},
            {"command": "create", "file_text": "all = new\n"},
        ):
            tools.execute(sandbox, ToolCall("edit", {**arguments, "path": "a.py"}))
            states.append(sandbox.read("a.py"))
        tools.execute(sandbox, ToolCall("edit", {"command": "create", "path": "b.py", "file_text": "b"}))
        for left, state in reversed(list(enumerate(states[:-1]))):
            assert undo("/testbed/./a.py").endswith(f"it is as before that. Edits left to undo there: {left}.")
            assert sandbox.read("a.py") == state
        assert undo() == ("Error: there is no edit of a.py to undo: edit has not changed it, or all is undone already.")
        assert "it is removed again" in undo("b.py")
        assert "does not exist" in tools.execute(sandbox, ToolCall("edit", {"command": "view", "path": "b.py"})).text
        assert sandbox.diff() == ""

    def test_an_edit_that_failed_leaves_no_trace(self, sandbox: Sandbox) -> None:
        tools = Toolbox()
        for arguments in ({"command": "str_replace", "old_str": "absent", "new_str": "x"}, {"command": "view"}):
            tools.execute(sandbox, ToolCall("edit", {**arguments, "path": "a.py"}))
        said = tools.execute(sandbox, ToolCall("edit", {"command": "undo_edit", "path": "a.py"})).text
        assert said.startswith("Error: there is no edit")

    def test_what_others_changed_since_is_told(self, sandbox: Sandbox) -> None:
        tools = Toolbox()
        tools.execute(sandbox, ToolCall("edit", {"command": "create", "path": "a.py", "file_text": "x"}))
        sandbox.run("echo more >> a.py", timeout=5)
        said = tools.execute(sandbox, ToolCall("edit", {"command": "undo_edit", "path": "a.py"})).text
        assert "what other commands had changed in it since is gone too" in said
        assert sandbox.read("a.py").startswith(b"one = 1")

    def test_an_undo_that_fails_can_be_tried_again(self, sandbox: Sandbox) -> None:
        tools = Toolbox()
        undo = ToolCall("edit", {"command": "undo_edit", "path": "d/b.py"})
        tools.execute(sandbox, ToolCall("edit", {"command": "create", "path": "d/b.py", "file_text": "x"}))
        sandbox.run("rm d/b.py; mkdir d/b.py", timeout=5)
        assert "is a directory" in tools.execute(sandbox, undo).text
        sandbox.run("rmdir d/b.py", timeout=5)
        assert tools.execute(sandbox, undo).text.startswith("Undid the last edit of d/b.py")

    def test_the_memory_of_edits_is_bounded(self) -> None:
        history = EditHistory()
        for number in range(30):
            history.record(f"{number}", b"x" * (MAX_BYTES // 10), b"")
        assert sum(history.count(f"{number}") for number in range(30)) == 10
        assert history.count("29") == 1

    def test_a_content_beyond_the_memory_takes_no_other_files_edits_with_it(self) -> None:
        history = EditHistory()
        for path in ("a", "b"):
            history.record(path, b"x", b"")
        history.record("b", b"x" * (MAX_BYTES + 1), b"")
        assert (history.count("a"), history.count("b")) == (1, 0)
        assert (history.has_forgotten("a"), history.has_forgotten("b")) == (False, True)
        history.record("b", b"", b"")
        assert history.take_back("b", lambda _: None)
        assert not history.take_back("b", lambda _: None)

    def test_what_is_no_longer_remembered_is_told(self, sandbox: Sandbox) -> None:
        tools = Toolbox()
        sandbox.run(f"head -c {MAX_BYTES + 1} /dev/zero > big", timeout=5)
        tools.execute(sandbox, ToolCall("edit", {"command": "create", "path": "big", "file_text": "x"}))
        said = tools.execute(sandbox, ToolCall("edit", {"command": "undo_edit", "path": "big"})).text
        assert said == (
            "Error: there is no edit of big to undo: of what files held before, only the latest 20 MB are remembered."
        )
