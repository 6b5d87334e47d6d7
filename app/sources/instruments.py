"""Reading an instrument from a file: PONI of pyFAI, YAML or HDF5 of hexrd. Nothing in a file is executed."""

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from braggscope.app.sources.protocol import SourceError
from braggscope.models.geometry import Instrument

LARGEST = 8 << 20  # bytes of text; an instrument takes a few thousand
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
YAML = (".yml", ".yaml", ".hexrd")


@dataclass(frozen=True, slots=True)
class InstrumentFile:
    """What a file says: instrument, (rows, columns) of its detector, and what of it is not used."""

    instrument: Instrument
    shape: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


def read_instrument(
    path: str | Path, shape: tuple[int, int] | None = None, wavelength_angstrom: float | None = None
) -> Instrument:
    """Instrument from a PONI or hexrd file, for frames of ``shape`` (rows, columns).

    ``wavelength_angstrom`` serves where the file names none. ``instrument.yml::GE2`` names one of several
    detectors. Raises SourceError.
    """
    return read_instrument_file(path, shape, wavelength_angstrom).instrument


def read_instrument_file(
    path: str | Path, shape: tuple[int, int] | None = None, wavelength_angstrom: float | None = None
) -> InstrumentFile:
    """As :func:`read_instrument`, with what the file says beside. Raises SourceError."""
    name, _, panel = str(path).partition("::")
    place = Path(name).expanduser()
    try:
        found = _read(place, panel.strip("/"), shape, wavelength_angstrom)
    except OSError as error:
        raise SourceError(f"{place} cannot be read ({error.strerror or error}); check its name.") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "a value"
        raise SourceError(f"{place} describes no instrument: {field} {_lower(first['msg'])}.") from error
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise SourceError(f"{place} describes no instrument: {what}.") from error
    if shape is not None and found.shape is not None and tuple(found.shape) != tuple(shape):
        raise SourceError(
            f"{place} is for a detector of {found.shape[0]} x {found.shape[1]} pixels, and these frames have "
            f"{shape[0]} x {shape[1]} (rows x columns); choose the file of this detector."
        )
    return found


def _read(
    place: Path, panel: str, shape: tuple[int, int] | None, wavelength_angstrom: float | None
) -> InstrumentFile:
    with place.open("rb") as file:
        magic = file.read(8)
    if magic == HDF5_MAGIC:
        from braggscope.app.sources.hexrd_files import parse_instrument, tree_of_hdf5

        return parse_instrument(tree_of_hdf5(place), panel, shape)
    if os.path.getsize(place) > LARGEST or b"\0" in magic or magic[:2] == b"PK":
        raise SourceError(f"{place} is neither a PONI file nor a YAML or HDF5 file of hexrd; choose another.")
    text = place.read_text("utf-8", errors="replace")
    if place.suffix.lower() in YAML:
        from braggscope.app.sources.hexrd_files import parse_yaml

        return parse_yaml(text, place.parent, panel, shape)
    from braggscope.app.sources.poni import parse_poni

    return parse_poni(text, shape, wavelength_angstrom)


def _lower(message: str) -> str:
    return f"{message[:1].lower()}{message[1:]}".rstrip(".")
