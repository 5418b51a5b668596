"""What crosses the wire between an OpenEnv server of a pool and its clients.

Nothing here tells how the hidden tests judged beyond the reward itself: no grader's reason, no counts, no names of
tests, and no words of the machine about its own failures, which may hold paths.
"""

from typing import Annotated, Any, Self

from openenv.core.env_server.types import Action, Observation, State
from pydantic import BeforeValidator, Field, ValidationError

from agent_env.remote.wire import encodable, refused


class SWEAction(Action):
    """One turn: what the policy wrote, tool calls included."""

    text: Annotated[str, BeforeValidator(encodable)]

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As pydantic's, but what is wrong is told without what was given: OpenEnv would send that back, and end the
        session where JSON cannot hold it.

        Raises:
            BadInputError: ``obj`` is no action.
        """
        try:
            action: Self = super().model_validate(obj, **options)
        except ValidationError as error:
            raise refused(error) from None
        return action


class SWEObservation(Observation):
    """What the policy reads next, and for the trainer how the episode stands."""

    text: str
    task_id: str
    step: int = Field(description="Turns taken so far.")
    outcome: str | None = Field(
        default=None, description="Scored, LimitStopped, PolicyFault or InfraFailed at the end."
    )
    truncated: bool = Field(default=False, description="Whether a limit or the machine ended the episode.")
    masked: bool = Field(default=False, description="Whether the reward must not be used: the machine failed.")
    detail: str = Field(default="", description="Which limit ended the episode, where one did.")


class SWEState(State):
    """Where a session stands: OpenEnv's episode id and step count, and the task."""

    task_id: str | None = None
    outcome: str | None = None
