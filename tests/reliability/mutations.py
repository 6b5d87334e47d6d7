"""Seeded damage to the bytes of a file."""

from collections.abc import Callable

import numpy as np

Random = np.random.Generator
Mutation = Callable[[bytearray, Random], None]
EXTREMES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0xFFFFFFFF,
    0x7FFFFFFFFFFFFFFF,
    0xFFFFFFFFFFFFFFFF,
)


def _place(data: bytearray, random: Random, size: int = 1) -> int:
    """A position; every second one near the beginning, where headers stand."""
    end = max(1, len(data) - size + 1)
    return int(random.integers(0, min(end, 2048) if random.random() < 0.5 else end))


def bits(data: bytearray, random: Random) -> None:
    """Turn 1 to 16 bits."""
    for _ in range(int(random.integers(1, 17))):
        data[_place(data, random)] ^= 1 << int(random.integers(8))


def byte_values(data: bytearray, random: Random) -> None:
    """Write 1 to 8 random bytes."""
    for _ in range(int(random.integers(1, 9))):
        data[_place(data, random)] = int(random.integers(256))


def cut(data: bytearray, random: Random) -> None:
    """Lose the end."""
    del data[int(random.integers(1, max(2, len(data)))) :]


def swapped(data: bytearray, random: Random) -> None:
    """Exchange two blocks of up to 1 KiB."""
    size = int(random.integers(1, max(2, min(1024, len(data) // 2))))
    a, b = (_place(data, random, size) for _ in range(2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def inflated(data: bytearray, random: Random) -> None:
    """Write an extreme number, of 2, 4 or 8 bytes, where another number may stand."""
    for _ in range(int(random.integers(1, 4))):
        size = int(random.choice([2, 4, 8]))
        value = int(EXTREMES[random.integers(len(EXTREMES))]) & ((1 << 8 * size) - 1)
        a = _place(data, random, size) // 2 * 2
        data[a : a + size] = value.to_bytes(size, "little" if random.random() < 0.7 else "big")


def digits(data: bytearray, random: Random) -> None:
    """Change digits in the text of headers."""
    places = [k for k in range(min(len(data), 8192)) if 48 <= data[k] < 58]
    for k in random.permutation(places)[: int(random.integers(1, 5))] if places else ():
        data[int(k)] = int(random.choice(list(b"0123456789-.eE, ")))


def zeroed(data: bytearray, random: Random) -> None:
    """Set up to 1 KiB to zero, less than a quarter of a frame."""
    size = int(random.integers(1, 1025))
    a = _place(data, random, size)
    data[a : a + size] = bytes(len(data[a : a + size]))


def inserted(data: bytearray, random: Random) -> None:
    """Put 1 to 64 random bytes in between."""
    a = _place(data, random)
    data[a:a] = random.bytes(int(random.integers(1, 65)))


def removed(data: bytearray, random: Random) -> None:
    """Take 1 to 64 bytes away."""
    a = _place(data, random)
    del data[a : a + int(random.integers(1, 65))]


MUTATIONS: tuple[Mutation, ...] = (
    bits, byte_values, cut, swapped, inflated, digits, zeroed, inserted, removed,
)  # fmt: skip


def damaged(content: bytes, random: Random) -> tuple[bytes, str]:
    """A damaged copy, and what was done: one mutation, every fourth time a second one."""
    data = bytearray(content)
    names = []
    for _ in range(1 + (random.random() < 0.25)):
        mutation = MUTATIONS[int(random.integers(len(MUTATIONS)))]
        if data:
            mutation(data, random)
            names.append(mutation.__name__)
    return bytes(data), " + ".join(names)
