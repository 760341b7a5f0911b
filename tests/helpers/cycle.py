"""A text with something to learn, and networks small enough to learn it at once."""

from __future__ import annotations

from typing import Any

import numpy as np

from lmbench.models import LanguageModel, make_model
from lmbench.text.tokens import Tokens

V = 7


def text(length: int, seed: int = 0, starts: tuple[int, ...] = (0,)) -> Tokens:
    """A noisy cycle: each token is mostly the one before plus one."""
    rng = np.random.default_rng(seed)
    ids = np.cumsum(rng.random(length) < 0.9) % (V - 1) + 1
    return Tokens(ids.astype(np.int32), np.array(starts, dtype=np.int64), bos=0)


def small(name: str = "rnn-scratch", **options: Any) -> LanguageModel:
    usual: dict[str, Any] = {"hidden": 16, "batch": 4, "steps": 8, "epochs": 3}
    if name == "rnn-scratch":
        usual |= {"scale": 0.1, "clip": 1.0, "lr": 1.0}
    else:
        usual |= {"dropout": 0.1, "direct": 0}
    if name in ("rnn", "gru", "lstm"):
        usual |= {"weight_drop": 0.0}
    return make_model(name, **(usual | options))
