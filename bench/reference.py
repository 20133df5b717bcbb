"""The numpy formulation of the original software's loop over events, timed on the same frames.

usage: reference.py FILE ROWS COLS loop|quantile < offsets of frames, one a line
prints the seconds that the loop over all frames (or numpy.quantile of them) took, file reading included
for the loop as in the original.
"""
import sys
import time

import numpy as np


def frames(path, offsets, rows, cols):
    with open(path, 'rb') as f:
        for offset in offsets:
            f.seek(offset)
            yield np.frombuffer(f.read(2 * rows * cols), dtype=np.uint16).reshape(rows, cols)


def loop(path, offsets, rows, cols):
    """Gated sums, counts beyond limits, extremes: what the dark processing does with each event."""
    shape, bits, int_lo, int_hi = (rows, cols), 0x3fff, 1, 16000
    block = np.array([f & bits for f in frames(path, offsets[:50], rows, cols)])
    gate_lo = np.quantile(block, 0.05, axis=0, method='lower').astype(np.uint16)
    gate_hi = np.quantile(block, 0.95, axis=0, method='higher').astype(np.uint16)
    ones = np.ones(shape, dtype=np.uint64)
    sum0, sum1, sum2 = np.zeros(shape, np.uint64), np.zeros(shape), np.zeros(shape)
    sta_lo, sta_hi = np.zeros(shape, np.uint64), np.zeros(shape, np.uint64)
    arr_max, arr_min = np.zeros(shape, np.uint16), np.full(shape, 0xffff, np.uint16)
    begin = time.perf_counter()
    for f in frames(path, offsets, rows, cols):
        raw = f & bits
        inside = (np.logical_not(np.logical_or(raw < gate_lo, raw > gate_hi)),)
        value = raw.astype(np.float64)
        sum0 += np.select(inside, (ones,), 0)
        sum1 += np.select(inside, (value,), 0)
        sum2 += np.select(inside, (np.square(value),), 0)
        sta_lo += np.select((raw < int_lo,), (ones,), 0)
        sta_hi += np.select((raw > int_hi,), (ones,), 0)
        np.maximum(arr_max, raw, out=arr_max)
        np.minimum(arr_min, raw, out=arr_min)
    return time.perf_counter() - begin


def quantile(path, offsets, rows, cols):
    block = np.array([f & 0x3fff for f in frames(path, offsets, rows, cols)])
    begin = time.perf_counter()
    np.quantile(block, [0.05, 0.5, 0.95], axis=0)
    return time.perf_counter() - begin


def main():
    path, rows, cols, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    offsets = [int(line) for line in sys.stdin]
    print({'loop': loop, 'quantile': quantile}[what](path, offsets, rows, cols))


main()
