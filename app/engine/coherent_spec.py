"""What a scan of SPEC says about the geometry of a rocking curve.

Angles are taken with the signs of You, J. Appl. Cryst. 32, 614 (1999): delta raises the detector, nu (here
gamma) turns it about the vertical, mu turns the sample right-handed about the vertical (y), and eta
left-handed about the horizontal (x), so its step changes sign. Other motors that turn the sample are taken
as right-handed. A beamline that counts otherwise gives names with a minus, and the axis.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from braggscope.app.sources.protocol import SourceError
from braggscope.app.sources.spec import SpecScan
from braggscope.models.cdi.geometry import HC_KEV_ANGSTROM

Axis = Literal["y", "x"]
MEANINGS = {  # what: names that mean it, in small letters
    "energy": ("energy", "mononrj", "nrj"),
    "wavelength": ("wavelength", "lambda"),
    "delta": ("delta", "del"),
    "gamma": ("gamma", "gam", "nu"),
    "step": ("eta", "mu", "phi", "theta", "th", "omega", "om", "chi"),
}
AXES: dict[str, tuple[Axis, float]] = {"mu": ("y", 1.0), "eta": ("x", -1.0)}
_EV = 1000.0  # energies from here on are in eV
_STILL_DEG = 0.01  # the arm of a rocking curve moves less


@dataclass(frozen=True, slots=True)
class SpecGeometry:
    """``known``: numbers by the names of BraggGeometry. ``axis``: of the rocking, None where it is unclear.

    ``points``: rows of the scan. ``names``: motor taken for every meaning, with its sign.
    """

    known: dict[str, float]
    axis: Axis | None
    points: int
    names: dict[str, str]

    def said(self, axis: Axis) -> str:
        """One sentence: which motor was taken for what."""
        pairs = ", ".join(f"{what} = {name}" for what, name in self.names.items())
        return f"From {self.points} points of the scan: {pairs} about {axis}."

    def doubts(self, frames: int) -> tuple[str, ...]:
        """Sentences on what should be looked at, for a stack of so many frames."""
        found = []
        if self.points != frames:
            found.append(
                f"The scan has {self.points} points and the stack {frames} frames;"
                " check the number of the scan."
            )
        if self.axis is None:
            found.append(
                f"It is not known about which axis {self.names['step']} turns;"
                " check axis and sign of the step."
            )
        return tuple(found)


def parse_names(text: str) -> dict[str, str]:
    """``energy=mono,gamma=-nu,axis=x`` by meaning. Raises SourceError."""
    names = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        what, _, name = (word.strip() for word in part.partition("="))
        if what not in (*MEANINGS, "axis") or not name or (what == "axis" and name not in ("x", "y")):
            raise SourceError(
                f"{part!r} names no motor; write energy=, wavelength=, delta=, gamma= or step= and its name"
                " (with a minus where it turns the other way), or axis=x or y."
            )
        names[what] = name
    return names


def geometry_of_scan(scan: SpecScan, names: dict[str, str] | None = None) -> SpecGeometry:
    """Energy, angles of the detector and rocking step of a scan; ``names`` go before :data:`MEANINGS`.

    Raises SourceError where a name is unknown or unclear, or where the scan is no rocking curve.
    """
    given = names or {}
    taken: dict[str, str] = {}
    known: dict[str, float] = {}
    for what in ("energy", "wavelength", "delta", "gamma"):
        name = given.get(what) or _only(scan, what)
        if name is None or (what == "wavelength" and "energy_keV" in known):
            continue
        sign, plain = _signed(name)
        value = sign * _position(scan, plain, what)
        if what in ("delta", "gamma"):
            known[f"{what}_deg"] = value
        else:
            known["energy_keV"] = _energy(scan, plain, value, what)
        taken[what] = name
    name = given.get("step") or _scanned(scan)
    sign, plain = _signed(name)
    axis, usual = AXES.get(plain.lower(), (None, 1.0))
    if "step" in given:
        usual = sign  # as it was asked for
    if "axis" in given:
        axis = "x" if given["axis"] == "x" else "y"
    known["step_deg"] = usual * _step(scan, plain)
    taken["step"] = f"{'-' * (usual < 0)}{plain}"
    return SpecGeometry(known, axis, len(scan.columns[plain]), taken)


def _signed(name: str) -> tuple[float, str]:
    return (-1.0, name[1:].strip()) if name.startswith("-") else (1.0, name)


def _only(scan: SpecScan, what: str) -> str | None:
    """The one motor or column that means ``what``, None without one."""
    found = {name for name in (*scan.motors, *scan.columns) if name.lower() in MEANINGS[what]}
    values = {scan.motors[name] for name in found if name in scan.motors}
    if len(found) > 1 and (len(values) > 1 or not found <= set(scan.motors)):
        raise SourceError(
            f"Scan {scan.key} has several motors for {what} ({', '.join(sorted(found))}); say which one"
            f" counts: {what}=NAME."
        )
    return min(found, key=lambda name: (name not in scan.columns, name), default=None)


def _position(scan: SpecScan, name: str, what: str) -> float:
    column = scan.columns.get(name)
    if column is not None and len(column):
        if not np.ptp(column) <= _STILL_DEG:
            raise SourceError(
                f"Scan {scan.key} moves {name} ({what}); a rocking curve turns the sample only; choose"
                " another scan."
            )
        return float(np.mean(column))
    value = scan.motors.get(name)
    if value is None or not np.isfinite(value):
        raise SourceError(f"Scan {scan.key} has no position of {name!r} ({what}); check the name.")
    return value


def _energy(scan: SpecScan, name: str, value: float, what: str) -> float:
    keV = HC_KEV_ANGSTROM / value if what == "wavelength" and value > 0 else value
    if what == "energy" and value >= _EV:
        keV = value / 1000
    if not 0.1 <= keV < _EV:
        unit = "angstrom" if what == "wavelength" else "keV or eV"
        raise SourceError(
            f"{name} of scan {scan.key} is {value:g}, which is no {what} in {unit}; name another."
        )
    return keV


def _scanned(scan: SpecScan) -> str:
    """The column that turns the sample."""
    moving = [
        name for name, values in scan.columns.items()
        if name.lower() in MEANINGS["step"] and len(values) > 1 and np.ptp(values) > 0
    ]  # fmt: skip
    if len(moving) == 1:
        return moving[0]
    if moving:
        raise SourceError(f"Scan {scan.key} turns {', '.join(moving)}; say which one counts: step=NAME.")
    columns = ", ".join(list(scan.columns)[:6])
    raise SourceError(
        f"Scan {scan.key} ({scan.command or 'without a command'}) turns no angle that is known here;"
        f" where one of its columns ({columns}, …) turns the sample, say which: step=NAME."
    )


def _step(scan: SpecScan, name: str) -> float:
    values: NDArray[np.float64] | None = scan.columns.get(name)
    if values is None:
        raise SourceError(
            f"Scan {scan.key} has no column {name!r}; its columns are {', '.join(scan.columns)}."
        )
    steps = np.diff(values)
    step = float(np.median(steps)) if len(steps) and np.isfinite(steps).all() else 0.0
    if not step or np.abs(steps - step).max() > 0.5 * abs(step):
        raise SourceError(
            f"{name} of scan {scan.key} has no steady step in {len(values)} points; choose another scan."
        )
    return step
