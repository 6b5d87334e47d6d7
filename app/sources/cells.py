"""Reading a unit cell with its atoms from a CIF."""

from pathlib import Path

from pydantic import ValidationError

from braggscope.app.sources.protocol import SourceError
from braggscope.models.cells import Cell

LARGEST = 64 << 20  # bytes
MOST_SITES = 2000


def read_cell(path: str | Path) -> Cell:
    """Cell of the first crystal structure in a CIF. Occupancies and displacements count nothing.

    Raises SourceError.
    """
    import gemmi

    place = Path(path).expanduser()
    try:
        if place.stat().st_size > LARGEST:
            raise SourceError(f"{place} is too large for a crystal structure; choose a CIF.")
        blocks = [
            b for b in gemmi.cif.read(str(place)) if b.find_value("_cell_length_a") not in (None, "?", ".")
        ]
        if not blocks:
            raise SourceError(f"{place} holds no unit cell; choose a CIF of a crystal structure.")
        structure = gemmi.make_small_structure_from_block(blocks[0])
    except OSError as error:
        raise SourceError(f"{place} cannot be read ({error.strerror or error}); check its name.") from error
    except (ValueError, RuntimeError, UnicodeDecodeError) as error:
        what = " ".join(str(error).split())[:120]
        raise SourceError(f"{place} is no CIF with a crystal structure ({what}); choose another.") from error
    group, cell = structure.spacegroup, structure.cell
    sites = [
        (site.element.name, site.fract.x, site.fract.y, site.fract.z)
        for site in structure.sites
        if site.element.name != "X"
    ]
    try:
        return Cell(
            name=place.stem,
            a=cell.a, b=cell.b, c=cell.c, alpha=cell.alpha, beta=cell.beta, gamma=cell.gamma,
            space_group="P" if group is None else group.xhm(),
            sites=tuple(sites[:MOST_SITES]) if group is not None else (),
            source=str(place),
        )  # fmt: skip
    except ValidationError as error:
        what = error.errors()[0]["msg"]
        raise SourceError(f"{place} holds no unit cell ({what}); choose another.") from error
