"""Small crystals: polyhedra cut from an fcc lattice and relaxed under their surface stress.

Lengths are in units of the blank's half side; a crystal lies within the cube [-1, 1]^3. Cartesian axes of the
crystal, order z, y, x everywhere; the lattice's cube edges are along them.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Floats = NDArray[np.float64]
GRID = 24  # sites of the spring network along the side of the blank
SURFACE_CONTRACTION = 0.19  # fits the displacements of gold particles of 6 and 10 nm relaxed with EAM forces
_DIRECTIONS = tuple(d for d in product((-1, 0, 1), repeat=3) if sum(map(abs, d)) == 2 and d > (0, 0, 0))
_FAMILIES = ((1, 1, 1), (1, 0, 0), (1, 1, 0))


@dataclass(frozen=True, slots=True)
class Polyhedron:
    """Points r with ``normals`` @ r <= ``distances``; ``normals`` (P, 3) of length 1, ``distances`` (P,)."""

    normals: Floats
    distances: Floats

    def inside(self, points: Floats) -> NDArray[np.bool_]:
        """``points`` (..., 3) to bool."""
        return np.asarray((points @ self.normals.T <= self.distances).all(axis=-1))

    def density(self, points: Floats, width: float | Floats) -> Floats:
        """Share of a voxel of ``width`` (one, or per plane) around each point that is inside, 0 to 1."""
        depth = (self.distances - points @ self.normals.T) / width + 0.5
        return np.asarray(np.clip(depth, 0.0, 1.0).prod(axis=-1))


def clipped(rng: np.random.Generator, planes: int | None = None) -> Polyhedron:
    """A cube cut by 4 to 20 planes, most of them low-index facets of an fcc crystal."""
    count = int(rng.integers(4, 21)) if planes is None else planes
    normals = [np.eye(3)[axis] * sign for axis in range(3) for sign in (-1.0, 1.0)]
    distances = [1.0] * 6
    for _ in range(count):
        if rng.random() < 0.7:
            family = np.array(_FAMILIES[rng.integers(len(_FAMILIES))], np.float64)
            normal = rng.permutation(family) * rng.choice((-1.0, 1.0), 3)
        else:
            normal = rng.normal(size=3)
        normals.append(normal / np.linalg.norm(normal))
        distances.append(float(rng.uniform(0.45, 0.95)))
    return Polyhedron(np.array(normals), np.array(distances))


def random_rotation(rng: np.random.Generator) -> Floats:
    """(3, 3) rotation, uniform over all orientations (Shoemake: a normal quaternion)."""
    w, x, y, z = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def lattice(shapes: list[Polyhedron], grid: int = GRID) -> NDArray[np.bool_]:
    """(B, n, n, n) bool: sites of an fcc lattice inside each crystal; n = ``grid`` + 2 with an empty rim.

    Sites of fcc are those of a cubic grid whose three indices have an even sum.
    """
    axis = np.arange(grid + 2, dtype=np.float64) - (grid + 1) / 2
    points = np.stack(np.meshgrid(*(axis * 2 / grid,) * 3, indexing="ij"), axis=-1)
    even = np.indices((grid + 2,) * 3).sum(axis=0) % 2 == 0
    rim = np.zeros((grid + 2,) * 3, np.bool_)
    rim[1:-1, 1:-1, 1:-1] = True
    return np.stack([shape.inside(points) & even & rim for shape in shapes])


def relax(
    sites: NDArray[np.bool_],
    contraction: float = SURFACE_CONTRACTION,
    device: str = "cpu",
    tolerance: float = 1e-3,
) -> NDArray[np.float32]:
    """(B, 3, n, n, n) float32 displacements, in grid steps, of sites that relax under their surface stress.

    Every bond to one of the twelve neighbours is a spring; it wants to be shorter by ``contraction`` x the
    mean share of missing neighbours at its ends, as bonds of metals at surfaces do. Small displacements:
    one linear system, solved for all crystals at once by conjugate gradients. Translation and rotation are
    taken out; 0 where there is no site.
    """
    import torch

    present = torch.from_numpy(np.ascontiguousarray(sites, np.float32)).to(device)
    network = _Network(present)
    force = network.prestress(contraction)
    u = torch.zeros_like(force)
    residual = force.clone()
    direction = residual.clone()
    power = _dot(residual, residual)
    goal = power * tolerance**2
    for _ in range(600):
        image = network.stiffness(direction)
        length = power / _dot(direction, image).clamp_min(1e-20)
        u += length * direction
        residual -= length * image
        new = _dot(residual, residual)
        if bool((new <= goal).all()):
            break
        direction = residual + new / power.clamp_min(1e-20) * direction
        power = new
    return np.stack([_without_rigid(one, here) for one, here in zip(u.cpu().numpy(), sites, strict=True)])


class _Network:
    """Springs between neighbouring sites of a batch of crystals."""

    def __init__(self, present: "Tensor") -> None:
        import torch

        self._present = present
        self._bonds = []
        for direction in _DIRECTIONS:
            there = torch.roll(present, tuple(-d for d in direction), (1, 2, 3)) * present
            unit = torch.tensor(direction, dtype=torch.float32, device=present.device) / 2**0.5
            self._bonds.append((direction, unit[None, :, None, None, None], there[:, None]))

    def stiffness(self, u: "Tensor") -> "Tensor":
        """Forces needed for displacements ``u``: sum over bonds of (e . (u_i - u_j)) e."""
        import torch

        out = torch.zeros_like(u)
        for direction, unit, bond in self._bonds:
            stretch = ((torch.roll(u, tuple(-d for d in direction), (2, 3, 4)) - u) * unit).sum(
                1, True
            ) * bond
            pull = stretch * unit
            out -= pull
            out += torch.roll(pull, direction, (2, 3, 4))
        return out

    def prestress(self, contraction: float) -> "Tensor":
        """Forces of bonds that are longer than they want to be."""
        import torch

        neighbours = torch.zeros_like(self._present)
        for direction, _, bond in self._bonds:
            neighbours += bond[:, 0] + torch.roll(bond[:, 0], direction, (1, 2, 3))
        missing = (1 - neighbours / 12) * self._present
        out = torch.zeros((len(missing), 3, *missing.shape[1:]), device=missing.device)
        for direction, unit, bond in self._bonds:
            other = torch.roll(missing, tuple(-d for d in direction), (1, 2, 3))
            tension = contraction * 2**0.5 * ((missing + other) / 2)[:, None] * bond * unit
            out += tension
            out -= torch.roll(tension, direction, (2, 3, 4))
        return out


def _dot(a: "Tensor", b: "Tensor") -> "Tensor":
    return (a * b).sum((1, 2, 3, 4), keepdim=True)


def _without_rigid(u: NDArray, sites: NDArray[np.bool_]) -> NDArray[np.float32]:
    """``u`` less its best translation and small rotation."""
    where = np.argwhere(sites).astype(np.float64)
    if not len(where):
        return np.zeros_like(u)
    where -= where.mean(axis=0)
    values = u[:, sites].T.astype(np.float64)
    values -= values.mean(axis=0)
    turn = np.linalg.lstsq(_cross_rows(where), values.ravel(), rcond=None)[0]
    out = np.zeros_like(u)
    out[:, sites] = (values - (_cross_rows(where) @ turn).reshape(-1, 3)).T
    return out


def _cross_rows(points: Floats) -> Floats:
    """(3 N, 3) matrix that takes a rotation vector to the displacements it causes."""
    a, b, c = points.T
    zero = np.zeros_like(a)
    rows = np.stack([np.stack([zero, c, -b]), np.stack([-c, zero, a]), np.stack([b, -a, zero])])
    return np.asarray(rows.transpose(2, 0, 1).reshape(-1, 3))
