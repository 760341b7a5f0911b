"""A saved model as a model of EleutherAI's lm-evaluation-harness (extra ``[harness]``).

import lm_eval
from lmbench.harness import HarnessModel
lm_eval.simple_evaluate(model=HarnessModel.load("model.lm"), tasks=["wikitext"])
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from lmbench.errors import InputError
from lmbench.scoring.continuation import as_read, continuation
from lmbench.scoring.generation import draw_index, shape_distribution
from lmbench.scoring.scorer import Scorer

try:
    from lm_eval.api.model import LM
except ImportError:
    raise InputError("this needs lm-evaluation-harness; install it: pip install 'lmbench[harness]'") from None

LONGEST = 256  # tokens written where a request names no limit


class HarnessModel(LM):  # type: ignore[misc]
    """What the harness asks of a model, answered by a fitted one of ours.

    Texts are normalised as the model's training text was, and charged in full: an unknown word costs its spelling. The
    harness divides by the length of its own text, so one that normalising changes is not charged as a whole. A token that
    begins in a context and ends in its continuation is charged to the continuation. Pretrained networks answer as the
    harness's own class for them does.
    """

    def __init__(self, scorer: Scorer, seed: int = 0) -> None:
        super().__init__()
        self.scorer, self.seed = scorer, seed
        self._view = scorer.model.harness_view()

    @classmethod
    def load(cls, path: str | Path, seed: int = 0, trust_code: bool = False) -> Self:
        """A model that ``lmbench fit --save`` wrote. Raises InputError where it is none. trust_code: as ``load_model``'s."""
        return cls(Scorer.load(path, trust_code=trust_code), seed)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """ln p(continuation | context) of each request, and whether each of its tokens is the likeliest."""
        if self._view is not None:
            answers: list[tuple[float, bool]] = self._view.loglikelihood([r.args for r in requests])
            return answers
        scored = [continuation(self.scorer, *request.args) for request in requests]
        return [(one.log_prob, one.greedy) for one in scored]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """ln p of each request's text, its documents as the model was trained on them.

        Raises InputError where the model reads another text than is given: the harness divides by that one's length.
        """
        texts = [request.args[0] for request in requests]
        if self._view is not None:
            answers: list[float] = self._view.rolling(texts)
            return answers
        return [self._whole(text) for text in texts]

    def _whole(self, text: str) -> float:
        read = as_read(self.scorer, text)
        if read.text != text:
            raise InputError(
                f"the model reads {read.chars:,} characters (normalised by {self.scorer.normalise!r}) of a text of "
                f"{len(text):,}, by whose length the harness divides; fit it with --normalise none"
            )
        return float(self.scorer.score(read).nats.sum())

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Text after each context, up to the first of the strings in ``until`` or ``max_gen_toks`` tokens."""
        return [self._text_after(*request.args) for request in requests]

    def _text_after(self, context: str, settings: dict[str, Any]) -> str:
        until = settings.get("until") or []
        until = [until] if isinstance(until, str) else until
        most = int(settings.get("max_gen_toks") or LONGEST)
        drawn = settings.get("do_sample", False)
        shape: dict[str, Any] = {
            "temperature": float(settings.get("temperature", 1.0)) if drawn else 0.0,
            "top_k": int(settings.get("top_k", 0)),
            "top_p": float(settings.get("top_p", 1.0)),
        }
        if self._view is not None:
            return self._written(context, until, most, shape)
        prompt = as_read(self.scorer, context).text
        length = min(32, most)
        while True:  # the same seed writes the same beginning, so that longer tries go on from shorter ones
            rng = np.random.default_rng(self.seed)
            text = self.scorer.generate(rng, length, prompt, **shape)[len(prompt) :]
            stops = [place for stop in until if stop and (place := text.find(stop)) >= 0]
            if stops or length >= most:
                return text[: min(stops, default=len(text))]
            length = min(2 * length, most)

    def _written(self, context: str, until: Sequence[str], most: int, shape: dict[str, Any]) -> str:
        given = self._view.begin(context, most)
        written: list[int] = []
        rng = np.random.default_rng(self.seed)
        while len(written) < most:
            token = draw_index(shape_distribution(self._view.after([*given, *written]), **shape), rng)
            if token in self._view.ends:
                break
            written.append(token)
            text = self._view.text(written)
            if stops := [place for stop in until if stop and (place := text.find(stop)) >= 0]:
                return text[: min(stops)]
        return self._view.text(written)
