"""Which package index this host is configured with."""

import os


def index_url() -> str:
    """uv's where that is set by a variable, else pip's: of the environment, of its files, its own default.

    May hold a user and password; see ``pip config`` for where it comes from.
    """
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name].partition("=")[2] if _is_named(os.environ[name]) else os.environ[name]
    from pip._internal.configuration import Configuration
    from pip._internal.models.index import PyPI

    configuration = Configuration(isolated=False)
    configuration.load()
    settings = dict(configuration.items())
    return str(settings.get(":env:.index-url") or settings.get("global.index-url") or PyPI.simple_url)


def _is_named(value: str) -> bool:
    """uv takes ``NAME=URL`` as well."""
    return "=" in value.partition("://")[0]
