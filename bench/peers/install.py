"""Installs the peers away from the project's own packages, and makes the images that they run on."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_env.sandbox.docker.base_image import BASE_IMAGE
from tasks.home import home

PINS = Path(__file__).parent.with_suffix(".txt")
DRIVER = Path(__file__).parent / "drive.py"
BY_HAND = "docker by hand"
NAMES = ("SWE-ReX", "mini-swe-agent", BY_HAND)
"""What ``drive.py`` drives."""

_PEER_IMAGE = """FROM {base}
COPY wheels /opt/wheels
RUN python3 -m venv /opt/rex && /opt/rex/bin/pip install --no-index --find-links /opt/wheels {pin} \
    && ln -s /opt/rex/bin/swerex-remote /usr/local/bin/swerex-remote && rm -rf /opt/wheels
"""


def peer_python() -> Path:
    """The interpreter of the peers' virtual environment, which is made where there is none for these pins yet."""
    folder = home() / "bench" / f"peers-{hashlib.sha256(PINS.read_bytes()).hexdigest()[:10]}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print(f"installing {', '.join(PINS.read_text().split())} into {folder}")
        venv.create(folder, with_pip=True, clear=True)
        _run(python, "-m", "pip", "install", "--quiet", "--requirement", PINS)
        (folder / "ready").touch()
    return python


def peer_image() -> str:
    """The sandboxes' base image with SWE-ReX's server in it, made where it is not there yet."""
    pin = next(line for line in PINS.read_text().split() if line.startswith("swe-rex"))
    name = f"repodojo-bench/swe-rex:{pin.rpartition('=')[2]}"
    if subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode == 0:
        return name
    print(f"building {name}: {BASE_IMAGE} and {pin}")
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    version = _run("docker", "run", "--rm", "--network", "none", BASE_IMAGE, "python3", "-c", ask).strip()
    with tempfile.TemporaryDirectory(prefix="repodojo-bench-") as folder:
        wheels = Path(folder) / "wheels"
        chosen = ("--only-binary=:all:", "--python-version", version, "--dest", wheels, pin)
        _run(peer_python(), "-m", "pip", "download", "--quiet", *chosen)
        (Path(folder) / "Dockerfile").write_text(_PEER_IMAGE.format(base=BASE_IMAGE, pin=pin))
        _run("docker", "build", "--quiet", "--network", "none", "--tag", name, folder)
    return name


class Ground:
    """What the peers' containers stand on while something is measured: images and a network, all removed by ``close``.

    A network of its own, since SWE-ReX is spoken to over a published port.
    """

    def __init__(self) -> None:
        self._mark = f"repodojo-bench-{os.getpid()}"
        self.image = peer_image()
        self._trees: list[str] = []
        _run("docker", "network", "create", self._mark)

    def __enter__(self) -> "Ground":
        return self

    def __exit__(self, *_: object) -> None:
        left = _run("docker", "ps", "--all", "--quiet", "--filter", f"label={self._mark}").split()
        for container in left:
            _run("docker", "rm", "--force", container)
        _run("docker", "network", "rm", self._mark)
        for name in self._trees:
            _run("docker", "image", "rm", "--force", name)

    def tree_image(self, tree: bytes) -> str:
        """The peers' image with a tree, given as an archive, at /testbed."""
        name = f"{self._mark}:{len(self._trees)}"
        with tempfile.TemporaryDirectory(prefix="repodojo-bench-") as folder:
            (Path(folder) / "tree.tar").write_bytes(tree)
            (Path(folder) / "Dockerfile").write_text(f"FROM {self.image}\nADD tree.tar /testbed/\nWORKDIR /testbed\n")
            _run("docker", "build", "--quiet", "--network", "none", "--tag", name, folder)
        self._trees.append(name)
        return name

    def drive(self, peer: str, what: str, job: Mapping[str, Any]) -> Any:
        """What ``drive.py`` says of a job; see there."""
        network = "none" if peer == BY_HAND else self._mark
        common = ["--label", self._mark, "--network", network]
        given = json.dumps({**job, "arguments": [*common, *job.get("arguments", ())]})
        done = subprocess.run(
            [peer_python(), DRIVER, peer, what], input=given, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"{peer} failed:\n{done.stderr[-3000:]}")
        return json.loads(done.stdout.splitlines()[-1])


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"`{' '.join(map(str, command))}` failed:\n{done.stderr[-3000:]}")
    return done.stdout
