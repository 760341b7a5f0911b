"""What holds of every network that reads a text piece by piece."""

from __future__ import annotations

import torch

from lmbench.models.neural.network import Network


def check_state(net: Network, vocab_size: int) -> None:
    """The state carries everything from piece to piece, and that of some rows is theirs alone."""
    ids = torch.randint(vocab_size, (20, 3), generator=torch.Generator().manual_seed(3))
    whole, last = net(ids, net.start(3))
    pieces, state = [], net.start(3)
    for piece in ids.split([2, 1, 7, 10]):
        logits, state = net(piece, state)
        pieces.append(logits)
    torch.testing.assert_close(torch.cat(pieces), whole)
    for a, b in zip(state, last, strict=True):
        torch.testing.assert_close(a, b)
    chosen, _ = net(ids[:, 1:2], tuple(s[..., 1:2, :] for s in net.start(3)))
    torch.testing.assert_close(chosen, whole[:, 1:2])
