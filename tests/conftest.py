"""For all tests: no display, no files of the user, one torch thread."""

import os
import tempfile

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("BRAGGSCOPE_HOME", tempfile.mkdtemp(prefix="braggscope-tests-"))
os.environ.setdefault("OMP_NUM_THREADS", "1")
