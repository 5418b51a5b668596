"""The system calls that a Docker sandbox may make: Docker's default list, less what ours denies.

``seccomp.json`` is moby's default profile (github.com/moby/profiles, seccomp/default.json, Apache-2.0) as it is.
"""

import json
from functools import cache
from importlib.resources import files

from agent_env.sandbox.seccomp import denied_names


@cache
def seccomp_profile() -> str:
    """The profile as JSON, for ``security_opt``."""
    profile = json.loads(files("agent_env.sandbox.docker").joinpath("seccomp.json").read_text())
    denied = denied_names()
    for rule in profile["syscalls"]:
        if rule["action"] == "SCMP_ACT_ALLOW":
            rule["names"] = [name for name in rule["names"] if name not in denied]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    return json.dumps(profile)
