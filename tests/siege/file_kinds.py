"""Files that commands are given beside a text: scores, pairs, counts, vocabularies, tokenizers, series, other toolkits' models; and folders of runs.

An input is the name of the file, a line feed, and its bytes; the name says which command is given it.
"""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import random
import shutil
import tempfile
import unittest.mock
from collections.abc import Mapping
from pathlib import Path

from command_kinds import prepared
from damage import (
    damaged_bytes,
    damaged_gzip,
    damaged_json,
    damaged_lines,
    damaged_npz,
    damaged_toml,
    damaged_zip,
)
from good_files import LINES as _LINES
from good_files import archive, plain_files
from model_damage import damaged_arpa, damaged_saved
from promises import command

# Which commands are given a file.
_TEXT_COMMANDS = (
    "corpora show FILE --field text",
    "score --load model --test FILE --field text --each line",
    "counts FILE --field text --orders 1,2 --out o",
)
_COMMANDS = {
    "tokens.tsv": ("score --scores FILE --test t.txt --documents line",),
    "tokens.jsonl": ("score --scores FILE --test t.txt --documents line --json",),
    "tool.log": ("score --scores FILE --test t.txt",),
    "answers.jsonl": ("rank --samples FILE", "rank --samples a=FILE --samples b=FILE --json"),
    "pairs.tsv": ("rank --load model --pairs FILE", "harness-tasks FILE --out o"),
    "pairs.jsonl": ("rank --load model --pairs FILE --json", "rank --load model --load b=model --pairs FILE --group UID", "harness-tasks FILE --group UID --out o"),
    "choices.jsonl": ("rank --load model --choices FILE", "rank --load model --choices FILE --between , --premise the --json", "harness-tasks FILE --out o"),
    "best.txt": ("rank --load model FILE --json",),
    "lists.txt": ("rank --load model FILE",),
    "counts.tsv": ("fit --model kneser-ney -o order=2 --unit word --counts FILE --save o", "counts --counts FILE --orders 1,2 --out o", "score --model witten-bell -o order=2 --unit word --counts FILE --test t.txt"),
    "counts.gz": ("fit --model witten-bell -o order=2 --unit word --counts FILE --save o", "counts --counts FILE --counts FILE --orders 1 --out o.gz"),
    "google.gz": ("counts --counts g --orders 1 --out o", "fit --model witten-bell -o order=1 --unit word --counts g --save o"),
    "vocab.txt": ("score --model bigram --unit word --vocab FILE --train t.txt --test u.txt",),
    "tokenizer.json": ("score --model witten-bell --unit subword:file=FILE --train t.txt --test u.txt",),
    "pieces.model": ("score --model witten-bell --unit subword:file=FILE --train t.txt --test u.txt",),
    "domains.jsonl": ("domains --load model FILE", "domains --load model --load b=model FILE --per word --reference b --against t.txt --json"),
    "text.csv": _TEXT_COMMANDS,
    "text.tsv": _TEXT_COMMANDS,
    "text.json": _TEXT_COMMANDS,
    "text.jsonl": (*_TEXT_COMMANDS, "surprisal --load model FILE --documents line", "harness-tasks FILE --out o"),
    "text.jsonl.bz2": _TEXT_COMMANDS,
    "text.txt.xz": ("corpora show FILE", "surprisal --load model FILE", "score --load model --test FILE --each document"),
    "text.txt.zst": ("corpora show FILE", "score --load model --test FILE --each line --format jsonl"),
    "text.parquet": ("corpora show FILE", "score --model bigram --train FILE", "domains --load model FILE --domain text"),
    "mixed.arpa": ("mix --load FILE --load words --tune t.txt --save o", "prune FILE --entropy 0.01 --save o.arpa"),
    "mixed.lm": ("mix --load FILE --load model --documents line --tune t.txt --save o", "surprisal --load FILE t.txt"),
    "pieces.lm": ("score --load FILE --test u.txt --verify 5", "next --load FILE --prompt the"),
    "word-char.lm": ("score --load FILE --test u.txt --verify 5", "generate --load FILE --length 9"),
    "z.zip": ("corpora add z.toml FILE",),
    "z.toml": ("corpora add FILE z.zip", "corpora show FILE", "corpora fetch FILE"),
    "half.lm.checkpoint": ("fit --model rnn-scratch -o hidden=2 -o epochs=2 --train t.txt --quiet --save half.lm",),
}  # fmt: skip
# Which commands read a folder that ``lmbench run`` or ``fit --work`` left.
_OF_RUNS = (
    "diff run run2",
    "diff run2 run --html o.html --markdown",
    "runs .",
    "history . --out o.png",
    "export run --format latex",
    "export run --format pdf --out o",
    "watch run --once",
    "run s.toml --out run --jobs 1 --quiet",
    "run s.toml --out again --jobs 1 --quiet --fail-if-worse run",
)
# And one that a run left which was stopped.
_OF_HALF = (
    "watch half-done --once",
    "watch half-done --once",
    "watch half-done --once",
    "run b.toml --out half-done --jobs 1 --quiet",
)
_TEXT = "\n".join(_LINES) + "\n"


@functools.cache
def side_files() -> Mapping[str, bytes]:
    """Good files by name, each led by its name."""
    good = {name: text.encode() for name, text in plain_files().items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "t.txt").write_text(_TEXT)
        for made, line in {
            "words.lm": "fit --model witten-bell -o order=2 --unit word --documents line --train t.txt --save words.lm",
            "tokens.tsv": "score --load words.lm --test t.txt --tokens tokens.tsv",
            "counts.tsv": "counts t.txt --orders 1,2 --out counts.tsv",
            "mixed.arpa": "fit --model witten-bell -o order=2 --unit word --documents line --train t.txt --save mixed.arpa",
            "mixed.lm": "fit --model witten-bell -o order=2 --documents line --train t.txt --save mixed.lm",
            "pieces.lm": "fit --model witten-bell -o order=2 --unit subword:size=40 --train t.txt --save pieces.lm",
            "word-char.lm": "mix --load words.lm --load mixed.lm --tune t.txt --save word-char.lm",
        }.items():
            assert command(line.split(), folder) == 0, line
            good[made] = (folder / made).read_bytes()
        with unittest.mock.patch.object(Path, "unlink"):  # a checkpoint goes when its training is done
            line = _COMMANDS["half.lm.checkpoint"][0]
            assert command(line.split(), folder) == 0
            good["half.lm.checkpoint"] = (folder / "half.lm.checkpoint").read_bytes()
        good |= _of_libraries(folder) | _packed(good, folder)
    return {name: f"{name}\n".encode() + data for name, data in good.items() if name in _COMMANDS}


def _packed(good: dict[str, bytes], folder: Path) -> dict[str, bytes]:
    """Texts and counts as they are packed; what another program prints; a checkpoint of the training that a command goes on with."""
    import pyarrow

    text = _TEXT.encode()
    archived, described = archive()
    rows = gzip.compress(b"".join(b"%s\t%d\n" % (w, 9) for w in sorted(set(text.split()))), mtime=0)
    return {
        "counts.gz": gzip.compress(good["counts.tsv"], mtime=0),
        "google.gz": rows,
        "text.jsonl.bz2": bz2.compress(good["text.jsonl"]),
        "text.txt.xz": lzma.compress(text),
        "text.txt.zst": pyarrow.compress(text, codec="zstd", asbytes=True),
        "tool.log": b"perplexity: calculating perplexity over 2 chunks, n_ctx=512, batch_size=2048\n[1]4.1,[2]5.2,\nFinal estimate: PPL = 5.2\n",
        "z.zip": archived,
        "z.toml": described.encode(),
    }


def _of_libraries(folder: Path) -> dict[str, bytes]:
    """Tokenizers and Parquet."""
    import pyarrow as pa
    import pyarrow.parquet
    import sentencepiece
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [_TEXT], trainers.BpeTrainer(vocab_size=280, initial_alphabet=alphabet, show_progress=False)
    )
    pieces, parquet = io.BytesIO(), io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXT.split("\n")), model_writer=pieces, vocab_size=40, model_type="bpe",
        character_coverage=1.0, byte_fallback=False, normalization_rule_name="identity", minloglevel=2,
        remove_extra_whitespaces=False, hard_vocab_limit=False,
    )  # fmt: skip
    pyarrow.parquet.write_table(
        pa.table({"text": _TEXT.split("\n"), "n": list(range(_TEXT.count("\n") + 1))}), parquet
    )
    return {
        "tokenizer.json": tokenizer.to_str().encode(),
        "pieces.model": pieces.getvalue(),
        "text.parquet": parquet.getvalue(),
    }


_DAMAGES = {
    ".tsv": damaged_lines, ".csv": damaged_lines, ".json": damaged_json, ".arpa": damaged_arpa, ".lm": damaged_saved,
    ".npz": damaged_npz, ".checkpoint": damaged_npz, ".fit": damaged_saved, ".toml": damaged_toml, ".zip": damaged_zip,
    ".gz": damaged_gzip,
}  # fmt: skip


def damaged_file(data: bytes, rng: random.Random) -> bytes:
    """The same name, and other bytes."""
    name, _, content = data.partition(b"\n")
    suffix = Path(name.decode()).suffix
    if suffix == ".jsonl" and rng.random() < 0.7:
        rows = content.split(b"\n")
        at = rng.randrange(len(rows))
        rows[at] = damaged_json(rows[at], rng)
        content = b"\n".join(rows)
    else:
        content = _DAMAGES.get(suffix, damaged_bytes)(content, rng)
    return name + b"\n" + content


def check_file(data: bytes, folder: Path) -> object:
    head, _, content = data.partition(b"\n")
    name = head.decode("utf-8", "replace")
    if name not in _COMMANDS:
        return None
    (folder / name).write_bytes(content)
    for needed in ("model", "words"):
        shutil.copy(prepared() / needed, folder / needed)
    (folder / "t.txt").write_text(_TEXT)
    (folder / "u.txt").write_text(_TEXT[:200])
    line = random.Random(data).choice(_COMMANDS[name])
    beside = {"z.zip": "z.toml", "z.toml": "z.zip", "google.gz": ""}.get(name)
    if beside:
        shutil.copy(prepared() / beside, folder / beside)
    elif beside is not None:
        (folder / "g" / "1gms").mkdir(parents=True)
        (folder / name).rename(folder / "g" / "1gms" / "vocab.gz")
    return command([word.replace("FILE", name) for word in line.split()], folder)


# Folders that a run has left ---------------------------------------------------------------------------------


@functools.cache
def run_files() -> Mapping[str, bytes]:
    """The files of a finished run, led by their names, which a command reads again; and what a stopped run leaves."""
    folder = prepared()
    every = [*sorted((folder / "run").rglob("*")), *sorted((folder / "half-done").rglob("*"))]
    kept = [path for path in every if path.is_file() and path.suffix not in (".png", ".txt", ".csv")]
    return {
        str(number): f"{path.relative_to(folder)}\n".encode() + path.read_bytes()
        for number, path in enumerate(kept)
        if path.suffix not in (".svg", ".html", ".md")
    }


def check_run_folder(data: bytes, folder: Path) -> object:
    head, _, content = data.partition(b"\n")
    name = head.decode("utf-8", "replace")
    run, _, within = name.partition("/")
    if run not in ("run", "half-done") or ".." in within:
        return None
    for part in ("run", "run2") if run == "run" else (run,):
        shutil.copytree(prepared() / part, folder / part)
    for part in ("t.txt", "s.toml", "b.toml", "u.txt", "plain.txt", "tokens.tsv"):
        shutil.copy(prepared() / part, folder / part)
    (folder / name).write_bytes(content)
    line = random.Random(data).choice(_OF_RUNS if run == "run" else _OF_HALF)
    status = command(line.split(), folder)
    # What does not read of what was measured is measured anew.
    assert status == 0 or not line.startswith("run b.toml"), f"status {status}"
    return status
