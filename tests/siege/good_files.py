"""Good files that commands are given beside a text, by the names by which command lines give them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile

from result_kinds import TEXT

LINES = [line for line in TEXT.replace("é", "e").replace("<unk>", "low").split("\n") if line]


def plain_files() -> dict[str, str]:
    """Those that are text."""
    pairs = [
        {"sentence_good": "the tide waits", "sentence_bad": "tide the waits", "UID": uid} for uid in "aab"
    ]
    choices = [
        {"context": "the ferry waits for the", "choices": ["tide", "bell", "noon"], "gold": n} for n in (0, 1)
    ]
    answers = [
        {"doc_id": i, "doc": pair | {"group": pair["UID"]}, "target": 0, "acc": float(i > 0),
         "arguments": [["", "the tide waits"], ["", "tide the waits"]],
         "resps": [[[-3.0, False]], [[-4.5, False]]], "filtered_resps": [[-3.0, False], [-4.5, False]]}
        for i, pair in enumerate(pairs)
    ]  # fmt: skip
    samples = [
        {"doc_id": i, "arguments": [[line + "\n"]], "resps": [[-9.5 - i]]}
        for i, line in enumerate(sorted(set(LINES)))
    ]
    return {
        "tokens.jsonl": rows(samples),
        "answers.jsonl": rows(answers),
        "pairs.tsv": "the tide waits\ttide the waits\nthe bell rings\trings bell the\n",
        "pairs.jsonl": rows(pairs),
        "choices.jsonl": rows(choices),
        "best.txt": "0 ||| the tide waits ||| lm: -3 ||| -3.1\n0 ||| tide the waits ||| x ||| -4\n1 ||| the bell ||| ||| 0\n",
        "lists.txt": "the tide waits\ntide the waits\n\nthe bell\nbell the\n",
        "vocab.txt": "<unk>\nthe\nferry\nwaits\nfor\ntide\nand\nnobody\nbell\n\n",
        "domains.jsonl": rows([{"text": line, "domain": "ab"[i % 2]} for i, line in enumerate(LINES)]),
        "text.jsonl": rows([{"text": line, "more": {"text": line}} for line in LINES]),
        "text.csv": "id,text\n" + "".join(f'{i},"{line}"\n' for i, line in enumerate(LINES)),
        "text.tsv": "id\ttext\n" + "".join(f"{i}\t{line}\n" for i, line in enumerate(LINES)),
        "text.json": json.dumps([{"text": line} for line in LINES]),
    }  # fmt: skip


def rows(values: list[dict[str, object]]) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def archive() -> tuple[bytes, str]:
    """A zip archive with a text in it, and the description of a corpus that wants it."""
    text = "\n".join(LINES).encode()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("folder/got.txt", text)
        made.writestr("folder/other.txt", b"other")
    digest = hashlib.sha256(text).hexdigest()
    said = f"title = 'z'\n[[files]]\nname = 'got.txt'\nsha256 = '{digest}'\n"
    return stream.getvalue(), said
