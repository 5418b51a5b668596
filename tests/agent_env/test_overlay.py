"""Layers and what changed over them: plain folders that look as the kernel leaves them."""

import errno
import os
import resource
import subprocess
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent_env.sandbox import overlay
from agent_env.sandbox.overlay import TOO_LARGE, changed_files, covered_files, lay_edits, read_through
from agent_env.sandbox.residence import remove_tree
from tasks.tree import list_files

BASE = {"a": b"1", "d/b": b"2", "d/e/c": b"3"}


def layer(root: Path, edits: dict[str, bytes | None]) -> Path:
    root.mkdir(exist_ok=True)
    lay_edits(edits, root)
    return root


def test_the_top_layer_wins_and_a_whiteout_hides(tmp_path: Path) -> None:
    layers = (
        layer(tmp_path / "0", dict(BASE)),
        layer(tmp_path / "1", {"a": b"9", "d/b": None}),
        layer(tmp_path / "2", {"d/b": b"back"}),
    )
    assert read_through(layers, "a") == b"9"
    assert read_through(layers[:2], "d/b") is None
    assert read_through(layers, "d/b") == b"back"
    assert read_through(layers, "d/e/c") == b"3"
    assert read_through(layers, "nothing") is None
    assert read_through(layers, "d") is None


def test_a_whiteout_of_a_folder_hides_all_below(tmp_path: Path) -> None:
    layers = (layer(tmp_path / "0", dict(BASE)), layer(tmp_path / "1", {"d": None}))
    assert read_through(layers, "d/b") is None
    assert read_through(layers, "d/e/c") is None


def test_changes_are_new_edited_and_gone(tmp_path: Path) -> None:
    base = layer(tmp_path / "0", dict(BASE))
    upper = layer(tmp_path / "u", {"a": b"2", "n/new": b"x", "d/b": None})
    assert changed_files(upper, (base,)) == {"a": b"2", "n/new": b"x", "d/b": None}


def test_a_copy_that_is_the_same_is_no_change(tmp_path: Path) -> None:
    base = layer(tmp_path / "0", dict(BASE))
    assert changed_files(layer(tmp_path / "u", {"a": b"1"}), (base,)) == {}


def test_a_file_is_covered_by_a_copy_a_whiteout_and_what_replaced_a_folder_above_it(tmp_path: Path) -> None:
    upper = layer(tmp_path / "u", {"a": b"1", "d/b": None, "x": b"", "n/new": b"", "w": None})
    (upper / "link").symlink_to("n")
    paths = ["a", "d/b", "d/e/c", "x/deep/f", "n/old", "w/f", "w/deep/er/f", "link/f", "far/off"]
    assert covered_files(upper, paths) == ["a", "d/b", "x/deep/f", "w/f", "w/deep/er/f", "link/f"]


def test_a_file_below_a_folder_that_was_made_anew_is_covered(tmp_path: Path) -> None:
    upper = layer(tmp_path / "u", {"d/new": b"", "e/f/new": b""})
    os.setxattr(upper / "e", "user.overlay.opaque", b"y")
    assert covered_files(upper, ["d/b", "e/c", "e/f/g", "e/f/new"]) == ["e/c", "e/f/g", "e/f/new"]


def test_a_whiteout_of_a_folder_is_all_its_files_gone(tmp_path: Path) -> None:
    base = layer(tmp_path / "0", dict(BASE))
    assert changed_files(layer(tmp_path / "u", {"d": None}), (base,)) == {"d/b": None, "d/e/c": None}


def test_a_whiteout_of_what_a_lower_layer_had_deleted_is_no_change(tmp_path: Path) -> None:
    layers = (layer(tmp_path / "0", dict(BASE)), layer(tmp_path / "1", {"a": None}))
    assert changed_files(layer(tmp_path / "u", {"a": None}), layers) == {}


def test_an_opaque_folder_shows_only_what_is_in_it(tmp_path: Path) -> None:
    base = layer(tmp_path / "0", dict(BASE))
    upper = layer(tmp_path / "u", {"d/e/new": b"x"})
    os.setxattr(upper / "d", "user.overlay.opaque", b"y")
    assert changed_files(upper, (base,)) == {"d/b": None, "d/e/c": None, "d/e/new": b"x"}


def test_an_opaque_folder_over_layered_whiteouts(tmp_path: Path) -> None:
    layers = (layer(tmp_path / "0", dict(BASE)), layer(tmp_path / "1", {"d/b": None, "d/f": b"4"}))
    upper = layer(tmp_path / "u", {"d/f": b"4"})
    os.setxattr(upper / "d", "user.overlay.opaque", b"y")
    assert changed_files(upper, layers) == {"d/e/c": None}


def test_kinds_that_change_places(tmp_path: Path) -> None:
    base = layer(tmp_path / "0", dict(BASE))
    upper = layer(tmp_path / "u", {"d": b"file", "a/in": b"folder"})
    assert changed_files(upper, (base,)) == {"d": b"file", "d/b": None, "d/e/c": None, "a": None, "a/in": b"folder"}


def test_links_pipes_sockets_and_git_are_left_out(tmp_path: Path) -> None:
    base = layer(tmp_path / "0", dict(BASE))
    upper = layer(tmp_path / "u", {".git/config": b"x", "n/.git/hooks/x": b"x", "ok": b"x"})
    (upper / "link").symlink_to("/etc/passwd")
    (upper / "folder").symlink_to("/etc")
    os.mkfifo(upper / "pipe")
    assert changed_files(upper, (base,)) == {"ok": b"x"}


def test_a_link_over_a_file_or_folder_is_that_one_gone(tmp_path: Path) -> None:
    base = layer(tmp_path / "0", dict(BASE))
    upper = layer(tmp_path / "u", {})
    (upper / "a").symlink_to("/etc/passwd")
    (upper / "d").symlink_to("/")
    assert changed_files(upper, (base,)) == {"a": None, "d/b": None, "d/e/c": None}


def test_names_that_are_not_utf8_are_told(tmp_path: Path) -> None:
    upper = layer(tmp_path / "u", {})
    Path(os.fsdecode(os.fsencode(upper) + b"/\xff")).write_bytes(b"x")
    assert changed_files(upper, ()) == {"\udcff": b"x"}


def test_files_beyond_the_limits_are_marked_and_cost_no_memory(tmp_path: Path) -> None:
    upper = layer(tmp_path / "u", {"small": b"x"})
    for number in range(64):
        with (upper / f"sparse{number}").open("wb") as file:
            file.truncate(100 << 30)
    found = changed_files(upper, ())
    assert found.pop("small") == b"x"
    assert len(found) == 64
    assert all(content is TOO_LARGE for content in found.values())


def test_the_sum_of_all_files_is_limited_too(tmp_path: Path) -> None:
    upper = layer(tmp_path / "u", {})
    for number in range(100):
        with (upper / f"{number:03}").open("wb") as file:
            file.truncate(overlay.FILE_LIMIT)
    read = [content for content in changed_files(upper, ()).values() if content is not TOO_LARGE]
    assert sum(len(content or b"") for content in read) <= overlay.TOTAL_LIMIT


names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


def tree_of(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files that can stand together: none below another."""
    return {path: data for path, data in files.items() if not any(path.startswith(f"{other}/") for other in files)}


@settings(max_examples=60)
@given(base=st.dictionaries(paths, st.binary(max_size=3), max_size=6).map(tree_of), data=st.data())
def test_laying_edits_shows_as_those_edits(base: dict[str, bytes], data: st.DataObject) -> None:
    edits: dict[str, bytes | None] = {
        path: data.draw(st.none() | st.binary(min_size=4, max_size=5)) for path in base if data.draw(st.booleans())
    }
    with tempfile.TemporaryDirectory() as folder:
        lower = layer(Path(folder) / "0", dict(base))
        upper = layer(Path(folder) / "u", edits)
        assert changed_files(upper, (lower,)) == edits
        shown = {path: read_through((lower, upper), path) for path in list_files(lower)}
        assert shown == base | edits


def test_changes_are_whole_or_an_error_where_descriptors_run_out(tmp_path: Path) -> None:
    below = layer(tmp_path / "0", dict(BASE))
    upper = layer(tmp_path / "1", {"a": b"other", "d/b": None, "d/e/c": b"new", "more/x": b"4"})
    os.setxattr(upper / "d/e", "user.overlay.opaque", b"y")
    whole = changed_files(upper, (below,))
    assert len(whole) == 4
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    refused = 0
    try:
        for limit in range(3, 128):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
            try:
                assert changed_files(upper, (below,)) == whole
            except OSError as error:
                assert error.errno == errno.EMFILE  # noqa: PT017 - most fail, the last do not
                refused += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert 2 < refused < 125


def test_a_deleted_tree_may_be_nested_deeper_than_a_stack_is(tmp_path: Path) -> None:
    deep = "d/" * 1200
    subprocess.run(["mkdir", "-p", tmp_path / "0" / deep], check=True)  # pathlib's own calls itself for each
    below = layer(tmp_path / "0", {f"{deep}f": b"1"})
    assert changed_files(layer(tmp_path / "1", {"d": None}), (below,)) == {f"{deep}f": None}
    remove_tree(below)  # pytest's own way gives up on it
