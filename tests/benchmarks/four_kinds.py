"""One text, models of four kinds and by two more doors, in one table: python tests/benchmarks/four_kinds.py FOLDER.

A count model and a network of ours; a small Llama, trained here on the same training text by plain transformers; the same Llama as a GGUF
file by llama.cpp, and behind a server.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from small_server import Answers, serving
from tiny_gguf import write_gguf
from tiny_transformers import byte_level, transformers

import lmbench as lb
from lmbench.bench.suite import ModelSpec, SampleSpec, Suite
from lmbench.report import leaderboard_markdown

CORPUS, CONTEXT, STEPS, ROWS = "python-docs", 256, 400, 8


def train(folder: Path, text: str) -> None:
    """A Llama of half a million weights with byte-level pieces learnt from the text, trained on windows drawn from it."""
    tokenizer = byte_level(merges=1200, text=text)
    torch.manual_seed(0)
    network = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=96,
            intermediate_size=256,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=CONTEXT,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    ids = np.array([0, *tokenizer(text, verbose=False)["input_ids"]])
    rng = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=STEPS)
    for _ in range(STEPS):
        begins = rng.integers(0, len(ids) - CONTEXT // 2, ROWS)
        rows = torch.from_numpy(np.stack([ids[b : b + CONTEXT // 2] for b in begins]))
        loss = network(input_ids=rows, labels=rows).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(folder: Path) -> None:
    corpus = lb.load_corpus(CORPUS)
    if not (folder / "llama" / "config.json").exists():
        train(folder / "llama", corpus.train.text)
    write_gguf(folder / "llama", folder / "llama.gguf")
    answers = Answers(folder / "llama", bos=0)
    with serving(answers) as url:
        rows = [
            ModelSpec("kneser-ney", "counts: kneser-ney"),
            ModelSpec("lstm", "our network: lstm", options={"hidden": 128, "epochs": 4}),
            ModelSpec("hugging-face", "transformers: llama", options={"path": str(folder / "llama")}),
            ModelSpec("gguf", "llama.cpp: the same", options={"path": str(folder / "llama.gguf")}),
            ModelSpec("server", "a server: the same", options={"url": url, "window": 2 * CONTEXT}),
        ]
        suite = Suite("four-kinds", [CORPUS], rows, samples=SampleSpec(temperatures=()))
        results = lb.run_suite(suite, folder / "run")
    columns = ["rank", "label", "groups", "bits", "interval"]
    print(leaderboard_markdown(results, CORPUS, columns))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
