"""A scorer in one file of named arrays, its header in JSON, without pickle: apart from what a scorer does when it is at hand."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec

from lmbench.errors import InputError
from lmbench.models import make_model, model_class
from lmbench.models.trust import Trust, trusting
from lmbench.storage.mapped import open_arrays, write_arrays
from lmbench.text.canonical import check_reading
from lmbench.text.ranking import packed
from lmbench.text.units import check_tokens, unit_restored
from lmbench.text.vocab import Lexicon

if TYPE_CHECKING:
    from lmbench.scoring.scorer import Scorer

AnyScorer = TypeVar("AnyScorer", bound="Scorer")

FORMAT = 3  # 2 had no symbol but <unk> for the beginning of a text without line feeds


class _Header(msgspec.Struct):
    """What a saved scorer says of itself beside its arrays."""

    model: str
    options: dict[str, Any]
    vocab_size: int
    notes: list[str]
    history: list[dict[str, Any]]
    unit: str
    reserved: Annotated[int, msgspec.Meta(ge=1)]
    normalise: str
    documents: str
    about: dict[str, Any]
    unk: str = ""
    unk_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5


def save_scorer(scorer: Scorer, path: str | Path) -> None:
    """Writes all of a scorer, whole or not at all."""
    arrays = {f"model.{key}": array for key, array in scorer.model.state().items()}
    arrays |= {f"unit.{key}": array for key, array in scorer.unit.state().items()}
    for key, words in (("vocab", scorer.vocab.tokens), ("types", scorer.types)):
        arrays[key] = packed(words)
    fixed = model_class(scorer.model.name)[1]
    header = {
        "format": FORMAT,
        "model": scorer.model.name,
        "options": {k: v for k, v in scorer.model.saved_options().items() if k not in fixed},
        "vocab_size": scorer.model.vocab_size,
        "notes": scorer.model.notes,
        "history": scorer.model.history,
        "unit": scorer.unit.spec,
        "reserved": len(scorer.vocab.reserved),
        "normalise": scorer.normalise,
        "documents": scorer.documents,
        "about": scorer.about,
        "unk": scorer.unk,
        "unk_share": scorer.unk_share,
    }
    write_arrays(path, arrays, header)


def read_scorer(kind: type[AnyScorer], path: str | Path, check: bool, trust_code: Trust) -> AnyScorer:
    """What ``save_scorer`` wrote, as a scorer of this class; the others are as for ``Scorer.load``."""
    facts, columns = open_arrays(path)
    if facts.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {repr(facts.get('format'))[:20]}, this lmbench reads {FORMAT}; fit it anew"
        )
    if check:
        for column in columns.values():
            column.all()
    try:
        header = msgspec.convert(facts, _Header)
        words, types = (
            msgspec.json.decode(columns.pop(key).all().tobytes(), type=list[str])
            for key in ("vocab", "types")
        )
        if header.vocab_size != len(words):
            raise ValueError(f"{len(words)} tokens instead of {header.vocab_size}")
        check_reading(header.normalise, header.documents)
        Lexicon(header.unk)  # which refuses what is no token
        of_unit = [key for key in columns if key.startswith("unit.")]
        learnt = {key.removeprefix("unit."): columns.pop(key).all() for key in of_unit}
        state = {key.removeprefix("model."): column for key, column in columns.items()}
        with trusting(trust_code):
            model = make_model(header.model, **header.options)
            model.restore(state, header.vocab_size, header.notes, header.history)
        unit, vocab = model.own_unit, model.vocabulary_of(words, header.reserved)
        if unit is None:
            unit = unit_restored(header.unit, learnt)
            of_text = words[header.reserved :]
            if len(set(of_text)) < len(of_text):
                raise ValueError("a token stands twice in its vocabulary")
            check_tokens(unit, chain(of_text, types))
        if header.unk and vocab[header.unk] != 0:
            raise ValueError("its unknown token is one like others in its vocabulary")
        return kind(
            model,
            unit,
            vocab,
            header.normalise,
            header.documents,
            types,
            header.about,
            header.unk,
            header.unk_share,
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        raise InputError(f"{path} does not hold what its model is made of ({what}); fit it anew") from error
