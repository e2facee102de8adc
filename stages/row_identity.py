"""The random words of a row: its seed, where it is cut short, how its segments are chosen.

A row is named by its unit (source name and position) and its ordinal in the unit, never by
rank, worker or the order of files. Each word is a keyed BLAKE2b (RFC 7693) of that name, with
the job's seed as the key and the word's purpose as personalisation, so no two purposes share a
word and neighbouring job seeds have nothing in common. About 1 microsecond per row.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

_ORDINAL = struct.Struct("<Q")
_WORDS = struct.Struct("<QQ")
_POSITION = struct.Struct("<q")
_EIGHT_WORDS = struct.Struct("<8Q")
_TOSSES = 512  # in a digest


class RowIdentity:
    """Draws for the rows of one unit.

    Args:
        job_seed: 64 bits, the same for all units of a job.
        unit_name, unit_start: what identifies the unit, see `premask.schemas.unit.Unit`.
    """

    def __init__(self, *, job_seed: int, unit_name: str, unit_start: int) -> None:
        name = unit_name.encode(errors="surrogatepass")
        place = _WORDS.pack(len(name), unit_start) + name
        key = _ORDINAL.pack(job_seed)
        self._seed = blake2b(place, digest_size=8, key=key, person=b"premask seed")
        self._length = blake2b(place, digest_size=16, key=key, person=b"premask length")
        self._pair = blake2b(place, digest_size=64, key=key, person=b"premask pair")
        self._document = blake2b(place, digest_size=64, key=key, person=b"premask document")
        self._coins = blake2b(place, digest_size=64, key=key, person=b"premask coins")

    def seed(self, ordinal: int) -> int:
        """The row's mask seed, 64 bits."""
        digest = self._seed.copy()
        digest.update(_ORDINAL.pack(ordinal))
        return _ORDINAL.unpack(digest.digest())[0]  # type: ignore[no-any-return]

    def length(self, ordinal: int, *, low: int, high: int, short_threshold: int) -> int:
        """Tokens that the row takes: `high`, or a shorter length uniform on ``low..high``.

        It is shorter if its first word is below `short_threshold`, of ``2**64``; the length
        comes from a word of its own, so every length is possible.
        """
        if not short_threshold or low >= high:
            return high
        digest = self._length.copy()
        digest.update(_ORDINAL.pack(ordinal))
        decision, word = _WORDS.unpack(digest.digest())
        if decision >= short_threshold:
            return high
        return low + below(word, high - low + 1)

    def words(self, ordinal: int) -> tuple[int, ...]:
        """Eight words of 64 bits each, for the choices that make a row of two segments."""
        digest = self._pair.copy()
        digest.update(_ORDINAL.pack(ordinal))
        return _EIGHT_WORDS.unpack(digest.digest())

    def document_words(self, position: int) -> tuple[int, ...]:
        """Eight words of 64 bits each, for what is drawn for a document of the unit."""
        digest = self._document.copy()
        digest.update(_POSITION.pack(position))
        return _EIGHT_WORDS.unpack(digest.digest())

    def heads(self, ordinal: int, skip: int, tosses: int) -> int:
        """Heads among so many tosses of a fair coin, the first `skip` of the row left out."""
        flips = 0
        for block in range((skip + tosses + _TOSSES - 1) // _TOSSES):
            digest = self._coins.copy()
            digest.update(_WORDS.pack(ordinal, block))
            flips |= int.from_bytes(digest.digest(), "little") << (block * _TOSSES)
        return (flips >> skip & ((1 << tosses) - 1)).bit_count()


def below(word: int, limit: int) -> int:
    """A number in ``0 .. limit - 1`` from a word of 64 bits."""
    return word * limit >> 64
