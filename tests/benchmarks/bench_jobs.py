"""Two trainings side by side on one thread each, against one after the other on two: ``python tests/benchmarks/bench_jobs.py``.

Short rounds in turn, default sizes of the models: what ``lmbench run --jobs`` takes its default from. The medians are those of
the machine as it is; the fastest rounds those of a machine that has nothing else to do, if there were any.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from typing import Any

ROUNDS, STEPS = 30, 4
MODELS = {"rnn-scratch": {}, "rnn": {}, "gru": {}, "lstm": {}}
V = 28


def worker(pipe: Any, name: str) -> None:
    """Trains when told: receives (threads, minibatches), answers when done."""
    import torch

    from lmbench.models import make_model
    from lmbench.models.neural.network import multiplies_bfloat16
    from lmbench.models.neural.optimizers import clip_gradients

    model: Any = make_model(name)
    model.vocab_size = V
    rounded = model.arithmetic == "auto" and multiplies_bfloat16(torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    network = model._network(generator)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    ids = torch.randint(V, (model.steps + 1, model.batch), generator=generator)
    pipe.send(model.steps * model.batch)
    while (told := pipe.recv()) is not None:
        threads, minibatches = told
        torch.set_num_threads(threads)
        for _ in range(minibatches):
            with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
                logits, _ = network(ids[:-1], network.start(ids.shape[1]))
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            clip_gradients(network.parameters(), 1.0)
            optimizer.step()
        pipe.send("done")


def main() -> None:
    context = multiprocessing.get_context("spawn")
    for name in MODELS:
        pipes = []
        for _ in range(2):
            here, there = context.Pipe()
            context.Process(target=worker, args=(there, name), daemon=True).start()
            pipes.append(here)
        tokens, _ = (pipe.recv() for pipe in pipes)
        beside: list[float] = []
        after: list[float] = []
        for number in range(ROUNDS + 1):
            begun = time.perf_counter()
            for pipe in pipes:
                pipe.send((1, STEPS))
            for pipe in pipes:
                pipe.recv()
            middle = time.perf_counter()
            pipes[0].send((2, 2 * STEPS))
            pipes[0].recv()
            if number:  # the first warms up
                beside.append(middle - begun)
                after.append(time.perf_counter() - middle)
        for pipe in pipes:
            pipe.send(None)
        total = 2 * STEPS * tokens
        for kind, of in (("median", statistics.median), ("fastest", min)):
            one, other = of(beside), of(after)
            print(
                f"{name}, {kind}: side by side {total / one:,.0f} tokens/s, one after the other "
                f"{total / other:,.0f} tokens/s, ratio {other / one:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
