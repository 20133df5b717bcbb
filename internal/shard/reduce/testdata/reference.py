"""The rules of profiles data and dark in numpy, written from the specification alone.

usage: reference.py DIR
DIR/job.json has profile, parameters and the number of panels; DIR/frames<i>.npy the frames (N, rows, cols)
of panel i. Leaves DIR/<plane><i>.npy, DIR/status<i>.npy and DIR/limits.json.
"""
import json
import math
import sys

import numpy as np

d = sys.argv[1]
job = json.load(open(d + "/job.json"))
par = job["params"]
dark = par["profile"] == "dark"

panels = []
for i in range(job["panels"]):
    frames = np.load(f"{d}/frames{i}.npy")
    y = (frames & np.uint16(par["databits"])).astype(np.int64)
    n = len(y)
    p = {"n": n}
    if dark:
        block = np.sort(y[: par["gate_frames"]], axis=0)
        m = len(block)
        lo = block[int(math.floor(par["fraclo"] * (m - 1)))].astype(np.float64)
        hi = block[int(math.ceil(par["frachi"] * (m - 1)))].astype(np.float64)
        lo = np.trunc(np.maximum(lo, par["int_lo"]))
        hi = np.trunc(np.minimum(hi, par["int_hi"]))
        hi = np.where(hi > lo, hi, hi + 1)
        lo, hi = np.maximum(lo, par["int_lo"]), np.minimum(hi, par["int_hi"])
        inside = (y >= lo) & (y <= hi)
        p["gate_lo"], p["gate_hi"] = lo.astype(np.uint16), hi.astype(np.uint16)
        p["sum0"] = inside.sum(axis=0).astype(np.uint32)
    else:
        inside = np.ones_like(y, dtype=bool)
    counted = np.ones_like(y, dtype=bool)
    if job["gain"]:
        bits, want, never = job["gain"]
        p["gain_odd"] = ((frames & bits) != want).sum(axis=0).astype(np.uint32)
        if never:
            p["gain_never"] = ((frames & bits) == never).sum(axis=0).astype(np.uint32)
        if not dark:
            counted = inside = (frames & bits) == want
            p["sum0"] = inside.sum(axis=0).astype(np.uint32)
    s0 = inside.sum(axis=0)
    p["sum1"] = (y * inside).sum(axis=0).astype(np.uint64)
    p["sum2"] = (y * y * inside).sum(axis=0).astype(np.uint64)
    p["n_lo"] = (counted & (y < par["int_lo"])).sum(axis=0).astype(np.uint32)
    p["n_hi"] = (counted & (y > par["int_hi"])).sum(axis=0).astype(np.uint32)
    p["min"], p["max"] = np.where(counted, y, 0xffff).min(axis=0).astype(np.uint16), np.where(counted, y, 0).max(axis=0).astype(np.uint16)
    p["judged"] = (np.full_like(s0, n) if dark else s0) >= par["min_frames"]
    one = np.maximum(s0, 1)
    p["ave"] = np.where(s0 > 0, p["sum1"].astype(np.float64) / one, 0.0)
    p["rms"] = np.where(s0 > 0, np.sqrt(p["sum2"].astype(np.float64) / one - p["ave"] * p["ave"]), 0.0)
    panels.append(p)


def limits(name, nneg, npos, lim_lo, lim_hi, chosen):
    v = np.concatenate([p[name][p["judged"]].ravel() for p in chosen])
    mean, std = v.mean(), v.std()
    lo = max(mean - nneg * std, lim_lo) if nneg > 0 else lim_lo
    hi = min(mean + npos * std, lim_hi) if npos > 0 else lim_hi
    return lo, hi, mean, std


judged = [p for p in panels if p["n"] >= par["min_frames"]]
out = []
for group in [judged] if par["limits_per"] == "detector" else [[p] for p in judged]:
    rlo, rhi, rmean, rstd = limits("rms", par["rmsnlo"], par["rmsnhi"], par["rms_lo"], par["rms_hi"], group)
    alo, ahi, amean, astd = limits("ave", par["intnlo"], par["intnhi"], par["int_lo"], par["int_hi"], group)
    out.append({"rms": [rlo, rhi, rmean, rstd], "ave": [alo, ahi, amean, astd]})
    for p in group:
        nevlm = int(par["fraclm"] * (p["n"] - 1 if dark else p["n"]))
        gain = {"expected": "gain_odd", "impossible": "gain_never"}.get(par.get("gain_rule", ""))
        gain = (p[gain] > 0) * 64 if gain in p else 0
        p["status"] = np.where(p["judged"], gain + (p["rms"] > rhi) * 1 + (p["rms"] < rlo) * 2 + (p["n_hi"] > nevlm) * 4 + (p["n_lo"] > nevlm) * 8
                       + (p["ave"] > ahi) * 16 + (p["ave"] < alo) * 32, 2048).astype(np.uint64)

for i, p in enumerate(panels):
    if p["n"] < par["min_frames"]:
        p["status"] = np.full(p["sum1"].shape, 2048, dtype=np.uint64)
    for name, a in p.items():
        if isinstance(a, np.ndarray):
            np.save(f"{d}/{name}{i}.npy", a)
json.dump(out, open(d + "/limits.json", "w"))
