"""The laws that every model keeps, written once: the tests, ``check_model`` and the runner ask for the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lmbench.errors import InputError
from lmbench.models.base import LanguageModel
from lmbench.text.tokens import Tokens

# A law takes a fitted model, one document of tokens and an rng; it returns what is wrong, or None.
Law = Callable[[LanguageModel, Tokens, np.random.Generator], str | None]


def shape(model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> str | None:
    found = model._log_probs(tokens)  # before the public method has checked it
    if found.shape != (len(tokens),) or found.dtype != np.float64:
        return f"log_probs is {found.dtype} {found.shape}, not float64 ({len(tokens)},)"
    return None


def at_most_one(model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> str | None:
    found = model._log_probs(tokens)
    if np.isnan(found).any():
        return f"log_probs is NaN at token {int(np.isnan(found).argmax())}"
    return (
        None
        if (found <= model.traits.precision).all()
        else f"a probability is {np.exp(found.max()):.6g}, above 1"
    )


def sums_to_one(model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> str | None:
    rows = model.next_log_probs(_contexts(tokens, rng), tokens.bos)
    sums = np.exp(rows).sum(axis=1)
    worst = float(sums[np.abs(sums - 1).argmax()])
    if not abs(worst - 1) <= model.traits.precision:
        return f"the next-token probabilities sum to {worst:.9g}, not 1"
    return None


def one_distribution(model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> str | None:
    scored = model.log_probs(tokens)
    contexts = _contexts(tokens, rng)
    rows = model.next_log_probs(contexts, tokens.bos)
    for context, row in zip(contexts, rows, strict=True):
        t = len(context)
        if t < len(tokens) and not _close(row[tokens.ids[t]], scored[t], model.traits.precision):
            return (
                f"token {t} is scored {scored[t]:.9g} but next_log_probs says {row[tokens.ids[t]]:.9g} nats"
            )
    return None


def causal(model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> str | None:
    whole = model.log_probs(tokens)
    for cut in sorted({1, len(tokens) // 3, len(tokens) // 2, len(tokens) - 1} - {0}):
        prefix = model.log_probs(Tokens(tokens.ids[:cut], tokens.starts, tokens.bos))
        if not _close(prefix, whole[:cut], model.traits.precision):
            return f"the first {cut} tokens score otherwise when the rest is cut off"
    return None


def deterministic(model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> str | None:
    same = np.array_equal(model.log_probs(tokens), model.log_probs(tokens))
    return None if same else "the same tokens score differently the second time"


def documents_apart(model: LanguageModel, tokens: Tokens, rng: np.random.Generator) -> str | None:
    if model.traits.adaptive or len(tokens) < 2:
        return None
    half = len(tokens) // 2
    both = model.log_probs(Tokens(tokens.ids, np.array([0, half]), tokens.bos))
    parts = [Tokens(ids, np.zeros(1, dtype=np.int64), tokens.bos) for ids in np.split(tokens.ids, [half])]
    if not _close(both, np.concatenate([model.log_probs(p) for p in parts]), model.traits.precision):
        return "a document's score depends on the document before it"
    return None


LAWS: dict[str, Law] = {
    "shape": shape,
    "at most one": at_most_one,
    "sums to one": sums_to_one,
    "one distribution": one_distribution,
    "causal": causal,
    "deterministic": deterministic,
    "documents apart": documents_apart,
}


def broken_laws(model: LanguageModel, tokens: Tokens, seed: int = 0) -> dict[str, str]:
    """Law -> what is wrong, for the laws that a fitted model breaks on one document; empty where it keeps all."""
    rng = np.random.default_rng(seed)
    found: dict[str, str] = {}
    for name, law in LAWS.items():
        try:
            wrong = law(model, tokens, rng)
        except InputError as error:
            wrong = str(error)
        if wrong:
            found[name] = wrong
            if law in (shape, at_most_one):  # the others could not even ask
                break
    return found


def check_model(
    model: LanguageModel, vocab_size: int = 12, length: int = 400, seed: int = 0
) -> dict[str, str]:
    """Runs the contract's laws on a model, fitting it on drawn tokens where it is not fitted.

    Returns law -> what is wrong; empty where all is well.
    """
    rng = np.random.default_rng(seed)
    if not model.vocab_size:
        # A random walk on a ring: every token is followed by few others, and 0 (<unk>) is rare.
        steps = rng.choice([1, 2, 5], size=3 * length)
        walk = 1 + np.cumsum(steps) % (vocab_size - 1)
        model.fit(walk[: 2 * length], walk[2 * length :], vocab_size, rng)
        ids = walk[2 * length :]
    else:
        ids = rng.integers(0, model.vocab_size, size=length)
    return broken_laws(model, Tokens.of(ids), seed)


def _contexts(tokens: Tokens, rng: np.random.Generator) -> list[np.ndarray]:
    cuts = {0, 1, 2, len(tokens) - 1, *rng.integers(0, len(tokens), size=12).tolist()}
    return [tokens.ids[:cut] for cut in sorted(c for c in cuts if c >= 0)]


def _close(a: np.ndarray, b: np.ndarray, precision: float) -> bool:
    return bool(np.allclose(np.exp(a), np.exp(b), rtol=0, atol=precision * 10))
