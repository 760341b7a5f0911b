"""Files that commands are given beside a text: scores, pairs, counts, vocabularies, tokenizers, series, other toolkits' models; and folders of runs.

An input is the name of the file, a line feed, and its bytes; the name says which command is given it.
"""

from __future__ import annotations

import functools
import io
import json
import random
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from command_kinds import prepared
from damage import damaged_bytes, damaged_json, damaged_lines, damaged_npz, damaged_toml
from model_damage import damaged_arpa, damaged_saved
from promises import command
from result_kinds import TEXT

# Which commands are given a file.
_COMMANDS = {
    "tokens.tsv": ("score --scores FILE --test t.txt --documents line",),
    "tokens.jsonl": ("score --scores FILE --test t.txt --documents line --json",),
    "answers.jsonl": ("rank --samples FILE",),
    "pairs.tsv": ("rank --load model --pairs FILE", "harness-tasks FILE --out o"),
    "pairs.jsonl": ("rank --load model --pairs FILE --json", "harness-tasks FILE --out o"),
    "choices.jsonl": ("rank --load model --choices FILE", "harness-tasks FILE --out o"),
    "best.txt": ("rank --load model FILE",),
    "counts.tsv": ("fit --model kneser-ney -o order=2 --unit word --counts FILE --save o", "counts --counts FILE --out o"),
    "vocab.txt": ("score --model bigram --unit word --vocab FILE --train t.txt --test u.txt",),
    "tokenizer.json": ("score --model witten-bell --unit subword:file=FILE --train t.txt --test u.txt",),
    "pieces.model": ("score --model witten-bell --unit subword:file=FILE --train t.txt --test u.txt",),
    "domains.jsonl": ("domains --load model FILE",),
    "text.csv": ("corpora show FILE --field text",),
    "text.parquet": ("corpora show FILE", "score --model bigram --train FILE"),
    "mixed.arpa": ("mix --load FILE --load words --tune t.txt --save o", "prune FILE --entropy 0.01 --save o.arpa"),
    "mixed.lm": ("mix --load FILE --load model --documents line --tune t.txt --save o", "surprisal --load FILE t.txt"),
    "pieces.lm": ("score --load FILE --test u.txt --verify 5", "next --load FILE --prompt the"),
    "word-char.lm": ("score --load FILE --test u.txt --verify 5", "generate --load FILE --length 9"),
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
_TEXT = TEXT.replace("é", "e").replace("<unk>", "low")


@functools.cache
def side_files() -> Mapping[str, bytes]:
    """Good files by name, each led by its name."""
    good = {name: text.encode() for name, text in _plain_files().items()}
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
        good |= _of_libraries(folder)
    return {name: f"{name}\n".encode() + data for name, data in good.items() if name in _COMMANDS}


def _plain_files() -> dict[str, str]:
    lines = [line for line in _TEXT.split("\n") if line]
    pairs = [
        {"sentence_good": "the tide waits", "sentence_bad": "tide the waits", "UID": uid} for uid in "aab"
    ]
    choices = [
        {"context": "the ferry waits for the", "choices": ["tide", "bell", "noon"], "gold": n} for n in (0, 1)
    ]
    answers = [
        {"doc": pair, "target": 0, "arguments": [["", "the tide waits"], ["", "tide the waits"]],
         "resps": [[[-3.0, False]], [[-4.5, False]]], "filtered_resps": [[-3.0, False], [-4.5, False]]}
        for pair in pairs
    ]  # fmt: skip
    samples = [
        {"doc_id": i, "arguments": [[line + "\n"]], "resps": [[-9.5 - i]]}
        for i, line in enumerate(sorted(set(lines)))
    ]

    def rows(values: list[dict[str, object]]) -> str:
        return "".join(json.dumps(value) + "\n" for value in values)

    return {
        "tokens.jsonl": rows(samples),
        "answers.jsonl": rows(answers),
        "pairs.tsv": "the tide waits\ttide the waits\nthe bell rings\trings bell the\n",
        "pairs.jsonl": rows(pairs),
        "choices.jsonl": rows(choices),
        "best.txt": "0 ||| the tide waits ||| lm: -3 ||| -3.1\n0 ||| tide the waits ||| x ||| -4\n1 ||| the bell ||| ||| 0\n",
        "vocab.txt": "<unk>\nthe\nferry\nwaits\nfor\ntide\nand\nnobody\nbell\n\n",
        "domains.jsonl": rows([{"text": line, "domain": "ab"[i % 2]} for i, line in enumerate(lines)]),
        "text.csv": "id,text\n" + "".join(f'{i},"{line}"\n' for i, line in enumerate(lines)),
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
    ".npz": damaged_npz, ".toml": damaged_toml,
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
    return command([word.replace("FILE", name) for word in line.split()], folder)


# Folders that a run has left ---------------------------------------------------------------------------------


@functools.cache
def run_files() -> Mapping[str, bytes]:
    """The files of a finished run, led by their names, which a command reads again; and what a stopped run leaves."""
    folder = prepared()
    kept = [path for path in sorted((folder / "run").rglob("*")) if path.is_file() and path.suffix != ".png"]
    return {
        str(number): f"{path.relative_to(folder)}\n".encode() + path.read_bytes()
        for number, path in enumerate(kept)
        if path.suffix not in (".svg", ".html", ".md")
    }


def check_run_folder(data: bytes, folder: Path) -> object:
    head, _, content = data.partition(b"\n")
    name = head.decode("utf-8", "replace")
    if not name.startswith("run/"):
        return None
    for part in ("run", "run2"):
        shutil.copytree(prepared() / part, folder / part)
    for part in ("t.txt", "s.toml"):
        shutil.copy(prepared() / part, folder / part)
    (folder / name).write_bytes(content)
    return command(random.Random(data).choice(_OF_RUNS).split(), folder)
