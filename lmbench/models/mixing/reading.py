"""One pass over a text that predicts each token by a mixture of its contexts, learns how to weigh them, and counts.

The parts of ``read`` are compiled into it, so that what is kept of a compilation rounds as a fresh one does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lmbench.models.compiled import compiled
from lmbench.models.mixing.counting import Counted, Text, count

HIDDEN = 64  # units of the network that weighs the contexts
NUMBERS = 7  # that it looks at about each context
RUNS = 32  # kinds of runs that are told apart
BATCH = 32  # tokens between two steps of its learning
_DECAY = (0.9, 0.999)  # of Adam's running means


class Weights(NamedTuple):
    """w(e) = tanh(((e - mean) / spread) A + a) B + b, the weights of K distributions given E numbers about a token; and what
    the logarithm of a symbol's share gains where it was the last to follow a context, by kinds of runs.

    float32. mean, spread: (E,). A: (E, HIDDEN). a: (HIDDEN,). B: (HIDDEN, K). b: (K,). runs: (K, RUNS).
    """

    mean: np.ndarray
    spread: np.ndarray
    A: np.ndarray
    a: np.ndarray
    B: np.ndarray
    b: np.ndarray
    runs: np.ndarray


class Teaching(NamedTuple):
    """How the weights learn: rates at the first and last token of the pass, of the network and of the runs; the share of
    hidden units left out; Adam's two running means of each parameter, (2, parameters) float32; its steps so far, (1,) int64."""

    rates: tuple[float, float]
    run_rates: tuple[float, float]
    dropout: float
    moments: np.ndarray
    steps: np.ndarray


class _Desk(NamedTuple):
    """What is worked out for one token, float32 but for the numbers of symbols.

    p, f: (K+1, W) the contexts' distributions and their logarithms, in whole vectors, the last one uniform; numbers, symbols:
    (V,) int64, the counts of one context, and the symbols that have any. last, kind: (K,) int64, the symbol that followed a context
    latest, -1 for none, and its kind of run. facts: (K, 8) int64, what is kept of each context. evidence, scaled: (E,) what the weights look at. hidden, kept: (HIDDEN,). w: (K,).
    scores: (W,) unnormalised logarithms; shares: (V,) float64, the symbols' probabilities. by_w, by_hidden: the loss's gradients by w and hidden.
    """

    p: np.ndarray
    f: np.ndarray
    numbers: np.ndarray
    symbols: np.ndarray
    last: np.ndarray
    kind: np.ndarray
    facts: np.ndarray
    evidence: np.ndarray
    scaled: np.ndarray
    hidden: np.ndarray
    kept: np.ndarray
    w: np.ndarray
    scores: np.ndarray
    shares: np.ndarray
    by_w: np.ndarray
    by_hidden: np.ndarray


@compiled(inline="always")
def _desk(contexts: int, width: int, vocab_size: int) -> _Desk:
    wide = (vocab_size + 15) // 16 * 16
    f32 = np.float32
    p, f = np.zeros((contexts + 1, wide), dtype=f32), np.zeros((contexts + 1, wide), dtype=f32)
    p[contexts, :vocab_size] = 1 / vocab_size
    f[contexts, :vocab_size] = -np.log(vocab_size)
    return _Desk(
        p,
        f,
        np.zeros(vocab_size, dtype=np.int64),
        np.zeros(vocab_size, dtype=np.int64),
        np.zeros(contexts, dtype=np.int64),
        np.zeros(contexts, dtype=np.int64),
        np.zeros((contexts, 8), dtype=np.int64),
        np.zeros(width, dtype=f32),
        np.zeros(width, dtype=f32),
        np.zeros(HIDDEN, dtype=f32),
        np.zeros(HIDDEN, dtype=f32),
        np.zeros(contexts, dtype=f32),
        np.zeros(wide, dtype=f32),
        np.zeros(vocab_size),
        np.zeros(contexts, dtype=f32),
        np.zeros(HIDDEN, dtype=f32),
    )


# One token -----------------------------------------------------------------------------------------


@compiled()
def kind_of_run(run: int, age: int) -> int:
    """0 to RUNS - 1: how long a run of one symbol after a context is, by four steps, and how long ago it was, by eight."""
    length = 0 if run < 2 else (1 if run < 3 else (2 if run < 6 else 3))
    far, step = 0, 32
    while far < 7 and age >= step:
        far, step = far + 1, step * 4
    return far * 4 + length


@compiled()
def discount(number: int) -> float:
    """What absolute discounting takes from counts of 0, 1, 2 and more: chosen on the held-out tenth of The Time Machine."""
    if number >= 3:
        return 1.3
    return 0.6 if number == 1 else (1.0 if number == 2 else 0.0)


@compiled(fastmath=True, inline="always")
def _consider(
    t: int,
    now: int,
    counting: bool,
    bases: np.ndarray,
    orders: int,
    text: Text,
    past: Counted,
    here: Counted,
    desk: _Desk,
) -> int:
    """Works out the distribution of each context of token t, and what is known of it; returns the longest order that has
    been seen. (One call for all: each costs a count of references for every array.)"""
    f32 = np.float32
    p, f, e, numbers, symbols, facts = desk.p, desk.f, desk.evidence, desk.numbers, desk.symbols, desk.facts
    contexts, wide, depth = len(p) - 1, p.shape[1], 0
    # First all that lies far apart in memory, so that the processor fetches it at the same time.
    for k in range(contexts):
        c = text.contexts[k, t]
        before = text.past[c]
        facts[k, 0], facts[k, 1], facts[k, 2] = before, here.first[c], here.beyond[c]
        facts[k, 3] = here.total[c]
        facts[k, 4], facts[k, 5], facts[k, 6] = here.last[c], here.run[c], here.when[c]
        if before >= 0:
            facts[k, 3] += past.total[before]
            if facts[k, 4] < 0:
                facts[k, 4], facts[k, 5], facts[k, 6] = past.last[before], past.run[before], past.when[before]
    near = 0
    for k in range(contexts):
        near += here.symbols[facts[k, 1]] + here.numbers[facts[k, 1]]
        if facts[k, 0] >= 0:
            near += past.symbols[past.first[facts[k, 0]]]
    facts[0, 7] = near  # what is not kept is not fetched
    for k in range(contexts):
        base = bases[k] if bases[k] >= 0 else contexts
        o = NUMBERS * k
        before, total = facts[k, 0], facts[k, 3]
        desk.last[k] = -1
        if total == 0:
            for x in range(wide):
                p[k, x] = p[base, x]
                f[k, x] = f[base, x]
            for i in range(NUMBERS):
                e[o + i] = 0
            e[o + 2] = 1
            e[o + 5] = e[NUMBERS * base + 5] if base < contexts else -f[base, 0]
            continue

        kinds = 0
        if before >= 0:
            for j in range(past.first[before], past.beyond[before]):
                symbol = past.symbols[j]
                numbers[symbol] = past.numbers[j]
                symbols[kinds] = symbol
                kinds += 1
        for j in range(facts[k, 1], facts[k, 2]):
            if here.numbers[j]:
                symbol = here.symbols[j]
                if numbers[symbol] == 0:
                    symbols[kinds] = symbol
                    kinds += 1
                numbers[symbol] += here.numbers[j]

        freed, most = f32(0), 0
        for i in range(kinds):
            number = numbers[symbols[i]]
            freed += f32(discount(number))
            most = max(most, number)
        share = freed / f32(total)
        log_share = np.log(share)
        for x in range(wide):
            p[k, x] = p[base, x] * share
            f[k, x] = f[base, x] + log_share
        for i in range(kinds):
            x = symbols[i]
            p[k, x] += (f32(numbers[x]) - f32(discount(numbers[x]))) / f32(total)
            f[k, x] = np.log(p[k, x])
            numbers[x] = 0
        entropy = f32(0)
        for x in range(wide):
            entropy -= p[k, x] * f[k, x]

        last, run, when = facts[k, 4], facts[k, 5], facts[k, 6]
        age = max(now - when, 1) if counting else 1  # unknown where nothing is counted
        desk.last[k] = last
        desk.kind[k] = kind_of_run(run, age)
        e[o] = np.log(f32(1 + total))
        e[o + 1] = np.log(f32(1 + kinds))
        e[o + 2] = 0
        e[o + 3] = 1 if kinds == 1 else 0
        e[o + 4] = f32(most) / f32(total)
        e[o + 5] = entropy
        e[o + 6] = np.log(f32(age))
        if k < orders:
            depth = k
    return depth


@compiled(fastmath=True, inline="always")
def _weigh(weights: Weights, dropout: float, rng: np.random.Generator, desk: _Desk) -> None:
    """Works out the contexts' weights from the evidence."""
    hidden, kept, w, A, B = desk.hidden, desk.kept, desk.w, weights.A, weights.B
    for j in range(HIDDEN):
        hidden[j] = weights.a[j]
    for i in range(len(desk.evidence)):
        number = (desk.evidence[i] - weights.mean[i]) / weights.spread[i]
        desk.scaled[i] = number
        for j in range(HIDDEN):
            hidden[j] += number * A[i, j]
    for j in range(HIDDEN):
        hidden[j] = np.tanh(hidden[j])
        kept[j] = hidden[j]
        if dropout > 0:
            kept[j] = 0 if rng.random() < dropout else hidden[j] / np.float32(1 - dropout)
    for k in range(len(w)):
        w[k] = weights.b[k]
    for j in range(HIDDEN):
        number = kept[j]
        for k in range(len(w)):
            w[k] += number * B[j, k]


@compiled(fastmath=True, inline="always")
def _mix(weights: Weights, vocab_size: int, desk: _Desk) -> float:
    """Works out the symbols' scores; returns what to take from them for logarithms of probabilities, in double precision."""
    scores, f = desk.scores, desk.f
    for x in range(len(scores)):
        scores[x] = 0
    for k in range(len(desk.w)):
        weight = desk.w[k]
        for x in range(len(scores)):
            scores[x] += weight * f[k, x]
    for k in range(len(desk.w)):
        if desk.last[k] >= 0:
            scores[desk.last[k]] += weights.runs[k, desk.kind[k]]
    top = scores[0]
    for x in range(vocab_size):
        top = max(top, scores[x])
    total = 0.0
    for x in range(vocab_size):
        desk.shares[x] = np.exp(np.float64(scores[x]) - np.float64(top))
        total += desk.shares[x]
    for x in range(vocab_size):
        desk.shares[x] /= total
    return np.float64(top) + np.log(total)


@compiled(fastmath=True, inline="always")
def _learn(symbol: int, rate: float, vocab_size: int, weights: Weights, sums: Weights, desk: _Desk) -> None:
    """Adds the gradients of -ln p(symbol) to ``sums``; the gains of runs learn at once, at that rate."""
    f32 = np.float32
    error = desk.scores  # from here on: by how much each symbol's share is too large
    f, by_w, by_hidden, B, sum_A, sum_B = desk.f, desk.by_w, desk.by_hidden, weights.B, sums.A, sums.B
    for x in range(vocab_size):
        error[x] = f32(desk.shares[x])
    error[symbol] -= f32(1)
    for x in range(vocab_size, len(error)):
        error[x] = 0
    for k in range(len(by_w)):
        gradient = f32(0)
        for x in range(len(error)):
            gradient += error[x] * f[k, x]
        by_w[k] = gradient
        sums.b[k] += gradient
        if desk.last[k] >= 0:
            weights.runs[k, desk.kind[k]] -= f32(rate) * error[desk.last[k]]
    for j in range(HIDDEN):
        hidden, kept, gradient = desk.hidden[j], desk.kept[j], f32(0)
        for k in range(len(by_w)):
            gradient += by_w[k] * B[j, k]
        for k in range(len(by_w)):
            sum_B[j, k] += by_w[k] * kept
        through = kept / hidden if hidden != 0 else f32(1)
        by_hidden[j] = gradient * through * (f32(1) - hidden * hidden)
        sums.a[j] += by_hidden[j]
    for i in range(len(desk.scaled)):
        number = desk.scaled[i]
        for j in range(HIDDEN):
            sum_A[i, j] += number * by_hidden[j]


@compiled(fastmath=True, inline="always")
def _step(values: np.ndarray, sums: np.ndarray, teaching: Teaching, o: int, rate: float) -> int:
    """One step of Adam (Kingma & Ba 2015) on parameters whose running means stand from o on; returns where they end."""
    f32 = np.float32
    n = teaching.steps[0]
    first, second = f32(1 / (1 - _DECAY[0] ** n)), f32(1 / (1 - _DECAY[1] ** n))
    for i in range(len(values)):
        g = sums[i] / f32(BATCH)
        m = teaching.moments[0, o + i] * f32(_DECAY[0]) + f32(1 - _DECAY[0]) * g
        v = teaching.moments[1, o + i] * f32(_DECAY[1]) + f32(1 - _DECAY[1]) * g * g
        teaching.moments[0, o + i] = m
        teaching.moments[1, o + i] = v
        values[i] -= f32(rate) * m * first / (np.sqrt(v * second) + f32(1e-8))
        sums[i] = 0
    return o + len(values)


# A text --------------------------------------------------------------------------------------------


@compiled(fastmath=True)
def read(
    text: Text,
    past: Counted,
    here: Counted,
    bases: np.ndarray,
    orders: int,
    begin: int,
    end: int,
    now: int,
    counting: bool,
    times: int,
    weights: Weights,
    teach: bool,
    teaching: Teaching,
    rng: np.random.Generator,
    vocab_size: int,
    log_probs: np.ndarray,
    rows: np.ndarray,
    wanted: np.ndarray,
    evidence: np.ndarray,
) -> None:
    """Predicts tokens begin up to end, and writes log_probs[t - begin], (end - begin,) float64, in nats.

    now: where token ``begin`` stands. counting: whether all tokens up to it have been counted, so that their ages are known. times: so
    many times each token is counted here as soon as it has been predicted (0: none is).
    teach: whether the weights learn; rng draws which hidden units are left out. rows: (R, V) float64 gets the distributions of
    the tokens (R,) wanted, ascending; evidence: (end - begin, E) float32, or of no rows, gets what the weights look at.
    """
    contexts = len(text.contexts)
    desk = _desk(contexts, len(weights.mean), vocab_size)
    sums = Weights(
        weights.mean,
        weights.spread,
        np.zeros_like(weights.A),
        np.zeros_like(weights.a),
        np.zeros_like(weights.B),
        np.zeros_like(weights.b),
        weights.runs,
    )
    marks, row = NUMBERS * contexts, 0
    for t in range(begin, end):
        here_now = now + (t - begin) if counting else now
        depth = _consider(t, here_now, counting, bases, orders, text, past, here, desk)
        desk.evidence[marks:] = 0
        desk.evidence[marks + depth] = 1
        desk.evidence[marks + orders + text.places[t]] = 1
        if len(evidence):
            evidence[t - begin] = desk.evidence
        _weigh(weights, teaching.dropout if teach else 0.0, rng, desk)
        norm = _mix(weights, vocab_size, desk)
        symbol = text.ids[t]
        log_probs[t - begin] = desk.scores[symbol] - norm
        if row < len(wanted) and wanted[row] == t:
            for x in range(vocab_size):
                rows[row, x] = desk.scores[x] - norm
            row += 1
        if teach:
            part = t / len(text.ids)
            rate = teaching.run_rates[0] + (teaching.run_rates[1] - teaching.run_rates[0]) * part
            _learn(symbol, rate, vocab_size, weights, sums, desk)
            if (t + 1) % BATCH == 0:
                teaching.steps[0] += 1
                rate = teaching.rates[0] + (teaching.rates[1] - teaching.rates[0]) * part
                o = _step(weights.A.reshape(-1), sums.A.reshape(-1), teaching, 0, rate)
                o = _step(weights.a, sums.a, teaching, o, rate)
                o = _step(weights.B.reshape(-1), sums.B.reshape(-1), teaching, o, rate)
                _step(weights.b, sums.b, teaching, o, rate)
        if times:
            count(text, past, here, orders, t, here_now, times)
