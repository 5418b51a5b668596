"""Packages for agents: a sandbox without a network installs what is old enough, and never its own project."""

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent_env.env import SWEEnv
from agent_env.episode import Episode, Rules
from agent_env.packages.index_url import index_url
from agent_env.packages.project import frozen_policy
from agent_env.sandbox.base import Sandbox, SandboxSpec
from agent_env.sandbox.bubblewrap import BubblewrapBackend
from agent_env.sandbox.docker import DockerBackend
from agent_env.sandbox.residence import residence_base
from agent_env.store import Build, EnvironmentStore
from agent_env.tools.calls import ToolCall
from agent_env.workbench import Workbench
from tasks.environment import Environment
from tasks.errors import BadInputError
from tasks.pool import Pool
from tests.blockers.toy_index import NEW, ToyIndex, serve_toy_index

FROZEN = Rules(packages="frozen")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ToyIndex]:
    """The index that this host is configured with."""
    with serve_toy_index() as index:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{index.url}/simple")
        monkeypatch.setenv("REPODOJO_HOME", str(tmp_path / "home"))
        yield index


def bash(episode: Episode, command: str) -> str:
    return episode.call([ToolCall("bash", {"command": command})]).observation


def sockets(bench: Workbench) -> list[str]:
    """What lies in the folder that cannot be listed."""
    assert bench._service
    doors = bench._service.doors
    doors.chmod(0o700)
    found = [path.name for path in doors.iterdir()]
    doors.chmod(0o311)
    return found


def play(toy: ToyIndex, episode: Episode) -> None:
    """What an agent sees of the index."""
    toy.add_wheel("helper", "1.0", {"helper.py": "WHAT = 'helps'\n"}, requires="deeper")
    toy.add_wheel("helper", "2.0", {"helper.py": "WHAT = 'of tomorrow'\n"}, NEW)
    toy.add_wheel("deeper", "0.1", {"deeper/__init__.py": ""})
    toy.add_wheel("tiny", "1.0", {"tiny/counting.py": ""})
    toy.add_wheel("fork", "1.0", {"tiny/__init__.py": ""})
    with episode:
        assert "`pip install NAME` works here" in episode.start()
        said = "Resolved 2 packages\nPrepared 2 packages\nInstalled 2 packages\n + deeper==0.1\n + helper==1.0"
        assert said in bash(episode, "pip install helper")
        assert bash(episode, "python -c 'import helper, deeper; print(helper.WHAT)'").strip() == "helps"
        for name in ("tiny", "Tiny", "TINY==1.0"):
            assert "is the project of this task" in bash(episode, f"pip install {name}")
        assert "holds a copy of the project" in bash(episode, "pip install fork")
        assert "[exit code" in bash(episode, "pip install helper==2.0")
        assert "[exit code" in bash(episode, "pip install absent")
        assert "uv" in bash(episode, "pip --version")
        assert bash(episode, "find / -type s 2>/dev/null; env | grep -iE 'proxy|index_url'; true") == "[no output]"
        assert "Permission denied" in bash(episode, "ls /opt/packages/doors")
        assert "Read-only" in bash(episode, "touch /opt/packages/doors/mine /opt/packages/bin/pip")


@pytest.mark.slow
def test_an_agent_installs_what_is_old_enough(toy: ToyIndex, bare_pool: Pool, store: EnvironmentStore) -> None:
    play(toy, Episode(bare_pool.task("tiny-total"), Workbench(bare_pool, store), FROZEN))
    assert not any("/simple/tiny" in path for path, _ in toy.asked)


@pytest.mark.docker
def test_so_does_one_in_a_container(toy: ToyIndex, bare_pool: Pool, tmp_path: Path) -> None:
    backend = DockerBackend()
    if problems := [problem for problem in backend.problems() if problem.fatal]:
        pytest.skip(problems[0].what)
    bench = Workbench(bare_pool, EnvironmentStore(backend, tmp_path / "builds"))
    play(toy, Episode(bare_pool.task("tiny-total"), bench, FROZEN))


def test_each_request_is_in_the_trajectory(
    toy: ToyIndex, bare_pool: Pool, store: EnvironmentStore, tmp_path: Path
) -> None:
    toy.add_wheel("helper", "1.0", {"helper.py": ""})
    env = SWEEnv(pool=bare_pool, store=store, packages="frozen", trajectories=tmp_path / "trajectories")
    with env:
        env.reset(options={"task_id": "tiny-total"})
        assert env.episode
        bash(env.episode, "pip install helper")
        bash(env.episode, "true")
        bash(env.episode, "pip install tiny")
    (file,) = (tmp_path / "trajectories").glob("*.json")
    recorded = json.loads(file.read_text())
    assert recorded["extra"]["rules"]["packages"] == "frozen"
    one, two, three = ((step.get("extra") or {}).get("packages", []) for step in recorded["steps"][1:])
    assert {key: one[0][key] for key in ("line", "status")} == {"line": "GET /simple/helper/ HTTP/1.1", "status": 200}
    assert two == []
    assert [(entry["status"], "project of this task" in entry["reason"]) for entry in three] == [(404, True)]


def test_without_the_option_there_is_nothing(bare_pool: Pool, store: EnvironmentStore) -> None:
    bench = Workbench(bare_pool, store)
    with Episode(bare_pool.task("tiny-total"), bench) as episode:
        assert "pip install" not in episode.start()
        assert bash(episode, "ls -d /opt/packages ~/.package-index.json 2>/dev/null; true") == "[no output]"
        assert bash(episode, "echo $PATH:$PYTHONPATH").count("packages") == 0
    assert bench._service is None


def test_a_fork_has_what_was_installed_and_a_way_of_its_own(
    toy: ToyIndex, bare_pool: Pool, store: EnvironmentStore
) -> None:
    toy.add_wheel("helper", "1.0", {"helper.py": ""})
    toy.add_wheel("other", "1.0", {"other.py": ""})
    with Episode(bare_pool.task("tiny-total"), Workbench(bare_pool, store), FROZEN) as episode:
        episode.start()
        bash(episode, "pip install helper")
        [twin] = episode.fork()
        with twin:
            assert "Installed 1 package" in bash(twin, "pip install other")
            assert bash(twin, "python -c 'import helper, other'") == "[no output]"
            assert twin._packages
            assert episode._packages
            assert twin._packages._socket != episode._packages._socket
            episode.close()
            assert "[exit code" in bash(twin, "pip install absent")
            assert "is the project of this task" in bash(twin, "pip install tiny")


def test_sandboxes_do_not_share_a_way(toy: ToyIndex, bare_pool: Pool, store: EnvironmentStore) -> None:
    toy.add_wheel("helper", "1.0", {"helper.py": ""})
    bench = Workbench(bare_pool, store)
    task = bare_pool.task("tiny-total")
    with Episode(task, bench, FROZEN) as one, Episode(task, bench, FROZEN) as two:
        one.start()
        two.start()
        assert one._packages
        assert two._packages
        bash(one, "pip install helper")
        assert two._packages.new_requests() == []
        assert one._packages._socket != two._packages._socket
        one.close()
        assert "helper==1.0" in bash(two, "pip install helper")


def test_nothing_is_left_after_the_bench(toy: ToyIndex, bare_pool: Pool, store: EnvironmentStore) -> None:
    bench = Workbench(bare_pool, store)
    with Episode(bare_pool.task("tiny-total"), bench, FROZEN) as episode:
        episode.start()
        assert bench._service
        doors = bench._service.doors
        assert doors.is_relative_to(residence_base())
        assert len(sockets(bench)) == 1
    assert sockets(bench) == []
    bench._service.close()
    bench._service.close()
    assert not doors.parent.exists()


def test_a_start_that_fails_leaves_no_way_open(
    toy: ToyIndex, bare_pool: Pool, store: EnvironmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Workbench(bare_pool, store)
    episode = Episode(bare_pool.task("tiny-total"), bench, FROZEN)

    def fail(spec: SandboxSpec) -> Sandbox:
        raise OSError("no sandbox today")

    monkeypatch.setattr(store.backend, "create", fail)
    with pytest.raises(OSError, match="today"):
        episode.start()
    assert sockets(bench) == []


@pytest.mark.parametrize("value", ["all", "", True, 1])
def test_another_value_is_bad_input(value: object) -> None:
    with pytest.raises(BadInputError, match="expected None or 'frozen'"):
        Rules(packages=value)  # type: ignore[arg-type]


def test_an_index_that_cannot_be_asked_is_bad_input(
    bare_pool: Pool, store: EnvironmentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "file:///opt/simple")
    with pytest.raises(BadInputError, match="expected http or https"):
        Episode(bare_pool.task("tiny-total"), Workbench(bare_pool, store), FROZEN).start()


def test_the_index_is_the_one_that_uv_or_pip_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://pip/simple?a=b")
    assert index_url() == "http://pip/simple?a=b"
    monkeypatch.setenv("UV_INDEX_URL", "http://old/simple")
    assert index_url() == "http://old/simple"
    monkeypatch.setenv("UV_DEFAULT_INDEX", "named=http://new/simple?a=b")
    assert index_url() == "http://new/simple?a=b"


def test_the_project_is_known_by_all_its_names(bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
    build = Workbench(bare_pool, store).build(bare_pool.task("tiny-total"))
    source = b"x = 1\n" * 100
    files = {
        "pyproject.toml": b'project.name = "One"\ntool.poetry.name = "two"\ntool.flit.metadata.module = "flit_x"',
        "setup.cfg": b"[metadata]\nname = three\n",
        "setup.py": b"from setuptools import setup\nsetup(name='Four_x', version='1')\n",
        "PKG-INFO": b"Metadata-Version: 2.1\nName: five.x\n",
        "src/inside/__init__.py": b"",
        "src/inside/deep.py": source,
        "alone.py": b"",
        "versioneer.py": b"",
        "tests/__init__.py": b"",
        "docs/__init__.py": b"",
    }
    for path, content in files.items():
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / path).write_bytes(content)
    policy = frozen_policy(named(build, tmp_path, source="https://example.org/group/Six.Seven.git"))
    names = {"one", "two", "flit-x", "three", "four-x", "five-x", "tiny", "six-seven", "inside", "alone"}
    assert policy.projects == names
    assert policy.modules == {"inside", "alone"}
    assert policy.files == {(zlib.crc32(source), len(source))}
    assert policy.until == build.environment.packages_until
    assert "eight" in frozen_policy(named(build, tmp_path, source="pypi:Eight>=1,<2")).projects


def test_files_that_cannot_be_read_name_nothing(bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
    build = Workbench(bare_pool, store).build(bare_pool.task("tiny-total"))
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pyproject.toml").write_text("project = 5 = 6")
    (tree / "setup.cfg").write_text("name without section")
    (tree / "setup.py").write_text("def (:\0")
    (tree / "PKG-INFO").write_bytes(b"\xff\0")
    assert frozen_policy(named(build, tmp_path, source="pypi:not a name!")).projects == {"tiny"}


def test_an_editable_install_is_known_by_its_metadata(bare_pool: Pool, store: EnvironmentStore, tmp_path: Path) -> None:
    build = Workbench(bare_pool, store).build(bare_pool.task("tiny-total"))
    (tmp_path / "tree").mkdir()
    for name, direct in (("Own_Name", '{"dir_info":{"editable":true}}'), ("other", '{"dir_info":{}}')):
        info = tmp_path / f"venv/lib/python3.11/site-packages/{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "direct_url.json").write_text(direct)
    assert frozen_policy(named(build, tmp_path, source="pypi:tiny")).projects == {"tiny", "own-name"}


def named(build: Build, folder: Path, *, source: str) -> Build:
    """The build with another folder and source."""
    environment = Environment.model_validate({**build.environment.model_dump(), "source": source})
    return replace(build, environment=environment, folder=folder)


@pytest.mark.network
def test_the_real_index_serves_an_old_wheel(bare_pool: Pool, store: EnvironmentStore) -> None:
    with Episode(bare_pool.task("tiny-total"), Workbench(bare_pool, store), FROZEN) as episode:
        episode.start()
        said = bash(
            episode, "pip install 'iniconfig==2.0.0' && python -c 'import iniconfig; print(iniconfig.__file__)'"
        )
        assert "/home/agent/.packages/iniconfig/__init__.py" in said
        assert "is the project of this task" in bash(episode, "pip install tiny")


@pytest.mark.network
def test_the_grader_never_gets_packages(graded_pool: Pool, store: EnvironmentStore) -> None:
    class Spy(BubblewrapBackend):
        def create(self, spec: SandboxSpec) -> Sandbox:  # type: ignore[override]
            specs.append(spec)
            return super().create(spec)

    specs: list[SandboxSpec] = []
    bench = Workbench(graded_pool, EnvironmentStore(Spy(), store.root))
    with Episode(graded_pool.task("tiny-total"), bench, FROZEN) as episode:
        episode.start()
        bash(episode, "sed -i 's/result -= number/result += number/' tiny/counting.py; pip install iniconfig")
        assert episode.call([ToolCall("submit", {})]).outcome
        assert episode.outcome
        assert episode.outcome.reward == 1
    agents, *graders = specs
    assert any(mount.target.startswith("/opt/packages") for mount in agents.mounts)
    assert graders
    assert not any(mount.target.startswith("/opt/packages") for spec in graders for mount in spec.mounts)
    assert not any(".packages" in value for spec in graders for value in spec.variables.values())
