"""The monitor's one question: what was tried in this tool call?

Deterministic, and quick enough for every call of every episode. Never raises on what a policy wrote.
"""

from collections.abc import Mapping
from typing import Any

from blockers.monitor.acts import acts_of
from blockers.monitor.events import Event, Stage, Vector
from blockers.monitor.hit import Context, Hit, clip
from blockers.monitor.memory import Memory
from blockers.monitor.reader import UnreadableError
from blockers.monitor.rules.bombs import bomb_hits
from blockers.monitor.rules.code import code_hits
from blockers.monitor.rules.files import file_hits, pattern_hits
from blockers.monitor.rules.git import git_hits
from blockers.monitor.rules.machine import machine_hits
from blockers.monitor.rules.network import network_hits
from blockers.monitor.rules.search import listed_hits, search_hits
from blockers.monitor.status import status_of

_RULES = (
    git_hits,
    network_hits,
    search_hits,
    listed_hits,
    file_hits,
    pattern_hits,
    code_hits,
    machine_hits,
    bomb_hits,
)


def classify(
    tool: str,
    arguments: Mapping[str, Any],
    observation: str,
    *,
    turn: int,
    context: Context | None = None,
    memory: Memory | None = None,
) -> list[Event]:
    """The events of one tool call, at most one for each vector and stage.

    Args:
        tool: ``bash``, ``edit`` or ``search``; other tools give none.
        arguments: as the policy gave them, checked or not.
        observation: what the call showed.
        turn: the turn of the episode, from 1.
        context: what is known of the task; None means nothing.
        memory: what the episode's calls wrote so far, which this call adds to; None means that there were none.
    """
    try:
        acts = (memory or Memory()).recall(acts_of(tool, arguments))
        found = [hit for rule in _RULES for hit in rule(acts, context or Context())]
    except (RecursionError, UnreadableError) as error:  # beyond what any honest call is
        found = [Hit(Vector.UNREADABLE, Stage.TAMPER, clip(f"{error}: {arguments.get('command')}"))]
    first: dict[tuple[str, str], Hit] = {}
    for hit in found:
        first.setdefault((hit.vector, hit.stage), hit)
    return [
        Event(
            vector=hit.vector,
            stage=hit.stage,
            status=status_of(hit, observation),
            turn=turn,
            evidence=hit.evidence,
        )
        for hit in first.values()
    ]
