"""One training loop for every neural model: minibatches, clipping, schedule, averaging, early stopping, resume."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lmbench.errors import InputError
from lmbench.models.monitor import Monitor
from lmbench.models.neural.checkpoint import (
    DamagedCheckpoint,
    Progress,
    check_like,
    fingerprint,
    read_checkpoint,
    write_checkpoint,
)
from lmbench.models.neural.network import (
    Network,
    State,
    held_out_bits,
    inputs_and_targets,
    multiplies_bfloat16,
    unrounded,
)
from lmbench.models.neural.optimizers import blank_moments, clip_gradients, kept, optimizers_of, rate, take_up
from lmbench.models.neural.ranks import Ranks
from lmbench.text.batches import jittered_batches, random_batches, sequential_batches
from lmbench.text.tokens import Tokens

if TYPE_CHECKING:
    from lmbench.models.neural.model import NeuralModel

CHECKPOINT_SECONDS = 20.0
REPORT_SECONDS = 0.25
PADDING = -1
GAIN = 0.01  # bits a token that an epoch gains on held-out text, from which on further ones promise something


def minibatches(
    tokens: Tokens, options: NeuralModel, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """One epoch: (X, Y, continues), X and Y (rows, steps) ids, Y padded with -1.

    A text of long documents is read as one stream; continues: the rows go on where those of the minibatch before
    ended. Where documents are short (on average under two rows), rows are whole documents, sorted into
    minibatches of like length, and never continue. A text too short for the minibatch makes it smaller.
    """
    inputs, targets = inputs_and_targets(tokens)
    total = len(tokens)
    if len(tokens.starts) > 1 and total / len(tokens.starts) < 2 * options.steps:
        yield from _documents(tokens, inputs, targets, options, rng)
        return
    steps = options.steps if options.steps <= total - options.steps + 1 else (total + 1) // 2
    if options.bptt == "full":
        steps = max(1, total // (options.batch + 1))
    batch = min(options.batch, (total - steps + 1) // steps)
    places = np.arange(total + 1)
    if options.sampling == "random":
        chosen = random_batches(places, batch, steps, rng)
    elif options.bptt == "randomised":
        chosen = jittered_batches(places, batch, steps, rng)
    else:
        chosen = sequential_batches(places, batch, steps, rng)
    for number, (index, _) in enumerate(chosen):
        yield inputs[index], targets[index], options.sampling == "sequential" and number > 0


def _documents(
    tokens: Tokens, inputs: np.ndarray, targets: np.ndarray, options: NeuralModel, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
    """Whole documents side by side; those over eight rows long are cut, and their later pieces begin afresh."""
    stops = np.append(tokens.starts[1:], len(tokens))
    cuts = [np.arange(a, b, 8 * options.steps) for a, b in zip(tokens.starts, stops, strict=True)]
    begins = np.concatenate(cuts)
    lengths = np.diff(np.append(begins, len(tokens)))
    order = np.lexsort((rng.random(len(lengths)), lengths))  # like lengths together, equal ones in any order
    filled = np.cumsum(lengths[order]) // (options.batch * options.steps)
    groups = np.split(order, np.flatnonzero(np.diff(filled)) + 1)
    for group in rng.permutation(len(groups)):
        rows = groups[group]
        index = begins[rows][:, None] + np.arange(int(lengths[rows].max()))
        inside = index < (begins + lengths)[rows][:, None]
        index = np.where(inside, index, 0)
        yield inputs[index], np.where(inside, targets[index], PADDING), False


class Trainer:
    """Trains a network as a model's options say; a run that was killed goes on bit for bit from its checkpoint.

    patience: epochs without a better held-out figure before training stops, the best weights being kept; None
    trains to the end and keeps the last. time_limit: seconds; the schedule ends with the limit or the
    epochs, whichever comes first (what is learnt then depends on the machine's speed). Where ``torchrun`` has started several processes,
    each learns from some rows of every minibatch; checkpoints are then written between epochs alone.
    """

    def __init__(
        self,
        network: Network,
        options: NeuralModel,
        train: Tokens,
        valid: Tokens | None,
        rng: np.random.Generator,
        generator: torch.Generator,
        monitor: Monitor,
    ) -> None:
        self.network, self.options, self.train = network, options, train
        self.valid = valid if valid is not None and len(valid) else None
        self.rng, self.generator, self.monitor = rng, generator, monitor
        self.parameters = list(network.parameters())
        self.device = self.parameters[0].device
        self.arithmetic = options.arithmetic  # of the network; weights, their steps and the loss are float32
        if self.arithmetic == "auto":
            self.arithmetic = "bfloat16" if multiplies_bfloat16(self.device) else "float32"
        self.optimizers = optimizers_of(network, options)
        self.mean = [p.detach().clone() for p in self.parameters] if options.average else None
        self.best = [p.detach().clone() for p in self.parameters]
        self.state: State | None = None
        self.done = Progress(rng.bit_generator.state)
        self.ranks = Ranks()
        if self.ranks.number:
            # Dropout masks of its own: the first weights are drawn already.
            generator.manual_seed(generator.initial_seed() + self.ranks.number)
        if self.ranks.count > 1 and options.time_limit is not None:
            raise InputError("time_limit is of one process, whose clock decides; leave it out under torchrun")

    def run(self) -> None:
        """Trains to the end and leaves the chosen weights in the network."""
        self._resume()
        self.clock = time.monotonic() - self.done.seconds
        self.reported = self.saved = time.monotonic()
        healthy = True
        while healthy and self.done.epoch < self.options.epochs and not self._out_of_time():
            if self.options.patience is not None and self.done.since_best >= max(1, self.options.patience):
                break
            healthy = self._epoch() and not self._worse_than_guessing()
            if healthy:
                self._evaluate()
                self._save()
        if healthy:
            self._note_unfinished()
        choosing = self.options.patience is not None and self.valid is not None
        self._load(self.best if choosing or not healthy else self._weights())
        self.network.eval()

    def _epoch(self) -> bool:
        """One pass over the text, or what is left of it; False where the loss is no longer finite."""
        self.network.train()
        self.rng.bit_generator.state = self.done.epoch_rng
        for number, (x, y, continues) in enumerate(minibatches(self.train, self.options, self.rng)):
            if number < self.done.minibatch:
                continue  # done before the run was killed
            loss = self._step(x, y, continues)
            if not math.isfinite(loss):
                self._give_up(self.done.epoch + 1, "the loss is not finite")
                return False
            self._report()
            if self._out_of_time():
                break
        self.done.epoch, self.done.minibatch, self.state = self.done.epoch + 1, 0, None
        self.done.epoch_rng = self.rng.bit_generator.state
        return True

    def _worse_than_guessing(self) -> bool:
        worst = math.log2(self.network.vocab_size) + 1.0
        diverged = self.done.nats / max(1, self.done.counted) / math.log(2) > worst
        if diverged:
            self._give_up(self.done.epoch, "the loss is worse than guessing")
        return diverged

    def _give_up(self, epoch: int, reason: str) -> None:
        kept = "the best weights so far are kept" if self.done.history else "the first weights are kept"
        advice = f"try lr={self.options.lr / 4:g} or clip={self.options.clip / 4:g}"
        self.done.notes.append(f"training stopped in epoch {epoch}, {reason}; {kept}; {advice}")

    def _note_unfinished(self) -> None:
        """Notes where the epochs, or the time, ended while held-out text was still predicted better by each."""
        held_out = [record["valid_bits"] for record in self.done.history[-2:] if "valid_bits" in record]
        ended = self.done.epoch >= self.options.epochs
        if len(held_out) < 2 or not (ended or self._out_of_time()) or held_out[0] - held_out[1] < GAIN:
            return
        more = f"epochs={2 * self.options.epochs}"
        if not ended and self.options.time_limit is not None:
            more = f"time_limit={2 * self.options.time_limit:g}"
        self.done.notes.append(
            f"training ended after {self.done.epoch} epochs, the last of which still gained {held_out[0] - held_out[1]:.3f} bits a "
            f"token of held-out text; more may do better: {more}"
        )

    def _step(self, x: np.ndarray, y: np.ndarray, continues: bool) -> float:
        """One update; gives the minibatch's mean loss in nats a token."""
        count = int((y != PADDING).sum())
        x, y = self.ranks.own(x), self.ranks.own(y)
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        nats = self.ranks.add_up(self.parameters, self._learn(x, y, continues, count) if len(x) else 0.0)
        norm = clip_gradients(self.parameters, self.options.clip)
        if not math.isfinite(norm):
            return math.nan
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate(self.options, self._share_done())
            optimizer.step()
        self.done.updates += 1
        if self.mean is not None:
            share = 1 - min(self.options.average, (1 + self.done.updates) / (10 + self.done.updates))
            torch._foreach_lerp_(self.mean, [p.detach() for p in self.parameters], share)
        self.done.minibatch += 1
        self.done.tokens += count
        self.done.nats += nats * count
        self.done.counted += count
        return nats

    def _learn(self, x: np.ndarray, y: np.ndarray, continues: bool, count: int) -> float:
        """Gradients of the loss of some rows, and the loss: nats over the ``count`` tokens of all rows of the minibatch."""
        device = self.device
        targets = torch.from_numpy(y.T).long().to(device)
        state = self.state if continues and self.state is not None else self.network.start(len(x))
        rounded = torch.autocast(device.type, torch.bfloat16, enabled=self.arithmetic == "bfloat16")
        with rounded:
            logits, state = self.network(torch.from_numpy(x.T).long().to(device), state)
        loss = nn.functional.cross_entropy(
            unrounded(logits).flatten(0, 1), targets.flatten(), ignore_index=PADDING
        )
        share = 1.0 if self.ranks.count == 1 else float((y != PADDING).sum()) / count
        ((loss + self.network.penalty) * share).backward()  # type: ignore[no-untyped-call]
        self.network.penalty = 0.0  # a network that holds what is yet to be differentiated cannot be copied
        # The value is carried on, the gradient is not.
        self.state = tuple(unrounded(s.detach()) for s in state)
        return float(loss.detach()) * share

    def _evaluate(self) -> None:
        weights = self._weights()
        record = {
            "epoch": float(self.done.epoch),
            "tokens": float(self.done.tokens),
            "train_bits": self.done.nats / max(1, self.done.counted) / math.log(2),
        }
        self.done.nats, self.done.counted = 0.0, 0
        if self.valid is not None:
            present = [p.detach().clone() for p in self.parameters]
            self._load(weights)
            bits = self.ranks.agreed(held_out_bits(self.network, self.valid), self.device)
            self._load(present)
            record["valid_bits"] = bits
            self.done.since_best += 1
            if bits < self.done.best_bits:
                self.done.best_bits, self.done.since_best = bits, 0
                self.best = [w.clone() for w in weights]
        else:
            self.best = [w.clone() for w in weights]
        record["seconds"] = self.done.seconds = time.monotonic() - self.clock
        self.done.history.append(record)

    def _weights(self) -> list[Tensor]:
        """What would be kept now: the running mean, or the weights themselves."""
        return self.mean if self.mean is not None else [p.detach() for p in self.parameters]

    def _load(self, weights: list[Tensor]) -> None:
        with torch.no_grad():
            for p, w in zip(self.parameters, weights, strict=True):
                p.copy_(w)

    def _share_done(self) -> float:
        """0..1, by tokens or by time, whichever is further."""
        done = self.done.tokens / (self.options.epochs * len(self.train))
        if self.options.time_limit is not None:
            done = max(done, (time.monotonic() - self.clock) / self.options.time_limit)
        return min(1.0, done)

    def _out_of_time(self) -> bool:
        return (
            self.options.time_limit is not None and time.monotonic() - self.clock >= self.options.time_limit
        )

    def _report(self) -> None:
        now = time.monotonic()
        self.done.seconds = now - self.clock
        if now - self.reported > REPORT_SECONDS:
            self.reported = now
            bits = self.done.nats / self.done.counted / math.log(2)
            rate = self.done.tokens / max(self.done.seconds, 1e-9)
            held_out = f", held out {self.done.best_bits:.3f}" if math.isfinite(self.done.best_bits) else ""
            note = f"epoch {self.done.epoch + 1}, {bits:.3f} bits a token{held_out}, {rate:,.0f} tokens/s"
            self.monitor.progress(self._share_done(), 1.0, note)
        if now - self.saved > CHECKPOINT_SECONDS and self.ranks.count == 1:
            self._save()

    # Checkpoints ------------------------------------------------------------------------------------

    def _fingerprint(self) -> str:
        arithmetic = f"{self.arithmetic} on {self.device.type}"
        return fingerprint(self.network, self.options.options(), arithmetic, self.train, self.valid)

    def _tensors(self) -> dict[str, list[Tensor]]:
        return {
            "weights": [p.detach() for p in self.parameters],
            "best": self.best,
            "mean": self.mean or [],
            "moments": kept(self.optimizers),
            "state": list(self.state or ()),
            "generator": [self.generator.get_state()],
        }

    def _save(self) -> None:
        """Writes the checkpoint; where no place was named, does nothing."""
        self.saved = time.monotonic()
        if self.monitor.checkpoint is not None and not self.ranks.number:
            write_checkpoint(self.monitor.checkpoint, self.done, self._tensors(), self._fingerprint())

    def _resume(self) -> None:
        """Takes a checkpoint of the same run up again; one of another run is left aside, a damaged one is noted."""
        path = self.monitor.checkpoint
        if path is None or not path.exists():
            return
        own, random = self._tensors(), self.rng.bit_generator.state
        try:
            checkpoint = read_checkpoint(path, self._fingerprint())
            if checkpoint is None:
                return
            done, tensors = checkpoint
            state = tensors.pop("state", None)
            moments = tensors.pop("moments", [])
            check_like(moments, blank_moments(self.optimizers) if moments else [])
            if state is not None:  # of as many rows as every minibatch has that another goes on from
                x, *_ = next(minibatches(self.train, self.options, np.random.default_rng(0)))
                check_like(state, [s.cpu() for s in self.network.start(len(x))])
            for kind in own.keys() - {"state", "moments"}:
                check_like(tensors.get(kind, []), own[kind])
            self.rng.bit_generator.state = done.epoch_rng
            self.generator.set_state(tensors.pop("generator")[0])
        except (DamagedCheckpoint, ValueError, TypeError, KeyError, OverflowError, RuntimeError):
            self.rng.bit_generator.state = random
            self.generator.set_state(own["generator"][0])
            self.done.notes.append(f"the checkpoint {path.name} is damaged; training began anew")
            return
        self.done = done
        tensors = {kind: [tensor.to(self.device) for tensor in of_kind] for kind, of_kind in tensors.items()}
        self._load(tensors["weights"])
        self.best = tensors["best"]
        self.mean = tensors.get("mean")
        self.state = None if state is None else tuple(tensor.to(self.device) for tensor in state)
        take_up(self.optimizers, [tensor.to(self.device) for tensor in moments])
