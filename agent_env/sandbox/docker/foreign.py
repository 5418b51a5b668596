"""Docker sandboxes under a runtime with a kernel of its own (gVisor): the host sees one process and no file of it.

So files pass through a process that Docker starts inside, and a command that runs past its timeout costs the whole
process tree: the files stay, the shell is new, and the output says so.
"""

import errno
import os
import posixpath
import time

from agent_env.errors import SandboxError
from agent_env.sandbox.base import WORK_DIR
from agent_env.sandbox.docker.sandbox import DockerSandbox
from agent_env.sandbox.inroot import READ_LIMIT
from agent_env.sandbox.output import BoundedOutput

_SECONDS = 60.0
"""How long reading or writing a file may take."""

_READ = f"""
unset BASH_ENV ENV
if [ -d "$1" ]; then exit {errno.EISDIR}; fi
if [ ! -e "$1" ]; then exit {errno.ENOENT}; fi
if [ ! -f "$1" ] || [ ! -r "$1" ]; then exit {errno.EACCES}; fi
head -c {READ_LIMIT + 1} -- "$1" || exit {errno.EACCES}
"""

_WRITE = f"""
unset BASH_ENV ENV
if [ -d "$1" ]; then exit {errno.EISDIR}; fi
if [ -e "$1" ] && [ ! -f "$1" ]; then exit {errno.EACCES}; fi
mkdir -p -- "${{1%/*}}/" && cat > "$1" || exit {errno.EACCES}
"""


class ForeignDockerSandbox(DockerSandbox):
    """See ``Sandbox``."""

    _sees_processes = False

    def read(self, path: str) -> bytes:
        """See ``Sandbox.read``."""
        data = self._exec(_READ, path, b"")
        if len(data) > READ_LIMIT:
            raise OSError(errno.EFBIG, f"the file is larger than the {READ_LIMIT >> 20} MiB that are read", path)
        return data

    def write(self, path: str, data: bytes) -> None:
        """See ``Sandbox.write``."""
        self._exec(_WRITE, path, data)

    def _exec(self, script: str, path: str, data: bytes) -> bytes:
        """Run a script inside, give it ``data``, return what it printed. Its exit status is an error number."""
        if "\0" in path:
            raise ValueError(f"a path must not hold a NUL byte: {path!r}")
        self._require_running()
        self._living(BoundedOutput(0))
        assert self._container is not None
        command = ["/bin/bash", "--norc", "--noprofile", "-c", script, "bash", posixpath.join(WORK_DIR, path)]
        deadline = time.monotonic() + _SECONDS
        status, said = self._container.execute(command, data, deadline)
        if status in (errno.EISDIR, errno.ENOENT, errno.EACCES):
            raise OSError(status, os.strerror(status), path)
        if status:
            raise SandboxError(f"a file could not be passed to or from the sandbox: status {status}")
        return said
