"""``repodojo``: the command line. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted."""

import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from env_builder.errors import BuildInterruptedError
from repodojo.commands.attack import attack
from repodojo.commands.base_image import base_image
from repodojo.commands.build import build
from repodojo.commands.demo import demo
from repodojo.commands.doctor import doctor
from repodojo.commands.play import play
from repodojo.commands.pool import pool
from repodojo.commands.pool_strength import strength
from repodojo.commands.pool_twins import twins
from repodojo.commands.replay import convert, replay
from repodojo.commands.rollout import rollout
from repodojo.commands.serve import serve
from repodojo.commands.train import train
from repodojo.console import Console
from tasks.errors import BadInputError, RepoDojoError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="repodojo",
    help="Build certified coding tasks from repositories, step them in a sandbox, train a policy on them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
pool.command("twins")(twins)
pool.command("strength")(strength)
app.add_typer(pool, name="pool")
for command in (doctor, build, play, rollout, replay, convert, serve, train, attack, demo):
    app.command()(command)
app.command("base-image")(base_image)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the console script passes it on."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    console = Console(as_json="--json" in arguments)
    try:
        code = app(arguments, standalone_mode=False)
        if code == INTERRUPTED:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
    except typer.Exit as end:
        return end.exit_code
    except TyperException as error:
        console.error(f"{error.format_message()}; `repodojo --help` lists what there is", code=BAD_INPUT)
        return BAD_INPUT
    except BadInputError as error:
        console.error(str(error), code=BAD_INPUT)
        return BAD_INPUT
    except (BuildInterruptedError, KeyboardInterrupt, typer.Abort) as error:
        message = str(error) or "interrupted; a build or a training goes on where it stopped if it is run again"
        console.error(message, code=INTERRUPTED)
        return INTERRUPTED
    except (RepoDojoError, OSError) as error:
        console.error(str(error), code=FAILED)
        return FAILED
    return int(code or 0)
