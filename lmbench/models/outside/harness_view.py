"""A pretrained network as lm-evaluation-harness asks it, by that program's own conventions.

They differ from those of ``score``: a context stands alone, without bos, unless the tokenizer puts one there; blanks at
its end belong to the continuation; what does not fit is cut off at the left; a long text is read in windows that share
one token, but for the last, which is full (lm_eval's ``HFLM``, ``get_rolling_token_windows``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from lmbench.errors import InputError
from lmbench.models.outside.network import Network
from lmbench.text.subword import SubwordUnit


class _Row(NamedTuple):
    """Inputs, and the last tokens of which the probability is asked, each after the inputs up to its own place."""

    inputs: np.ndarray
    targets: np.ndarray
    request: int


class HarnessView:
    """Log-probabilities in nats, of token ids as the network counts them.

    prefix: what stands before a text of which nothing is given. puts: whether the tokenizer puts it before every text.
    ends: the tokens after which nothing more is written. window: the most tokens that the network reads.
    """

    def __init__(
        self,
        network: Network,
        unit: SubwordUnit,
        prefix: tuple[int, ...],
        puts: bool,
        ends: set[int],
        window: int,
        batch: int,
    ) -> None:
        self._network, self._unit, self._prefix, self._batch = network, unit, list(prefix), batch
        self.ends, self.window = ends, window
        self._begin = list(prefix) if puts else []

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, bool]]:
        """ln p(continuation | context) of each pair, and whether each of its tokens is the likeliest.

        The two are tokenized together. Of a token that begins in a context and ends in its continuation all is charged.
        Raises InputError where a continuation does not fit the window.
        """
        rows = []
        for request, (context, continuation) in enumerate(pairs):
            if not continuation:
                continue
            cut = len(context.rstrip())
            context, continuation = context[:cut], context[cut:] + continuation
            whole = self._unit.ids(context + continuation)
            if context:
                given = self._begin + self._unit.ids(context)
                asked = (self._begin + whole)[min(len(given), len(self._begin + whole) - 1) :]
                given = given[: len(self._begin + whole) - len(asked)]
            else:
                given, asked = self._prefix, whole
            if len(asked) > self.window:
                raise InputError(
                    f"a continuation of {len(asked)} tokens does not fit the window, {self.window} tokens"
                )
            inputs = [*given, *asked][-(self.window + 1) : -1]
            rows.append(_Row(np.array(inputs), np.array(asked), request))
        sums = [[0.0, 1.0] for _ in pairs]
        for row, nats, best in self._asked(rows):
            sums[row.request] = [float(nats.sum()), float(best.all())]
        return [(total, bool(best)) for total, best in sums]

    def rolling(self, texts: Sequence[str]) -> list[float]:
        """ln p of each text after the prefix. Raises InputError where the tokenizer reads another text than is given."""
        rows = []
        for request, text in enumerate(texts):
            if text and self._unit.join(self._unit.split(text)) != text:
                raise InputError(
                    "the harness divides by the length of the text that it gives, and the tokenizer reads another one; "
                    "leave as_read out, or normalise the text first"
                )
            ids = self._unit.ids(text) if text else []
            done = 0
            while done < len(ids):
                size = min(len(ids) - done, self.window)
                end = done + size
                inputs = (
                    [*self._prefix, *ids[: end - 1]] if not done else ids[end - self.window - 1 : end - 1]
                )
                rows.append(_Row(np.array(inputs[-self.window :]), np.array(ids[done:end]), request))
                done = end
        sums = [0.0] * len(texts)
        for row, nats, _ in self._asked(rows):
            sums[row.request] += float(nats.sum())
        return sums

    # Writing ------------------------------------------------------------------------------------------

    def begin(self, context: str, room: int) -> list[int]:
        """The ids of a context, of which so much is left out at the left that ``room`` tokens fit after it."""
        if room >= self.window:
            raise InputError(
                f"max_gen_toks={room} leaves no room for a context in {self.window} tokens; ask for fewer"
            )
        ids = [*self._begin, *self._unit.ids(context)] if context else self._prefix
        return ids[-(self.window - room) :]

    def after(self, ids: Sequence[int]) -> np.ndarray:
        """(V',) float64, nats: the distribution after some ids."""
        row = np.array(ids[-self.window :])
        (found,) = self._network.distributions([row], [np.array([len(row) - 1])])
        return found[0]

    def text(self, written: Sequence[int]) -> str:
        """What was written, as the tokenizer shows it: of those that put a blank before texts, without the first one."""
        return self._unit.shown(written)

    # --------------------------------------------------------------------------------------------------

    def _asked(self, rows: list[_Row]) -> Iterator[tuple[_Row, np.ndarray, np.ndarray]]:
        rows = sorted(rows, key=lambda row: -len(row.inputs))
        begin = 0
        while begin < len(rows):
            end = begin + max(1, self._batch // len(rows[begin].inputs))
            part = rows[begin:end]
            first = [len(row.inputs) - len(row.targets) for row in part]
            found = self._network.of_targets(
                [row.inputs for row in part], first, [row.targets for row in part]
            )
            yield from ((row, nats, best) for row, (nats, best) in zip(part, found, strict=True))
            begin = end
