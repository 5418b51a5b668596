"""``repodojo serve``: a pool's environment over HTTP and WebSocket."""

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from agent_env.env import SWEEnv
from agent_env.errors import BackendUnavailableError
from agent_env.remote.wire import KEY_VARIABLE
from agent_env.sandbox.select import select_backend
from agent_env.store import EnvironmentStore
from agent_env.tools.formats import DEFAULT_FORMAT
from repodojo.commands.pool import as_split
from repodojo.console import Console
from repodojo.options import AsJson, CallFormat, Packages, PoolPath, SandboxName
from tasks.errors import BadInputError


def serve(
    path: PoolPath,
    host: Annotated[str, typer.Option(help="Address; any but loopback needs an API key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 means any free one.")] = 8200,
    max_sessions: Annotated[int, typer.Option(help="Sessions at once; one more is refused.")] = 64,
    api_key_file: Annotated[
        Path | None, typer.Option(help=f"File that holds the API key; without it the variable {KEY_VARIABLE} counts.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate (PEM) for TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key (PEM) of the certificate.")] = None,
    idle_timeout: Annotated[float, typer.Option(help="Seconds of silence after which a session is ended.")] = 600.0,
    episode_timeout: Annotated[float, typer.Option(help="Seconds after which an episode is ended.")] = 7200.0,
    split: Annotated[str, typer.Option(help="all, train or test.")] = "all",
    max_steps: Annotated[int, typer.Option(help="Turns of an episode.")] = 30,
    command_timeout: Annotated[float, typer.Option(help="Seconds that one command may run.")] = 30.0,
    call_format: CallFormat = DEFAULT_FORMAT,
    packages: Packages = None,
    trajectories: Annotated[Path | None, typer.Option(help="Folder for one trajectory file (ATIF) an episode.")] = None,
    sandbox: SandboxName = "auto",
    as_json: AsJson = False,
) -> int:
    """Serve a pool to trainers on other machines: OpenEnv's protocol, one sandbox a session, until Ctrl-C."""
    console = Console(as_json=as_json)
    if importlib.util.find_spec("openenv") is None:
        raise BackendUnavailableError("the openenv package is missing: pip install 'repodojo[openenv]'")
    from agent_env.remote.server import EnvServer, ServeOptions, is_loopback  # heavy: seconds to import

    options = ServeOptions(
        host=host,
        port=port,
        max_sessions=max_sessions,
        api_key=_api_key(api_key_file),
        tls_cert=tls_cert,
        tls_key=tls_key,
        idle_seconds=idle_timeout,
        episode_seconds=episode_timeout,
    )
    backend = select_backend(sandbox)
    env = SWEEnv(
        pool=path,
        split=as_split(split),
        max_steps=max_steps,
        command_timeout=command_timeout,
        call_format=call_format,
        packages=packages,
        store=EnvironmentStore(backend),
        trajectories=trajectories,
        agent="remote",
    )
    for task in {task.environment_id: task for task in env.tasks}.values():
        console.say(f"preparing the environment of {escape(task.repo)} ({task.environment_id[:12]})")
        env.bench.build(task)
    server = EnvServer(env, options)
    if not is_loopback(host) and not options.tls_cert:
        console.say(
            "[yellow]without TLS the API key crosses the network as plain text: give --tls-cert and --tls-key[/]"
        )
    console.say(f"{len(env.tasks)} tasks at [bold]{server.url}[/], {max_sessions} sessions at most. Ctrl-C stops it.")
    server.serve()
    console.say("stopped; every sandbox is closed")
    console.result({"url": server.url, "tasks": len(env.tasks)})
    return 0


def _api_key(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(KEY_VARIABLE) or None
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the API key cannot be read from {file}: {error}") from error
