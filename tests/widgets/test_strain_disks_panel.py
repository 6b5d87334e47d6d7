"""Docks Disks: method, network, probe, thresholds: values in, gestures out."""

import numpy as np
import pytest
from PyQt6.QtGui import QColor
from strain_hands import heard, shown, type_in

from braggscope.models.disks.parameters import Strain
from braggscope.models.disks.results import Probe
from braggscope.widgets.prepare_fields import NumberField
from braggscope.widgets.strain_disks import DisksPanel, LiveCount
from braggscope.widgets.strain_network import NetworkSection, Tuning


@pytest.fixture
def disks(qtbot):
    return shown(qtbot, DisksPanel(), 320, 640)


def test_a_slider_moves_live_and_settles_once(disks):
    said = heard(disks.changed)
    field = disks.sliders["threshold"]
    field.slider.setSliderDown(True)
    for step in (100, 150, 200):
        field.slider.setValue(step)
    field.slider.setSliderDown(False)
    moves = [changes["threshold"] for changes, live in said if live]
    assert moves == pytest.approx([0.04, 0.09, 0.16])
    assert said[-1] == ({}, False)
    assert sum(not live for _, live in said) == 1


def test_showing_parameters_says_nothing(disks):
    said = [heard(disks.changed), heard(disks.overlay_changed)]
    disks.set_strain(Strain(method="lattice", threshold=0.2, spacing=14.0, kernel="flat", most=50), 6.5)
    disks.set_overlay(("lattice", "network"))
    assert not any(said)
    assert disks.method.value() == "lattice"
    assert disks.sliders["spacing"].field.text() == "14"
    assert disks.sliders["threshold"].slider.value() == round(500 * 0.2**0.5)
    assert disks.choices["kernel"].currentData() == "flat"
    assert [k for k, check in disks.overlays.items() if check.isChecked()] == ["network", "lattice"]
    disks.set_strain(Strain(), 6.0)  # the slider stands at the assumed spacing, the field is empty
    assert disks.sliders["spacing"].field.text() == ""
    assert disks.sliders["spacing"].slider.value() == round(500 * (8 / 99) ** 0.5)


def test_an_emptied_field_means_none_only_where_none_is_allowed(disks):
    disks.set_strain(Strain(spacing=20.0, threshold=0.3), 6.5)
    said = heard(disks.changed)
    type_in(disks.sliders["spacing"].field, "")
    type_in(disks.sliders["threshold"].field, "")
    type_in(disks.numbers["most"], "")
    assert [changes for changes, _ in said if changes] == [
        {"spacing": None},
        {"threshold": 0.0},
        {"most": 200},
    ]
    refused = heard(disks.refused)
    type_in(disks.numbers["absolute"], "much")
    assert "is not a number" in refused[0]


def test_methods_are_chosen_and_drawn_side_by_side(disks):
    said, drawn = heard(disks.changed), heard(disks.overlay_changed)
    disks.method.button("correlation").click()
    disks.set_overlay(("correlation",))
    disks.overlays["lattice"].click()
    assert said == [({"method": "correlation"}, False)]
    assert drawn == [("correlation", "lattice")]
    disks.set_counts({"correlation": LiveCount(1, 2.4), "lattice": LiveCount(0, 0.0, "no lattice here")})
    assert disks.counts["correlation"].text() == "1 disk · 2 ms"
    assert disks.counts["lattice"].text() == "no lattice here"
    assert disks.counts["network"].text() == ""


def test_the_probe_is_shown_with_its_numbers(disks):
    y, x = np.mgrid[-12:13, -12:13]
    image = (np.hypot(x, y) < 6.5).astype(np.float32)
    disks.probe.set_probe(Probe(image / image.sum(), 6.52, 1.1, (30.2, 31.7), "vacuum.h5"))
    assert dict(disks.probe.numbers.items())["Radius"] == "6.52 px"
    picture = disks.probe.picture.grab().toImage()
    assert QColor(picture.pixel(42, 42)).lightness() > 200
    assert QColor(picture.pixel(4, 4)).lightness() < 30
    changed = heard(disks.changed)
    type_in(disks.probe.radius, "7.5")
    assert changed == [({"probe_radius": 7.5}, False)]


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_number_that_is_not_finite_is_refused(qtbot, text):
    field = NumberField("Fewest")
    qtbot.addWidget(field)
    entered, refused = [], []
    field.entered.connect(entered.append)
    field.refused.connect(refused.append)
    field.setText(text)
    field.editingFinished.emit()
    assert entered == []
    assert "not finite" in refused[0]


# ---- network ----


@pytest.fixture
def network(qtbot):
    section = shown(qtbot, NetworkSection(), 320, 400)
    section.set_open(True)
    return section


def test_weights_are_asked_for_and_shown_once_they_are_in_use(network):
    chosen, asked = heard(network.weights_chosen), heard(network.file_requested)
    network.set_own({"/w/mine.safetensors": "mine"})
    texts = [network.weights.itemText(k) for k in range(network.weights.count())]
    assert texts == ["U-Net", "FCU-Net", "mine", "From a file…"]
    for key in ("disks-fcunet", ""):
        network.weights.setCurrentIndex(network.weights.findData(key))
        network.weights.activated.emit(network.weights.currentIndex())
        assert network.weights.currentText() == "U-Net"
    assert chosen == ["disks-fcunet"]
    assert len(asked) == 1
    network.set_weights("/elsewhere/other.safetensors")
    assert network.weights.currentText() == "other.safetensors"
    assert network.header.summary == "other.safetensors"


def test_an_adaptation_needs_a_scan_and_a_name(network):
    started, cancelled = heard(network.start_requested), heard(network.cancel_requested)
    assert not network.start.isEnabled()
    network.set_possible(True)
    assert not network.start.isEnabled()
    network.set_name("mine")
    network.minutes.setValue(3.0)
    network.start.click()
    assert started == [("mine", 3.0)]
    network.set_tuning(Tuning("running", 3, 10, 65.0, "3 / 10 steps"))
    assert network.bar.value() == 3
    assert "left" in network.note.text()
    assert not network.name.isEnabled()
    network.start.click()
    assert len(cancelled) == 1


def test_how_an_adaptation_ended_is_shown(network):
    used, resumed = heard(network.use_requested), heard(network.resume_requested)
    network.set_tuning(Tuning(text="0.2 → 0.1 px", good=True, usable=True))
    assert network.use.isVisible()
    network.use.click()
    network.set_tuning(Tuning("stopped", text="interrupted"))
    assert not network.use.isVisible()
    assert not network.start.isVisible()
    network.resume.click()
    assert (len(used), len(resumed)) == (1, 1)
