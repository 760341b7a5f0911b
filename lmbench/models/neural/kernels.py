"""Recurrent layers on a GPU, all steps of a layer in one launch: kernels in Triton for plain cells, gated units and LSTM.

What bounds them, by arithmetic alone (none of it is measured yet). A step is a product of the minibatch's rows with g H² weights, g = 1, 3
or 4 gates, and waits for the step before. For 32 rows and an LSTM of 1,024 units that is 0.27 GFLOP, less than a
microsecond of the matrix units, but 2 g H² = 8.4 MB of weights in bfloat16, which a launch a step brings anew from the second
cache, at several TB a second again one or two microseconds, beside some for the launch itself. One program for some rows
and all units would need to wait for none, but would bring all of these through one multiprocessor, of which 64 bytes a cycle
make about 80 microseconds. So weights stay on chip (Diamos et al. 2016, Persistent RNNs; Pöppel, Beck & Hochreiter
2024, FlashRNN): a program has ROWS rows and COLUMNS units, and holds what these units are computed by, 2 g H COLUMNS bytes, 131 kB for 16
units of that LSTM, in its multiprocessor's shared memory through all steps. What moves is the state: a program reads 2 ROWS H bytes a
step, 33 kB for 16 rows, backwards g times as much, and writes its own units. Then the programs that share rows
wait for each other: two or three trips to the second cache, which is most of what a step is expected to take.

Programs that wait for each other must all run at once. They are launched as a cooperative grid, which a GPU refuses if it
cannot hold it. The same kernels also run a step a launch (``begin``, ``end``), without waiting: so Triton's interpreter,
which runs one program after the other, tries several for the same rows.

Products take numbers as they are stored, bfloat16 in training, and add in float32; what a program keeps of the state is
float32. Few rows and units give eight warps little to share out, so each has a PART of what is summed over.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _tile(U, unit, size, along, across, K: tl.constexpr, PARTS: tl.constexpr, COLUMNS: tl.constexpr):
    """(PARTS, K / PARTS, COLUMNS) of a gate's matrix: along, across: from a number summed over, and from a unit, to the next."""
    part = tl.arange(0, PARTS)[:, None, None] * (K // PARTS)
    k = part + tl.arange(0, K // PARTS)[None, :, None]
    n = unit + tl.arange(0, COLUMNS)[None, None, :]
    return tl.load(U + k * along + n * across, mask=(k < size) & (n < size), other=0.0)


@triton.jit
def _tiles(
    U, unit, size, along, across, apart,
    G: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Those of all gates."""
    tiles = (_tile(U, unit, size, along, across, K, PARTS, COLUMNS),)
    for gate in tl.static_range(1, G):
        tiles += (_tile(U + gate * apart, unit, size, along, across, K, PARTS, COLUMNS),)
    return tiles


@triton.jit
def _rows(X, row, stride, batch, size, K: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr):
    """(PARTS, ROWS, K / PARTS) of a state that other programs wrote: past the first cache, which may hold what was there before."""
    part = tl.arange(0, PARTS)[:, None, None] * (K // PARTS)
    k = part + tl.arange(0, K // PARTS)[None, None, :]
    m = row + tl.arange(0, ROWS)[None, :, None]
    return tl.load(X + m * stride + k, mask=(k < size) & (m < batch), other=0.0, cache_modifier=".cg")


@triton.jit
def _product(x, tile):
    """(ROWS, COLUMNS) float32."""
    return tl.sum(tl.dot(x, tile, input_precision="ieee"), 0)


@triton.jit
def _tanh(x):
    return 2 * tl.sigmoid(2 * x) - 1


@triton.jit
def _wait(count, wanted):
    """Until the programs that share rows have arrived so often."""
    while tl.atomic_add(count, 0, sem="acquire", scope="gpu") < wanted:
        pass
    tl.debug_barrier()


@triton.jit
def _arrive(count):
    tl.debug_barrier()
    tl.atomic_add(count, 1, sem="release", scope="gpu")


@triton.jit(do_not_specialize=["begin", "end", "batch"])
def forward(
    Z, H, C, S, U, b, counts, begin, end, batch, size, programs, along, across, apart,
    G: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Steps begin .. end of a layer; G says of which cell: 1 plain, 3 gated, 4 LSTM.

    Z (steps, batch, G size): what the input adds. H (steps + 1, batch, size), C the same in float32: states, the first
    given. S: as Z, the gates, for the way back (gated: r, z, n and u in a fourth place). b (size): see GruRecurrence.
    """
    row, unit = tl.program_id(0) * ROWS, tl.program_id(1) * COLUMNS
    count = counts + tl.program_id(0) * 32
    m, n = row + tl.arange(0, ROWS)[:, None], unit + tl.arange(0, COLUMNS)[None, :]
    inside = (m < batch) & (n < size)
    one = m * size + n
    step = tl.cast(batch, tl.int64) * size
    W = _tiles(U, unit, size, along, across, apart, G, K, PARTS, COLUMNS)
    if G == 3:
        bias = tl.load(b + n, mask=n < size, other=0.0).to(tl.float32)
        state = tl.load(H + begin * step + one, mask=inside, other=0.0).to(tl.float32)
    if G == 4:
        state = tl.load(C + begin * step + one, mask=inside, other=0.0)
    for t in tl.range(begin, end, num_stages=1):
        z = Z + t * step * G + m * size * G + n
        a = tl.load(z, mask=inside, other=0.0).to(tl.float32)
        if G >= 3:
            a1 = tl.load(z + size, mask=inside, other=0.0).to(tl.float32)
            a2 = tl.load(z + 2 * size, mask=inside, other=0.0).to(tl.float32)
        if G == 4:
            a3 = tl.load(z + 3 * size, mask=inside, other=0.0).to(tl.float32)
        _wait(count, (t - begin) * programs)
        x = _rows(H + t * step, row, size, batch, size, K, PARTS, ROWS)
        if G == 1:
            h = _tanh(a + _product(x, W[0]))
        elif G == 3:
            r, update = tl.sigmoid(a + _product(x, W[0])), tl.sigmoid(a1 + _product(x, W[1]))
            u = _product(x, W[2]) + bias
            new = _tanh(a2 + r * u)
            h = new + update * (state - new)
            state = h
            s = S + t * step * 4 + m * size * 4 + n
            tl.store(s, r, mask=inside)
            tl.store(s + size, update, mask=inside)
            tl.store(s + 2 * size, new, mask=inside)
            tl.store(s + 3 * size, u, mask=inside)
        else:
            i, f = tl.sigmoid(a + _product(x, W[0])), tl.sigmoid(a1 + _product(x, W[1]))
            g, o = _tanh(a2 + _product(x, W[2])), tl.sigmoid(a3 + _product(x, W[3]))
            state = f * state + i * g
            h = o * _tanh(state)
            s = S + t * step * 4 + m * size * 4 + n
            tl.store(s, i, mask=inside)
            tl.store(s + size, f, mask=inside)
            tl.store(s + 2 * size, g, mask=inside)
            tl.store(s + 3 * size, o, mask=inside)
            tl.store(C + (t + 1) * step + one, state, mask=inside)
        tl.store(H + (t + 1) * step + one, h, mask=inside)
        _arrive(count)


@triton.jit(do_not_specialize=["begin", "end", "steps", "batch"])
def backward(
    A, H, C, S, U, D, N, carried, counts, begin, end, steps, batch, size, programs, along, across, apart,
    G: tl.constexpr, K: tl.constexpr, PARTS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The same steps back, counted from the last: D (steps + 1, batch, G, size), derivatives of the loss by the products of U.

    A (steps, batch, size): those by H from above. D's last is zeros. N (steps, batch, size): those by what the input adds
    to n (gated). carried (batch, size), float32: what passes to the step before beside the products, read and left there.
    """
    row, unit = tl.program_id(0) * ROWS, tl.program_id(1) * COLUMNS
    count = counts + tl.program_id(0) * 32
    m, n = row + tl.arange(0, ROWS)[:, None], unit + tl.arange(0, COLUMNS)[None, :]
    inside = (m < batch) & (n < size)
    one = m * size + n
    step = tl.cast(batch, tl.int64) * size
    W = _tiles(U, unit, size, along, across, apart, G, K, PARTS, COLUMNS)
    if G >= 3:
        carry = tl.load(carried + one, mask=inside, other=0.0)
    for back in tl.range(begin, end, num_stages=1):
        t = steps - 1 - back
        above = tl.load(A + t * step + one, mask=inside, other=0.0).to(tl.float32)
        d = D + t * step * G + m * size * G + n
        if G == 1:
            h = tl.load(H + (t + 1) * step + one, mask=inside, other=0.0).to(tl.float32)
        else:
            s = S + t * step * 4 + m * size * 4 + n
            s0 = tl.load(s, mask=inside, other=0.0).to(tl.float32)
            s1 = tl.load(s + size, mask=inside, other=0.0).to(tl.float32)
            s2 = tl.load(s + 2 * size, mask=inside, other=0.0).to(tl.float32)
            s3 = tl.load(s + 3 * size, mask=inside, other=0.0).to(tl.float32)
        if G == 3:
            h = tl.load(H + t * step + one, mask=inside, other=0.0).to(tl.float32)
        if G == 4:
            c = tl.load(C + t * step + one, mask=inside, other=0.0)
            squashed = _tanh(tl.load(C + (t + 1) * step + one, mask=inside, other=0.0))
        _wait(count, (back - begin) * programs)
        later = D + (t + 1) * step * G
        for gate in tl.static_range(G):
            x = _rows(later + gate * size, row, size * G, batch, size, K, PARTS, ROWS)
            above += _product(x, W[gate])
        if G == 1:
            tl.store(d, above * (1 - h * h), mask=inside)
        elif G == 3:
            above += carry
            by_new = above * (1 - s1) * (1 - s2 * s2)
            tl.store(N + t * step + one, by_new, mask=inside)
            tl.store(d, by_new * s3 * s0 * (1 - s0), mask=inside)
            tl.store(d + size, above * (h - s2) * s1 * (1 - s1), mask=inside)
            tl.store(d + 2 * size, by_new * s0, mask=inside)
            carry = above * s1
        else:
            carry += above * s3 * (1 - squashed * squashed)
            tl.store(d, carry * s2 * s0 * (1 - s0), mask=inside)
            tl.store(d + size, carry * c * s1 * (1 - s1), mask=inside)
            tl.store(d + 2 * size, carry * s0 * (1 - s2 * s2), mask=inside)
            tl.store(d + 3 * size, above * squashed * s3 * (1 - s3), mask=inside)
            carry = carry * s1
        _arrive(count)
    if G >= 3:
        tl.store(carried + one, carry, mask=inside)
