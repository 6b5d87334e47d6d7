"""Entry point: ``braggscope``. Qt is imported only where a window is wanted."""

import logging
import os
import sys

from braggscope.app.memory import keep_few_heaps

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, or open the window. Returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    keep_few_heaps()
    os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no filters from folders that the environment names
    try:
        from braggscope.app.cli import main as run_command

        code = run_command(arguments, open_window)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:  # at once: everything is closed, and threads may still be busy in compiled code
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def open_window(locations: list[str]) -> int:
    """Open the window on some series; the only way from here to Qt."""
    from braggscope.app.shell.display import check_start

    check_start(locations)
    from braggscope.app.composition import run_window
    from braggscope.app.shell.logs import start_logging

    start_logging()
    return run_window(locations)


if __name__ == "__main__":
    sys.exit(main())
