"""Cells of substances whose rings calibrate an instrument, and of some that are often met beside them."""

from braggscope.models.cells import Cell


def _cubic(name: str, a: float, group: str, sites: tuple, source: str) -> Cell:
    return Cell(name=name, a=a, b=a, c=a, space_group=group, sites=sites, source=source)


def _hexagonal(name: str, a: float, c: float, group: str, sites: tuple, source: str) -> Cell:
    return Cell(name=name, a=a, b=a, c=c, gamma=120.0, space_group=group, sites=sites, source=source)


_ALL = (
    _cubic(
        "CeO2", 5.411651, "F m -3 m", (("Ce", 0, 0, 0), ("O", 0.25, 0.25, 0.25)),
        "NIST SRM 674b certificate, 22.5 °C",
    ),
    _cubic(
        "LaB6", 4.156826, "P m -3 m", (("La", 0, 0, 0), ("B", 0.1995, 0.5, 0.5)),
        "NIST SRM 660c certificate, 22.5 °C",
    ),
    _cubic(
        "Si", 5.431144, "F d -3 m:1", (("Si", 0, 0, 0),),
        "NIST SRM 640f certificate, 22.5 °C",
    ),
    _hexagonal(
        "Al2O3", 4.759091, 12.991779, "R -3 c:H", (("Al", 0, 0, 0.35217), ("O", 0.30625, 0, 0.25)),
        "NIST SRM 676a certificate, 22.5 °C",
    ),
    Cell(
        name="AgBh", a=5.973, b=5.973, c=58.380, lamellar=True,
        source="silver behenate, d001 = 58.380(3) Å: Huang et al., J. Appl. Cryst. 26, 180 (1993)",
    ),
    _cubic("Au", 4.0786, "F m -3 m", (("Au", 0, 0, 0),), "ICDD 4-784, 26 °C"),
    _cubic(
        "Fe3O4", 8.3941, "F d -3 m:2",
        (("Fe", 0.125, 0.125, 0.125), ("Fe", 0.5, 0.5, 0.5), ("O", 0.2549, 0.2549, 0.2549)),
        "Fleet, Acta Cryst. B37, 917 (1981)",
    ),
    _hexagonal(
        "alpha-Zr", 3.232, 5.147, "P 63/m m c", (("Zr", 1 / 3, 2 / 3, 0.25),),
        "ICDD 5-665, 25 °C",
    ),
    _cubic(
        "diamond", 3.56712, "F d -3 m:1", (("C", 0, 0, 0),),
        "Hom, Kiszenick and Post, J. Appl. Cryst. 8, 457 (1975)",
    ),
)  # fmt: skip
CALIBRANTS = {cell.name: cell for cell in _ALL}
