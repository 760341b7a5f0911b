"""Where texts come from: descriptions, a user's files, sources of known entropy, and the split.

In: a name, a path or a description in TOML. Out: a ``Corpus``: training, held-out and test text, which do not overlap.
(The descriptions lie in ``corpora/`` at the repository's top and are shipped inside this folder.)
"""

from lmbench.corpora.corpus import Corpus, load_corpus
from lmbench.corpora.descriptions import describe
from lmbench.corpora.inputs import Documents
from lmbench.corpora.sources import make_source

__all__ = ["Corpus", "Documents", "describe", "load_corpus", "make_source"]
