"""One training in several processes (``torchrun``): each learns from some rows of every minibatch, and all take the same step."""

from __future__ import annotations

import atexit
from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from lmbench.errors import number_of


class Ranks:
    """The processes that train together, as torch.distributed knows them; one that is alone has nobody to ask.

    number: of this one, from 0 on. count: how many. All draw the same minibatches, and each takes its rows.

    >>> alone = Ranks()
    >>> alone.count, alone.own(np.arange(6).reshape(3, 2)).shape
    (1, (3, 2))
    """

    def __init__(self) -> None:
        self.number, self.count = 0, 1
        # torchrun's variables; a caller who has begun it himself is taken as he is.
        together = torch.distributed.is_available() and (
            torch.distributed.is_initialized() or number_of("WORLD_SIZE", 1) > 1
        )
        if not together:
            return
        if not torch.distributed.is_initialized():
            if torch.cuda.is_available():
                torch.cuda.set_device(number_of("LOCAL_RANK", 0))
            torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
            atexit.register(torch.distributed.destroy_process_group)
        self.number, self.count = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def own(self, rows: np.ndarray) -> np.ndarray:
        """This process's rows of a minibatch (batch, steps): every one that has none left over takes as many."""
        return np.array_split(rows, self.count)[self.number]

    def add_up(self, parameters: Iterable[nn.Parameter], nats: float) -> float:
        """Makes each gradient the sum over all processes, and gives the sum of ``nats``."""
        if self.count == 1:
            return nats
        gradients = []
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
            gradients.append(p.grad)
        flat = torch.cat([*(g.flatten() for g in gradients), gradients[0].new_tensor([nats])])
        torch.distributed.all_reduce(flat)
        pieces = torch.split(flat[:-1], [g.numel() for g in gradients])
        for gradient, piece in zip(gradients, pieces, strict=True):
            gradient.copy_(piece.view_as(gradient))
        return float(flat[-1])

    def agreed(self, value: float, device: torch.device) -> float:
        """What the first process says, so that all decide alike."""
        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)
