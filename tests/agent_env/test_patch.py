"""Diffs as the sandboxes make them: applied to where they began, they give what was changed."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks import patch
from tasks.errors import InfraError, PatchError
from tasks.patch import apply_patch, make_patch

texts = st.lists(st.sampled_from(["a", "b", "+c", "-d", "", "\\ x", "@@ -1 +1 @@", "é", "\tz "]), max_size=8).flatmap(
    lambda lines: st.sampled_from(["\n".join(lines), "".join(f"{line}\n" for line in lines)])
)
contents = texts.map(str.encode)
paths = st.sampled_from(["a.py", "pkg/b.py", "pkg/deep/c.py", "with space.txt", "naïve.md", "quote'.txt", "a b/c d"])


@settings(max_examples=25)
@given(before=st.dictionaries(paths, contents, max_size=3), after=st.dictionaries(paths, contents, max_size=3))
@example(before={"a": b""}, after={})
@example(before={}, after={"a": b""})
@example(before={"naïve.md": b"1\n"}, after={"naïve.md": b"2\n"})
@example(before={"a": b"no newline"}, after={"a": b"no newline\n"})
def test_a_patch_applied_to_the_before_gives_the_after(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert apply_patch(make_patch(before, after), before.get) == {path: after.get(path) for path in changed}


def test_a_patch_of_bytes_that_are_not_text_is_refused() -> None:
    with pytest.raises(PatchError, match="not text"):
        make_patch({}, {"a": b"\0"})


def test_the_same_change_gives_the_same_patch() -> None:
    before, after = {"b": b"1\n", "a": b"1\n"}, {"a": b"2\n", "b": b"2\n"}
    assert make_patch(before, after) == make_patch(dict(reversed(before.items())), dict(reversed(after.items())))


def test_a_git_that_is_killed_says_nothing_about_the_patch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_patch({}, {"a": b"1\n"})
    (tmp_path / "git").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setitem(patch._GIT_ENVIRONMENT, "PATH", str(tmp_path))
    with pytest.raises(InfraError, match="killed by signal 9"):
        make_patch({}, {"a": b"1\n"})
    with pytest.raises(InfraError, match="killed by signal 9"):
        apply_patch(made, {}.get)
