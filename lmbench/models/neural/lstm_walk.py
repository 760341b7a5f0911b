"""A text's way through an LSTM on a processor, compiled: a step costs little more than reading the weights once.

The same network as ``RecurrentNetwork`` with cells of kind ``lstm``, in evaluation, of which torch's calls take several times as long for one
token at a time. Gradients are of one segment, as ``DynamicEvaluation`` has them. A table of n-grams, of which a segment touches few rows, is
learnt row by row: those that are not read are pulled back when they are read next, by all the steps that they have missed. A row is written
where it is learnt alone, so that what is read of it does not hang on how often it was read before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from torch import Tensor

from lmbench.models.compiled import compiled
from lmbench.models.neural.walk import Walk

if TYPE_CHECKING:
    from lmbench.models.neural.dynamic import DynamicEvaluation
    from lmbench.models.neural.recurrent import RecurrentNetwork

# Sums in any order; numbers beyond all bounds stay what they are.
_FAST = {"reassoc", "contract", "arcp", "nsz"}
_ROOM = 64  # inputs that are fed at once where nothing is learnt


class Weights(NamedTuple):
    """embedding: (V, E), of no columns where a token is read as one-hot. grams: (R, V), R 0 without; output: (V, H); bias: (V,). By layer:
    inputs (4H, ·), recurrent (4H, H), and two biases (4H,), of the gates i, f, g and o, as torch has them."""

    embedding: np.ndarray
    output: np.ndarray
    bias: np.ndarray
    grams: np.ndarray
    inputs: tuple[np.ndarray, ...]
    recurrent: tuple[np.ndarray, ...]
    one: tuple[np.ndarray, ...]
    other: tuple[np.ndarray, ...]


class Tape(NamedTuple):
    """What happened at each of n inputs, of which place 0 of hidden, cells: (L, n + 1, H) is before the first.

    read: (direct + n,) ids, the last ones before the first input too. x: (n, E); gates: (L, n, 4H), bent: (L, n, H), tanh of the cells;
    rows: (n, direct) of the table of n-grams; p: (n, V) the probabilities of what comes next.
    """

    read: np.ndarray
    x: np.ndarray
    hidden: np.ndarray
    cells: np.ndarray
    gates: np.ndarray
    bent: np.ndarray
    rows: np.ndarray
    p: np.ndarray


class Lag(NamedTuple):
    """Of the rows of the table of n-grams: first, root: (R, V), trained weights and roots of squares; learnt: (R,) int64, up to which step a row
    is learnt, -1: untouched. steps: (1,) int64, those done. pull: (1,), of a root of 1."""

    first: np.ndarray
    root: np.ndarray
    learnt: np.ndarray
    steps: np.ndarray
    pull: np.ndarray


@compiled(fastmath=_FAST)
def _caught_up(row: int, grams: np.ndarray, lag: Lag, into: np.ndarray) -> None:
    """Writes a row (V,) pulled back by the steps that it has missed since it was learnt, be it read in between or not."""
    missed = lag.steps[0] - lag.learnt[row] if lag.learnt[row] >= 0 else 0
    one, pull, p = grams.dtype.type(1), lag.pull[0], grams[row]
    if missed <= 0:
        into[:] = p
        return
    for v in range(len(p)):
        kept, factor, n = one, one - min(one, pull * lag.root[row, v]), missed
        while n:
            if n & 1:
                kept *= factor
            factor *= factor
            n >>= 1
        into[v] = lag.first[row, v] + (p[v] - lag.first[row, v]) * kept


@compiled(fastmath=_FAST)
def _forward(
    net: Weights, tape: Tape, lag: Lag, direct: int, place: int, ids: np.ndarray, nats: np.ndarray
) -> None:
    """Reads ids (n,) at the places from ``place`` on; nats: (r, V) float64 gets the distributions after the last r of them."""
    size, width, hidden = len(net.bias), net.embedding.shape[1], net.recurrent[0].shape[1]
    one = net.bias.dtype.type(1)
    z, logits = np.empty(4 * hidden, net.bias.dtype), np.empty(size, np.float64)
    said = np.empty(size, net.bias.dtype)
    for t in range(len(ids)):
        s, symbol = place + t, ids[t]
        tape.read[direct + s] = symbol
        if width:
            for k in range(width):
                tape.x[s, k] = net.embedding[symbol, k] if symbol >= 0 else one - one
        for layer in range(len(net.inputs)):
            W, U, before = net.inputs[layer], net.recurrent[layer], tape.hidden[layer, s]
            below = tape.x[s] if layer == 0 else tape.hidden[layer - 1, s + 1]
            for j in range(4 * hidden):
                a = net.one[layer][j] + net.other[layer][j]
                if layer > 0 or width > 0:
                    for k in range(W.shape[1]):
                        a += W[j, k] * below[k]
                elif symbol >= 0:
                    a += W[j, symbol]
                for k in range(hidden):
                    a += U[j, k] * before[k]
                z[j] = a
            gates = tape.gates[layer, s]
            for k in range(hidden):
                i, f = one / (one + math.exp(-z[k])), one / (one + math.exp(-z[hidden + k]))
                g, o = math.tanh(z[2 * hidden + k]), one / (one + math.exp(-z[3 * hidden + k]))
                c = f * tape.cells[layer, s, k] + i * g
                h = math.tanh(c)
                gates[k], gates[hidden + k], gates[2 * hidden + k], gates[3 * hidden + k] = i, f, g, o
                tape.cells[layer, s + 1, k], tape.bent[layer, s, k] = c, h
                tape.hidden[layer, s + 1, k] = o * h
        top = tape.hidden[-1, s + 1]
        for v in range(size):
            a = net.bias[v]
            for k in range(hidden):
                a += net.output[v, k] * top[k]
            logits[v] = a
        gram = 0
        for back in range(direct):
            gram = (gram * 1_000_003 + tape.read[direct + s - back] + 1 + back) % 2_147_483_647
            row = gram % len(net.grams)
            tape.rows[s, back] = row
            _caught_up(row, net.grams, lag, said)
            for v in range(size):
                logits[v] += said[v]
        highest, total = logits.max(), 0.0
        for v in range(size):
            total += math.exp(logits[v] - highest)
        total = math.log(total) + highest
        wanted = t - (len(ids) - len(nats))
        for v in range(size):
            logits[v] -= total
            tape.p[s, v] = math.exp(logits[v])
            if wanted >= 0:
                nats[wanted, v] = logits[v]


@compiled(fastmath=_FAST)
def _back(
    U: np.ndarray, gates: np.ndarray, bent: np.ndarray, cells: np.ndarray, dh: np.ndarray
) -> np.ndarray:
    """(n, 4H): the gradient before the gates, given (n, H) that of what a layer hands on, which is written on."""
    n, hidden = dh.shape
    one = dh.dtype.type(1)
    dz, dc = np.empty((n, 4 * hidden), dh.dtype), np.zeros(hidden, dh.dtype)
    for t in range(n - 1, -1, -1):
        d = dz[t]
        for k in range(hidden):
            i, f, g, o = (
                gates[t, k],
                gates[t, hidden + k],
                gates[t, 2 * hidden + k],
                gates[t, 3 * hidden + k],
            )
            inner = dc[k] + dh[t, k] * o * (one - bent[t, k] * bent[t, k])
            d[k] = inner * g * i * (one - i)
            d[hidden + k] = inner * cells[t, k] * f * (one - f)
            d[2 * hidden + k] = inner * i * (one - g * g)
            d[3 * hidden + k] = dh[t, k] * bent[t, k] * o * (one - o)
            dc[k] = inner * f
        if t > 0:
            before = dh[t - 1]
            for j in range(0, 4 * hidden, 4):
                a, b, c, e = d[j], d[j + 1], d[j + 2], d[j + 3]
                for k in range(hidden):
                    before[k] += a * U[j, k] + b * U[j + 1, k] + c * U[j + 2, k] + e * U[j + 3, k]
    return dz


@compiled(fastmath=_FAST)
def _move(
    p: np.ndarray, g: np.ndarray, first: np.ndarray, root: np.ndarray, rule: tuple[Any, Any, Any, Any]
) -> None:
    """A step of dynamic evaluation, of flat arrays. rule: the rate, what is added to a root, the pull of a root of 1, and 1."""
    rate, floor, pull, one = rule
    for k in range(len(p)):
        p[k] += (first[k] - p[k]) * min(one, pull * root[k]) - g[k] * rate / (root[k] + floor)


@compiled(fastmath=_FAST)
def _move_rows(
    grams: np.ndarray,
    rows: np.ndarray,
    which: np.ndarray,
    dlogits: np.ndarray,
    lag: Lag,
    rule: tuple[Any, Any, Any, Any],
) -> None:
    """The same of some rows of the table of n-grams, once they are caught up; which: (n · direct,), of the n-grams after each of n inputs."""
    g = np.zeros((len(rows), grams.shape[1]), grams.dtype)
    direct = len(which) // len(dlogits)
    for i in range(len(which)):
        for v in range(g.shape[1]):
            g[which[i], v] += dlogits[i // direct, v]
    for i in range(len(rows)):
        row = rows[i]
        _caught_up(row, grams, lag, grams[row])
        _move(grams[row], g[i], lag.first[row], lag.root[row], rule)
        lag.learnt[row] = lag.steps[0] + 1
    lag.steps[0] += 1


class LstmWalk(Walk):
    """The walk through a network of LSTM cells; adapting: how it learns, None: it does not."""

    def __init__(self, network: RecurrentNetwork, adapting: DynamicEvaluation | None) -> None:
        named = {name: _array(name, p) for name, p in network.named_parameters()}
        trained = named
        if adapting is not None:
            named = {name: array.copy() for name, array in named.items()}
        kind, layers = named["bias"].dtype, range(len(network.cells))
        vocab_size, hidden, self.direct = network.vocab_size, network.hidden, network.direct
        embedding = named.get("embedding", np.zeros((vocab_size, 0), kind))
        self.tied = "output" not in named
        of_layers = (
            tuple(named[f"cells.{i}.{name}_l0"] for i in layers)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        grams = named.get("grams", np.zeros((0, vocab_size), kind))
        output = embedding if self.tied else named["output"]
        self.net = Weights(embedding, output, named["bias"], grams, *of_layers)
        self.room = _ROOM if adapting is None else adapting.segment
        shapes = (len(layers), self.room + 1, hidden)
        self.tape = Tape(
            np.zeros(self.direct + self.room, np.int64),
            np.zeros((self.room, embedding.shape[1]), kind),
            np.zeros(shapes, kind),
            np.zeros(shapes, kind),
            np.zeros((len(layers), self.room, 4 * hidden), kind),
            np.zeros((len(layers), self.room, hidden), kind),
            np.zeros((self.room, self.direct), np.int64),
            np.zeros((self.room, vocab_size), kind),
        )
        self.adapts, nothing = adapting is not None, np.zeros((0, 0), kind)
        learnt = np.full(len(grams), -1)
        self.lag = Lag(nothing, nothing, learnt, np.zeros(1, np.int64), np.zeros(1, kind))
        if adapting is not None:
            roots = {
                name: _array(name, root).astype(kind)
                for name, root in zip(named, adapting.roots, strict=True)
            }
            pull = adapting.pull / adapting.mean
            self.rule = tuple(kind.type(x) for x in (adapting.rate, adapting.floor, pull, 1))
            self.lag = self.lag._replace(
                first=trained.get("grams", nothing),
                root=roots.get("grams", nothing),
                pull=np.array([pull], kind),
            )
            self.moved = {
                name: (array.reshape(-1), trained[name].reshape(-1), roots[name].reshape(-1))
                for name, array in named.items()
                if name != "grams"
            }
        self.begin()

    def begin(self) -> None:
        self.place = 0
        self.tape.hidden[:, 0], self.tape.cells[:, 0] = 0, 0
        self.tape.read[: self.direct] = self.net.grams.shape[1]

    def feed(self, ids: np.ndarray, each: bool = False) -> np.ndarray:
        nats = np.empty((len(ids) if each else 1, len(self.net.bias)))
        for done in range(0, len(ids), self.room):
            if not self.adapts and self.place:
                self._move_on()
            some = ids[done : done + self.room].astype(np.int64)
            rows = nats if done + self.room >= len(ids) else nats[:0]
            _forward(self.net, self.tape, self.lag, self.direct, self.place, some, rows)
            self.place += len(some)
        return nats

    def _move_on(self) -> None:
        """The end of the tape becomes its beginning."""
        tape, n = self.tape, self.place
        tape.hidden[:, 0], tape.cells[:, 0] = tape.hidden[:, n], tape.cells[:, n]
        tape.read[: self.direct] = tape.read[n : n + self.direct].copy()
        self.place = 0

    def learn(self, targets: np.ndarray) -> None:
        tape, net, n = self.tape, self.net, len(targets)
        ids = tape.read[self.direct : self.direct + n]
        dlogits = tape.p[:n] / n
        dlogits[np.arange(n), targets] -= dlogits.dtype.type(1 / n)
        one_hot = (ids[:, None] == np.arange(dlogits.shape[1])).astype(dlogits.dtype)
        above = tape.hidden[-1, 1 : n + 1]
        gradients = {"bias": dlogits.sum(axis=0), "output": dlogits.T @ above}
        d = dlogits @ net.output
        for i in reversed(range(len(net.inputs))):
            dz = _back(net.recurrent[i], tape.gates[i, :n], tape.bent[i, :n], tape.cells[i, :n], d)
            below = tape.hidden[i - 1, 1 : n + 1] if i else tape.x[:n]
            if not i and not tape.x.shape[1]:
                below = one_hot
            cell = f"cells.{i}."
            gradients[cell + "weight_ih_l0"] = dz.T @ below
            gradients[cell + "weight_hh_l0"] = dz.T @ tape.hidden[i, :n]
            gradients[cell + "bias_ih_l0"] = gradients[cell + "bias_hh_l0"] = dz.sum(axis=0)
            if i or tape.x.shape[1]:
                d = dz @ net.inputs[i]
        if tape.x.shape[1]:
            of_tokens = one_hot.T @ d
            gradients["embedding"] = of_tokens + gradients["output"] if self.tied else of_tokens
        for name, (p, first, root) in self.moved.items():
            _move(p, gradients[name].reshape(-1), first, root, self.rule)
        if self.direct:
            rows, which = np.unique(tape.rows[:n], return_inverse=True)
            _move_rows(net.grams, rows, which.reshape(-1), dlogits, self.lag, self.rule)
        self._move_on()


def _array(name: str, p: Tensor) -> np.ndarray:
    """The numbers of a parameter, those of the output by its columns, as they lie in memory."""
    array: np.ndarray = p.detach().numpy()
    return np.ascontiguousarray(array.T if name == "output" else array)
