"""Makes ``gymnasium.make("RepoDojo/SWE-v0", pool=...)`` and ``make_vec`` known. Only names are registered: nothing
heavy is imported."""

import gymnasium

ENV_ID = "RepoDojo/SWE-v0"


def register() -> None:
    """Register the environment; once is enough, twice is harmless."""
    if ENV_ID not in gymnasium.registry:
        gymnasium.register(
            id=ENV_ID, entry_point="agent_env.env:SWEEnv", vector_entry_point="agent_env.vector:SWEVectorEnv"
        )
