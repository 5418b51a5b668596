"""Makes ``gymnasium.make("RepoDojo/SWE-v0", pool=...)`` and ``make_vec`` known. Only names are registered: nothing
heavy is imported."""

import gymnasium

ENV_ID = "RepoDojo/SWE-v0"
REMOTE_ENV_ID = "RepoDojo/RemoteSWE-v0"


def register() -> None:
    """Register the environments; once is enough, twice is harmless."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            id=ENV_ID, entry_point="agent_env.env:SWEEnv", vector_entry_point="agent_env.vector:SWEVectorEnv"
        )
    if REMOTE_ENV_ID not in gymnasium.registry:
        gymnasium.register(id=REMOTE_ENV_ID, entry_point="agent_env.remote.client:RemoteSWEEnv")
