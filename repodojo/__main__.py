"""``python -m repodojo`` and the console script."""

import sys

from repodojo.cli import main


def run() -> None:
    """Run the command line and end the process with its exit code."""
    sys.exit(main())


if __name__ == "__main__":
    run()
