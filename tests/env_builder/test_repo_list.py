"""Repo lists: what is read, and that every mistake is reported with its file and line."""

from pathlib import Path

import pytest

from env_builder.errors import RepoListError
from env_builder.repo_list import default_name, load_repo_list
from tasks.errors import BadInputError


def write(folder: Path, text: str, name: str = "repos.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_toml_with_all_options(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    path = write(
        tmp_path,
        """
[[repo]]
source = "pypi:toolz>=0.12"
name = "tz"
ref = "1.0.0"
test_command = "FAST=1 python -m pytest -x tests"
test_paths = ["tests"]
python = "3.11"
packages = ["numpy>=1.20"]
exclude = ["toolz/sandbox/*"]

[[repo]]
source = "mine"
""",
    )
    first, second = load_repo_list(path)
    assert first.name == "tz"
    assert first.is_pypi
    assert not first.is_url
    assert (first.ref, first.python, first.packages) == ("1.0.0", "3.11", ("numpy>=1.20",))
    assert second.name == "mine"
    assert second.path == tmp_path / "mine"


def test_text_list_with_comments(tmp_path: Path) -> None:
    path = write(
        tmp_path, "# mine\npypi:toolz  # fast\n\nhttps://example.org/a/b.git#x\ngit@example.org:c/d.git\n", "repos.txt"
    )
    assert [request.name for request in load_repo_list(path)] == ["toolz", "b.git-x", "d"]


def test_a_single_source_in_place_of_a_file(tmp_path: Path) -> None:
    (request,) = load_repo_list("pypi:toolz")
    assert request.name == "toolz"
    (request,) = load_repo_list(tmp_path)
    assert request.path == tmp_path


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[[repo]]\nsource = "pypi:toolz"\ntest_path = ["x"]\n', 3, "did you mean 'test_paths'"),
        ('[[repo]]\nsource = "pypi:toolz"\n\n[[repo]]\nsuorce = "pypi:boltons"\n', 5, "did you mean 'source'"),
        ('\n[[repos]]\nsource = "pypi:toolz"\n', 2, "did you mean 'repo'"),
        ('[repo]\nsource = "pypi:toolz"\n', 1, "two brackets"),
        ('[[repo]]\nname = "x"\n', 1, "'source' is missing"),
        ('[[repo]]\nsource = "pipy:toolz"\n', 2, "did you mean 'pypi'"),
        ('[[repo]]\nsource = "pypi:too lz"\n', 2, "after 'pypi:'"),
        ('[[repo]]\nsource = "pypi:toolz[x]"\n', 2, "no meaning here"),
        ('[[repo]]\nsource = "no/such/folder"\n', 2, "there is no such directory"),
        ('[[repo]]\nsource = "https://example.org/"\n', 2, "names no repository"),
        ('[[repo]]\nsource = "pypi:toolz"\npython = "2.7"\n', 3, "python"),
        ('[[repo]]\nsource = "pypi:toolz"\npython = 3.11\n', 3, "python"),
        ('[[repo]]\nsource = "pypi:toolz"\nname = "../x"\n', 3, "name"),
        ('[[repo]]\nsource = "pypi:toolz"\npackages = ["a b c"]\n', 3, "requirement"),
        ('[[repo]]\nsource = "pypi:toolz"\ntest_command = "make test"\n', 3, "pytest command"),
        ('[[repo]]\nsource = "pypi:toolz"\n[[repo]]\nsource = "pypi:Toolz"\n', 3, "names must differ"),
    ],
)
def test_a_mistake_in_toml_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RepoListError) as caught:
        load_repo_list(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert said in str(caught.value)


def test_invalid_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(RepoListError, match="line 2"):
        load_repo_list(write(tmp_path, '[[repo]]\nsource = "pypi:toolz\n'))


def test_a_bad_line_in_a_text_list_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "pypi:toolz\nbolotns\n", "repos.txt")
    with pytest.raises(RepoListError, match=r"repos\.txt:2: bad source 'bolotns'"):
        load_repo_list(path)


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_list_is_refused(tmp_path: Path, text: str) -> None:
    for name in ("repos.toml", "repos.txt"):
        with pytest.raises(RepoListError, match="names no repository"):
            load_repo_list(write(tmp_path, text, name))


def test_a_file_that_is_absent_is_a_bad_source() -> None:
    with pytest.raises(BadInputError, match="no such directory"):
        load_repo_list("/no/such/repos.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "repos.txt"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RepoListError, match="UTF-8"):
        load_repo_list(path)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("pypi:more-itertools>=10", "more-itertools"),
        ("https://example.org/pytoolz/toolz.git", "toolz"),
        ("git@example.org:mahmoud/boltons.git/", "boltons"),
        ("/a/b/_strange name", "strange-name"),
    ],
)
def test_default_names(source: str, name: str) -> None:
    assert default_name(source) == name
