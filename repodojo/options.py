"""Options and arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Progress to standard error, one JSON object last on stdout.")]
SandboxName = Annotated[
    str, typer.Option("--sandbox", help="auto, bubblewrap, docker, or docker:RUNTIME (docker:runsc).")
]
PoolPath = Annotated[Path, typer.Argument(metavar="POOL", help="A pool directory, as `repodojo build` makes it.")]
Seed = Annotated[int, typer.Option(help="The same seed and inputs give the same result.")]
