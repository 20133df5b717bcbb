"""The numpy formulation of the original software's loop over events, timed on the same frames.

usage: reference.py FILE ROWS COLS loop|quantile|products|chain|job < offsets of frames, one a line
prints the seconds that the loop over all frames (or numpy.quantile of them) took, file reading included
for the loop as in the original.
"""
import io
import sys
import tempfile
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
    seconds = time.perf_counter() - begin
    return seconds, (sum0, sum1, sum2, sta_lo, sta_hi, arr_max, arr_min)


def quantile(path, offsets, rows, cols):
    block = np.array([f & 0x3fff for f in frames(path, offsets, rows, cols)])
    begin = time.perf_counter()
    np.quantile(block, [0.05, 0.5, 0.95], axis=0)
    return time.perf_counter() - begin


def products(path, offsets, rows, cols):
    """From the sums of a panel to the text of pedestals, rms and status."""
    rng = np.random.default_rng(16)
    sum0 = rng.integers(900, 1000, (rows, cols)).astype(np.uint64)
    mean = 1000 + rng.integers(0, 100000, (rows, cols)) / 100
    sum1 = np.floor(mean * sum0)
    sum2 = np.floor((mean * mean + 9 + 9 * rng.random((rows, cols))) * sum0)
    begin = time.perf_counter()
    ave = sum1 / sum0
    rms = np.sqrt(sum2 / sum0 - np.square(ave))
    status = np.zeros((rows, cols), np.uint64)
    for arr, bits, lo, hi in ((rms, (1, 2), 0.001, 16000), (ave, (16, 32), 1, 16000)):
        centre, spread = arr.mean(), arr.std()
        status += np.select((arr > min(centre + 6 * spread, hi),), (bits[0],), 0).astype(np.uint64)
        status += np.select((arr < max(centre - 6 * spread, lo),), (bits[1],), 0).astype(np.uint64)
    text = io.BytesIO()
    for arr, form in ((ave, '%.3f'), (rms, '%.3f'), (status, '%d')):
        np.savetxt(text, arr, fmt=form)
    return time.perf_counter() - begin


def judge(sums, frames):
    """Averages, rms and status of a panel from its sums."""
    sum0, sum1, sum2, sta_lo, sta_hi = sums[:5]
    ave = np.divide(sum1, sum0, out=np.zeros_like(sum1), where=sum0 > 0)
    rms = np.sqrt(np.divide(sum2, sum0, out=np.zeros_like(sum2), where=sum0 > 0) - np.square(ave))
    status = np.zeros(ave.shape, np.uint64)
    for arr, bits, lo, hi in ((rms, (1, 2), 0.001, 16000), (ave, (16, 32), 1, 16000)):
        centre, spread = arr.mean(), arr.std()
        status += np.select((arr > min(centre + 6 * spread, hi),), (bits[0],), 0).astype(np.uint64)
        status += np.select((arr < max(centre - 6 * spread, lo),), (bits[1],), 0).astype(np.uint64)
    allowed = int(0.1 * (frames - 1))
    status += np.select((sta_hi > allowed,), (4,), 0).astype(np.uint64) + np.select((sta_lo > allowed,), (8,), 0).astype(np.uint64)
    return ave, rms, status


def job(path, offsets, rows, cols):
    """From the frames of a panel in one gain to the text of its status: what a job does with each."""
    begin = time.perf_counter()
    _, sums = loop(path, offsets, rows, cols)
    np.savetxt(io.BytesIO(), judge(sums, len(offsets))[2], fmt='%d')
    return time.perf_counter() - begin


def chain(path, offsets, rows, cols):
    """From the frames of a panel in one gain to five types in two databases: text of the panel, which is read again, text of
    all gains and of all panels, and bytes that are written twice and read back."""
    begin = time.perf_counter()
    _, sums = loop(path, offsets, rows, cols)
    arr_max, arr_min = sums[5:]
    ave, rms, status = judge(sums, len(offsets))
    with tempfile.TemporaryDirectory() as folder:
        for name, arr, form, kind in (('pedestals', ave, '%.3f', np.float32), ('rms', rms, '%.3f', np.float32), ('status', status, '%d', np.uint64),
                                      ('max', arr_max, '%d', np.uint64), ('min', arr_min, '%d', np.uint64)):
            np.savetxt(folder + '/' + name, arr, fmt=form)
            again = np.loadtxt(folder + '/' + name, dtype=np.float32)
            for merged in ('gains', 'panels'):
                np.savetxt(folder + '/' + name + merged, again, fmt=form)
            raw = again.astype(kind).tobytes()
            for database in ('experiment', 'detector'):
                with open(folder + '/' + name + database, 'wb') as f:
                    f.write(raw)
                with open(folder + '/' + name + database, 'rb') as f:
                    assert f.read() == raw
    return time.perf_counter() - begin


def main():
    path, rows, cols, what = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    offsets = [int(line) for line in sys.stdin]
    took = {'loop': loop, 'quantile': quantile, 'products': products, 'chain': chain, 'job': job}[what](path, offsets, rows, cols)
    print(took[0] if what == 'loop' else took)


main()
