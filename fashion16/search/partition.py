"""The items of one category, sorted by bucket, and what a person has chosen for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fashion16.errors import TuningError
from fashion16.search.hyperplanes import MAX_KEY_BITS, RandomHyperplanes, keys_of
from fashion16.types import Codes, Floats, Ids, Rows

Stored = npt.NDArray[np.int16]

# Few enough to look at in the explorer. It does not come from a curve of recall: up to index.SCAN_LIMIT codes of a
# category are compared whatever their bucket.
ITEMS_PER_BUCKET = 32
# Hyperplanes through the category's own middle instead of the collection's: with 32,582 items in a category, recall@20
# of 300 re-ranked is 0.969 instead of 0.945 (benchmarks/index_search.py). Fewer items have no middle to speak of.
CENTRED_FROM = 64
BLOCK = 8192  # rows that are float32 at a time: all of them would take twice the memory
# Of 1 in an embedding. 8 bits a value would be half the memory, and would round recall@20 against float32 down to 0.990
# among 32,582 items, whatever the search does; 16 leave 0.999, and take fewer candidates to get there.
SCALE = 32767


@dataclass(frozen=True)
class Tuning:
    """What a person has chosen for one category; None leaves it to the category's size.

    Attributes:
        key_bits: how many first bits of a code name its bucket.
        n_probes: how many buckets a search probes by itself; all of them where there are fewer.
    """

    key_bits: int | None = None
    n_probes: int | None = None

    def check(self, category: str, n_bits: int) -> None:
        """Whether a category with codes of `n_bits` bits can have this tuning.

        Raises:
            TuningError: it cannot; the sentence says what is possible.
        """
        most = min(MAX_KEY_BITS, n_bits)
        if self.key_bits is not None and not 0 <= self.key_bits <= most:
            raise TuningError(
                f"The buckets of “{category}” can be named by 0 to {most} bits of a code of {n_bits:,}, "
                f"not by {self.key_bits}. Choose fewer, or leave it to the category's size."
            )
        buckets = 2 ** (most if self.key_bits is None else self.key_bits)
        if self.n_probes is not None and not 1 <= self.n_probes <= buckets:
            raise TuningError(
                f"A search of “{category}” can probe 1 to {buckets:,} buckets, not {self.n_probes:,}. Choose a number "
                "between, or leave it to the category's size."
            )


AUTOMATIC = Tuning()


@dataclass(frozen=True)
class Partition:
    """The items of one category, sorted by bucket. Never changed: a change makes a new one.

    Attributes:
        ids: (n,) int64.
        codes: (n, n_bits // 8) uint8, of the embeddings as they lie here.
        embeddings: (n, d) int16, unit length times SCALE.
        key_bits: how many first bits of a code name its bucket.
        hyperplanes: that the codes were made with: the index's, through the middle of this category.
    """

    ids: Ids
    codes: Codes
    embeddings: Stored
    key_bits: int
    hyperplanes: RandomHyperplanes

    @classmethod
    def hash(
        cls, ids: Ids, embeddings: Stored, hyperplanes: RandomHyperplanes, key_bits: int | None = None
    ) -> Partition:
        """A partition of rows in any order.

        Args:
            hyperplanes: the index's; they are moved to the middle of these rows where there are enough of them.
            key_bits: for about 32 items a bucket unless given.
        """
        if len(ids) >= CENTRED_FROM:
            total = sum(block.sum(axis=0, dtype=np.float64) for _, block in unit_blocks(embeddings))
            hyperplanes = hyperplanes.around((total / len(ids)).astype(np.float32))
        return cls.sort(ids, encode(embeddings, hyperplanes), embeddings, hyperplanes, key_bits)

    @classmethod
    def sort(
        cls, ids: Ids, codes: Codes, embeddings: Stored, hyperplanes: RandomHyperplanes, key_bits: int | None = None
    ) -> Partition:
        """A partition of rows in any order that have codes; `key_bits` for about 32 items a bucket unless given."""
        bits = key_bits_for(len(ids), 8 * codes.shape[1]) if key_bits is None else key_bits
        order = np.lexsort((ids, keys_of(codes, bits)))
        return cls(ids[order], codes[order], embeddings[order], bits, hyperplanes)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def starts(self) -> Rows:
        """Row at which each bucket begins, shape (2**key_bits + 1,)."""
        keys = keys_of(self.codes, self.key_bits)
        return np.searchsorted(keys, np.arange(2**self.key_bits + 1))

    def unit(self, rows: Rows | slice) -> Floats:
        """These rows as float32 of unit length, shape (n, d)."""
        return _unit(self.embeddings[rows])

    def cosines(self, query: Floats, rows: Rows) -> Floats:
        """Cosine of the query, shape (d,), with these rows."""
        taken = self.embeddings.take(rows, axis=0).astype(np.float32)  # sooner than [rows]
        # vecdot and not @, whose threads would take longer to wake up than these few hundred rows take
        cosines: Floats = np.vecdot(taken, query * np.float32(1 / SCALE))
        return cosines

    def bucketed(self, key_bits: int | None) -> Partition:
        """The same items in buckets named by `key_bits` bits; unchanged where they are already, or for None."""
        if key_bits in (None, self.key_bits):
            return self
        return Partition.sort(self.ids, self.codes, self.embeddings, self.hyperplanes, key_bits)

    def without(self, rows: Rows) -> Partition:
        """The partition less these rows."""
        return Partition(
            np.delete(self.ids, rows),
            np.delete(self.codes, rows, axis=0),
            np.delete(self.embeddings, rows, axis=0),
            self.key_bits,
            self.hyperplanes,
        )

    def plus(self, ids: Ids, embeddings: Stored, key_bits: int | None = None) -> Partition:
        """The partition with these rows put into their buckets; rehashed when it has outgrown them.

        With `key_bits` given there are as many, whatever the size.
        """
        by_size = key_bits_for(len(self) + len(ids), 8 * self.codes.shape[1])
        if abs(by_size - self.key_bits) > 1 if key_bits is None else key_bits != self.key_bits:
            together = np.concatenate([self.ids, ids]), np.concatenate([self.embeddings, embeddings])
            return Partition.hash(*together, self.hyperplanes, key_bits)
        codes = encode(embeddings, self.hyperplanes)
        keys = keys_of(codes, self.key_bits)
        order = np.argsort(keys, kind="stable")  # np.insert keeps the order of rows that go to one place
        at = self.starts[keys[order] + 1]  # the end of the bucket
        return Partition(
            np.insert(self.ids, at, ids[order]),
            np.insert(self.codes, at, codes[order], axis=0),
            np.insert(self.embeddings, at, embeddings[order], axis=0),
            self.key_bits,
            self.hyperplanes,
        )


def key_bits_for(n: int, n_bits: int) -> int:
    """Bits of a bucket's name, so that n items lie about 32 to a bucket."""
    return int(np.clip(np.round(np.log2(max(n, 1) / ITEMS_PER_BUCKET)), 0, min(MAX_KEY_BITS, n_bits)))


def to_int16(embeddings: Floats) -> Stored:
    """Rows of unit length as they are stored: cosines change by less than 0.00001 on average."""
    rounded: Stored = np.rint(np.clip(embeddings, -1, 1) * np.float32(SCALE)).astype(np.int16)
    return rounded


def unit_blocks(embeddings: Stored) -> Iterator[tuple[int, Floats]]:
    """The rows (n, d) as float32 of unit length, some thousands at a time, each block with its first row's number."""
    for start in range(0, len(embeddings), BLOCK):
        yield start, _unit(embeddings[start : start + BLOCK])


def encode(embeddings: Stored, hyperplanes: RandomHyperplanes) -> Codes:
    """Packed codes (n, n_bits // 8) of stored rows (n, d)."""
    none = np.zeros((0, hyperplanes.n_bits // 8), np.uint8)
    return np.concatenate([none, *(hyperplanes.encode(block) for _, block in unit_blocks(embeddings))])


def _unit(embeddings: Stored) -> Floats:
    unit: Floats = embeddings.astype(np.float32)
    unit *= np.float32(1 / SCALE)
    return unit
