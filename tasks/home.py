"""Where RepoDojo keeps what it can make again: clones, downloads, trees, built environments."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The cache root: ``$REPODOJO_HOME`` where that is set, else the user's cache directory of this platform."""
    chosen = os.environ.get("REPODOJO_HOME")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("repodojo")
