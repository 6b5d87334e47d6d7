"""Crystals as files: what is in them, and that other programs can read it."""

import base64
import json
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from stopping import Late, looks

from braggscope.app.engine.cdi import Stack, phase_stack
from braggscope.app.engine.coherent_look import look_at
from braggscope.app.engine.coherent_results import as_phased, candidates
from braggscope.app.engine.coherent_scans import phase_scans, scans_of
from braggscope.app.engine.coherent_views import palette, particle_of, scene
from braggscope.app.engine.jobs import Cancelled, Context, Ticket, silent_context
from braggscope.app.export import coherent as written
from braggscope.app.export.coherent_figures import crystal_figure
from braggscope.app.export.coherent_script import phasing_as_command, phasing_as_python
from braggscope.app.export.phasing import write_phasing
from braggscope.app.export.provenance import Provenance
from braggscope.app.export.tables import ExportError
from braggscope.app.export.vtk import write_vti
from braggscope.app.sources.protocol import SourceError
from braggscope.models.cdi.diffraction import CoherentSpec, grow, measure
from braggscope.models.cdi.geometry import BraggGeometry
from braggscope.models.cdi.layers import COLOURS
from braggscope.models.cdi.parameters import Phasing
from braggscope.models.parameters import Parameters

SPEC = CoherentSpec(seed=5, shape=(32, 32, 32), peak_counts=1e5)
QUICK = Phasing(coarse_iterations="20*RAAR+5*ER", iterations="10*RAAR+5*ER", refinement=0)
SOURCE = Provenance("scan.npy", "identity", Parameters(phasing=QUICK))


@pytest.fixture(scope="module")
def crystal():
    return grow(SPEC)


@pytest.fixture(scope="module")
def particle(crystal):
    known = Phasing(voxel_nm=tuple(crystal.voxel_nm), q_inv_angstrom=tuple(crystal.q_inv_angstrom))
    return particle_of(crystal.obj, crystal.support, known)


def arrays_of(path):
    """Parse a VTI as its format describes it."""
    text = path.read_text("ascii")
    root = ElementTree.fromstring(text)
    image = root.find("ImageData")
    extent = [int(n) for n in image.get("WholeExtent").split()]
    shape = tuple(extent[2 * k + 1] + 1 for k in (2, 1, 0))
    appended = root.find("AppendedData").text.strip()
    assert appended.startswith("_")
    assert root.get("byte_order") == "LittleEndian"
    kinds = {"Float32": "<f4", "UInt8": "u1", "Float64": "<f8"}
    found = {}
    for entry in image.find("Piece/PointData"):
        start = 1 + int(entry.get("offset"))
        size = int.from_bytes(base64.b64decode(appended[start : start + 12])[:8], "little")
        length = 4 * -(-(8 + size) // 3)
        block = base64.b64decode(appended[start : start + length])
        found[entry.get("Name")] = np.frombuffer(block[8:], kinds[entry.get("type")]).reshape(shape)
    return image, found


def test_a_vti_holds_what_was_written(tmp_path):
    rng = np.random.default_rng(0)
    volumes = {
        "a": rng.random((3, 4, 5), np.float32), "b & c": rng.integers(0, 255, (3, 4, 5)).astype(np.uint8),
        "d": rng.random((3, 4, 5)),
    }  # fmt: skip
    write_vti(tmp_path / "x.vti", volumes, (3.0, 2.0, 1.5), {"what": "ü"})
    image, found = arrays_of(tmp_path / "x.vti")
    assert list(found) == list(volumes)
    for name, values in volumes.items():
        np.testing.assert_array_equal(found[name], values)
    assert image.get("Spacing") == "1.5 2.0 3.0"
    assert [float(v) for v in image.get("Origin").split()] == [-3.0, -4.0, -3.0]
    codes = image.find("FieldData/Array").text.split()
    assert bytes(int(c) for c in codes[:-1]).decode() == "ü"
    with pytest.raises(ValueError, match="other volumes"):
        write_vti(tmp_path / "y.vti", {"a": volumes["a"], "b": volumes["a"][1:]})
    assert not (tmp_path / "y.vti").exists()


def test_a_crystal_for_paraview_and_numpy(particle, tmp_path):
    written.write_paraview(tmp_path / "c.vti", particle, SOURCE)
    image, found = arrays_of(tmp_path / "c.vti")
    np.testing.assert_array_equal(found["strain"], particle.strain.strain)
    spacing = [float(s) for s in image.get("Spacing").split()]
    assert spacing == pytest.approx(particle.voxel_nm[::-1])
    written.write_npz(tmp_path / "c.npz", particle, SOURCE)
    stored = np.load(tmp_path / "c.npz")
    np.testing.assert_array_equal(stored["phase"], particle.phase)
    np.testing.assert_allclose(stored["voxel_nm"], particle.voxel_nm)
    assert json.loads(str(stored["provenance"]))["source"] == "scan.npy"


def test_names_that_cannot_be_are_refused(particle, tmp_path):
    with pytest.raises(ExportError, match=r"suffixes \.vti"):
        written.write_paraview(tmp_path / "c.vtk", particle, SOURCE)
    with pytest.raises(ExportError, match="does not exist"):
        written.write_npz(tmp_path / "no" / "c.npz", particle, SOURCE)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_shows_the_crystal_its_scale_and_its_colours(particle, tmp_path):
    made = scene(particle, "strain")
    image = written.surface_picture(made, (0.5, 0.3, made.radius), particle.layers["strain"], "nm", 300)
    assert image.size == (300, 300)
    pixels = np.asarray(image).astype(int)
    ground = (pixels == written.DARK).all(-1)
    assert 0.2 < 1 - ground[40:240, 40:260].mean() < 0.95
    assert not ground[280:295, 10:60].all()  # scale bar
    assert np.ptp(pixels[280:290, 215:285].reshape(-1, 3), axis=0).max() > 60  # colours
    written.write_surface_picture(tmp_path / "s.png", image)
    with Image.open(tmp_path / "s.png") as stored:
        assert stored.size == (300, 300)


def test_a_turntable_is_a_whole_turn_and_leaves_nothing_when_cancelled(particle, tmp_path, monkeypatch):
    monkeypatch.setattr(written, "TURN_FRAMES", 6)
    made = scene(particle, "phase")
    folder = tmp_path / "turn"
    count = written.write_turntable(
        folder, made, (0, 0.3, made.radius), None, "nm", silent_context(), side=96
    )
    pictures = []
    for path in sorted(folder.iterdir()):
        with Image.open(path) as picture:
            pictures.append(np.asarray(picture).astype(int))
    assert count == len(pictures) == 6
    assert all(np.abs(a - b).max() > 30 for a, b in pairwise(pictures))
    ticket = Ticket(0)

    def report(progress):
        if progress.done == 2:
            ticket.cancel()

    with pytest.raises(Cancelled):
        written.write_turntable(
            tmp_path / "m.mp4", made, (0, 0, made.radius), None, "nm", Context(ticket, report), side=96
        )
    assert not (tmp_path / "m.mp4").exists()


@pytest.fixture(scope="module")
def looked(crystal):
    counts = measure(crystal, SPEC).counts
    stack = Stack(counts, np.zeros(counts.shape, bool), "scan.npy", "identity")
    known = {"voxel_nm": tuple(crystal.voxel_nm), "q_inv_angstrom": tuple(crystal.q_inv_angstrom)}
    parameters = QUICK.model_copy(update={**known, "starts": 2, "runs": 2})
    row = candidates(phase_stack(stack, parameters, silent_context()))[0]
    return look_at(row, parameters, "measured", "strain")


def test_a_palette_has_one_colour_for_every_index():
    for name in ("vik", "romaO", "inferno", "viridis"):
        assert palette(name).shape == (COLOURS, 3)


def test_a_figure_is_drawn_in_every_format(looked, tmp_path):
    for suffix in (".png", ".svg", ".pdf"):
        crystal_figure(tmp_path / f"f{suffix}", looked)
        assert (tmp_path / f"f{suffix}").stat().st_size > 5_000
    with pytest.raises(ExportError):
        crystal_figure(tmp_path / "f.bmp", looked)


def test_with_angles_the_file_holds_both_frames(looked, tmp_path):
    angles = BraggGeometry(
        energy_keV=9, distance_m=1, pixel_um=(55, 55), delta_deg=20, gamma_deg=15, step_deg=0.02
    )
    parameters = QUICK.model_copy(update={"geometry": angles})
    write_phasing(tmp_path / "c.h5", as_phased(looked.candidate, parameters), SOURCE)
    with h5py.File(tmp_path / "c.h5") as file:
        entry = file["entry"]
        for frame in ("laboratory", "crystal"):
            group = entry[frame]
            assert group["strain"].shape == group["modulus"].shape
            sides = [float(np.diff(group[name][:2])[0]) for name in "zyx"]
            assert sides == pytest.approx([sides[0]] * 3)
        q = entry["crystal"].attrs["q"]
        assert np.abs(q[1:]).max() < 1e-9 < q[0]
        assert "strain" not in entry  # the axes of the stack are oblique


def test_the_command_carries_all_parameters():
    text = phasing_as_command("/a b/scan.h5::/data", Parameters(phasing=QUICK), 1)
    assert "braggscope phase '/a b/scan.h5::/data' -o crystal.h5 --parameters parameters.json" in text
    assert text.endswith("--frame-axis 1")
    body = text.split("<<'END'\n")[1].split("\nEND")[0]
    assert Parameters.model_validate_json(body).phasing == QUICK


def test_scans_go_on_after_a_bad_one_and_are_not_done_twice(crystal, tmp_path):
    counts = measure(crystal, SPEC).counts
    for name, values in (("a1", counts), ("a2", counts[3]), ("a3", counts[:, ::-1])):
        np.save(tmp_path / f"{name}.npy", values)
    names = scans_of([str(tmp_path / "a*.npy"), str(tmp_path / "a1.npy")])
    assert [Path(name).stem for name in names] == ["a1", "a2", "a3"]
    out, parameters = tmp_path / "out", Parameters(phasing=QUICK)
    seen = []
    found = phase_scans(names, parameters, out, Context(Ticket(0), seen.append))
    assert [scan.done for scan in found] == [True, False, True]
    assert "3-D stack" in found[1].problem
    assert found[0].unit == "voxels"
    assert 8 < found[0].size < 24
    assert seen[-1].done == seen[-1].total == 300
    assert all(a.done <= b.done for a, b in pairwise(seen))
    stamps = {p: p.stat().st_mtime_ns for p in out.glob("*.h5")}
    again = phase_scans(names, parameters, out, silent_context())
    assert {p: p.stat().st_mtime_ns for p in out.glob("*.h5")} == stamps
    assert again[0].chi == found[0].chi
    other = Parameters(phasing=QUICK.model_copy(update={"seed": 4}))
    phase_scans(names[:1], other, out, silent_context())
    assert (out / "scans.csv").read_text().startswith("location,output,chi")
    assert {p: p.stat().st_mtime_ns for p in out.glob("*.h5")} != stamps


def test_a_killed_series_loses_the_scan_under_way_at_most(crystal, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    names = [str(tmp_path / f"{k}.npy") for k in range(3)]
    for name in names:
        np.save(name, measure(crystal, SPEC).counts)
    out, parameters, phased = tmp_path / "out", Parameters(phasing=QUICK), []

    def phase(stack, *rest):
        phased.append(stack.location)
        if len(phased) == 2:
            raise Killed
        return phase_stack(stack, *rest)

    monkeypatch.setattr("braggscope.app.engine.coherent_scans.phase_stack", phase)
    with pytest.raises(Killed):
        phase_scans(names, parameters, out, silent_context())
    again = phase_scans(names, parameters, out, silent_context())
    assert all(scan.done for scan in again)
    assert [Path(location).stem for location in phased] == ["0", "1", "1", "2"]


def test_a_mask_drawn_anew_is_no_scan_that_is_done(crystal, tmp_path):
    np.save(tmp_path / "a.npy", measure(crystal, SPEC).counts)
    mask = np.zeros((32, 32), np.uint8)
    np.save(tmp_path / "mask.npy", mask)
    parameters = Parameters(phasing=QUICK).with_prepare(mask_file=str(tmp_path / "mask.npy"))
    once = phase_scans([str(tmp_path / "a.npy")], parameters, tmp_path / "out", silent_context())[0]
    mask[10:12] = 1
    np.save(tmp_path / "mask.npy", mask)
    again = phase_scans([str(tmp_path / "a.npy")], parameters, tmp_path / "out", silent_context())[0]
    assert again.done
    assert again.chi != once.chi


def rocking(path, crystal):
    """A file whose angle falls, and parameters that say it grows."""
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        data = entry.create_group("data")
        data.attrs.update(NX_class="NXdata", signal="data", axes=["theta", ".", "."])
        data["data"] = measure(crystal, SPEC).counts
        data["theta"] = 20.0 - 0.01 * np.arange(32)
        data["theta"].attrs["units"] = "deg"
    geometry = BraggGeometry(
        energy_keV=9, distance_m=1, pixel_um=(55, 55), delta_deg=20, gamma_deg=15, step_deg=0.01
    )
    return Parameters(phasing=QUICK.model_copy(update={"geometry": geometry}))


def test_no_strain_of_a_step_that_the_file_contradicts_is_written(crystal, tmp_path, monkeypatch, fails):
    path, out = tmp_path / "rock.h5", tmp_path / "crystal.h5"
    parameters = rocking(path, crystal)
    scan = phase_scans([str(path)], parameters, tmp_path / "out", silent_context())[0]
    assert "wrong sign" in scan.problem
    (tmp_path / "p.json").write_text(parameters.model_dump_json())
    assert "wrong sign" in fails("phase", path, "-o", out, "--parameters", tmp_path / "p.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="wrong sign"):
        exec(phasing_as_python(str(path), parameters), {"__name__": "__main__"})
    assert not out.exists()


def test_a_cancelled_crystal_replaces_nothing(looked, particle, tmp_path, monkeypatch):
    monkeypatch.setattr(written, "TURN_FRAMES", 3)
    phased = as_phased(looked.candidate, QUICK)
    made, image = scene(particle, "phase"), Image.new("RGB", (8, 8))
    cases = {
        "c.h5": (lambda path, context: write_phasing(path, phased, SOURCE, context), 7 * 32),
        "c.cxi": (lambda path, context: write_phasing(path, phased, SOURCE, context), 7 * 32),
        "c.vti": (lambda path, context: written.write_paraview(path, particle, SOURCE, context), 10),
        "c.npz": (lambda path, context: written.write_npz(path, particle, SOURCE, context), 9),
        "c.svg": (lambda path, context: crystal_figure(path, looked, context), 1),
        "s.png": (lambda path, context: written.write_surface_picture(path, image, context), 1),
        "t.gif": (
            lambda path, context: written.write_turntable(
                path, made, (0, 0, made.radius), None, "nm", context, side=96
            ),
            5,
        ),
    }  # fmt: skip
    for name, (write, least) in cases.items():
        folder = tmp_path / name.replace(".", "_")
        folder.mkdir()
        assert looks(lambda context, w=write, p=folder / name: w(p, context), folder / name) >= least, name


def test_a_folder_of_pictures_appears_only_if_nobody_cancels(particle, tmp_path, monkeypatch):
    monkeypatch.setattr(written, "TURN_FRAMES", 2)
    made = scene(particle, "phase")
    with pytest.raises(Cancelled):
        written.write_turntable(tmp_path / "turn", made, (0, 0, made.radius), None, "nm", Late(), side=96)
    assert list(tmp_path.iterdir()) == []


def test_an_npz_is_what_numpy_writes(particle, tmp_path):
    written.write_npz(tmp_path / "c.npz", particle, SOURCE)
    with np.load(tmp_path / "c.npz", allow_pickle=False) as stored:
        volumes = written.volumes_of(particle)
        assert set(stored) == {*volumes, "voxel_nm", "q_inv_angstrom", "frame", "provenance"}
        for name, values in volumes.items():
            np.testing.assert_array_equal(stored[name], values)
            assert stored[name].dtype == values.dtype
        assert str(stored["frame"]) == particle.frame
