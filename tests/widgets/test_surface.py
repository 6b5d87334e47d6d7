"""The surface: a sentence where there is no OpenGL, the crystal where there is (under a virtual screen)."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from braggscope.models.cdi.scene import scene_of
from braggscope.widgets.surface_view import SurfaceView, why_no_surface

SCRIPT = """
import sys
import numpy as np
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from braggscope.models.cdi.raster import View, picture
from braggscope.models.cdi.scene import scene_of
from braggscope.widgets.surface_view import SurfaceView
app = QApplication(sys.argv)
if SurfaceView().problem:
    print("none:", SurfaceView().problem)
    raise SystemExit
block = np.zeros((24, 24, 24)); block[6:18, 4:20, 9:15] = 1
scene = scene_of(block, 0.5, None, np.zeros((255, 3), np.uint8))
view = SurfaceView(); view.resize(300, 300); view.show(); view.set_scene(scene); QTest.qWait(300)
image = view.picture()
size = image.width(), image.height()
seen = np.array([[image.pixelColor(x, y).red() for x in range(size[0])] for y in range(size[1])])
drawn = picture(scene, View(view.azimuth, view.elevation, view.reach(), size), (21, 24, 28))[..., 0]
one, other = seen > 40, drawn > 40
print("iou", (one & other).sum() / (one | other).sum())
before = seen.sum(); view.orbit(80, 10); QTest.qWait(100)
print("turned", view.picture() != image)
view.close()
"""


def block():
    volume = np.zeros((12, 12, 12))
    volume[3:9, 3:9, 3:9] = 1
    return scene_of(volume, 0.5, None, np.zeros((255, 3), np.uint8))


def test_without_opengl_one_sentence_says_why(qtbot):
    view = SurfaceView()
    qtbot.addWidget(view)
    view.show()
    view.set_scene(block())
    assert "offscreen" in why_no_surface()
    assert view.message.isVisible()
    assert view.message.text() == view.problem
    assert view.picture() is None
    assert view.scene is not None  # pictures and movies are drawn from it
    turned = []
    view.turned.connect(lambda *angles: turned.append(angles))
    view.set_view(0.1, 0.2)
    assert turned == []
    view.orbit(10, 500)
    assert turned[0][1] < np.pi / 2
    view.set_message("Wait.")
    assert view.scene is None


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="needs a virtual screen (xvfb-run)")
def test_under_a_virtual_screen_the_surface_is_what_the_pictures_show():
    environment = {k: v for k, v in os.environ.items() if k != "QT_QPA_PLATFORM"}
    command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24 +extension GLX", sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    if "none:" in done.stdout or "xcb" in done.stderr:
        pytest.skip("the virtual screen has no OpenGL")
    assert done.returncode == 0, done.stderr
    said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert float(said["iou"]) > 0.8  # one is drawn in perspective, the other is not
    assert said["turned"] == "True"
