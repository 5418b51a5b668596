"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agent_env.tools.formats import FORMATS

AsJson = Annotated[bool, typer.Option("--json", help="Progress to standard error, one JSON object last on stdout.")]
SandboxName = Annotated[
    str, typer.Option("--sandbox", help="auto, bubblewrap, docker, or docker:RUNTIME (docker:runsc).")
]
PoolPath = Annotated[Path, typer.Argument(metavar="POOL", help="A pool directory, as `repodojo build` makes it.")]
Seed = Annotated[int, typer.Option(help="The same seed and inputs give the same result.")]
CallFormat = Annotated[str, typer.Option("--call-format", help=f"How tool calls are written: {', '.join(FORMATS)}.")]
Packages = Annotated[
    Literal["frozen"] | None,
    typer.Option("--packages", help="frozen: pip install works, with packages of the task's day; none if absent."),
]
