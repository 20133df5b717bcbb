"""packed.py TYPE IN OUT: stored bytes of a panel to little-endian uint16 pixels, by the rules in words."""
import sys

import numpy as np


def epixuhr(src):
    words = np.zeros((1008, 32), np.uint16)
    lanes = src.reshape(6048, 8)
    for lane in range(8):
        b = lanes[:, lane].reshape(1008, 6)[:, ::-1].astype(np.uint16)
        four = np.stack([b[:, 0] << 4 | b[:, 1] >> 4, (b[:, 1] & 15) << 8 | b[:, 2],
                         b[:, 3] << 4 | b[:, 4] >> 4, (b[:, 4] & 15) << 8 | b[:, 5]], axis=1)
        words[:, 4 * lane:4 * lane + 4] = four[:, ::-1]
    clusters = np.arange(72)
    left = clusters[:36].reshape(12, 3)
    right = clusters[36:].reshape(12, 3)[:, ::-1]
    cluster = np.hstack([left, right]).ravel()
    columns = np.concatenate([14 * cluster + n for n in range(14)]).reshape(168, 6)
    lanemap = np.hstack([2 * columns, 2 * columns + 1]).ravel()
    out = np.zeros((168, 192), np.uint16)
    for c in range(16):
        s = words[:, 2 * c:2 * c + 2].ravel()[lanemap].reshape(168, 12)
        out[:, 12 * c:12 * c + 12] = s[::-1]
    return out >> 1 | (out & 1) << 11


def epixuhr3x2(src):
    a = src.view("<u2").reshape(6, 168, 192) & 0x0fff
    return np.vstack([np.hstack([np.fliplr(a[i]) for i in range(3)]), np.hstack([np.flipud(a[i]) for i in range(3, 6)])])


typ, source, target = sys.argv[1:]
globals()[typ](np.fromfile(source, np.uint8)).astype("<u2").tofile(target)
