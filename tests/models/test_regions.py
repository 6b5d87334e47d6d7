"""Shapes keep their place on the detector when the binning changes."""

from braggscope.models.regions import Region, rebinned


def test_the_middle_of_a_bin_is_the_middle_of_its_pixels():
    assert rebinned((0.5, 2.5), 1, 2) == (0.0, 1.0)
    assert rebinned((0.0, 1.0), 2, 1) == (0.5, 2.5)


def test_a_region_there_and_back_is_the_same():
    region = Region(kind="polygon", points=((1.5, 2.0), (9.0, 3.0), (5.0, 8.0)))
    assert region.rebinned(1, 4).rebinned(4, 1) == region
