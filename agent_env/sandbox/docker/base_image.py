"""The image that Docker sandboxes run on: bash, core utilities, git and the libraries that an interpreter links to.

Interpreter and packages are not in it: they are mounted. Two ways to make it: on the official slim Python image, where
a registry is reachable; else from the packages of this machine's own distribution, by ``mmdebstrap``.
"""

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent_env.errors import BackendUnavailableError

BASE_IMAGE = "repodojo/base:1"
"""The tag; its number rises when what is in the image changes."""

IMAGE_VARIABLE = "REPODOJO_DOCKER_IMAGE"
"""Environment variable that names another image to use."""

_PACKAGES = "python3,python3-venv,git,ca-certificates"
"""``python3`` for the shared libraries that it brings along."""

_DOCKERFILE = b"""FROM python:3-slim
RUN command -v git >/dev/null || \
    (apt-get update && apt-get install -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*)
"""


def make_base_image(client: Any, *, progress: Callable[[str], None] = lambda line: None) -> str:
    """Make ``BASE_IMAGE`` by whichever way works, and return its name.

    Args:
        client: a ``docker.DockerClient``.
        progress: told what happens.

    Raises:
        BackendUnavailableError: neither way works; the message says why, and what to install.
    """
    progress("building on the official slim Python image")
    try:
        return _build_on_official(client)
    except BackendUnavailableError as error:
        progress(f"{error}; making it from this distribution's packages instead")
        return _make_from_packages(client)


def choose_image(client: Any, name: str | None) -> str:
    """The image to use, which the daemon has.

    Args:
        name: what the user asked for; ``$REPODOJO_DOCKER_IMAGE`` or ``BASE_IMAGE`` where None.

    Raises:
        BackendUnavailableError: it is neither here nor to be had.
    """
    import docker

    wanted = name or os.environ.get(IMAGE_VARIABLE) or BASE_IMAGE
    try:
        client.api.inspect_image(wanted)
    except docker.errors.ImageNotFound:
        _get(client, wanted)
    return wanted


def _get(client: Any, wanted: str) -> None:
    import docker

    if wanted == BASE_IMAGE:
        try:
            _build_on_official(client)
        except BackendUnavailableError as error:
            raise BackendUnavailableError(
                f"Docker has no image {BASE_IMAGE} yet, and {error}: make it with `repodojo base-image`, "
                f"or name another one in {IMAGE_VARIABLE}"
            ) from error
        return
    try:
        client.images.pull(wanted)
    except docker.errors.DockerException as error:
        raise BackendUnavailableError(
            f"Docker has no image {wanted!r} and cannot pull it ({error}): mend the name in {IMAGE_VARIABLE}, "
            "or unset it and run `repodojo base-image`"
        ) from error


def _build_on_official(client: Any) -> str:
    import docker

    try:
        client.images.build(fileobj=io.BytesIO(_DOCKERFILE), tag=BASE_IMAGE, pull=True, rm=True, network_mode="host")
    except docker.errors.DockerException as error:
        raise BackendUnavailableError(f"the official Python image cannot be built on ({str(error)[:200]})") from error
    return BASE_IMAGE


def _make_from_packages(client: Any) -> str:
    program = shutil.which("mmdebstrap")
    if program is None:
        raise BackendUnavailableError(
            "the base image needs an image registry or `mmdebstrap`: on Debian and Ubuntu, `apt-get install mmdebstrap`"
        )
    with tempfile.TemporaryDirectory(prefix="repodojo-image-") as folder:
        archive = Path(folder) / "base.tar"
        command = [program, "--variant=minbase", f"--include={_PACKAGES}", "--quiet", _release(), str(archive)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BackendUnavailableError(f"`{' '.join(command[:-1])}` failed: {done.stderr.strip()[-2000:]}")
        repository, _, tag = BASE_IMAGE.partition(":")
        with archive.open("rb") as data:
            client.api.import_image_from_data(data, repository=repository, tag=tag)
    return BASE_IMAGE


def _release() -> str:
    """This machine's release where it is Debian's, so that the C library of its interpreters fits."""
    with Path("/etc/os-release").open() as file:
        facts = dict(line.strip().replace('"', "").split("=", 1) for line in file if "=" in line)
    return facts.get("VERSION_CODENAME", "bookworm") if facts.get("ID") == "debian" else "bookworm"
