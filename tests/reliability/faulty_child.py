"""The reader process with a disk that fails: started in place of the real one, see test_injected_faults.py.

BRAGGSCOPE_TEST_FAULT says what happens when frame 1 is read: ``error`` of the disk, ``memory``, ``death``,
or ``slow`` for a disk that takes a second over every frame.
"""

import errno
import os
import time

from braggscope.app.sources import base, child
from braggscope.app.sources.channel import end_with_parent

FAULT = os.environ["BRAGGSCOPE_TEST_FAULT"]
FAULTY = 1
plain = base.Source.read_into


def failing(index: int, out: object) -> None:
    """In place of a reader's own reading of frame 1."""
    if FAULT == "memory":
        raise MemoryError
    if FAULT == "death":
        os._exit(3)
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def read_into(self: base.Source, index: int, out: object) -> None:
    """Read as usual, but for the fault."""
    if FAULT == "slow":
        time.sleep(1.0)
    elif index == FAULTY:
        self._read_into = failing
        try:
            return plain(self, index, out)
        finally:
            del self._read_into
    return plain(self, index, out)


base.Source.read_into = read_into

if __name__ == "__main__":
    end_with_parent()
    child.main()
