"""The OpenEnv client of a served pool, for code that is written against OpenEnv.

The key of the server goes into ``headers={"Authorization": "Bearer ..."}``; a private certificate authority is named by
the environment variable ``SSL_CERT_FILE``. Code written against Gymnasium takes ``agent_env.remote.client`` instead.
"""

from typing import Any

from openenv.core.client_types import StepResult
from openenv.core.env_client import EnvClient

from agent_env.adapters.openenv_types import SWEAction, SWEObservation, SWEState
from agent_env.remote.wire import REPLY_SECONDS


class SWEClient(EnvClient[SWEAction, SWEObservation, SWEState]):
    """One session with a server.

    Args:
        base_url: ``http://HOST:PORT`` or ``https://HOST:PORT``.
        message_timeout_s: the longest wait for an answer. OpenEnv's own is a minute, in which not everything is graded.
        options: those of OpenEnv's client, as ``headers``.
    """

    def __init__(
        self, base_url: str | None = None, *, message_timeout_s: float = REPLY_SECONDS, **options: Any
    ) -> None:
        super().__init__(base_url, message_timeout_s=message_timeout_s, **options)

    def _step_payload(self, action: SWEAction) -> dict[str, Any]:
        return {"text": action.text}

    def _parse_result(self, payload: dict[str, Any]) -> StepResult[SWEObservation]:
        reward, done = payload.get("reward"), bool(payload.get("done", False))
        observation = SWEObservation(**payload["observation"], reward=reward, done=done)
        return StepResult(observation=observation, reward=reward, done=done, metadata=payload.get("metadata"))

    def _parse_state(self, payload: dict[str, Any]) -> SWEState:
        return SWEState(**payload)
