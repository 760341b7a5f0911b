"""How gradients become steps: stochastic gradient descent, AdamW, and Muon with AdamW beside it; the rate, and clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lmbench.models.neural.network import Network

if TYPE_CHECKING:
    from lmbench.models.neural.model import NeuralModel

# What each keeps of a parameter, as it names it.
MOMENTS = {"SGD": (), "AdamW": ("step", "exp_avg", "exp_avg_sq"), "Muon": ("momentum_buffer",)}


def optimizers_of(network: Network, options: NeuralModel) -> list[Optimizer]:
    """One, or for ``muon`` two: matrices between layers by orthogonalised momentum (Jordan et al. 2024), the rest by AdamW.

    Muon's steps are scaled to the size of AdamW's, so that one rate serves both (Liu et al. 2025, section 2.2). Matrices
    decay, biases do not (Loshchilov & Hutter 2019 leave the choice open; this is the custom).
    """
    named = dict(network.named_parameters())
    if options.optimizer == "sgd":
        return [torch.optim.SGD(named.values(), lr=options.lr)]
    between = {name for name, p in named.items() if p.dim() == 2 and name not in network.of_tokens}
    if options.optimizer != "muon":
        between = set()
    rest = [p for name, p in named.items() if name not in between]
    groups = [
        {"params": [p for p in rest if p.dim() > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in rest if p.dim() <= 1], "weight_decay": 0.0},
    ]
    optimizers: list[Optimizer] = [torch.optim.AdamW(groups, lr=options.lr, betas=(0.9, 0.99), fused=True)]
    if between:
        matrices = [named[name] for name in named if name in between]
        optimizers.append(
            torch.optim.Muon(
                matrices, lr=options.lr, weight_decay=options.weight_decay, adjust_lr_fn="match_rms_adamw"
            )
        )
    return optimizers


def kept(optimizers: Iterable[Optimizer]) -> list[Tensor]:
    """All moments of all parameters, in an order that ``take_up`` knows."""
    return [
        torch.as_tensor(optimizer.state[p][name])
        for optimizer, p in _owned(optimizers)
        for name in MOMENTS[type(optimizer).__name__]
        if p in optimizer.state
    ]


def blank_moments(optimizers: Iterable[Optimizer]) -> list[Tensor]:
    """Tensors of the shapes and types of what ``kept`` gives once steps were taken."""
    return [
        torch.zeros((), dtype=torch.float32) if name == "step" else torch.zeros_like(p)
        for optimizer, p in _owned(optimizers)
        for name in MOMENTS[type(optimizer).__name__]
    ]


def take_up(optimizers: Iterable[Optimizer], moments: list[Tensor]) -> None:
    """Goes on with what ``kept`` gave; an empty list: from the beginning."""
    left = iter(moments)
    for optimizer, p in _owned(optimizers):
        names = MOMENTS[type(optimizer).__name__]
        if names and moments:
            optimizer.state[p] = {name: next(left) for name in names}


def _owned(optimizers: Iterable[Optimizer]) -> Iterator[tuple[Optimizer, Tensor]]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            yield from ((optimizer, p) for p in group["params"])


def rate(options: NeuralModel, progress: float) -> float:
    """The learning rate after ``progress`` (0..1) of the training."""
    if progress < options.warmup:
        return options.lr * max(progress, 0.01 * options.warmup) / options.warmup
    if options.schedule == "constant":
        return options.lr
    through = min(1.0, (progress - options.warmup) / (1.0 - options.warmup))
    return options.lr * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * through)))


def clip_gradients(parameters: Iterable[nn.Parameter], radius: float) -> float:
    """Projects the gradient of all parameters onto the ball of ``radius``: g <- min(1, radius/|g|) g. Gives |g|."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients])))
    if norm > radius:
        for g in gradients:
            g *= radius / norm
    return norm
