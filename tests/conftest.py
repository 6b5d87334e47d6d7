"""For all tests: no display, no files of the user, one torch thread, garbage collected in the main one."""

import gc
import os
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("BRAGGSCOPE_HOME", tempfile.mkdtemp(prefix="braggscope-tests-"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("braggscope", deadline=None)  # a test never fails by the time that it takes
settings.load_profile("braggscope")

gc.disable()  # threads of pytest's own would collect widgets, which must die in the main thread


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what the tests of a file left behind."""
    yield
    gc.collect()
