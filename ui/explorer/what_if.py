"""What if: the category rehashed with other settings, beside today's index, and the index rebuilt with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from fashion16.collections import indexing
from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error
from fashion16.explore import buckets
from fashion16.explore.buckets import BucketFigures, Sizes, WhatIf
from fashion16.search import index_file
from fashion16.search.hyperplanes import MAX_KEY_BITS
from fashion16.search.index import N_BITS, SCAN_LIMIT, SEED
from fashion16.search.partition import AUTOMATIC, Partition, Tuning, key_bits_for
from ui.explorer import bucket_charts, categories
from ui.shared import access, cards, messages, text

CODE_BITS = (16, 32, 64, 128, 256, 512, 1024)
MOST_SEEDS = 4_000
CARDS = ("key_bits", "possible", "used", "largest", "median", "empty_share", "gini", "expected_candidates")


@dataclass(frozen=True)
class Settings:
    """How a category is hashed and searched; `n_probes` is 0 where its size decides."""

    key_bits: int
    n_bits: int
    seed: int
    n_probes: int


def show(collection: Collection) -> None:
    """Sliders, today's figures beside those of the sliders, both curves, and the buttons that change the index."""
    if st.session_state.pop("index_rebuilt", False):
        st.rerun()  # the whole page, for it opens the new index
    messages.show("what_if")
    name = categories.choose(collection)
    index = collection.searcher.index
    partition = index.partitions[name]
    today = _today(collection, name, partition)
    wanted = _sliders(today)
    now, then = buckets.sizes_of(partition), _sizes(partition, wanted.key_bits, wanted.seed)
    _figures(buckets.figures(now), buckets.figures(then))
    searches = st.container()  # filled last: to search takes longer than to count
    curves = [buckets.rank_sizes(sizes) for sizes in (now, then)]
    both = pd.concat([curve.assign(settings=word) for curve, word in zip(curves, ("today", "what if"), strict=True)])
    cards.heading(
        "From the fullest bucket to the emptiest",
        "Today’s buckets and those of the sliders, by rank; dashed is what perfectly random hashing would give. Both "
        "axes go up by ratios; empty buckets are left out.",
        both, "what-if-ranks",
    )  # fmt: skip
    st.plotly_chart(
        bucket_charts.rank_curves(*curves), key="what_if_curves", config={"displayModeBar": False},
        alt=f"Sizes of {len(now)} buckets today and of {len(then)} with these settings",
    )  # fmt: skip
    _use(collection, name, today, wanted)
    with searches, st.spinner("Searching with some of the pictures"):
        _searches(_tried(partition, today), _tried(partition, wanted), len(partition))


def _sliders(today: Settings) -> Settings:
    """What the person wants to try; the sliders begin where the index is."""
    with st.grid(4, min_column_width=200, gap="medium", key="what_if_sliders"):
        key_bits = st.slider(
            "Key bits", 0, MAX_KEY_BITS, today.key_bits, key="key_bits", bind="query-params",
            help="More bits: more and smaller buckets. By itself, a category gets as many as put about 32 pictures "
            "into a bucket.",
        )  # fmt: skip
        n_bits = st.select_slider(
            "Code bits", sorted({*CODE_BITS, today.n_bits}), today.n_bits, key="n_bits", bind="query-params",
            help="One hyperplane a bit. Candidates are ranked by how many bits of their codes differ from the "
            "query’s: more bits rank them better and take more memory.",
        )  # fmt: skip
        seed = st.slider(
            "Seed", 0, max(MOST_SEEDS, today.seed), today.seed, key="seed", bind="query-params",
            help="The hyperplanes are drawn at random; another seed draws others. How much the figures change with it "
            "is luck.",
        )  # fmt: skip
        last = 2 ** int(key_bits)
        if (st.session_state.get("n_probes") or 0) > last:
            st.session_state.n_probes = last
        probes = st.slider(
            "Buckets probed", 0, last, min(today.n_probes, last), key="n_probes", bind="query-params",
            help="How many buckets a search looks into, the nearest first. 0: by itself, which scans a category of up "
            f"to {SCAN_LIMIT:,} pictures as a whole.",
        )  # fmt: skip
    return Settings(int(key_bits), int(n_bits), int(seed), int(probes))


def _figures(now: BucketFigures, then: BucketFigures) -> None:
    table = pd.DataFrame([{"settings": "today"} | vars(now), {"settings": "what if"} | vars(then)])
    cards.heading(
        "Buckets with these settings",
        "The figures of the rehashed category, each with the difference from today’s: green is better, red worse.",
        table, "what-if-buckets",
    )  # fmt: skip
    with st.grid(4, min_column_width=155, gap="small", key="what_if_figures"):
        for name in CARDS:
            cards.card(name, getattr(then, name), getattr(now, name))


def _searches(now: WhatIf, then: WhatIf, n: int) -> None:
    table = pd.DataFrame(
        [
            {"settings": words, "key_bits": one.key_bits, "n_bits": one.n_bits, "seed": one.seed}
            | {"n_probes": one.n_probes or 0}
            | {"recall_at_20": one.recall_at_20.value, "low": one.recall_at_20.low, "high": one.recall_at_20.high}
            | {"queries": one.recall_at_20.n, "candidates": one.candidates, "bytes_per_item": one.bytes_per_item}
            for words, one in (("today", now), ("what if", then))
        ]
    )
    cards.heading(
        "Searches with these settings",
        "Some of the category’s own pictures are searched with: how much of what is truly nearest is found, at what "
        "cost.",
        table, "what-if-searches",
    )  # fmt: skip
    with st.grid(4, min_column_width=155, gap="small", key="what_if_searches"):
        half = (then.recall_at_20.high - then.recall_at_20.low) / 2
        cards.difference(
            "Recall@20", then.recall_at_20.value, now.recall_at_20.value, "{:.1%}", 1,
            f"Share of the 20 truly nearest pictures that a search finds: {then.recall_at_20.n} pictures of the "
            f"category searched with, ± {half:.1%}.",
        )  # fmt: skip
        cards.difference(
            "Codes compared", then.candidates, now.candidates, "{:,.0f}", -1,
            "Pictures whose codes a search compares, on average, with this number of buckets probed.",
        )  # fmt: skip
        cards.difference(
            "Bytes a picture", then.bytes_per_item, now.bytes_per_item, "{:,.0f}", -1,
            "Its code, its embedding and its id, in memory and in the index file.",
        )  # fmt: skip
        cards.difference(
            "Category, MB", n * then.bytes_per_item / 1e6, n * now.bytes_per_item / 1e6, "{:,.2f}", -1,
            "All pictures of the category, in memory and in the index file.",
        )  # fmt: skip


def _use(collection: Collection, name: str, today: Settings, wanted: Settings) -> None:
    """The buttons that rebuild the index, each with a sentence on what it will change."""
    if not access.may_manage():
        st.caption("This app is shared to be looked at: its index is rebuilt where it was made.")
        return
    n = len(collection.searcher.index.partitions[name])
    automatic = Settings(key_bits_for(n, N_BITS), N_BITS, SEED, 0)
    tuned = collection.searcher.index.tuning(name) != AUTOMATIC
    with st.container(border=True, key="use"):
        changes = changes_between(name, today, wanted)
        st.markdown("**Rebuild the index with these settings**")
        st.caption(" ".join(changes) if changes else "Move a slider: these are today’s settings.")
        with st.container(horizontal=True):
            st.button(
                "Use this", type="primary", key="use_this", icon=":material/build:", disabled=not changes,
                on_click=_rebuild, args=(collection, name, today),
            )  # fmt: skip
            st.button(
                "Back to automatic", key="automatic", icon=":material/restart_alt:",
                disabled=not tuned and (today.n_bits, today.seed) == (N_BITS, SEED),
                on_click=_rebuild, args=(collection, name, today, automatic),
                help=f"{text.plain(name)}: {automatic.key_bits} bits of the key, for about 32 pictures a bucket, "
                f"and searches that choose their buckets by themselves. The whole index: codes of {N_BITS} bits, "
                f"seed {SEED}.",
            )  # fmt: skip


def changes_between(name: str, today: Settings, wanted: Settings) -> list[str]:
    """A sentence for each setting that will be another one, and for what it holds."""
    changes = []
    if wanted.key_bits != today.key_bits:
        changes.append(
            f"{text.plain(name)} gets {2**wanted.key_bits:,} buckets, named by {wanted.key_bits} bits, in place "
            f"of {2**today.key_bits:,}."
        )
    if wanted.n_probes != today.n_probes:
        by_itself = "as many buckets as it thinks best"
        probed = f"{wanted.n_probes:,} bucket{'' if wanted.n_probes == 1 else 's'}" if wanted.n_probes else by_itself
        changes.append(f"A search of {text.plain(name)} probes {probed}.")
    if wanted.n_bits != today.n_bits:
        changes.append(f"All categories get codes of {wanted.n_bits:,} bits in place of {today.n_bits:,}.")
    if wanted.seed != today.seed:
        changes.append(f"All categories are cut by the hyperplanes of seed {wanted.seed} in place of {today.seed}.")
    return changes


def _rebuild(collection: Collection, name: str, today: Settings, wanted: Settings | None = None) -> None:
    """Rehash the index and write it (a callback); the sliders say how, unless it is given."""
    back = wanted is not None
    chosen = wanted or Settings(
        **{key: int(st.session_state[key]) for key in ("key_bits", "n_bits", "seed", "n_probes")}
    )
    tuning = AUTOMATIC if back else _pinned(collection, name, today, chosen)
    try:
        with st.spinner("Rehashing all pictures", show_time=True):
            indexing.retune(collection, chosen.n_bits, chosen.seed, {name: tuning})
    except Fashion16Error as error:
        messages.keep("what_if", str(error), "problem")
        return
    for key in categories.OF_A_CATEGORY:
        st.session_state.pop(key, None)
    messages.keep("what_if", "The index is rebuilt, and searches use it from now on.", "done")
    st.session_state.index_rebuilt = True


def _pinned(collection: Collection, name: str, today: Settings, chosen: Settings) -> Tuning:
    """What is pinned of the category: a key whose bits nobody has moved goes on to follow the category's size."""
    kept = collection.searcher.index.tuning(name).key_bits
    return Tuning(kept if chosen.key_bits == today.key_bits else chosen.key_bits, chosen.n_probes or None)


def _today(collection: Collection, name: str, partition: Partition) -> Settings:
    path = collection.stored.index_file
    seed = _seed(str(path), path.stat().st_mtime_ns if path.exists() else 0)
    index = collection.searcher.index
    return Settings(partition.key_bits, index.hyperplanes.n_bits, seed, index.tuning(name).n_probes or 0)


@st.cache_data(max_entries=20, show_spinner=False)
def _seed(path: str, stamp: int) -> int:
    return index_file.settings_in(Path(path)).seed


def _tried(partition: Partition, settings: Settings) -> WhatIf:
    return _what_if(partition, settings.n_bits, settings.key_bits, settings.seed, settings.n_probes or None)


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs={Partition: categories.mark})
def _sizes(partition: Partition, key_bits: int, seed: int) -> Sizes:
    return buckets.rebucket(partition, key_bits, seed)


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs={Partition: categories.mark})
def _what_if(partition: Partition, n_bits: int, key_bits: int, seed: int, n_probes: int | None) -> WhatIf:
    return buckets.what_if(partition, n_bits, key_bits, seed, n_probes)
