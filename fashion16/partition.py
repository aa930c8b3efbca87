"""The items of one category, sorted by bucket."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from fashion16.lsh import MAX_KEY_BITS, Codes, Floats, keys_of

Ids = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]

ITEMS_PER_BUCKET = 32


@dataclass(frozen=True)
class Partition:
    """The items of one category, sorted by bucket. Never changed: a change makes a new one.

    Attributes:
        ids: (n,) int64.
        codes: (n, n_bits // 8) uint8.
        embeddings: (n, d) int8, each row scaled to its own largest value.
        key_bits: how many first bits of a code name its bucket.
    """

    ids: Ids
    codes: Codes
    embeddings: Bytes
    key_bits: int

    @classmethod
    def sort(cls, ids: Ids, codes: Codes, embeddings: Bytes, key_bits: int | None = None) -> Partition:
        """A partition of rows in any order; `key_bits` for about 32 items a bucket unless given."""
        bits = key_bits_for(len(ids), 8 * codes.shape[1]) if key_bits is None else key_bits
        order = np.lexsort((ids, keys_of(codes, bits)))
        return cls(ids[order], codes[order], embeddings[order], bits)

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def starts(self) -> Rows:
        """Row at which each bucket begins, shape (2**key_bits + 1,)."""
        keys = keys_of(self.codes, self.key_bits)
        return np.searchsorted(keys, np.arange(2**self.key_bits + 1))

    @cached_property
    def lengths(self) -> Floats:
        """Euclidean length of each int8 row, shape (n,)."""
        squares = np.empty(len(self), np.float32)
        for start in range(0, len(self), 8192):  # in blocks: as float32 the rows take four times the memory
            block = self.embeddings[start : start + 8192].astype(np.float32)
            squares[start : start + len(block)] = np.einsum("nd,nd->n", block, block)
        return np.sqrt(np.maximum(squares, 1.0))

    def cosines(self, query: Floats, rows: Rows | slice) -> Floats:
        """Cosine of the query, shape (d,), with these rows."""
        # einsum and not @, whose threads would take longer to wake up than these few hundred rows take
        products = np.einsum("nd,d->n", self.embeddings[rows].astype(np.float32), query)
        result: Floats = products / self.lengths[rows]
        return result

    def without(self, rows: Rows) -> Partition:
        """The partition less these rows."""
        return Partition(
            np.delete(self.ids, rows),
            np.delete(self.codes, rows, axis=0),
            np.delete(self.embeddings, rows, axis=0),
            self.key_bits,
        )

    def plus(self, ids: Ids, codes: Codes, embeddings: Bytes) -> Partition:
        """The partition with these rows put into their buckets; bucketed anew when it has outgrown them."""
        n = len(self) + len(ids)
        if abs(key_bits_for(n, 8 * self.codes.shape[1]) - self.key_bits) > 1:
            return Partition.sort(
                np.concatenate([self.ids, ids]),
                np.concatenate([self.codes, codes]),
                np.concatenate([self.embeddings, embeddings]),
            )
        keys = keys_of(codes, self.key_bits)
        order = np.argsort(keys, kind="stable")  # np.insert keeps the order of rows that go to one place
        at = self.starts[keys[order] + 1]  # the end of the bucket
        return Partition(
            np.insert(self.ids, at, ids[order]),
            np.insert(self.codes, at, codes[order], axis=0),
            np.insert(self.embeddings, at, embeddings[order], axis=0),
            self.key_bits,
        )


def key_bits_for(n: int, n_bits: int) -> int:
    """Bits of a bucket's name, so that n items lie about 32 to a bucket."""
    return int(np.clip(np.round(np.log2(max(n, 1) / ITEMS_PER_BUCKET)), 0, min(MAX_KEY_BITS, n_bits)))


def to_int8(embeddings: Floats) -> Bytes:
    """Each row scaled so that its largest value is 127, and rounded: cosines change by 0.0003 on average."""
    largest = np.abs(embeddings).max(axis=1, keepdims=True, initial=1e-12)
    scaled: Bytes = np.rint(embeddings * (127.0 / largest)).astype(np.int8)
    return scaled
