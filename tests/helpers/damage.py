"""Damage the bytes of a file at random: bits, numbers, places, sizes."""

from __future__ import annotations

from random import Random

NUMBERS = [0, 1, 8, 255, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1]
WAYS = ("bit", "byte", "number", "copy", "cut", "insert", "truncate")


def damaged(data: bytes, random: Random) -> bytes:
    """Return the bytes with one to four changes; the same ones for the same state of `random`."""
    out = bytearray(data)
    for _ in range(random.randint(1, 4)):
        if out:
            _change(out, random.choice(WAYS), random)
    return bytes(out)


def _change(out: bytearray, way: str, random: Random) -> None:
    at = random.randrange(len(out))
    if way == "bit":
        out[at] ^= 1 << random.randint(0, 7)
    elif way == "byte":
        out[at] = random.randint(0, 255)
    elif way == "number":
        size = random.choice([2, 4, 8])
        number = random.choice([*NUMBERS, random.randint(0, len(out))])
        out[at : at + size] = (number % 256**size).to_bytes(size, random.choice(["little", "big"]))
    elif way == "copy":
        start, size = random.randrange(len(out)), random.choice([4, 8, 40])
        out[at : at + size] = out[start : start + size]
    elif way == "cut":
        del out[at : at + random.choice([1, 8, 64])]
    elif way == "insert":
        out[at:at] = bytes(random.randint(0, 255) for _ in range(random.randint(1, 8)))
    else:
        assert way == "truncate"
        del out[at:]
