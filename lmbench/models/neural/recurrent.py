"""Recurrent networks trained well: plain, GRU and LSTM cells in layers, regularised for small texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
from torch import Tensor, nn

from lmbench.errors import InputError
from lmbench.models.neural.gru_cell import GruCell
from lmbench.models.neural.lstm_cell import LstmCell
from lmbench.models.neural.model import MOST_LAYERS, TunedModel
from lmbench.models.neural.network import DirectNetwork, Network, State, dropped, gram_table, rows_of
from lmbench.models.neural.persistent import Kernel, check_kernel
from lmbench.models.neural.plain_cell import PlainCell
from lmbench.models.neural.products import affine
from lmbench.models.options import option

if TYPE_CHECKING:
    from lmbench.models.neural.dynamic import DynamicEvaluation
    from lmbench.models.neural.walk import Walk

LARGEST_SCALE = 1e6  # of the first weights: beyond it nothing is learnt, then nothing can be drawn
CELLS: dict[str, Any] = {"rnn": PlainCell, "gru": GruCell, "lstm": LstmCell}


class RecurrentNetwork(DirectNetwork):
    """Embedding, layers of cells, and a linear output; dropout keeps its mask through a row (Gal & Ghahramani 2016).

    embedding: numbers a token is read as; 0: one-hot. weight_drop: share of the recurrent weights dropped in a
    minibatch; embedding_dropout: share of the tokens of which nothing is read in it; activation and slowness: see
    ``_penalty`` (Merity, Keskar & Socher 2018, sections 2 and 4); noise: share of the tokens read in training that are replaced by
    others of the minibatch, which smooths as interpolation does (Xie et al. 2017); direct: n-grams of up to so
    many tokens that have weights straight to the output (Mikolov et al. 2011). Weights begin uniform in
    ±1/sqrt(hidden), as torch's cells do, but those that a token is read by in ±input_scale.
    """

    def __init__(self, model: Recurrent, generator: torch.Generator) -> None:
        super().__init__()
        cell, vocab_size, hidden, embedding = model.cell, model.vocab_size, model.hidden, model.width
        self.vocab_size, self.hidden, self.generator = vocab_size, hidden, generator
        self.dropout, self.weight_drop, self.noise = model.dropout, model.weight_drop, model.noise
        self.embedding_dropout, self.input_dropout = model.embedding_dropout, model.input_dropout
        self.output_dropout = model.dropout if model.output_dropout is None else model.output_dropout
        self.activation, self.slowness = model.activation, model.slowness
        self.parts = 2 if cell == "lstm" else 1
        self.embedding = nn.Parameter(torch.empty(vocab_size, embedding)) if embedding else None
        widths = [embedding or vocab_size] + [hidden] * (model.layers - 1)
        self.cells = nn.ModuleList(CELLS[cell](width, hidden) for width in widths)
        for layer in self.cells:
            cast(Any, layer).kernel = model.kernel
        by_columns = torch.empty(vocab_size, hidden).t()  # its gradient then takes half the time
        self.output = nn.Parameter(by_columns) if not model.ties or not embedding else None
        self.bias = nn.Parameter(torch.zeros(vocab_size))
        self.direct = model.longest
        self.grams = gram_table(vocab_size) if self.direct else None
        first = "cells.0.weight_ih_l0"
        self.of_tokens = {"grams", "embedding", "output"} | (set() if embedding else {first})
        self.looked_up = {"grams"} | ({"embedding"} if self.output is not None else set())
        if cell != "lstm" and not embedding:
            self.looked_up.add(first)
        with torch.no_grad():
            for name, p in self.named_parameters():
                if name == "grams":
                    continue  # they begin as nothing
                read = name == ("embedding" if embedding else first)
                bound = hidden**-0.5 if not read or model.ties else model.input_scale
                p.uniform_(-bound, bound, generator=generator)
                if cell == "lstm" and name.endswith("bias_hh_l0"):
                    p[hidden : 2 * hidden] += 1.0  # remember at first (Gers, Schmidhuber & Cummins 2000)

    def walk(self, adapting: DynamicEvaluation | None = None) -> Walk:
        if self.parts == 1 or self.bias.is_cuda:
            return super().walk(adapting)
        from lmbench.models.neural.lstm_walk import LstmWalk

        return LstmWalk(self, adapting)

    def start(self, batch: int) -> State:
        hidden = tuple(self.bias.new_zeros(batch, self.hidden) for _ in range(self.parts * len(self.cells)))
        before = torch.full((batch, self.direct), self.vocab_size, device=self.bias.device)
        return (*hidden, before) if self.direct else hidden

    def _noised(self, ids: Tensor) -> Tensor:
        if not (self.training and self.noise):
            return ids
        drawn: dict[str, Any] = {"generator": self.generator, "device": self.generator.device}
        others = ids.flatten()[torch.randperm(ids.numel(), **drawn).to(ids.device)]
        replaced = torch.rand(ids.shape, **drawn) < self.noise
        return torch.where(replaced.to(ids.device), others.view_as(ids), ids)

    def _whole_dropped(self, table: Tensor, tokens: int) -> Tensor:
        """A matrix of which some tokens' numbers are zeros; tokens: the dimension that counts them."""
        shape = [1, 1]
        shape[tokens] = table.shape[tokens]
        return dropped(table, self.embedding_dropout, self.generator, shape)

    def _layer(self, cell: nn.Module, x: Tensor, before: Any) -> tuple[Tensor, Any]:
        """What a layer of cells gives, in training with weights of which some are dropped."""
        weights: dict[str, Tensor] = {}
        if self.training and self.weight_drop:
            weights["weight_hh_l0"] = dropped(
                cast(Tensor, cell.weight_hh_l0), self.weight_drop, self.generator
            )
        if self.training and self.embedding_dropout and cell is self.cells[0] and self.embedding is None:
            by_rows = 0 if isinstance(cell, PlainCell) else 1
            weights["weight_ih_l0"] = self._whole_dropped(cast(Tensor, cell.weight_ih_l0), by_rows)
        return cast(
            tuple[Tensor, Any],
            torch.func.functional_call(cell, weights, (x, before)) if weights else cell(x, before),
        )

    def _penalty(self, raw: Tensor, x: Tensor) -> Tensor | float:
        """activation · mean x² + slowness · mean (h_t - h_{t-1})² of the last layer, x what is left of its h by dropout."""
        total: Tensor | float = 0.0
        if self.activation:
            total = total + self.activation * x.float().square().mean()
        if self.slowness and len(raw) > 1:
            total = total + self.slowness * raw.float().diff(dim=0).square().mean()
        return total

    def forward(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        ids = self._noised(ids)
        if self.embedding is not None:
            table = self._whole_dropped(self.embedding, 0) if self.training else self.embedding
            x = rows_of(ids, table)
            if self.training:
                x = dropped(x, self.input_dropout, self.generator, x.shape[1:])
        else:
            x = ids
        after: list[Tensor] = []
        for i, cell in enumerate(self.cells):
            parts = tuple(s[None] for s in state[self.parts * i : self.parts * (i + 1)])
            before = parts if self.parts == 2 else parts[0]
            raw, last = self._layer(cell, x, before)
            after.extend(part[0] for part in (last if self.parts == 2 else (last,)))
            x = raw
            if self.training:
                share = self.dropout if cell is not self.cells[-1] else self.output_dropout
                x = dropped(raw, share, self.generator, x.shape[1:])
        if self.training:
            self.penalty = self._penalty(raw, x)
        weight = cast(Tensor, self.embedding).t() if self.output is None else self.output
        logits = affine(x.flatten(0, 1), weight, self.bias).view(*ids.shape, -1)
        if not self.direct:
            return logits, tuple(after)
        every = torch.cat([state[-1].t(), ids])
        return self.with_grams(logits, every), (*after, every[len(ids) :].t())


@dataclass(kw_only=True, eq=False)
class Recurrent(TunedModel):
    """Layers of recurrent cells with dropout between them and in them."""

    cell: Literal["rnn", "gru", "lstm"] = option("lstm", "kind of cell")
    hidden: int = option(320, "hidden units a layer")
    layers: int = option(1, "layers of cells")
    embedding: int | None = option(
        None, "numbers a token is read as, 0: one-hot; none: 0, or hidden where V > 1000"
    )
    tied: bool | None = option(None, "one matrix for input and output; none: where embedding = hidden")
    dropout: float = option(0.5, "share of a layer's outputs dropped")
    weight_drop: float = option(0.2, "share of the recurrent weights dropped")
    embedding_dropout: float = option(0.0, "share of the tokens whose numbers are dropped in a minibatch")
    input_dropout: float = option(
        0.0, "share of the numbers dropped that a token is read as (with embedding)"
    )
    output_dropout: float | None = option(None, "that of the last layer; none: as dropout")
    activation: float = option(0.0, "weight in the loss of the last layer's mean square")
    slowness: float = option(0.0, "weight in the loss of the mean square of its change from token to token")
    noise: float = option(0.0, "share of the tokens read in training that are replaced by others")
    input_scale: float = option(2.0, "bound of the first weights that a token is read by")
    arithmetic: Literal["auto", "float32", "bfloat16"] = option(
        "auto", "of the network in training, never in scoring; auto: bfloat16 where the processor has it"
    )
    kernel: Kernel = option(
        "auto",
        "what does the steps on a GPU; auto: in bfloat16 kernels in Triton, where they fit, else cuDNN",
    )
    lr: float = option(0.008, "learning rate at its highest")
    epochs: int = option(20, "passes over the training text at most")
    weight_decay: float = option(0.2, "AdamW's, on matrices alone")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("weight_drop", "noise", "embedding_dropout", "input_dropout", "output_dropout"):
            if not 0 <= (getattr(self, name) or 0.0) < 1:
                raise InputError(f"{name}={getattr(self, name):g} must be at least 0 and less than 1")
        for name in ("activation", "slowness"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name):g} must be at least 0")
        check_kernel(self.kernel, self._device().type == "cuda")
        if self.embedding is not None and self.embedding < 0:
            raise InputError(f"embedding={self.embedding} must be at least 0")
        if self.layers < 1:
            raise InputError(f"layers={self.layers} must be at least 1")
        if self.layers > MOST_LAYERS:
            raise InputError(f"layers={self.layers} must be {MOST_LAYERS} at most")
        if not 0 < self.input_scale <= LARGEST_SCALE:
            raise InputError(
                f"input_scale={self.input_scale:g} must be greater than 0, and {LARGEST_SCALE:g} at most"
            )
        if self.tied and self.embedding not in (None, self.hidden):
            raise InputError(f"tied=true needs embedding={self.hidden}, the hidden size; leave embedding out")

    @property
    def width(self) -> int:
        """``embedding``, or the default."""
        usual = 0 if self.vocab_size <= 1000 and not self.tied else self.hidden
        return usual if self.embedding is None else self.embedding

    @property
    def ties(self) -> bool:
        """``tied``, or the default."""
        return self.width == self.hidden if self.tied is None else self.tied

    def saved_options(self) -> dict[str, Any]:
        return {**super().saved_options(), "kernel": "torch" if self.kernel == "torch" else "auto"}

    def _network(self, generator: torch.Generator) -> Network:
        return RecurrentNetwork(self, generator)


@dataclass(kw_only=True, eq=False)
class PlainRecurrent(Recurrent):
    """Plain cells, which want a lower rate and less dropout: the same model, of which only defaults differ."""

    hidden: int = option(384, "hidden units a layer")
    dropout: float = option(0.3, "share of a layer's outputs dropped")
    weight_drop: float = option(0.0, "share of the recurrent weights dropped")
    lr: float = option(0.004, "learning rate at its highest")
    epochs: int = option(12, "passes over the training text at most")
