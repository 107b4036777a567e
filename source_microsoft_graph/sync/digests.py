"""What a sync keeps of each of millions of owners and objects, in few bytes."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import orjson

DIGEST_BYTES = 9


def digest_of(*parts: Any) -> bytes:
    """Nine bytes that stand for these JSON values. That two of a million owners have the same 72 bits has a chance of
    one in ten billion."""
    return blake2b(orjson.dumps(parts), digest_size=DIGEST_BYTES).digest()


class DigestMap:
    """A number of up to 24 bits for each digest, in twelve bytes where a dictionary takes a hundred and more.

    The digests that begin with the same byte are in order in an array, and their numbers beside them in another one.
    Not safe between threads.
    """

    def __init__(self) -> None:
        self._beginnings = [array("Q") for _ in range(256)]
        """The first eight bytes of each digest."""
        self._numbers = [array("I") for _ in range(256)]
        """Its ninth byte, and above that its number."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """Each digest and its number, in the order of the digests."""
        for beginnings, numbers in zip(self._beginnings, self._numbers, strict=True):
            for beginning, number in zip(beginnings, numbers, strict=True):
                yield beginning.to_bytes(8, "big") + bytes((number & 0xFF,)), number >> 8

    def get(self, digest: bytes) -> int | None:
        """The number of a digest; None where it has none."""
        index, is_there = self._find(digest)
        return self._numbers[digest[0]][index] >> 8 if is_there else None

    def put(self, digest: bytes, number: int = 0) -> bool:
        """Give a digest this number. Whether it had none before."""
        index, is_there = self._find(digest)
        entry = number << 8 | digest[8]
        if is_there:
            self._numbers[digest[0]][index] = entry
        else:
            self._beginnings[digest[0]].insert(index, int.from_bytes(digest[:8], "big"))
            self._numbers[digest[0]].insert(index, entry)
            self._count += 1
        return not is_there

    def _find(self, digest: bytes) -> tuple[int, bool]:
        """Where the digest is, or belongs, and whether it is there."""
        beginnings, beginning = self._beginnings[digest[0]], int.from_bytes(digest[:8], "big")
        index = bisect_left(beginnings, beginning)
        while index < len(beginnings) and beginnings[index] == beginning:
            if self._numbers[digest[0]][index] & 0xFF == digest[8]:
                return index, True
            index += 1
        return index, False
