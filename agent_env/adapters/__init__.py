"""Other ecosystems' interfaces over ``SWEEnv``: OpenEnv, TRL, verifiers, mini-swe-agent.

One module each, thin, and imported by name, since each needs its ecosystem's package (``pip install repodojo[openenv]``
and so on). All of them step the same episodes by the same rules; none holds a rule of its own.
"""
