"""Recurrent layers on a GPU, all steps of a layer in one launch: kernels in Triton for plain cells, gated units and LSTM.

A step is a product of the minibatch's rows with g H² weights, g = 1, 3 or 4 gates, and waits for the step before. A launch a step brings
the weights, 2 g H² = 8.4 MB in bfloat16 for an LSTM of 1,024 units, anew from the second cache. So they stay on chip (Diamos et al. 2016,
Persistent RNNs; Pöppel, Beck & Hochreiter 2024, FlashRNN): a program has ROWS rows and COLUMNS units, and holds what these units are computed
by, 131 kB of that LSTM, in its multiprocessor's shared memory through all steps. What moves is the state: a program reads 2 ROWS H bytes a
step, 33 kB for 16 rows, backwards g times as much, and writes its own units. Then the programs that share rows wait for each other.

On an NVIDIA H200, 32 rows, a step of an LSTM of 512 units takes 2.0 µs forwards and 2.5 back, of 1,024 units 3.2 and 5.0; what layers
and training gain stands in ``docs/how-to/networks.md``. With the waiting left out these were 0.6 to 1.2 µs less: a state has to reach the
second cache before its program says so, and what it says has to be read there. Back, programs of 1,024 units read 17 MB a step, which that
cache gives in 3 µs. What was slow at first, 7 to 10 µs a step, was neither: some thirty barriers, at which partial sums, gates and what is
stored changed hands in shared memory one by one.

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
    """By the instruction there is, to 2^-11: what is stored of it is rounded to 2^-9."""
    if INTERPRETED:
        return 2 * tl.sigmoid(2 * x) - 1
    else:
        return tl.inline_asm_elementwise(
            "tanh.approx.f32 $0, $1;", "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1
        )


@triton.jit
def _sigmoid(x):
    return 0.5 * _tanh(0.5 * x) + 0.5


@triton.jit
def _place(batch, ROWS: tl.constexpr, COLUMNS: tl.constexpr, SIZE: tl.constexpr, FULL: tl.constexpr):
    """Of a program: (ROWS, 1) rows, (1, COLUMNS) units, those of them to read of, (ROWS, COLUMNS) whether there are such.

    Where there is none, the last there is is read, which needs no second way. FULL: there are all rows.
    """
    m = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    n = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (m < batch) & (n < SIZE)
    rows = m if FULL else tl.minimum(m, batch - 1)
    units = n if SIZE % COLUMNS == 0 else tl.minimum(n, SIZE - 1)
    return m, n, rows, units, inside, tl.cast(batch, tl.int64) * SIZE


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
def _state(where, k, SIZE: tl.constexpr, K: tl.constexpr):
    """Of a state that other programs wrote: past the first cache, which may hold what was there before."""
    if SIZE == K:
        return tl.load(where, cache_modifier=".cg")
    else:
        return tl.load(where, mask=k < SIZE, other=0.0, cache_modifier=".cg")


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
    Z, H, C, S, U, b, counts, begin, end, batch, programs, along, across, apart,
    G: tl.constexpr, SIZE: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, FULL: tl.constexpr,
):  # fmt: skip
    """Steps begin .. end of a layer; G says of which cell: 1 plain, 3 gated, 4 LSTM.

    Z (steps, batch, G SIZE): what the input adds. H (steps + 1, batch, SIZE), C the same in float32: states, the first
    given. S: as Z, the gates, for the way back (gated: r, z, n and u in a fourth place). b (SIZE): see GruRecurrence.
    U: along, across, apart: from a number summed over, from a unit and from a gate to the next.
    """
    m, n, rows, units, inside, step = _place(batch, ROWS, COLUMNS, SIZE, FULL)
    one, there = m * SIZE + n, rows * SIZE + units
    count = counts + tl.program_id(0) * 32
    SLOTS: tl.constexpr = 1 if G == 1 else 4
    line = tl.arange(0, COLUMNS * SLOTS)[:, None]
    gate, unit, k = line % SLOTS, tl.program_id(1) * COLUMNS + line // SLOTS, tl.arange(0, K)[None, :]
    W = tl.load(
        U + gate * apart + unit * across + k * along,
        mask=(gate < G) & (unit < SIZE) & (k < SIZE), other=0.0,
    )  # fmt: skip
    X, Z = H + rows * SIZE + k, Z + rows * (SIZE * G) + units
    s, h_of, c_of = S + m * (SIZE * 4) + n, H + step + one, C + step + one
    if G == 1:
        # Read a step before it is needed: of a plain cell nothing else is long enough to hide it.
        a = tl.load(Z + begin * step)
    if G == 3:
        bias = tl.load(b + units).to(tl.float32)
        state = tl.load(H + begin * step + there).to(tl.float32)
    if G == 4:
        state = tl.load(C + begin * step + there)
    for t in tl.range(begin, end, num_stages=1):
        z = Z + t * step * G
        if G == 1:
            following = tl.load(Z + tl.minimum(t + 1, end - 1) * step)
        else:
            a = tl.load(z)
            a1, a2 = tl.load(z + SIZE), tl.load(z + 2 * SIZE)
        if G == 4:
            a3 = tl.load(z + 3 * SIZE)
        where = X + t * step
        _wait(count, (t - begin) * programs)
        p = _times(W, _state(where, k, SIZE, K))
        if G == 1:
            h = _tanh(a.to(tl.float32) + p)
            a = following
        else:
            p0, p1, p2, p3 = _gates(p, ROWS, COLUMNS)
        if G == 3:
            r, update = _sigmoid(a.to(tl.float32) + p0), _sigmoid(a1.to(tl.float32) + p1)
            u = p2 + bias
            new = _tanh(a2.to(tl.float32) + r * u)
            h = new + update * (state - new)
            state = h
        if G == 4:
            i, f = _sigmoid(a.to(tl.float32) + p0), _sigmoid(a1.to(tl.float32) + p1)
            g, o = _tanh(a2.to(tl.float32) + p2), _sigmoid(a3.to(tl.float32) + p3)
            state = f * state + i * g
            h = o * _tanh(state)
        tl.store(h_of + t * step, h, mask=inside)
        _arrive(count)
        # What only the way back wants, nobody waits for.
        if G == 3:
            tl.store(s + t * step * 4, r, mask=inside)
            tl.store(s + t * step * 4 + SIZE, update, mask=inside)
            tl.store(s + t * step * 4 + 2 * SIZE, new, mask=inside)
            tl.store(s + t * step * 4 + 3 * SIZE, u, mask=inside)
        if G == 4:
            tl.store(s + t * step * 4, i, mask=inside)
            tl.store(s + t * step * 4 + SIZE, f, mask=inside)
            tl.store(s + t * step * 4 + 2 * SIZE, g, mask=inside)
            tl.store(s + t * step * 4 + 3 * SIZE, o, mask=inside)
            tl.store(c_of + t * step, state, mask=inside)


@triton.jit(do_not_specialize=["begin", "end", "steps", "batch"])
def backward(
    A, H, C, S, U, D, N, carried, counts, begin, end, steps, batch, programs, along, across, apart,
    G: tl.constexpr, SIZE: tl.constexpr, K: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr, FULL: tl.constexpr,
    PARTS: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """The same steps back, counted from the last: D (steps + 1, batch, G, SIZE), derivatives of the loss by the products of U.

    A (steps, batch, SIZE): those by H from above. D's last is zeros. N (steps, batch, SIZE): those by what the input adds
    to n (gated). carried (batch, SIZE), float32: what passes to the step before beside the products, read and left there.
    AHEAD: gates of which D is read before the first of them is multiplied.
    """
    m, n, rows, units, inside, step = _place(batch, ROWS, COLUMNS, SIZE, FULL)
    one, there = m * SIZE + n, rows * SIZE + units
    count = counts + tl.program_id(0) * 32
    if G == 1:
        k = tl.arange(0, K)[None, :]
        unit = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[:, None]
        W = (tl.load(U + unit * across + k * along, mask=(unit < SIZE) & (k < SIZE), other=0.0),)
        X = D + rows * SIZE + k
    else:
        # A gate's matrix has too few lines for the large matrix units; each warp sums over a part.
        part = tl.arange(0, PARTS)[:, None, None] * (K // PARTS)
        kw = part + tl.arange(0, K // PARTS)[None, :, None]
        k = part + tl.arange(0, K // PARTS)[None, None, :]
        X = D + rows[None, :, :] * (SIZE * G) + k
        U += kw * along + n[None, :, :] * across
        valid = (n[None, :, :] < SIZE) & (kw < SIZE)
        W = (tl.load(U, mask=valid, other=0.0),)
        for gate in tl.static_range(1, G):
            W += (tl.load(U + gate * apart, mask=valid, other=0.0),)
        carry = tl.load(carried + there)
    A, N, D, s = A + there, N + one, D + m * (SIZE * G) + n, S + rows * (SIZE * 4) + units
    H, C = H + there, C + there
    if G == 1:
        # As forwards, read a step before.
        above = tl.load(A + (steps - 1 - begin) * step).to(tl.float32)
        slope = tl.load(H + (steps - begin) * step).to(tl.float32)
        slope = 1 - slope * slope
    for back in tl.range(begin, end, num_stages=1):
        t = steps - 1 - back
        if G == 1:
            before = tl.maximum(t - 1, steps - end)
            next_above, next_h = tl.load(A + before * step), tl.load(H + (before + 1) * step)
        else:
            above = tl.load(A + t * step).to(tl.float32)
            s0 = tl.load(s + t * step * 4).to(tl.float32)
            s1 = tl.load(s + t * step * 4 + SIZE).to(tl.float32)
            s2 = tl.load(s + t * step * 4 + 2 * SIZE).to(tl.float32)
            s3 = tl.load(s + t * step * 4 + 3 * SIZE).to(tl.float32)
        # What each derivative is times of those to come.
        if G == 3:
            h = tl.load(H + t * step).to(tl.float32)
            to_new = (1 - s1) * (1 - s2 * s2)
            to_r, to_update, to_u = to_new * s3 * s0 * (1 - s0), (h - s2) * s1 * (1 - s1), to_new * s0
            above += carry
        if G == 4:
            squashed = _tanh(tl.load(C + (t + 1) * step))
            to_i, to_f = s2 * s0 * (1 - s0), tl.load(C + t * step) * s1 * (1 - s1)
            to_g, to_o = s0 * (1 - s2 * s2), squashed * s3 * (1 - s3)
            to_state = s3 * (1 - squashed * squashed)
        where, d = X + (t + 1) * step * G, D + t * step * G
        _wait(count, (back - begin) * programs)
        if G == 1:
            total = above + _times(W[0], _state(where, k, SIZE, K))
            tl.store(d, total * slope, mask=inside)
        else:
            xs = (_state(where, k, SIZE, K),)
            for gate in tl.static_range(1, AHEAD):
                xs += (_state(where + gate * SIZE, k, SIZE, K),)
            parts = tl.zeros((PARTS, ROWS, COLUMNS), tl.float32)
            for gate in tl.static_range(G):
                parts = tl.dot(xs[gate], W[gate], parts, input_precision="ieee")
                if gate + AHEAD < G:
                    xs += (_state(where + (gate + AHEAD) * SIZE, k, SIZE, K),)
            total = above + _summed(parts, PARTS, ROWS, COLUMNS)
        if G == 3:
            tl.store(d, total * to_r, mask=inside)
            tl.store(d + SIZE, total * to_update, mask=inside)
            tl.store(d + 2 * SIZE, total * to_u, mask=inside)
        if G == 4:
            carry += total * to_state
            tl.store(d, carry * to_i, mask=inside)
            tl.store(d + SIZE, carry * to_f, mask=inside)
            tl.store(d + 2 * SIZE, carry * to_g, mask=inside)
            tl.store(d + 3 * SIZE, total * to_o, mask=inside)
        _arrive(count)
        if G == 1:
            above, slope = next_above.to(tl.float32), next_h.to(tl.float32)
            slope = 1 - slope * slope
        if G == 3:
            tl.store(N + t * step, total * to_new, mask=inside)
            carry = total * s1
        if G == 4:
            carry = carry * s1
    if G >= 3:
        tl.store(carried + one, carry, mask=inside)
