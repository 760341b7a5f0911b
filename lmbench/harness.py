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
from lmbench.scoring.scorer import Scorer
from lmbench.text.canonical import CanonicalText, canonical_text

try:
    from lm_eval.api.model import LM
except ImportError:
    raise InputError("this needs lm-evaluation-harness; install it: pip install 'lmbench[harness]'") from None

LONGEST = 256  # tokens written where a request names no limit


class HarnessModel(LM):  # type: ignore[misc]
    """What the harness asks of a model, answered by a fitted one of ours.

    Texts are normalised as the model's training text was, and charged in full: an unknown word costs its spelling.
    A token that begins in a context and ends in its continuation is charged to the continuation.
    """

    def __init__(self, scorer: Scorer, seed: int = 0) -> None:
        super().__init__()
        self.scorer, self.seed = scorer, seed

    @classmethod
    def load(cls, path: str | Path, seed: int = 0) -> Self:
        """A model that ``lmbench fit --save`` wrote. Raises InputError where it is none."""
        return cls(Scorer.load(path), seed)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """ln p(continuation | context) of each request, and whether each of its tokens is the likeliest."""
        return [self._continuation(*request.args) for request in requests]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """ln p of each request's text, its documents as the model was trained on them."""
        return [float(self.scorer.score(self._canonical(r.args[0])).nats.sum()) for r in requests]

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """Text after each context, up to the first of the strings in ``until`` or ``max_gen_toks`` tokens."""
        return [self._text_after(*request.args) for request in requests]

    def _continuation(self, context: str, continuation: str) -> tuple[float, bool]:
        whole = self._canonical(context + continuation)
        cut = _shared(self._canonical(context).text, whole.text)
        scores = self.scorer.score(whole)
        asked = np.flatnonzero(scores.ends > cut)
        if not len(asked):
            return 0.0, True
        asked = np.arange(asked[0], len(scores))
        tokens = self.scorer.encode(whole).tokens
        starts = tokens.starts[np.searchsorted(tokens.starts, asked, side="right") - 1]
        before = [tokens.ids[a:b] for a, b in zip(starts.tolist(), asked.tolist(), strict=True)]
        best = self.scorer.model.next_log_probs(before, tokens.bos).argmax(axis=1)
        greedy = (best == tokens.ids[asked]) & ~scores.oov[asked]
        return float(scores.nats[asked].sum()), bool(greedy.all())

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
        prompt = self._canonical(context).text
        length = min(32, most)
        while True:  # the same seed writes the same beginning, so that longer tries go on from shorter ones
            rng = np.random.default_rng(self.seed)
            text = self.scorer.generate(rng, length, prompt, **shape)[len(prompt) :]
            stops = [at for stop in until if stop and (at := text.find(stop)) >= 0]
            if stops or length >= most:
                return text[: min(stops, default=len(text))]
            length = min(2 * length, most)

    def _canonical(self, raw: str) -> CanonicalText:
        found = canonical_text([raw], self.scorer.normalise, self.scorer.documents)
        if found.text.endswith("\n") and not raw.endswith("\n"):  # a line that goes on is not ended
            return CanonicalText(found.text[:-1], found.starts)
        return found


def _shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
