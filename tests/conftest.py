"""For all tests: no display, no files of the user, one torch thread, garbage collected in the main one."""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from reliability.amounts import amount, folder

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("BRAGGSCOPE_HOME", tempfile.mkdtemp(prefix="braggscope-tests-"))
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A property never fails by the time that it takes. The short form tries the same examples every time.
_common = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", _common, max_examples=amount(100, 2_000), derandomize=True, database=None)
settings.register_profile("long", _common, max_examples=amount(100, 2_000), print_blob=True)
settings.load_profile("short" if folder() is None else "long")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of tests in the background of a shell; programs
    signal.signal(signal.SIGINT, signal.default_int_handler)  # that are started would ignore it, too

gc.disable()  # threads of pytest's own would collect widgets, which must die in the main thread


@pytest.fixture(autouse=True, scope="module")
def _collect() -> Iterator[None]:
    """Collect what the tests of a file left behind."""
    yield
    gc.collect()


@pytest.fixture
def put_on(qapp):
    """Dresses the application as the program does; undressed again at the end."""
    from braggscope.resources.files import style_sheet
    from braggscope.widgets import theme

    yield lambda which: theme.apply(qapp, which, style_sheet())
    theme.apply(qapp, theme.DARK, "")
    qapp.setStyleSheet("")
