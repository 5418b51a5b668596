"""From a request to its source."""

from env_builder.progress import Progress, Silent
from env_builder.request import RepoRequest
from env_builder.sources.git import GitSource, open_url
from env_builder.sources.local import open_local
from env_builder.sources.pypi import open_pypi


def open_source(request: RepoRequest, *, progress: Progress | None = None) -> GitSource:
    """Fetch what a request names, or find it in the cache.

    Raises:
        SourceError: it cannot be had.
        InfraError: the machine failed, as by a full disk.
    """
    if request.is_pypi:
        return open_pypi(request, progress=progress or Silent())
    return open_url(request) if request.is_url else open_local(request)
