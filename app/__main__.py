"""Entry point: ``braggscope``. Qt is imported only where a window is wanted."""

import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, or open the window. Returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    from braggscope.app.cli import main as run_command

    return run_command(arguments)


if __name__ == "__main__":
    sys.exit(main())
