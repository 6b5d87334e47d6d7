"""A user prepares a stack: steps that are undone, masks, other stacks, where they come from."""

import numpy as np
import tifffile
from coherent_scan import QUICK, coherent, panels, phase, prepared
from stage import drag, settle, until


def test_start_with_another_mask_prepares_first(crystal, tmp_path):
    phase(crystal)
    room, store = coherent(crystal), crystal.desk.store
    first, mask = room.run.results[0], np.zeros((32, 32), np.uint8)
    mask[3, 4] = 1
    np.save(tmp_path / "mask.npy", mask)
    store.replace(
        store.state.with_parameters(store.state.parameters.with_prepare(mask_file=str(tmp_path / "mask.npy")))
    )
    room.run.start()
    until(lambda: room.run.results and room.run.results[0] is not first and not room.run.running, "it", 60)
    assert len(room.run.results) == 1  # those of another mask are not compared with it
    assert room.run.results[0].phased.pattern.mask[:, 3, 4].all()
    assert room.run.results[0].prepare.mask_file == str(tmp_path / "mask.npy")


def test_another_stack_is_not_phased_unasked(crystal, counts, tmp_path, monkeypatch):
    begun = []

    def endless(*given):
        begun.append(True)
        given[4].cancelled.wait(10)
        given[4].check()

    with monkeypatch.context() as patch:
        patch.setattr("braggscope.app.engine.coherent_volume.make_volume", endless)
        coherent(crystal).prepare_and_run()
        until(lambda: begun, "the preparation")
    np.save(tmp_path / "other.npy", counts[:, ::-1])
    crystal.open(tmp_path / "other.npy")
    prepared(crystal)
    assert coherent(crystal).volume.stack.location.endswith("other.npy")
    assert not coherent(crystal).run.running
    assert coherent(crystal).run.results == []


def test_steps_are_seen_left_out_and_undone(crystal, counts):
    view = panels(crystal).volume
    crystal.window.show_panel("volume")
    before = coherent(crystal).volume.pattern
    crystal.press(view.switches["aliens"])
    until(lambda: "aliens" in coherent(crystal).volume.pattern.steps, "alien peaks")
    settle(0.02)
    assert "peaks" in view.said["aliens"].text()
    page = panels(crystal).page
    crystal.press(page.brush)
    canvas = page.data.canvases[1]
    points = [canvas.point_of((20 + k, 16, 25)).toPoint() for k in range(3)]
    drag(canvas, points)
    until(lambda: "brush" in coherent(crystal).volume.pattern.steps, "the stroke")
    assert coherent(crystal).volume.pattern.mask[20:23, 16, 25].all()
    assert page.data.layer.index[21, 16, 25] == 255
    crystal.program.trigger("undo")
    until(lambda: "brush" not in coherent(crystal).volume.pattern.steps, "the undo of the stroke")
    crystal.program.trigger("undo")
    until(lambda: "aliens" not in coherent(crystal).volume.pattern.steps, "the undo of the aliens")
    np.testing.assert_array_equal(coherent(crystal).volume.pattern.amplitude, before.amplitude)


def test_a_folder_of_tiffs_is_a_stack_and_says_nothing_of_its_geometry(launch, counts, tmp_path):
    folder = tmp_path / "scan"
    folder.mkdir()
    for k, frame in enumerate(counts):
        tifffile.imwrite(folder / f"frame_{k:04d}.tif", frame)
    stage = launch()
    stage.open(folder)
    stage.program.trigger("coherent_workspace")
    prepared(stage)
    np.testing.assert_allclose(coherent(stage).volume.pattern.amplitude, np.sqrt(counts), rtol=1e-6)
    stage.window.show_panel("volume")
    panels(stage).volume.page.ensureWidgetVisible(panels(stage).volume.instrument.fill)
    stage.press(panels(stage).volume.instrument.fill)
    assert "says nothing about its geometry" in panels(stage).volume.error.text()


def test_the_demo_crystal_comes_with_its_geometry(launch, monkeypatch, stack):
    from braggscope.app import demo_coherent

    known = demo_coherent.Known((6.0, 7.0, 8.0), (0.1, 0.2, 2.6))
    monkeypatch.setattr(demo_coherent, "ensure_demo_coherent", lambda **_: (stack, known))
    stage = launch()
    stage.program.trigger("coherent_workspace")
    stage.press(panels(stage).page.empty.demo_button)
    prepared(stage)
    assert stage.state.workspace == "coherent"
    assert coherent(stage).phasing.voxel_nm == (6.0, 7.0, 8.0)
    assert coherent(stage).volume.pattern is not None


def test_another_stack_forgets_the_crystal_and_keeps_how_it_is_phased(crystal, stack, tmp_path, counts):
    phase(crystal)
    other = tmp_path / "other.npy"
    np.save(other, counts[:, :, ::-1])
    crystal.open(other)
    prepared(crystal)
    assert panels(crystal).starts.texts() == []
    assert coherent(crystal).show.looked is None
    assert coherent(crystal).phasing.iterations == QUICK["iterations"]
    assert panels(crystal).page.shown.value() == "data"
