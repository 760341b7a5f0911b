"""What is said of a text itself, as a task beside the cells: made once, kept in the run's folder until the text or the code changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from lmbench.bench.suite import CorpusSpec
from lmbench.corpora.corpus import Corpus
from lmbench.models import Monitor
from lmbench.results.texts import TextFacts


@dataclass(frozen=True)
class TextTask:
    """The facts of one corpus's text. orders: of n-grams whose laws are fitted."""

    corpus: CorpusSpec
    orders: tuple[int, ...]

    @property
    def name(self) -> str:
        """What a progress bar calls it."""
        return f"{self.corpus.name} text"

    @property
    def stem(self) -> str:
        return "text"

    def at_home(self) -> TextTask:
        """The same with the files of its text named from the root, for a worker that was started elsewhere."""
        return replace(self, corpus=self.corpus.at_home())

    def file(self, folder: Path) -> Path:
        return folder / "texts" / f"{self.corpus.name}.json"

    def stored(self, corpus: Corpus, folder: Path) -> TextFacts | None:
        """The facts that lie in the folder; None where they are of another text or of other code."""
        return TextFacts.load(self.file(folder), self._key(corpus), len(corpus.text("test").text))

    def measure(self, corpus: Corpus, folder: Path, monitor: Monitor) -> TextFacts:
        """Makes the facts and puts them into the folder."""
        facts = TextFacts.of(self.corpus.name, corpus, self.orders, monitor.progress)
        facts.save(self.file(folder), self._key(corpus))
        return facts

    def _key(self, corpus: Corpus) -> str:
        return TextFacts.key(self.corpus.name, corpus, self.orders)
