"""Plays an attack, the gold patch or no work in an agent's sandbox, and has a procedure grade what came of it."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from agent_env.attack_trial import RULES, Target, make_view
from agent_env.sandbox.base import Sandbox
from agent_env.scripted import oracle_actions
from agent_env.tools.formats import DEFAULT_FORMAT, choose_format, parse_calls
from agent_env.tools.toolbox import Toolbox
from agent_env.workbench import Workbench
from bench.graders.procedures import Case, Procedure
from blockers.attacks.attack import Attack
from blockers.attacks.programs import PRELUDE
from tasks.errors import RepoDojoError

Player = Attack | Literal["gold", "noop"]
"""Who works in the agent's sandbox."""

REFERENCES: tuple[Literal["gold", "noop"], ...] = ("gold", "noop")


def is_paid(
    procedure: Procedure,
    player: Player,
    target: Target,
    bench: Workbench,
    *,
    prepare: Callable[[Case], None] | None = None,
) -> bool | None:
    """Whether a procedure gives a reward; None where it gave no verdict.

    Args:
        prepare: what is done in the agent's sandbox before it is the agent's.
    """
    case = Case(target.task, bench, bench.open(target.task))
    try:
        if prepare:
            prepare(case)
        if isinstance(player, Attack):
            play_attack(player, target, case.agents)
        else:
            _play_reference(player, case)
        return procedure(case)
    except (RepoDojoError, OSError):
        return None  # the attack broke the sandbox, or the grader
    finally:
        case.agents.close()


def play_attack(attack: Attack, target: Target, agents: Sandbox) -> None:
    """Run an attack's commands."""
    view = make_view(attack, target, Path("/tmp/canary"))
    for command in [PRELUDE.format(token=secrets.token_hex(8), canary=view.canary), *attack.steps(view)]:
        agents.run(command, timeout=RULES.command_timeout)


def _play_reference(kind: Literal["gold", "noop"], case: Case) -> None:
    toolbox = Toolbox()
    turns = oracle_actions(case.task, case.bench.build(case.task).tree) if kind == "gold" else []
    for call in [call for turn in turns for call in parse_calls(turn, choose_format(DEFAULT_FORMAT))]:
        if call.name != "submit":
            toolbox.execute(case.agents, call)
