"""What speaks against a probe or a map is said in full, and taken back when it holds no longer."""

from dataclasses import replace

from stage import until
from strain_scan import measure, strain

from braggscope.app.presenters import strain_runs


def test_doubts_follow_the_probe_and_the_maps(scan, monkeypatch):
    live, room = strain(scan).live, strain(scan).room
    monkeypatch.setattr(type(live.live), "probe_doubts", lambda *_: ("It is odd.", "It is large."))
    live.find_probe()
    until(lambda: scan.notice is not None, "the notice")
    assert scan.notice.text == "It is odd. It is large."
    scan.window.notices.clear()
    result = measure(scan)
    scan.window.notices.clear()
    renewed, doubts = strain_runs.renewed, ("Do not trust it.",)
    monkeypatch.setattr(strain_runs, "renewed", lambda *of: replace(renewed(*of), doubts=doubts))
    room.change(reference=(2, 9, 0, 5))
    until(lambda: strain(scan).runs.result() is not result, "the maps with the reference")
    until(lambda: scan.notice is not None and scan.notice.text == "Do not trust it.", "the doubt")
    result, doubts = strain(scan).runs.result(), ()
    room.change(reference=(2, 8, 0, 5))
    until(lambda: strain(scan).runs.result() is not result, "the maps with another reference")
    assert scan.notice is None
