"""Makes new inputs out of old ones, without coverage; the same seed makes the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

_MAX_BYTES = 1 << 16
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
Edit = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutate(data: bytes, others: Sequence[bytes], words: Sequence[bytes], rng: Random) -> bytes:
    """`data` with one to eight edits; some take stretches of `others` and `words`."""
    edited = bytearray(data)
    material = [*others, *words]
    for _ in range(1 << rng.randrange(4)):
        rng.choice(_EDITS)(edited, rng, material)
    return bytes(edited[:_MAX_BYTES])


def _place(data: bytearray, rng: Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def _number(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    """A number at the border of its type, where offsets and lengths may be."""
    width = rng.choice((2, 4, 8))
    start = rng.randrange(max(len(data) - width, 0) + 1) // width * width
    value = (rng.choice(_NUMBERS) - rng.randrange(2)) % (1 << 8 * width)
    data[start : start + width] = value.to_bytes(width, "little")


def _drop(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start = _place(data, rng)
    del data[start : start + rng.randrange(1, 64)]


def _cut(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    del data[_place(data, rng) :]


def _repeat(data: bytearray, rng: Random, _: Sequence[bytes]) -> None:
    start = _place(data, rng)
    part = bytes(data[start : start + rng.randrange(1, 64)])
    data[start:start] = part * rng.randrange(1, 64)


def _insert(data: bytearray, rng: Random, material: Sequence[bytes]) -> None:
    part = rng.choice(material) if material else b"\0"
    start = rng.randrange(len(part) + 1)
    place = _place(data, rng)
    data[place:place] = part if len(part) < 32 else part[start : start + rng.randrange(1, 512)]


def _splice(data: bytearray, rng: Random, material: Sequence[bytes]) -> None:
    if material:
        part = rng.choice(material)
        data[_place(data, rng) :] = part[rng.randrange(len(part) + 1) :]


_EDITS: tuple[Edit, ...] = (_flip, _set, _number, _drop, _cut, _repeat, _insert, _splice)
