"""The system calls that a Docker sandbox may make: Docker's default list, less what ours denies.

``seccomp.json`` is moby's default profile (github.com/moby/profiles, seccomp/default.json, Apache-2.0) as it is.
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from agent_env.sandbox.seccomp import denied_names

_FCNTL = ("fcntl", "fcntl64")

_NO_LEASE = ((0x400, 0), (1, 1), (2, 2), (4, 4), (8, 8))
"""Mask and value: a command of ``fcntl`` that has one of these is none of ``seccomp.LEASES``. (The kernel looks at the
low half of a command alone, so to compare the whole of it would not do.)"""


@cache
def seccomp_profile() -> str:
    """The profile as JSON, for ``security_opt``."""
    profile = json.loads(files("agent_env.sandbox.docker").joinpath("seccomp.json").read_text())
    denied = denied_names()
    for rule in profile["syscalls"]:
        if rule["action"] == "SCMP_ACT_ALLOW":
            rule["names"] = [name for name in rule["names"] if name not in denied and name not in _FCNTL]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    profile["syscalls"] += [_allow_fcntl(mask, value) for mask, value in _NO_LEASE]
    return json.dumps(profile)


def _allow_fcntl(mask: int, value: int) -> dict[str, Any]:
    """A rule that allows its commands that have ``value`` where ``mask`` has ones."""
    command = {"index": 1, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": [*_FCNTL], "action": "SCMP_ACT_ALLOW", "args": [command]}
