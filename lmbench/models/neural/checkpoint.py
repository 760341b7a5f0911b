"""The checkpoint of a training: one file with all that it takes to go on bit for bit, and with whose it is."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import torch
from msgspec import Meta
from torch import Tensor, nn

from lmbench.storage.archived import archived_arrays
from lmbench.storage.files import whole_file
from lmbench.text.tokens import Tokens

Count = Annotated[int, Meta(ge=0, le=2**62)]
Finite = Annotated[float, Meta(ge=-1e100, le=1e100)]


class DamagedCheckpoint(ValueError):
    """A file that is no checkpoint, or not a whole one."""


@dataclass
class Progress:
    """How far a training has come: with weights, moments and state, all that a checkpoint holds."""

    epoch_rng: Mapping[str, Any]  # numpy's generator, as the present epoch began
    epoch: Count = 0  # epochs finished
    minibatch: Count = 0  # minibatches of the present epoch done
    updates: Count = 0
    tokens: Count = 0  # predicted so far, over all epochs
    seconds: Annotated[Finite, Meta(ge=0)] = 0.0
    nats: Finite = 0.0  # training loss of the present epoch, over ``counted`` tokens
    counted: Count = 0
    best_bits: float = math.inf  # held out, a token
    since_best: Count = 0  # epochs
    history: list[dict[str, Finite]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def fingerprint(
    network: nn.Module, options: Mapping[str, Any], arithmetic: str, train: Tokens, valid: Tokens | None
) -> str:
    """What must be the same for a checkpoint to be gone on with: the network, its options, the texts."""
    shapes = [(name, list(p.shape)) for name, p in network.named_parameters()]
    settings = json.dumps([options, arithmetic, shapes, repr(network)], sort_keys=True)
    digest = hashlib.sha256(settings.encode())
    for tokens in (train, valid or train):
        digest.update(tokens.ids.tobytes() + tokens.starts.tobytes())
    return digest.hexdigest()


def write_checkpoint(
    path: Path, progress: Progress, tensors: Mapping[str, Sequence[Tensor]], owner: str
) -> None:
    """The file, whole or not at all. tensors: by kind. owner: the fingerprint of the run."""
    facts = asdict(progress) | {"fingerprint": owner}
    arrays: dict[str, Any] = {
        f"{kind}.{i}": t.cpu().numpy() for kind, ts in tensors.items() for i, t in enumerate(ts)
    }
    with whole_file(path) as stream:
        np.savez(stream, facts=np.array(json.dumps(facts)), **arrays)


def read_checkpoint(path: Path, owner: str) -> tuple[Progress, dict[str, list[Tensor]]] | None:
    """What was written, kinds without tensors left out; None where the file is of another run.

    Raises DamagedCheckpoint.
    """
    try:
        arrays = archived_arrays(path)
        facts = json.loads(str(arrays.pop("facts")))
        if facts.pop("fingerprint", None) != owner:
            return None
        Progress(**facts)  # of another version, with other fields
        progress = msgspec.convert(facts, Progress)
        tensors: dict[str, list[Tensor]] = {}
        for name, array in arrays.items():
            tensors.setdefault(name.partition(".")[0], []).append(torch.from_numpy(array))
    except Exception:  # whatever stands there that write_checkpoint does not write
        raise DamagedCheckpoint(path) from None
    return progress, tensors


def check_like(found: Sequence[Tensor], own: Sequence[Tensor]) -> None:
    """Raises DamagedCheckpoint where tensors are not as many, of the shapes and types, as a training's own, or not finite."""
    if [(t.shape, t.dtype) for t in found] != [(t.shape, t.dtype) for t in own]:
        raise DamagedCheckpoint("its tensors are another network's")
    if not all(bool(torch.isfinite(t).all()) for t in found):
        raise DamagedCheckpoint("its tensors hold what is no number")
