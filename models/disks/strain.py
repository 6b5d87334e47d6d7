"""Strain from lattices: finite strain by polar decomposition, with its errors.

Reciprocal vectors G = [a b] as columns, in px of the pattern; F = (G G0⁻¹)⁻ᵀ maps the reference's lattice in
real space to the measured one; F = R U; strain = U - 1 (Biot), tension positive; theta = angle of R from +x
towards +y. x goes along the columns, y along the rows of the pattern, unless a frame turns them.
"""

import numpy as np
from numpy.typing import NDArray

from braggscope.models.disks.results import Floats, Lattice, LatticeMap, StrainMap

Region = tuple[int, int, int, int]


def strain_map(
    lattices: LatticeMap, scan_shape: tuple[int, int], reference: Lattice, frame: float = 0.0
) -> StrainMap:
    """Strain of every scan position against ``reference``; ``frame`` rad turns its axes.

    Errors are the lattice's covariance through the analytic derivatives; those of the reference, the same
    for all positions, are left out. Raises ValueError where the scan has another size than the lattices, or
    the reference's vectors are parallel.
    """
    rows, cols = scan_shape
    if rows * cols != len(lattices.valid):
        raise ValueError(
            f"the scan is {rows} x {cols} positions, but there are {len(lattices.valid)} lattices; "
            "give the scan shape that fits"
        )
    g0 = reference.matrix
    if abs(np.linalg.det(g0)) < 1e-6 * np.linalg.norm(g0) ** 2:
        raise ValueError("the reference's lattice vectors are parallel; choose another reference")
    valid = lattices.valid & np.isfinite(lattices.values).all(axis=1)
    g = lattices.values[:, 2:].reshape(-1, 2, 2).transpose(0, 2, 1)
    g = np.where(valid[:, None, None], g, g0)
    good = np.abs(np.linalg.det(g)) > 1e-6 * np.abs(np.linalg.det(g0))
    valid, g = valid & good, np.where(good[:, None, None], g, g0)
    values, jacobian = _decomposed(g, g0, frame)
    covariance = np.where(valid[:, None, None], lattices.covariance[:, 2:, 2:], np.nan)
    variance = np.einsum("nip,npq,niq->ni", jacobian, covariance, jacobian)
    values, errors = np.where(valid[:, None], values, np.nan), np.sqrt(np.maximum(variance, 0))
    exx, eyy, exy, theta = values.T.reshape(4, rows, cols).astype(np.float32)
    exx_err, eyy_err, exy_err, theta_err = errors.T.reshape(4, rows, cols).astype(np.float32)
    return StrainMap(
        exx, eyy, exy, theta, exx_err, eyy_err, exy_err, theta_err,
        valid.reshape(rows, cols), reference, frame,
    )  # fmt: skip


def _decomposed(g: Floats, g0: Floats, frame: float) -> tuple[Floats, Floats]:
    """(N, 4) exx eyy exy theta, and (N, 4, 4) their derivatives by ax ay bx by."""
    back = np.linalg.inv(g).transpose(0, 2, 1)
    f = back @ g0.T
    units = np.zeros((4, 2, 2))
    units[range(4), (0, 1, 0, 1), (0, 0, 1, 1)] = 1
    df = -np.einsum("nij,pkj,nkl->npil", back, units, f)  # of the inverse transposed
    n, d = f[:, 1, 0] - f[:, 0, 1], f[:, 0, 0] + f[:, 1, 1]
    dn, dd = df[..., 1, 0] - df[..., 0, 1], df[..., 0, 0] + df[..., 1, 1]
    theta = np.arctan2(n, d)
    d_theta = (d[:, None] * dn - n[:, None] * dd) / (n**2 + d**2)[:, None]
    c, s = np.cos(theta), np.sin(theta)
    back_turn = np.array([[c, s], [-s, c]]).transpose(2, 0, 1)
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    du = back_turn[:, None] @ (df - d_theta[..., None, None] * (quarter @ f)[:, None])
    e = _turned(back_turn @ f - np.eye(2), frame)
    de = _turned(du, frame)
    values = np.stack((e[:, 0, 0], e[:, 1, 1], 0.5 * (e[:, 0, 1] + e[:, 1, 0]), theta), axis=1)
    slopes = (de[..., 0, 0], de[..., 1, 1], 0.5 * (de[..., 0, 1] + de[..., 1, 0]), d_theta)
    return values, np.stack(slopes, axis=1)


def _turned(tensor: Floats, angle: float) -> Floats:
    """Components (..., 2, 2) along axes turned by an angle from +x towards +y."""
    c, s = np.cos(angle), np.sin(angle)
    axes = np.array([[c, -s], [s, c]])
    return axes.T @ tensor @ axes


def reference_lattice(
    lattices: LatticeMap, scan_shape: tuple[int, int], rectangle: Region | None = None
) -> Lattice:
    """Medians of the valid lattices, of all positions or those in ``rectangle`` r0, r1, c0, c1 (half-open).

    Raises ValueError where no position there has a lattice.
    """
    chosen = lattices.valid.copy()
    if rectangle is not None:
        r0, r1, c0, c1 = rectangle
        inside = np.zeros(scan_shape, np.bool_)
        inside[r0:r1, c0:c1] = True
        chosen &= inside.ravel()
    if not chosen.any():
        where = "in the scan" if rectangle is None else "in the reference region"
        raise ValueError(f"no position {where} has a lattice; choose another region or a lower threshold")
    x0, y0, ax, ay, bx, by = (float(v) for v in np.median(lattices.values[chosen], axis=0))
    return Lattice((x0, y0), (ax, ay), (bx, by))


def rotate_frame(strain: StrainMap, angle: float) -> StrainMap:
    """The same strain along axes turned by ``angle`` rad further, from +x towards +y.

    Errors are turned as if those of the components were independent; :func:`strain_map` with that frame
    gives the exact ones.
    """
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c * c, s * s, 2 * c * s], [s * s, c * c, -2 * c * s], [-c * s, c * s, c * c - s * s]])
    parts = np.stack((strain.exx, strain.eyy, strain.exy)).astype(np.float64)
    errors = np.stack((strain.exx_err, strain.eyy_err, strain.exy_err)).astype(np.float64)
    exx, eyy, exy = np.tensordot(turn, parts, 1).astype(np.float32)
    exx_err, eyy_err, exy_err = np.sqrt(np.tensordot(turn**2, errors**2, 1)).astype(np.float32)
    return StrainMap(
        exx, eyy, exy, strain.theta, exx_err, eyy_err, exy_err, strain.theta_err,
        strain.valid, strain.reference, strain.frame + angle,
    )  # fmt: skip


def difference(first: StrainMap, second: StrainMap) -> StrainMap:
    """First minus second, in the frame of the first, where both are valid; errors as of independent maps.

    Raises ValueError for maps of different scans.
    """
    if first.valid.shape != second.valid.shape:
        raise ValueError(f"the maps are {first.valid.shape} and {second.valid.shape}; take two of one scan")
    if first.frame != second.frame:
        second = rotate_frame(second, first.frame - second.frame)
    valid: NDArray[np.bool_] = first.valid & second.valid

    def masked(values: NDArray) -> NDArray[np.float32]:
        return np.where(valid, values, np.float32(np.nan))

    return StrainMap(
        masked(first.exx - second.exx),
        masked(first.eyy - second.eyy),
        masked(first.exy - second.exy),
        masked(first.theta - second.theta),
        masked(np.hypot(first.exx_err, second.exx_err)),
        masked(np.hypot(first.eyy_err, second.eyy_err)),
        masked(np.hypot(first.exy_err, second.exy_err)),
        masked(np.hypot(first.theta_err, second.theta_err)),
        valid,
        first.reference,
        first.frame,
    )
