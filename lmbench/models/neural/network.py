"""What every neural model is to the training loop and the scorer: ids and a state in, logits and a state out."""

from __future__ import annotations

import copy
import functools
import itertools
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lmbench.models.neural.products import product
from lmbench.text.tokens import Tokens

if TYPE_CHECKING:
    from lmbench.models.neural.dynamic import DynamicEvaluation
    from lmbench.models.neural.walk import Walk

CHUNK_LOGITS = 2**22  # about so many logits are held at once
GRAM_WEIGHTS = 2**21  # of a table of n-grams, at most

# Rows of the minibatch are in the last dimension but one, so that rows can be selected.
State = tuple[Tensor, ...]


class Network(nn.Module, ABC):
    """A causal network: what it gives for a token depends on that token, those before it, and the state."""

    vocab_size: int
    looked_up: Collection[str] = ()  # matrices of which a token reads rows, without a product
    of_tokens: Collection[str] = ()  # matrices with a row or a column for each token
    penalty: Tensor | float = 0.0  # what the last pass in training adds to the loss, in nats a token

    @property
    def training_flops(self) -> int:
        """Floating-point operations to learn from one token: two a weight forwards, four backwards, products alone."""
        shapes = {
            name: p for name, p in self.named_parameters() if p.dim() == 2 and name not in self.looked_up
        }
        return 6 * sum(p.numel() for p in shapes.values())

    @abstractmethod
    def start(self, batch: int) -> State:
        """The state at the beginning of ``batch`` documents."""

    @abstractmethod
    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """ids: (steps, batch) int64, -1: nothing is read. Gives logits (steps, batch, V) of the tokens that follow, and
        the state after."""

    def walk(self, adapting: DynamicEvaluation | None = None) -> Walk:
        """A text's way through the network in evaluation; adapting: how it learns there, None: not at all."""
        from lmbench.models.neural.walk import TorchWalk

        return TorchWalk(self, adapting)


def generator_of(rng: np.random.Generator) -> torch.Generator:
    """torch's generator, seeded from numpy's: a fit has one source of randomness, and no global one."""
    return torch.Generator().manual_seed(int(rng.integers(2**62)))


def dropped(
    x: Tensor, share: float, generator: torch.Generator, shape: Sequence[int] | None = None
) -> Tensor:
    """x with a ``share`` of its entries zero and the others scaled to keep the mean.

    shape: that of the mask, where it is to be broadcast (default: x's own).
    """
    if not share:
        return x
    mask = torch.empty(tuple(x.shape if shape is None else shape), dtype=x.dtype, device=generator.device)
    return x * (mask.bernoulli_(1 - share, generator=generator) / (1 - share)).to(x.device)


def unrounded(x: Tensor) -> Tensor:
    """bfloat16, which numpy has not and whose sums would be rounded too, as float32."""
    return x.float() if x.dtype == torch.bfloat16 else x


def rows_of(ids: Tensor, table: Tensor) -> Tensor:
    """(steps, batch, n): the rows of a table (V, n); zeros for the id -1, which stands for nothing."""
    return nn.functional.embedding(ids.clamp(min=0), table).masked_fill((ids < 0)[..., None], 0.0)


def one_hot_rows(ids: Tensor, vocab_size: int, dtype: torch.dtype) -> Tensor:
    """(steps, batch, V): rows of the unit matrix; zeros for the id -1."""
    return nn.functional.one_hot(ids + 1, vocab_size + 1)[..., 1:].to(dtype)


def gram_table(vocab_size: int) -> nn.Parameter:
    """A table whose rows n-grams share by hashing, for ``from_grams``; at first they say nothing."""
    rows = min(2**16, 2 ** int(math.log2(max(1, GRAM_WEIGHTS // vocab_size))))
    return nn.Parameter(torch.zeros(rows, vocab_size))


def from_grams(
    table: Tensor, ids: Tensor, steps: int, longest: int, dropout: float, generator: torch.Generator
) -> Tensor:
    """(steps, batch, V): what the last 1, 2, .. ``longest`` tokens say of the next, straight (Mikolov et al. 2011).

    ids: (longest + steps or more, batch), the last ``steps`` of them those after which logits are wanted; dropout:
    share of the n-grams that say nothing.
    """
    place = torch.zeros_like(ids[:steps])
    rows = []
    for back in range(longest):
        begin = len(ids) - steps - back
        place = (place * 1_000_003 + ids[begin : begin + steps] + 1 + back) % 2_147_483_647
        rows.append(place % len(table))
    of_grams = nn.functional.embedding(torch.stack(rows), table)
    return dropped(of_grams, dropout, generator, (*of_grams.shape[:3], 1)).sum(0)


class DirectNetwork(Network):
    """One that may have, beside its layers, weights from the last n-grams straight to the output.

    direct: n-grams of up to so many tokens, whose rows are in ``grams``; 0: none, and ``grams`` is None.
    """

    direct: int
    dropout: float
    generator: torch.Generator
    grams: nn.Parameter | None

    def with_grams(self, logits: Tensor, every: Tensor) -> Tensor:
        """logits (steps, batch, V) and what the last n-grams of ``every`` (direct + steps or more, batch) add to them."""
        if self.grams is None:
            return logits
        share = self.dropout if self.training else 0.0
        return logits + from_grams(self.grams, every, len(logits), self.direct, share, self.generator)


def inputs_and_targets(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """(T,) what a network reads before it predicts each token, and the (T,) tokens: a document begins with bos."""
    inputs = np.roll(tokens.ids, 1)
    inputs[tokens.starts] = tokens.bos
    return inputs, tokens.ids


def score(
    network: Network,
    tokens: Tokens,
    begins: np.ndarray | None = None,
    ends: np.ndarray | None = None,
    asked: np.ndarray | None = None,
) -> np.ndarray:
    """float64, nats: log-probabilities of pieces begin..end of the text, one after another (default: the documents).

    asked: (P,) ascending places in these; then (P, V), the distributions of which their log-probabilities are entries.

    A piece is read from the state at the start of a document; pieces are read side by side, the longest
    first, in chunks whose logits fit into a few megabytes, the state carried from chunk to chunk.
    """
    inputs, targets = inputs_and_targets(tokens)
    begins = tokens.starts if begins is None else begins
    ends = np.append(tokens.starts[1:], len(tokens)) if ends is None else ends
    lengths = ends - begins
    places = np.cumsum(lengths) - lengths
    size = int(lengths.sum())
    result = np.empty(size if asked is None else (len(asked), network.vocab_size))
    row = np.full(size, -1)
    if asked is not None:
        row[asked] = np.arange(len(asked))
    order = np.argsort(-lengths, kind="stable")
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    together = max(16, min(256, CHUNK_LOGITS // (16 * network.vocab_size)))
    with torch.inference_mode():
        for first in range(0, len(order), together):
            rows = order[first : first + together]
            state = network.start(len(rows))
            done, longest = 0, int(lengths[rows[0]])
            while done < longest:
                rows = rows[: int((lengths[rows] > done).sum())]
                state = tuple(s[..., : len(rows), :] for s in state)
                chunk = min(
                    longest - done, max(16, CHUNK_LOGITS // (len(rows) * max(1024, network.vocab_size)))
                )
                index = begins[rows] + np.arange(done, done + chunk)[:, None]
                inside = index < ends[rows]
                index = np.where(inside, index, 0)
                logits, state = network(torch.from_numpy(inputs[index]).long().to(device), state)
                here = places[rows] + np.arange(done, done + chunk)[:, None]
                if asked is None:
                    nats = logits.double().log_softmax(-1)
                    chosen = torch.from_numpy(targets[index]).long().to(device)
                    nats = nats.gather(-1, chosen[..., None])[..., 0]
                    result[here[inside]] = nats.cpu().numpy()[inside]
                else:
                    wanted = inside & (row[np.where(inside, here, 0)] >= 0)
                    some = logits[torch.from_numpy(wanted).to(device)]
                    result[row[here[wanted]]] = some.double().log_softmax(-1).cpu().numpy()
                done += chunk
    network.train(training)
    return np.minimum(result, 0.0)


def held_out_bits(network: Network, tokens: Tokens, warm: int = 64, width: int = 256) -> float:
    """Bits a token of held-out text, quickly: long documents are read in pieces side by side.

    A piece is ``width`` tokens, read after the ``warm`` tokens before it, which are not counted twice; the
    exact figure, with the state carried through each document, is within a few thousandths of it.
    """
    stops = np.append(tokens.starts[1:], len(tokens))
    counted = np.concatenate([np.arange(a, b, width) for a, b in zip(tokens.starts, stops, strict=True)])
    document = np.searchsorted(tokens.starts, counted, side="right") - 1
    begins = np.maximum(counted - warm, tokens.starts[document])
    ends = np.minimum(counted + width, stops[document])
    nats = score(network, tokens, begins, ends)
    lead = np.repeat(counted - begins, ends - begins)
    lengths = ends - begins
    position = np.arange(len(nats)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return float(-nats[position >= lead].mean() / np.log(2))


def read(network: Network, ids: Sequence[np.ndarray], state: State | None = None) -> tuple[np.ndarray, State]:
    """Reads (B) texts from ``state`` (default: the start of a document); each has one token at least.

    Gives (B, V) float64, nats: the distribution after each text; and the state, which is that after the
    texts only where all are of one length.
    """
    order = np.argsort(
        [-len(row) for row in ids], kind="stable"
    )  # those that end soon leave the others alone
    lengths = torch.tensor([len(ids[i]) for i in order])
    padded = nn.utils.rnn.pad_sequence([torch.from_numpy(np.asarray(ids[i], dtype=np.int64)) for i in order])
    device = next(network.parameters()).device
    result = torch.empty(len(ids), network.vocab_size, dtype=torch.float64)
    chunk = max(16, CHUNK_LOGITS // (len(ids) * max(1024, network.vocab_size)))
    network.eval()
    with torch.inference_mode():
        state = network.start(len(ids)) if state is None else state
        for done in range(0, len(padded), chunk):
            here = int((lengths > done).sum())
            state = tuple(s[..., :here, :] for s in state)
            logits, state = network(padded[done : done + chunk, :here].to(device), state)
            last = lengths[:here] - 1 - done
            rows = torch.nonzero(last < len(logits))[:, 0]
            nats = torch.log_softmax(logits[last[rows], rows].double(), dim=-1)
            result[torch.from_numpy(order[rows.numpy()])] = nats.cpu()
    return result.numpy(), state


def step(network: Network, ids: np.ndarray, state: State) -> tuple[np.ndarray, State]:
    """Reads one text on from a state: (V,) float64, nats, the distribution after its (n,) ids, n > 0, and the state then."""
    device = next(network.parameters()).device
    chunk = max(16, CHUNK_LOGITS // max(1024, network.vocab_size))
    with torch.inference_mode():
        for done in range(0, len(ids), chunk):
            some = torch.from_numpy(ids[done : done + chunk].astype(np.int64)[:, None])
            logits, state = network(some.to(device), state)
        row: np.ndarray = torch.log_softmax(logits[-1, 0].double(), dim=-1).cpu().numpy()
    return row, state


def rounding(network: Network, tokens: Tokens, most: int = 2000) -> float:
    """The most that single precision moves the probability of one of a text's first ``most`` tokens."""
    some = tokens.head(most)
    single = score(network, some)
    double = score(copy.deepcopy(network).double(), some)
    return float(np.abs(np.exp(single) - np.exp(double)).max(initial=0.0))


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device is known to have instructions for bfloat16: a GPU, or a processor with those of AVX-512."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def machine_peak(device: torch.device) -> float:
    """``matmul_peak`` of a device with torch's present number of threads, measured once in a process."""
    return _peak(device.type, torch.get_num_threads())


@functools.cache
def _peak(device: str, threads: int) -> float:
    return matmul_peak(device, 1024 if device == "cpu" else 4096)


def matmul_peak(
    device: str = "cpu",
    size: int = 1024,
    seconds: float = 0.3,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """FLOP/s of single-precision matrix products on this machine, with torch's present number of threads: the best seen
    of the libraries that torch has, in turn."""
    a, b = torch.randn(2, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    best, begun = 0.0, clock()
    ways: Iterator[Callable[[Tensor, Tensor], Tensor]] = itertools.cycle((product, torch.mm))
    while clock() - begun < seconds:
        way, start = next(ways), clock()
        way(a, b)
        if device != "cpu":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (clock() - start))
    return best
