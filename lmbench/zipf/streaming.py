"""How often the n-grams of a text occur that is nowhere whole in memory: by the shards that models of counts are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lmbench.corpora.shards import ShardedText
from lmbench.counts import count_shards
from lmbench.storage.columns import ColumnFile, write_columns
from lmbench.storage.tasks import Run
from lmbench.text.shards import TokenShards
from lmbench.text.vocab import Vocab
from lmbench.zipf.counting import BLANKS, Spectrum

_PIECE = 1 << 20  # tokens that are looked at together


def sharded_spectra(text: ShardedText, orders: Sequence[int], run: Run | None = None) -> dict[int, Spectrum]:
    """For each order how many n-grams occur how often, as ``token_ids`` and ``ngram_counts`` have it of the whole text.

    run: where the work is done, default here. What has been done is kept in ``text.folder`` and is not done again.
    """
    folder = text.folder / f"zipf.{max(orders)}"
    folder.mkdir(exist_ok=True)
    vocab = Vocab(text.counts)
    tokens, unigrams = text.numbered(vocab, folder)
    tokens = replace(tokens, bos=-1)
    if text.reading.unit == "word":
        blanks = [vocab.index(token) for token in BLANKS if token in vocab]
        tokens = _without(tokens, blanks, folder)
        unigrams[blanks] = 0
    if not unigrams.any():
        nothing = np.zeros(0, dtype=np.int64)
        return dict.fromkeys(sorted(orders), Spectrum(nothing, nothing))
    counts = count_shards(tokens, max(orders), unigrams, run=run)
    return {k: Spectrum(*counts.spectrum(k)) for k in sorted(orders)}


def _without(tokens: TokenShards, blanks: Sequence[int], folder: Path) -> TokenShards:
    """The tokens but for some, in files of their own; a document that has no others is none."""
    begin, begins, sizes = 0, False, []
    for shard, size in enumerate(tokens.sizes):
        file = ColumnFile(folder / f"tokens.{shard}")
        if not file.sound:
            kept = [np.zeros(0, dtype=np.int32)]
            for first in range(begin, begin + size, _PIECE):
                piece = tokens.read(first, min(first + _PIECE, begin + size))
                keep = ~np.isin(piece.ids, blanks)
                before = np.append(0, np.cumsum(keep))
                starts = np.append(0, before[piece.starts])[0 if begins else 1 :]
                which = piece.ids[keep]
                begins = bool((starts == len(which)).any())
                which[np.unique(starts[starts < len(which)])] ^= -1
                kept.append(which)
            write_columns(file.path, {"which": np.concatenate(kept)}, {"begins": begins})
        begins = file.facts["begins"]
        sizes.append(file.size("which"))
        begin += size
    return TokenShards(folder, tuple(sizes), tokens.bos)
