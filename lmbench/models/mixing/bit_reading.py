"""One pass over a text that predicts each symbol by binary decisions, each by a mixture of what the contexts say of it, and learns.

Each context says up to four things of a decision: what has come after such a history of bits, how probable a 1 has
been, both as log-odds, how sure the former is, and whether the symbol that came last in the context would decide so. Matches
of different lengths add what followed them. All are summed with weights, of which there are several sets, chosen by
small contexts; the sums are mixed once more and then corrected by tables of what came where such a probability was given.
"""

from __future__ import annotations

import numpy as np

from lmbench.models.compiled import compiled
from lmbench.models.mixing.bit_contexts import (
    CONTEXTS,
    NOW,
    SELECTORS,
    Alphabet,
    Place,
    begin_document,
    go_on,
    look,
)
from lmbench.models.mixing.bit_desk import Desk, empty_desk, follow, gather, touch
from lmbench.models.mixing.bit_memory import BUCKETS, FARTHEST, GRADES, MATCHES, OWN, SETS, Memory
from lmbench.models.mixing.bit_slots import (
    SURE,
    history_of_run,
    key_of_node,
    kind_of_history,
    learn_bit,
    node_of_run,
    place_of,
    probability,
    root_entry,
)
from lmbench.models.mixing.decisions import Decisions

u64, f32 = np.uint64, np.float32
_LIMIT = 255.0  # those tables and histories' probabilities move by one part in so many at least
LEAST = 2e-6  # no decision is surer
# How fast weights learn: at first, after very many symbols, and the symbols by which the difference halves; those of the second layer.
_RATE, _LAST_RATE, _HALF, _SECOND_RATE = 0.004, 0.0005, 20_000.0, 0.001

_GRID = (np.arange(4096) + 0.5) / 4096
LOG_ODDS = np.log(_GRID / (1 - _GRID)).astype(np.float32)


@compiled(inline="always")
def _odds(p: np.float32) -> np.float32:
    return LOG_ODDS[np.int64(p * f32(4095.99))]


@compiled(inline="always")
def _product(w: np.ndarray, x: np.ndarray) -> np.float32:
    """Σ_j w_j x_j, in four sums side by side: an order that is no compiler's to choose, so that all come to the same bits."""
    one, two, three, four = f32(0), f32(0), f32(0), f32(0)
    whole = len(x) - len(x) % 4
    for j in range(0, whole, 4):
        one += w[j] * x[j]
        two += w[j + 1] * x[j + 1]
        three += w[j + 2] * x[j + 2]
        four += w[j + 3] * x[j + 3]
    for j in range(whole, len(x)):
        one += w[j] * x[j]
    return (one + two) + (three + four)


@compiled()
def _probability(
    decision: int,
    depth: int,
    tree: Decisions,
    text: np.ndarray,
    memory: Memory,
    given: np.ndarray,
    desk: Desk,
) -> np.float32:
    """How probable it is that the decision turns out 1; what leads to that is left on the desk under its depth.

    given: (V - 1, E) float32, what others say of each decision here.
    """
    inputs, path, bits = desk.inputs[depth], tree.path, tree.bit
    nodes, filled, histories, runs = (
        desk.nodes[depth],
        desk.there[depth],
        desk.history[depth],
        desk.run[depth],
    )
    matched, expected, rows = desk.match[depth], desk.expected[depth], desk.rows[depth]
    sums, guesses, seconds, table = (
        desk.sums[depth],
        desk.guesses[depth],
        desk.second[depth],
        desk.table[depth],
    )
    o = 0
    for k in range(CONTEXTS):
        state, history, run = desk.states[k], -1, -1
        first, second, third, fourth = f32(0), f32(0), f32(0), f32(0)
        if state > 0:
            symbol = desk.symbols[k]
            on_way = path[symbol, depth] == decision
            bit = bits[symbol, depth]
            if state == 2:
                i, there = place_of(memory.nodes, key_of_node(desk.keys[k], decision), 16, 63)
                nodes[k], filled[k] = i, there
                if there:
                    entry = memory.nodes[i]
                    history = kind_of_history(np.int64(entry & u64(0xFFFF)))
                    second = _odds(probability(entry))
            elif on_way:
                history = kind_of_history(history_of_run(desk.runs[k], bit))
                second = _odds(SURE[min(desk.runs[k], 63)])
                if not bit:
                    second = -second
            if history >= 0:
                p = memory.histories[k, history, 0]
                first, third = _odds(p), (p - f32(0.5)) * f32(4)
            if on_way:
                run = desk.kinds[k] * 2 + bit
                fourth = _odds(memory.runs[k, desk.kinds[k], 0])
                if not bit:
                    fourth = -fourth
        histories[k], runs[k] = history, run
        inputs[o], inputs[o + 1], inputs[o + 2], inputs[o + 3] = first, second, third, fourth
        o += 4
    for q in range(MATCHES):
        first, second = f32(0), f32(0)
        matched[q] = -1
        n = memory.matches[1, q]
        if n > 0:
            symbol = text[memory.matches[0, q]]
            if path[symbol, depth] == decision:
                length = n if n < 16 else (16 + ((n - 16) >> 3) if n < 80 else 24 + min((n - 80) >> 5, 7))
                matched[q] = length * 2 + (1 if memory.matches[2, q] > 0 else 0)
                expected[q] = bits[symbol, depth]
                p = memory.lengths[q, matched[q], 0]
                first, second = _odds(p), (p - f32(0.5)) * f32(4)
                if not expected[q]:
                    first, second = -first, -second
        inputs[o], inputs[o + 1] = first, second
        o += 2
    inputs[o] = f32(0.4)
    for e in range(given.shape[1]):
        inputs[OWN + e] = given[decision, e]

    longest, length, deep = desk.numbers[2], desk.numbers[1], min(depth, 15)
    says = 0
    if longest >= 0 and matched[longest] >= 0:
        says = 1 + expected[longest]
    match = length * 3 + says
    offsets, chosen = desk.offsets, desk.chosen
    rows[0] = match
    rows[1] = decision
    rows[2] = chosen[0]
    rows[3] = chosen[2]
    rows[4] = desk.numbers[0] * 16 + deep
    rows[5] = chosen[3]
    rows[6] = chosen[5]
    rows[7] = chosen[4]
    rows[8] = chosen[6]
    rows[9] = chosen[1]
    farthest = f32(FARTHEST)
    seconds[0], seconds[1] = decision, len(memory.second) - GRADES * 3 + match
    one, other = f32(0), f32(0)
    for s in range(SETS):
        rows[s] += offsets[s]
        w = memory.weights[rows[s]]
        sums[s] = min(max(_product(w, inputs), -farthest), farthest)
        guesses[s] = f32(1) / (f32(1) + np.exp(-sums[s]))
        one += memory.second[seconds[0], s] * sums[s]
        other += memory.second[seconds[1], s] * sums[s]
    one, other = min(max(one, -farthest), farthest), min(max(other, -farthest), farthest)
    guesses[SETS] = f32(1) / (f32(1) + np.exp(-one))
    guesses[SETS + 1] = f32(1) / (f32(1) + np.exp(-other))
    both = (one + other) * f32(0.5)
    mixed = f32(1) / (f32(1) + np.exp(-both))

    place = (both + farthest) * f32((BUCKETS - 1) / (2 * FARTHEST))
    bucket = min(max(np.int64(place), np.int64(0)), np.int64(BUCKETS - 2))
    part = place - f32(bucket)
    bases, corrected = desk.bases, f32(0)
    spread = u64(decision) * u64(0xD6E8FEB86659FD93) + u64(chosen[0] + 1) * u64(0x9E3779B97F4A7C15)
    further = spread + u64(chosen[1] + 1) * u64(0xBF58476D1CE4E5B9)
    table[0] = decision
    table[1] = np.int64(((spread ^ (spread >> u64(29))) >> u64(8)) & u64(bases[2] - bases[1] - 1))
    table[2] = np.int64(((further ^ (further >> u64(29))) >> u64(8)) & u64(bases[3] - bases[2] - 1))
    table[3] = match * 16 + deep
    for a in range(4):
        i = (bases[a] + table[a]) * BUCKETS + bucket
        corrected += memory.corrections[i, 0] * (f32(1) - part) + memory.corrections[i + 1, 0] * part
        table[a] = i + (1 if part >= f32(0.5) else 0)
    final = mixed * f32(0.5) + corrected * f32(0.125)
    return min(max(final, f32(LEAST)), f32(1) - f32(LEAST))


@compiled(inline="always")
def _towards(pairs: np.ndarray, hit: bool, limit: float) -> None:
    """A probability, and how often it was met, once more."""
    pairs[1] += f32(1)
    pairs[0] += ((f32(1) if hit else f32(0)) - pairs[0]) / min(pairs[1] + f32(1.5), f32(limit))


@compiled()
def _learn(bit: int, decision: int, depth: int, memory: Memory, desk: Desk) -> None:
    """Learns from how the decision has turned out whose probability lies on the desk."""
    y, inputs, sums, guesses = f32(bit), desk.inputs[depth], desk.sums[depth], desk.guesses[depth]
    rate = f32(_LAST_RATE + (_RATE - _LAST_RATE) / (1.0 + memory.seen[0] / _HALF))
    for s in range(SETS):
        step = (y - guesses[s]) * rate
        w = memory.weights[desk.rows[depth, s]]
        for j in range(len(inputs)):
            w[j] += step * inputs[j]
    for half in range(2):
        step = (y - guesses[SETS + half]) * f32(_SECOND_RATE)
        w = memory.second[desk.second[depth, half]]
        for s in range(SETS):
            w[s] += step * sums[s]
    for a in range(4):
        _towards(memory.corrections[desk.table[depth, a]], bit == 1, _LIMIT)
    histories, runs = desk.history[depth], desk.run[depth]
    for k in range(CONTEXTS):
        if histories[k] >= 0:
            _towards(memory.histories[k, histories[k]], bit == 1, _LIMIT)
        if runs[k] >= 0:
            _towards(memory.runs[k, runs[k] >> 1], (runs[k] & 1) == bit, _LIMIT)
        if desk.states[k] == 2:
            key = key_of_node(desk.keys[k], decision)
            i, there = desk.nodes[depth, k], desk.there[depth, k] != 0
            if not there:  # by now another may lie where there was room
                i, there = place_of(memory.nodes, key, 16, 63)
            learn_bit(memory.nodes, i, there, key, bit)
    for q in range(MATCHES):
        if desk.match[depth, q] >= 0:
            hit = desk.expected[depth, q] == bit
            _towards(memory.lengths[q, desk.match[depth, q]], hit, _LIMIT)


@compiled()
def _keep(symbol: int, now: int, tree: Decisions, memory: Memory, desk: Desk) -> None:
    """Keeps which symbol came in each context; where it is the second one, the nodes of both are laid."""
    for k in range(CONTEXTS):
        key, state, last, run = desk.keys[k], desk.states[k], desk.symbols[k], desk.runs[k]
        several, n = 0, 1
        if state == 1 and last != symbol:
            several = 1
            for depth in range(tree.length[last]):
                node = key_of_node(key, tree.path[last, depth])
                i, there = place_of(memory.nodes, node, 16, 63)
                if not there:
                    memory.nodes[i] = node_of_run(node, run, tree.bit[last, depth])
            for depth in range(tree.length[symbol]):
                node = key_of_node(key, tree.path[symbol, depth])
                i, there = place_of(memory.nodes, node, 16, 63)
                learn_bit(memory.nodes, i, there, node, tree.bit[symbol, depth])
        elif state > 0:
            several = state - 1
            n = run + 1 if last == symbol else 1
        i = desk.roots[k]
        if state == 0:  # by now another may lie where there was room
            i = place_of(memory.roots, key, 16, 0x3FF)[0]
        memory.roots[i] = root_entry(key, now, several, n, symbol)


@compiled()
def read(
    ids: np.ndarray,
    starts: np.ndarray,
    tree: Decisions,
    alphabet: Alphabet,
    place: Place,
    memory: Memory,
    learns: bool,
    rest: int,
    offsets: np.ndarray,
    bases: np.ndarray,
    log_probs: np.ndarray,
    rows: np.ndarray,
    wanted: np.ndarray,
    given: np.ndarray,
) -> None:
    """Predicts the tokens and writes log_probs, (T,) float64, in nats; with no room for them it only reads.

    starts: (D,) int64, where documents begin; the first token goes on with what was read before where none begins there. learns: whether
    from each token; otherwise a document begins at ``rest`` tokens read, whatever was read before. rows: (R, V) float64 gets the distributions at the
    places (R,) wanted, ascending, up to T, where nothing is read. given: (T or more, V - 1, E) float32, log-odds of all decisions by others at each
    token; or (R or more, …) at the places wanted alone, where nothing else is foretold.
    """
    desk = empty_desk(tree.path.shape[1], memory.weights.shape[1], offsets, bases)
    text, number = place.text, place.numbers
    document = row = 0
    said = given[0]
    reach = np.zeros(len(tree.above) + 1)
    every = np.arange(len(tree.above))
    for t in range(len(ids) + 1):
        ends = t == len(ids)
        asked = row < len(wanted) and wanted[row] == t
        if ends and not asked:
            break
        if document < len(starts) and starts[document] == t:
            document += 1
            if not learns:
                number[NOW] = rest
            memory.matches[:] = 0
            begin_document(place)
        look(place, alphabet, desk.keys, desk.chosen)
        if asked or learns or len(log_probs):
            gather(place, memory, desk)
            said = given[t if learns or len(log_probs) else row]
        if asked:
            touch(0, len(every), every, memory, desk)
            for decision in range(len(tree.above)):
                above = tree.above[decision]
                p = np.float64(_probability(decision, tree.depth[decision], tree, text, memory, said, desk))
                before = 0.0
                if above >= 0:
                    before = reach[above] if tree.turn[decision] == 0 else rows[row, above]
                reach[decision] = before + np.log(1.0 - p)  # how the way goes on with a 0
                rows[row, decision] = before + np.log(p)  # and with a 1
            ones = rows[row].copy()
            for symbol in range(len(tree.length)):
                last = tree.length[symbol] - 1
                rows[row, symbol] = 0.0
                if last >= 0:
                    decision = tree.path[symbol, last]
                    rows[row, symbol] = ones[decision] if tree.bit[symbol, last] else reach[decision]
            row += 1
        if ends:
            break
        symbol = ids[t]
        if learns or len(log_probs):
            total = 0.0
            touch(0, tree.length[symbol], tree.path[symbol], memory, desk)
            for depth in range(tree.length[symbol]):
                decision, bit = tree.path[symbol, depth], tree.bit[symbol, depth]
                p = np.float64(_probability(decision, depth, tree, text, memory, said, desk))
                total += np.log(p if bit else 1.0 - p)
            if len(log_probs):
                log_probs[t] = total
            if learns:  # only now: the probabilities of all symbols rest on what was known before any of them
                for depth in range(tree.length[symbol]):
                    _learn(tree.bit[symbol, depth], tree.path[symbol, depth], depth, memory, desk)
                _keep(symbol, number[NOW], tree, memory, desk)
                memory.seen[0] += 1
        go_on(place, alphabet, symbol, desk.chosen[SELECTORS - 1], learns)
        follow(place, memory, learns)
