"""``repodojo base-image``: make the image that docker sandboxes run on."""

from agent_env.errors import BackendUnavailableError
from agent_env.sandbox.docker.base_image import make_base_image
from repodojo.console import Console
from repodojo.options import AsJson


def base_image(as_json: AsJson = False) -> None:
    """Make the image of the docker sandbox, from a registry or, without one, from this system's packages."""
    console = Console(as_json=as_json)
    try:
        import docker

        client = docker.from_env()
    except ImportError:
        raise BackendUnavailableError("the docker package is missing: pip install 'repodojo[docker]'") from None
    except docker.errors.DockerException as error:
        raise BackendUnavailableError(f"no Docker Engine answers: start it, or set DOCKER_HOST ({error})") from error
    name = make_base_image(client, progress=console.say)
    console.say(f"made {name}. Next: any command with --sandbox docker.")
    console.result({"image": name})
