"""Built environments, kept on this machine: a virtual environment and a clean tree for each Environment record.

    <home>/builds/making-NAMESPACE/   what is being made; removed when the process that did it is dead
    <home>/builds/<environment id>-<backend>-<python version>-<which>-<kind of CPU>/
      tree/    the clean source tree: the bottom layer of every sandbox
      extra/   files that the install made in the tree (a version file, a compiled module): the second layer
      venv/    the virtual environment, seen at /opt/env
      modules/   compiled tests, packages and source, for grading alone; see agent_env/grading/bytecode.py
      build.json

Installs run in a sandbox with network and no agent; their package cache belongs to one repository alone, so that
hostile build code can poison nothing but itself. A build is made beside its place and renamed into it.
"""

import fcntl
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import uv

from agent_env.errors import EnvironmentBuildError
from agent_env.interpreter import Interpreter, find_interpreter
from agent_env.sandbox.base import VENV_DIR, WORK_DIR, Limits, Mount, Sandbox, SandboxBackend, SandboxSpec
from agent_env.sandbox.overlay import lay_edits
from agent_env.sandbox.residence import making_in, new_residence, reap_folders, remove_tree
from tasks.environment import Environment
from tasks.home import home
from tasks.record import digest_json
from tasks.tree import Edits, list_files

INSTALL_SECONDS = 600.0
"""How long one install command may take."""

TREE_TIME = 946_684_800
"""2000-01-01, the date of every file of a clean tree."""


_UV = "/opt/uv/uv"
_UV_CACHE = "/opt/uv-cache"

_INSTALL_LIMITS = Limits(memory_bytes=6 << 30, processes=1024, output_bytes=200_000, file_bytes=4 << 30)

_PASSED_ON = (
    *("SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL"),
)
"""Variables of the host that say how the package index is reached."""

_GIT_TREE = (
    "git init -q . && git add -A && git commit -q --no-verify -m tree && git tag -f {tag} 2>/dev/null; "
    'printf "" > .git/description'
)
"""Build tools that ask version control for the version find a tag of it."""

_INSPECT = """
import importlib.metadata as m, json
plugins = sorted({e.name for e in m.entry_points(group="pytest11")})
print(json.dumps(plugins))
"""


@dataclass(frozen=True, kw_only=True)
class InstallRecipe:
    """One way to install a project and what its tests need."""

    python: str
    """``major.minor``."""
    exclude_newer: datetime
    """Packages published after this moment do not exist for the install."""
    commands: tuple[str, ...]
    """Shell commands, run in the tree with the environment active and ``uv`` on the path."""
    variables: Mapping[str, str]
    version: str
    """What build tools that ask version control are told."""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What an install gave."""

    requirements: tuple[str, ...]
    plugins: tuple[str, ...]
    editable: bool
    log: str
    folder: Path
    """Where it lies until ``EnvironmentStore.adopt`` names it."""


@dataclass(frozen=True)
class Build:
    """A built environment on this machine."""

    environment: Environment
    folder: Path
    interpreter: Interpreter

    @property
    def tree(self) -> Path:
        """The clean source tree."""
        return self.folder / "tree"

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.folder / "venv"

    @property
    def bytecode(self) -> Path:
        """Compiled tests, packages and source; there once the first suite has run."""
        return self.folder / "modules"

    @property
    def making(self) -> Path:
        """Where what belongs to it is made, in residences, before it is renamed into its place."""
        return making_in(self.folder.parent)

    @property
    def layers(self) -> tuple[Path, ...]:
        """The lower layers of every sandbox of this environment."""
        return (self.tree, self.folder / "extra")

    def spec(self, *layers: Path, limits: Limits | None = None, mounts: tuple[Mount, ...] = ()) -> SandboxSpec:
        """A sandbox of this environment with ``layers`` of changes on top of the tree."""
        variables = dict(self.environment.variables)
        if not self.environment.editable:
            variables["PYTHONPATH"] = f"{WORK_DIR}/src:{WORK_DIR}"
        return SandboxSpec(
            layers=(*self.layers, *layers),
            mounts=(Mount(source=self.venv, target=VENV_DIR), *self.interpreter.mounts(), *mounts),
            hidden=self.interpreter.hidden(),
            variables=variables,
            limits=limits or Limits(),
        )


class EnvironmentStore:
    """Builds environments through a sandbox backend and keeps them; safe to use from several processes.

    Args:
        backend: where installs run.
        root: where builds are kept; ``<home>/builds`` where None.
    """

    def __init__(self, backend: SandboxBackend, root: Path | None = None) -> None:
        self.backend = backend
        self.root = root or home() / "builds"
        self._making = making_in(self.root)
        self._making.mkdir(parents=True, exist_ok=True)
        reap_folders(self._making)

    def install(self, recipe: InstallRecipe, tree: Path, *, repo: str) -> Installed:
        """Install a project for the first time.

        Raises:
            EnvironmentBuildError: a command failed; the message ends with what it printed.
        """
        interpreter = find_interpreter(recipe.python)
        folder = new_residence(self._making)
        for name in ("venv", "extra"):
            (folder / name).mkdir(parents=True)
        shutil.copytree(tree, folder / "tree", symlinks=True)
        _fix_times(folder / "tree")
        try:
            with self._install_sandbox(folder, interpreter, recipe, repo) as sandbox:
                log = "".join(_must(sandbox, command) for command in _steps(recipe, interpreter))
                frozen = _must(sandbox, f"{_UV} pip freeze --exclude-editable --color never")
                editable = "-e " in _must(sandbox, f"{_UV} pip freeze --color never")
                plugins = json.loads(_must(sandbox, f"python -I -c '{_INSPECT}'"))
                sandbox.stop()
                lay_edits(_made_by_install(sandbox.changes()), folder / "extra")
        except BaseException:
            remove_tree(folder)
            raise
        requirements = tuple(sorted(line for line in frozen.splitlines() if "==" in line))
        return Installed(requirements=requirements, plugins=tuple(plugins), editable=editable, log=log, folder=folder)

    def adopt(self, installed: Installed, environment: Environment) -> Build:
        """Keep an install as the build of ``environment``."""
        build = self._place(environment)
        with lock(build.folder):
            if build.folder.is_dir():
                remove_tree(installed.folder)
                return build
            (installed.folder / "build.json").write_text(environment.model_dump_json(indent=2) + "\n")
            installed.folder.rename(build.folder)
        return build

    def discard(self, installed: Installed) -> None:
        """Remove an install that was not adopted."""
        remove_tree(installed.folder)

    def build(self, environment: Environment, unpack: Callable[[Path], None]) -> Build:
        """The build of ``environment``, made from its pinned requirements where this machine has none yet.

        Args:
            unpack: writes the clean tree into an empty folder, as ``Pool.unpack_environment`` does.

        Raises:
            EnvironmentBuildError: an install command failed, as where a pinned package has nothing for this machine.
        """
        build = self._place(environment)
        if build.folder.is_dir():
            return build
        tree = new_residence(self._making)
        try:
            unpack(tree)
            return self.adopt(self.install(pinned_recipe(environment), tree, repo=environment.repo), environment)
        except EnvironmentBuildError as error:
            raise EnvironmentBuildError(
                f"environment {environment.id} cannot be made on this machine (Python {build.interpreter.version}, "
                f"{platform.machine()}). Its packages are pinned as they were where the pool was built: use a machine "
                f"of that kind, or build a pool here. {error}"
            ) from error
        finally:
            remove_tree(tree)

    def _place(self, environment: Environment) -> Build:
        interpreter = find_interpreter(environment.python)
        # A home may be shared by machines of several kinds: none may run what another has compiled. A virtual
        # environment names its interpreter, of which a machine may have several of one version.
        python = f"{interpreter.version}-{digest_json(str(interpreter.executable))[:6]}"
        name = f"{environment.id}-{self.backend.name}-{python}-{platform.machine()}"
        return Build(environment, self.root / name, interpreter)

    @contextmanager
    def _install_sandbox(
        self, folder: Path, interpreter: Interpreter, recipe: InstallRecipe, repo: str
    ) -> Iterator[Sandbox]:
        cache = self.root.parent / "uv" / self.backend.name / repo
        cache.mkdir(parents=True, exist_ok=True)
        mounts = [
            Mount(source=folder / "venv", target=VENV_DIR, writable=True),
            Mount(source=cache, target=_UV_CACHE, writable=True),
            Mount(source=Path(uv.find_uv_bin()).resolve(), target=_UV),
            *interpreter.mounts(),
        ]
        certificates = os.environ.get("SSL_CERT_FILE")
        if certificates and not certificates.startswith("/etc/ssl/"):
            mounts.append(Mount(source=Path(certificates), target=certificates))
        spec = SandboxSpec(
            layers=(folder / "tree",),
            mounts=tuple(mounts),
            hidden=interpreter.hidden(),
            variables=_install_variables(recipe),
            limits=_INSTALL_LIMITS,
            network=True,
        )
        sandbox = self.backend.create(spec)
        try:
            yield sandbox
        finally:
            sandbox.close()


def pinned_recipe(environment: Environment) -> InstallRecipe:
    """How an environment is made again from its record alone."""
    pins = " ".join(f"'{pin}'" for pin in environment.requirements)
    commands = [f"uv pip install --no-deps {pins}"] if pins else []
    if environment.editable:
        commands.append("uv pip install --no-deps -e .")
    return InstallRecipe(
        python=environment.python,
        exclude_newer=environment.packages_until,
        commands=tuple(commands),
        variables=environment.variables,
        version=environment.version,
    )


def _fix_times(tree: Path) -> None:
    """Give every file one old date, so that no compiled test can match a file that is laid over it later."""
    for name in list_files(tree):
        os.utime(tree / name, (TREE_TIME, TREE_TIME), follow_symlinks=False)


def _steps(recipe: InstallRecipe, interpreter: Interpreter) -> tuple[str, ...]:
    return (
        _GIT_TREE.format(tag=f"v{recipe.version}"),
        f"{_UV} venv --quiet --allow-existing --python {interpreter.executable} {VENV_DIR}",
        *recipe.commands,
    )


def _must(sandbox: Sandbox, command: str) -> str:
    done = sandbox.run(command, timeout=INSTALL_SECONDS)
    if done.exit_code != 0:
        why = done.stopped.value if done.stopped else f"exit status {done.exit_code}"
        raise EnvironmentBuildError(
            f"the install step `{command[:300]}` failed ({why}):\n{done.output[-3000:].strip()}"
        )
    return done.output


def _install_variables(recipe: InstallRecipe) -> dict[str, str]:
    variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    if "UV_DEFAULT_INDEX" not in variables and "PIP_INDEX_URL" in os.environ:
        variables["UV_DEFAULT_INDEX"] = os.environ["PIP_INDEX_URL"]
    return {
        **variables,
        "PATH": f"{VENV_DIR}/bin:{PurePosixPath(_UV).parent}:/usr/local/bin:/usr/bin:/bin",
        "UV_CACHE_DIR": _UV_CACHE,
        "UV_LINK_MODE": "copy",
        "UV_COMPILE_BYTECODE": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "1",
        "UV_NO_CONFIG": "1",
        "UV_EXCLUDE_NEWER": recipe.exclude_newer.isoformat(),
        **recipe.variables,
    }


def _made_by_install(changes: Edits) -> dict[str, bytes | None]:
    """What an install made in the tree that the project needs to run: no caches, no copies of the source."""

    def is_needed(path: str) -> bool:
        parts = PurePosixPath(path).parts
        return not (
            parts[0] in ("build", "dist", ".eggs")
            or any(part == "__pycache__" or part.endswith((".egg-info", ".dist-info")) for part in parts)
            or path.endswith((".pyc", ".o"))
        )

    return {path: content for path, content in changes.items() if content is not None and is_needed(path)}


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """One process at a time for ``path``."""
    with path.with_name(path.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
