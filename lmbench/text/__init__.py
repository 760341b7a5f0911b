"""From a string to ids and back without loss.

In: raw documents. Out: the canonical text that every model is charged for, cut into units and looked up in a
vocabulary as ``Tokens``, and the minibatches that networks train on.
"""

from lmbench.text.batches import random_batches, sequential_batches
from lmbench.text.canonical import CanonicalText, canonical_text
from lmbench.text.tokens import EncodedText, Tokens, encode
from lmbench.text.units import Unit, unit_named
from lmbench.text.vocab import Vocab, build_vocab

__all__ = [
    "CanonicalText",
    "EncodedText",
    "Tokens",
    "Unit",
    "Vocab",
    "build_vocab",
    "canonical_text",
    "encode",
    "random_batches",
    "sequential_batches",
    "unit_named",
]
