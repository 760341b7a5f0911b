"""Recurrent layers on a GPU, all steps of a layer in one launch: kernels in Triton for plain cells, gated units and LSTM.

A step is a product of the minibatch's rows with g H² weights, g = 1, 3 or 4 gates, and waits for the step before. A launch a step brings
the weights, 2 g H² = 8.4 MB in bfloat16 for an LSTM of 1,024 units, anew from the second cache. So they stay on chip (Diamos et al. 2016,
Persistent RNNs; Pöppel, Beck & Hochreiter 2024, FlashRNN): a program has ROWS rows and COLUMNS units, and holds what these units are computed
by, 131 kB of that LSTM, in its multiprocessor's shared memory through all steps. What moves is the state: a program reads 2 ROWS H bytes a
step, 33 kB for 16 rows, backwards g times as much, and writes its own units. Then the programs that share rows wait for each other.

Programs that wait for each other must all run at once. They are launched as a cooperative grid, which a GPU refuses if it
cannot hold it. The same kernels also run a step a launch (``begin``, ``end``), without waiting: so Triton's interpreter,
which runs one program after the other, tries several for the same rows.

Products take numbers as they are stored, bfloat16 in training, and add in float32; what a program keeps of the state is float32.
"""

from __future__ import annotations

import os

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(os.environ.get("TRITON_INTERPRET") == "1")


@triton.jit
def _tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _place(batch, size, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Of a program: (ROWS, 1) rows, (1, COLUMNS) units, (ROWS, COLUMNS) whether there are such, and numbers from a step to the next."""
    m = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    n = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return m, n, (m < batch) & (n < size), tl.cast(batch, tl.int64) * size


@triton.jit
def _wait(count, wanted):
    """Until the programs that share rows have arrived so often; what these wrote before is then to be read."""
    if INTERPRETED:
        while tl.atomic_add(count, 0, sem="acquire", scope="gpu") < wanted:
            pass
    else:
        # A load, which unlike an atomic operation holds up nobody; each warp waits for itself.
        tl.inline_asm_elementwise(
            """{
            .reg .pred early;
            again:
            ld.acquire.gpu.global.u32 $0, [$1];
            setp.lt.s32 early, $0, $2;
            @early bra again;
            }""",
            "=r,l,r", [count, wanted], dtype=tl.int32, is_pure=False, pack=1,
        )  # fmt: skip


@triton.jit
def _arrive(count):
    tl.debug_barrier()
    tl.atomic_add(count, 1, sem="release", scope="gpu")


@triton.jit
def _state(X, k, m, stride, batch, size):
    """Of a state that other programs wrote: past the first cache, which may hold what was there before."""
    return tl.load(X + m * stride + k, mask=(k < size) & (m < batch), other=0.0, cache_modifier=".cg")


@triton.jit
def _times(W, x):
    """(ROWS, M) of W (M, K) and x (ROWS, K): the larger matrix first, of which the matrix units take 64 rows at a time."""
    return tl.trans(tl.dot(W, tl.trans(x), input_precision="ieee"))


@triton.jit
def _gates(p, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Four of (ROWS, COLUMNS) from (ROWS, 4 COLUMNS), in which those of a unit are neighbours."""
    even, odd = tl.split(tl.reshape(p, (ROWS, COLUMNS, 2, 2)))
    p0, p2 = tl.split(even)
    p1, p3 = tl.split(odd)
    return p0, p1, p2, p3


@triton.jit
def _summed(x, PARTS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """(PARTS, ROWS, COLUMNS) over the parts, each of which a warp has: once through shared memory, where ``tl.sum`` goes twice."""
    x = tl.permute(x, (1, 2, 0))
    if PARTS == 8:
        x, y = tl.split(tl.reshape(x, (ROWS, COLUMNS, 4, 2)))
        x += y
    if PARTS >= 4:
        x, y = tl.split(tl.reshape(x, (ROWS, COLUMNS, 2, 2)))
        x += y
    if PARTS == 1:
        return tl.reshape(x, (ROWS, COLUMNS))
    x, y = tl.split(x)
    return x + y


@triton.jit(do_not_specialize=["begin", "end", "batch"])
def forward(
    Z, H, C, S, U, b, counts, begin, end, batch, size, programs, along, across, apart,
    G: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Steps begin .. end of a layer; G says of which cell: 1 plain, 3 gated, 4 LSTM.

    Z (steps, batch, G size): what the input adds. H (steps + 1, batch, size), C the same in float32: states, the first
    given. S: as Z, the gates, for the way back (gated: r, z, n and u in a fourth place). b (size): see GruRecurrence.
    U: along, across, apart: from a number summed over, from a unit and from a gate to the next.
    """
    m, n, inside, step = _place(batch, size, ROWS, COLUMNS)
    one = m * size + n
    count = counts + tl.program_id(0) * 32
    SLOTS: tl.constexpr = 1 if G == 1 else 4
    line = tl.arange(0, COLUMNS * SLOTS)[:, None]
    gate, unit, k = line % SLOTS, tl.program_id(1) * COLUMNS + line // SLOTS, tl.arange(0, K)[None, :]
    W = tl.load(
        U + gate * apart + unit * across + k * along,
        mask=(gate < G) & (unit < size) & (k < size), other=0.0,
    )  # fmt: skip
    if G == 1:
        # Read a step before it is needed: of a plain cell nothing else is long enough to hide it.
        a = tl.load(Z + begin * step + one, mask=inside, other=0.0)
    if G == 3:
        bias = tl.load(b + n, mask=n < size, other=0.0).to(tl.float32)
        state = tl.load(H + begin * step + one, mask=inside, other=0.0).to(tl.float32)
    if G == 4:
        state = tl.load(C + begin * step + one, mask=inside, other=0.0)
    for t in tl.range(begin, end, num_stages=1):
        if G == 1:
            following = tl.load(Z + tl.minimum(t + 1, end - 1) * step + one, mask=inside, other=0.0)
        else:
            z = Z + t * step * G + m * size * G + n
            a = tl.load(z, mask=inside, other=0.0)
            a1 = tl.load(z + size, mask=inside, other=0.0).to(tl.float32)
            a2 = tl.load(z + 2 * size, mask=inside, other=0.0).to(tl.float32)
        if G == 4:
            a3 = tl.load(z + 3 * size, mask=inside, other=0.0).to(tl.float32)
        _wait(count, (t - begin) * programs)
        p = _times(W, _state(H + t * step, k, m, size, batch, size))
        if G == 1:
            h = _tanh(a.to(tl.float32) + p)
            a = following
        else:
            p0, p1, p2, p3 = _gates(p, ROWS, COLUMNS)
        if G == 3:
            r, update = tl.sigmoid(a.to(tl.float32) + p0), tl.sigmoid(a1 + p1)
            u = p2 + bias
            new = _tanh(a2 + r * u)
            h = new + update * (state - new)
            state = h
        if G == 4:
            i, f = tl.sigmoid(a.to(tl.float32) + p0), tl.sigmoid(a1 + p1)
            g, o = _tanh(a2 + p2), tl.sigmoid(a3 + p3)
            state = f * state + i * g
            h = o * _tanh(state)
        tl.store(H + (t + 1) * step + one, h, mask=inside)
        _arrive(count)
        # What only the way back wants, nobody waits for.
        s = S + t * step * 4 + m * size * 4 + n
        if G == 3:
            tl.store(s, r, mask=inside)
            tl.store(s + size, update, mask=inside)
            tl.store(s + 2 * size, new, mask=inside)
            tl.store(s + 3 * size, u, mask=inside)
        if G == 4:
            tl.store(s, i, mask=inside)
            tl.store(s + size, f, mask=inside)
            tl.store(s + 2 * size, g, mask=inside)
            tl.store(s + 3 * size, o, mask=inside)
            tl.store(C + (t + 1) * step + one, state, mask=inside)


@triton.jit(do_not_specialize=["begin", "end", "steps", "batch"])
def backward(
    A, H, C, S, U, D, N, carried, counts, begin, end, steps, batch, size, programs, along, across, apart,
    G: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    PARTS: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """The same steps back, counted from the last: D (steps + 1, batch, G, size), derivatives of the loss by the products of U.

    A (steps, batch, size): those by H from above. D's last is zeros. N (steps, batch, size): those by what the input adds
    to n (gated). carried (batch, size), float32: what passes to the step before beside the products, read and left there.
    AHEAD: gates of which D is read before the first of them is multiplied.
    """
    m, n, inside, step = _place(batch, size, ROWS, COLUMNS)
    one = m * size + n
    count = counts + tl.program_id(0) * 32
    if G == 1:
        k, km = tl.arange(0, K)[None, :], m
        unit = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[:, None]
        W = (tl.load(U + unit * across + k * along, mask=(unit < size) & (k < size), other=0.0),)
        # As forwards, read a step before.
        above = tl.load(A + (steps - 1 - begin) * step + one, mask=inside, other=0.0)
        h = tl.load(H + (steps - begin) * step + one, mask=inside, other=0.0)
    else:
        # A gate's matrix has too few lines for the large matrix units; each warp sums over a part.
        part = tl.arange(0, PARTS)[:, None, None] * (K // PARTS)
        kw = part + tl.arange(0, K // PARTS)[None, :, None]
        k, km = part + tl.arange(0, K // PARTS)[None, None, :], m[None, :, :]
        U += kw * along + n[None, :, :] * across
        valid = (n[None, :, :] < size) & (kw < size)
        W = (tl.load(U, mask=valid, other=0.0),)
        for gate in tl.static_range(1, G):
            W += (tl.load(U + gate * apart, mask=valid, other=0.0),)
        carry = tl.load(carried + one, mask=inside, other=0.0)
    for back in tl.range(begin, end, num_stages=1):
        t = steps - 1 - back
        d = D + t * step * G + m * size * G + n
        if G == 1:
            before = tl.maximum(t - 1, steps - end)
            next_above = tl.load(A + before * step + one, mask=inside, other=0.0)
            next_h = tl.load(H + (before + 1) * step + one, mask=inside, other=0.0)
        else:
            above = tl.load(A + t * step + one, mask=inside, other=0.0)
            s = S + t * step * 4 + m * size * 4 + n
            s0 = tl.load(s, mask=inside, other=0.0).to(tl.float32)
            s1 = tl.load(s + size, mask=inside, other=0.0).to(tl.float32)
            s2 = tl.load(s + 2 * size, mask=inside, other=0.0).to(tl.float32)
            s3 = tl.load(s + 3 * size, mask=inside, other=0.0).to(tl.float32)
        if G == 3:
            h = tl.load(H + t * step + one, mask=inside, other=0.0)
        if G == 4:
            c = tl.load(C + t * step + one, mask=inside, other=0.0)
            after = tl.load(C + (t + 1) * step + one, mask=inside, other=0.0)
        later = D + (t + 1) * step * G
        _wait(count, (back - begin) * programs)
        if G == 1:
            total = above.to(tl.float32) + _times(W[0], _state(later, k, km, size, batch, size))
            tl.store(d, total * (1 - h.to(tl.float32) * h.to(tl.float32)), mask=inside)
            above, h = next_above, next_h
        else:
            xs = (_state(later, k, km, size * G, batch, size),)
            for gate in tl.static_range(1, AHEAD):
                xs += (_state(later + gate * size, k, km, size * G, batch, size),)
            parts = tl.zeros((PARTS, ROWS, COLUMNS), tl.float32)
            for gate in tl.static_range(G):
                parts = tl.dot(xs[gate], W[gate], parts, input_precision="ieee")
                if gate + AHEAD < G:
                    xs += (_state(later + (gate + AHEAD) * size, k, km, size * G, batch, size),)
            total = above.to(tl.float32) + _summed(parts, PARTS, ROWS, COLUMNS)
        if G == 3:
            total += carry
            by_new = total * (1 - s1) * (1 - s2 * s2)
            tl.store(d, by_new * s3 * s0 * (1 - s0), mask=inside)
            tl.store(d + size, total * (h.to(tl.float32) - s2) * s1 * (1 - s1), mask=inside)
            tl.store(d + 2 * size, by_new * s0, mask=inside)
        if G == 4:
            squashed = _tanh(after)
            carry += total * s3 * (1 - squashed * squashed)
            tl.store(d, carry * s2 * s0 * (1 - s0), mask=inside)
            tl.store(d + size, carry * c * s1 * (1 - s1), mask=inside)
            tl.store(d + 2 * size, carry * s0 * (1 - s2 * s2), mask=inside)
            tl.store(d + 3 * size, total * squashed * s3 * (1 - s3), mask=inside)
        _arrive(count)
        if G == 3:
            tl.store(N + t * step + one, by_new, mask=inside)
            carry = total * s1
        if G == 4:
            carry = carry * s1
    if G >= 3:
        tl.store(carried + one, carry, mask=inside)
