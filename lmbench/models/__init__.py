"""Distributions over token sequences; ``base`` is the contract, ``laws`` what it demands.

In: ``Tokens``. Out: log-probabilities, one a token. The table below names the models as ``--model`` and suites do; a
model's file is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from lmbench.errors import InputError, shown, unknown
from lmbench.models.base import LanguageModel
from lmbench.models.monitor import Monitor
from lmbench.models.options import needs_trust, option_fields, typed_options
from lmbench.models.trust import check_trust

__all__ = ["MODELS", "LanguageModel", "Monitor", "make_model", "model_class"]

# Dive into Deep Learning, 8.5: the network memorises the first 10,000 tokens.
D2L_85 = {
    "hidden": 512,
    "batch": 32,
    "steps": 35,
    "lr": 1.0,
    "clip": 1.0,
    "scale": 0.01,
    "input_scale": 0.01,
    "epochs": 500,
    "schedule": "constant",
    "patience": None,
    "max_tokens": 10_000,
}

# 8.6: the same, of the library's cells (here the hand-written ones, which agree with them to the last digits).
D2L_86 = {
    **{key: D2L_85[key] for key in D2L_85 if key != "scale"},
    "cell": "rnn",
    "hidden": 256,
    "embedding": 0,
    "input_scale": 256**-0.5,
    "direct": 0,
    "dropout": 0.0,
    "weight_drop": 0.0,
    "bptt": "truncated",
    "optimizer": "sgd",
    "warmup": 0.0,
    "average": 0.0,
    "arithmetic": "float32",
}

# name: (module:class, options that the name fixes, what it is in a line)
MODELS: dict[str, tuple[str, dict[str, Any], str]] = {
    "uniform": (
        "lmbench.models.uniform:Uniform",
        {},
        "Every token as likely as every other: the model whose answers are known.",
    ),
    "unigram": (
        "lmbench.models.smoothing.laplace:Laplace",
        {"order": 1},
        "Laplace smoothing of single tokens, towards the uniform distribution.",
    ),
    "bigram": (
        "lmbench.models.smoothing.laplace:Laplace",
        {"order": 2},
        "Recursive Laplace smoothing of order 2: pairs are smoothed towards single tokens.",
    ),
    "trigram": (
        "lmbench.models.smoothing.laplace:Laplace",
        {"order": 3},
        "Recursive Laplace smoothing of order 3: triples towards pairs, pairs towards single tokens.",
    ),
    "laplace": (
        "lmbench.models.smoothing.laplace:Laplace",
        {},
        "Recursive Laplace smoothing of any order: each order is smoothed towards the one below.",
    ),
    "kneser-ney": (
        "lmbench.models.smoothing.kneser_ney:KneserNey",
        {},
        "Interpolated modified Kneser–Ney smoothing, number for number that of KenLM's lmplz.",
    ),
    "witten-bell": (
        "lmbench.models.smoothing.witten_bell:WittenBell",
        {},
        "Witten–Bell smoothing: the more kinds of tokens follow a context, the less it is trusted.",
    ),
    "absolute-discounting": (
        "lmbench.models.smoothing.absolute_discounting:AbsoluteDiscounting",
        {},
        "Absolute discounting: every count gives up the same amount to the order below.",
    ),
    "jelinek-mercer": (
        "lmbench.models.smoothing.jelinek_mercer:JelinekMercer",
        {},
        "Relative frequencies of all orders, interpolated by weights learnt on held-out text.",
    ),
    "katz": (
        "lmbench.models.smoothing.katz:Katz",
        {},
        "Katz's backing-off with Good–Turing discounts.",
    ),
    "stupid-backoff": (
        "lmbench.models.smoothing.stupid_backoff:StupidBackoff",
        {},
        "Stupid backoff: scores, not probabilities, and so never ranked.",
    ),
    "infini-gram": (
        "lmbench.models.smoothing.infini_gram:InfiniGram",
        {},
        "Contexts of any length, down from the longest that the training text has; each gives away what held-out text says.",
    ),
    "cache": (
        "lmbench.models.cache:Cache",
        {},
        "A cache: what has been read lately is likely to come again.",
    ),
    "mixture": (
        "lmbench.models.mixing.mixture:Mixture",
        {},
        "Fitted models pooled, linearly or geometrically, with weights learnt on held-out text.",
    ),
    "word-char": (
        "lmbench.models.mixing.word_char:WordChar",
        {},
        "A model by word and one by character, mixed over whole words; it reads characters.",
    ),
    "arpa": (
        "lmbench.models.smoothing.arpa:ArpaModel",
        {},
        "A model that another toolkit has trained, read from an ARPA file.",
    ),
    "bit-mixing": (
        "lmbench.models.mixing.bit_mixing:BitMixing",
        {},
        "Each symbol a series of binary decisions, mixed from what many contexts and matches say, learning from each token, as PAQ does.",
    ),
    "context-mixing": (
        "lmbench.models.mixing.context_mixing:ContextMixing",
        {},
        "Contexts of many lengths, of whole words and of lines, in a log-linear mixture that is learnt.",
    ),
    "rnn-scratch": (
        "lmbench.models.neural.scratch:RnnScratch",
        {},
        "The recurrent network written out from its formulas (Dive into Deep Learning, 8.5).",
    ),
    "rnn": (
        "lmbench.models.neural.recurrent:PlainRecurrent",
        {"cell": "rnn"},
        "The plain recurrent network, trained well and regularised for small texts.",
    ),
    "gru": (
        "lmbench.models.neural.recurrent:Recurrent",
        {"cell": "gru"},
        "Gated recurrent units in layers, trained well and regularised for small texts.",
    ),
    "lstm": (
        "lmbench.models.neural.recurrent:Recurrent",
        {"cell": "lstm"},
        "Long short-term memory in layers, trained well and regularised for small texts.",
    ),
    "mingru": (
        "lmbench.models.neural.mingru:MinGru",
        {},
        "Minimal gated recurrences, whose gates see the token alone: learnt in parallel (Feng et al. 2024).",
    ),
    "transformer": (
        "lmbench.models.neural.transformer:Transformer",
        {},
        "A small Transformer that remembers: attention to a fixed number of tokens before.",
    ),
    "hugging-face": (
        "lmbench.models.outside.hugging_face:HuggingFace",
        {},
        "A causal model in a folder that the transformers library reads, scored on the same text.",
    ),
    "gguf": (
        "lmbench.models.outside.gguf:Gguf",
        {},
        "A causal model in a GGUF file, as llama.cpp computes it, scored on the same text.",
    ),
    "server": (
        "lmbench.models.outside.server:Server",
        {},
        "A model behind an OpenAI-compatible server, scored on the same text by the tokens' probabilities.",
    ),
    "mlp": (
        "lmbench.models.neural.window:WindowPerceptron",
        {},
        "A perceptron over the last few tokens: the neural n-gram of Bengio et al. (2003).",
    ),
    "d2l-8.5": (
        "lmbench.models.neural.scratch:RnnScratch",
        D2L_85,
        "The book's network of section 8.5, with its settings: it memorises its training text.",
    ),
    "d2l-8.6": (
        "lmbench.models.neural.recurrent:Recurrent",
        D2L_86,
        "The book's network of section 8.6, with its settings.",
    ),
}


# The rooms of the models, as lists of them are headed.
GROUPS = {
    "smoothing": "of counts",
    "neural": "networks",
    "mixing": "of other models, or of contexts",
    "outside": "made elsewhere",
}


def grouped_models() -> dict[str, list[str]]:
    """The registered names by kind, in the registry's order.

    >>> grouped_models()["networks"][0]
    'rnn-scratch'
    """
    groups: dict[str, list[str]] = {}
    for name, (path, _, _) in MODELS.items():
        room = path.split(".")[2]
        kind = GROUPS["outside"] if name == "arpa" else GROUPS.get(room, "others")
        groups.setdefault(kind, []).append(name)
    return groups


def model_class(name: str) -> tuple[type[LanguageModel], dict[str, Any]]:
    """The class of a registered name or of ``package.module:Class``, and the options that the name fixes.

    >>> cls, fixed = model_class("trigram")
    >>> cls.__name__, fixed
    ('Laplace', {'order': 3})
    """
    if name not in MODELS and ":" not in name:
        raise unknown("model", name, MODELS)
    path, fixed, _ = MODELS.get(name, (name, {}, ""))
    if name not in MODELS:
        check_trust(name)
    module, _, attribute = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:  # no name of a module
        raise InputError(f"cannot load model {shown(name)}: {error}") from None
    if not (isinstance(kind, type) and issubclass(kind, LanguageModel)):
        raise InputError(f"{name} is not a subclass of lmbench.LanguageModel")
    if kind.__abstractmethods__:
        raise InputError(f"model {name} lacks {', '.join(sorted(kind.__abstractmethods__))}; write them")
    return kind, fixed


def make_model(name: str, /, **options: Any) -> LanguageModel:
    """A model that is not fitted yet. Options may be typed values or strings; raises InputError for wrong ones.

    >>> make_model("kneser-ney", order="3").options()["order"]
    3
    """
    kind, fixed = model_class(name)
    clash = [key for key in options if key in fixed]
    if clash:
        raise InputError(f"{name} fixes {clash[0]}={fixed[clash[0]]}; use the general model to set it")
    fields, values = option_fields(kind), typed_options(kind, name, options)
    for key, value in values.items():
        if what := needs_trust(fields[key], value):
            check_trust(name, f"{key}={value}", what)
    chosen = {fields[key].name: value for key, value in values.items()}
    model = kind(**fixed, **chosen)
    model.registered = name
    return model
