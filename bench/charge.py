"""Times the transcription of the original's charge-injection rules on the frames of one step.

usage: charge.py FOLDER-OF-ci_stream.py FRAMES ROWS COLS ROW COL SPACE GAINBIT DATABITS
prints the seconds that the counting of the pulsed pixels took; frames are in memory, as for ours.
"""
import sys
import time

import numpy as np

sys.path.insert(0, sys.argv[1])
import ci_stream

rows, cols, row, col, space, gainbit, databits = (int(a) for a in sys.argv[3:])
frames = np.fromfile(sys.argv[2], dtype='<u2').reshape(-1, rows, cols)
blocks = frames[:, row::space, col::space]
step = ci_stream.Step(blocks[0].size, gainbit, databits)
begin = time.perf_counter()
for k in range(len(blocks)):
    step.feed(k, blocks[k])
print(time.perf_counter() - begin)
