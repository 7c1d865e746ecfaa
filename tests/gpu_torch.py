"""PyTorch's scaled_dot_product_attention on the problems of gpu_bench, in the same columns.

    build/cuda/tests/gpu_bench shapes | python3 tests/gpu_torch.py [--seconds S] [--device cpu]

Every backend is timed as gpu_bench times a kernel: checked first, warm, all in turn, the cache
emptied before each run, by the device's clock. bf16 for the tensor cores, and float32. Exits with 4
where there is no torch or no GPU, with 1 if a result was wrong.
"""

import argparse
import csv
import statistics
import sys
import time

try:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.nn.functional import scaled_dot_product_attention as sdpa
except ImportError as error:
    print("gpu_torch: no PyTorch:", error, file=sys.stderr)
    sys.exit(4)

BACKENDS = {"math": "MATH", "efficient": "EFFICIENT_ATTENTION", "flash": "FLASH_ATTENTION",
            "cudnn": "CUDNN_ATTENTION"}
TYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
BOUNDS = {"bf16": 2e-2, "fp32": 1e-4}  # of the error of a row's vector over its length
HEADER = ("what,B,H,G,N,M,D,mask,kernel,type,rounds,median_ms,min_ms,max_ms,"
          "tflops,gbs,off,status").split(",")
MOST_ROUNDS = 15
failed = False


class Clock:
    """Milliseconds of one call, with nothing of it in the cache before."""

    def __init__(self, device):
        self.cuda = device == "cuda"
        megabytes = 256 if self.cuda else 1
        self.flushed = torch.empty(megabytes << 20, dtype=torch.uint8, device=device)

    def __call__(self, work):
        self.flushed.zero_()
        if not self.cuda:
            began = time.perf_counter()
            work()
            return (time.perf_counter() - began) * 1e3
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)


def attend(problem, backend, q, k, v):
    grouped = {"enable_gqa": True} if problem["H"] != problem["G"] else {}
    with sdpa_kernel([getattr(SDPBackend, BACKENDS[backend])]):
        return sdpa(q, k, v, is_causal=problem["mask"] == "causal", **grouped)


def reference(problem, q, k, v):
    """The first and the last 8 queries of the last head of the last sequence, in float64."""
    b, h = problem["B"] - 1, problem["H"] - 1
    g = h // (problem["H"] // problem["G"])
    rows = sorted({i for n in range(8) for i in (n, q.shape[2] - 1 - n) if 0 <= i < q.shape[2]})
    scores = q[b, h, rows].double() @ k[b, g].double().T / problem["D"] ** 0.5
    if problem["mask"] == "causal":
        seen = torch.arange(k.shape[2], device=q.device)[None, :]
        scores = scores.masked_fill(seen > torch.tensor(rows, device=q.device)[:, None],
                                    float("-inf"))
    return rows, torch.softmax(scores, -1) @ v[b, g].double()


def error_of(problem, out, answer):
    rows, ref = answer
    got = out[problem["B"] - 1, problem["H"] - 1, rows].double()
    whole = bool(torch.isfinite(out).all())
    return float((got - ref).norm() / ref.norm()) if whole else float("nan")


def summarise(row, samples, flops, size):
    """A row of the table. The columns stay empty where nothing was measured."""
    row.update(dict.fromkeys(HEADER[10:17], ""), rounds=len(samples))
    if samples:
        median = statistics.median(samples)
        row.update(median_ms=f"{median:.5f}", min_ms=f"{min(samples):.5f}",
                   max_ms=f"{max(samples):.5f}", tflops=f"{flops / median * 1e-9:.3f}",
                   gbs=f"{size / median * 1e-6:.1f}")
    return row


def fits(problem, backend, size, device):
    """math keeps all scores, a copy or two of them, in memory."""
    scores = problem["B"] * problem["H"] * problem["N"] * problem["M"]
    room = torch.cuda.mem_get_info()[0] if device == "cuda" else 4 << 30
    return backend != "math" or 4 * size * scores < room


def first_run(problem, backend, tensors, answer, clock, kind):
    """What the backend says to this problem: (status, error, rounds to time)."""
    global failed
    try:
        off = error_of(problem, attend(problem, backend, *tensors), answer)
        ms = clock(lambda: attend(problem, backend, *tensors))
    except RuntimeError as error:  # "No available kernel", or too little memory
        if clock.cuda and "CUDA error" in str(error):
            raise
        return "not supported", "", 0
    good = off <= BOUNDS[kind]
    failed = failed or not good
    rounds = 1 if ms > 700 else 3 if ms > 100 else MOST_ROUNDS
    return ("ok" if good else "wrong"), f"{off:.2g}", rounds


def time_problem(problem, kind, device, clock, writer):
    shape = lambda heads, n: (problem["B"], heads, n, problem["D"])
    new = lambda *s: torch.randn(*s, device=device).to(TYPES[kind])
    tensors = (new(*shape(problem["H"], problem["N"])), new(*shape(problem["G"], problem["M"])),
               new(*shape(problem["G"], problem["M"])))
    answer = reference(problem, *tensors)
    said = {b: first_run(problem, b, tensors, answer, clock, kind)
            if fits(problem, b, tensors[0].element_size(), device) else ("no room", "", 0)
            for b in BACKENDS}
    samples = {b: [] for b in BACKENDS}
    for turn in range(MOST_ROUNDS if clock.cuda else 1):
        for b in BACKENDS:
            if turn < said[b][2]:
                samples[b].append(clock(lambda: attend(problem, b, *tensors)))
    part = 2 if problem["mask"] == "causal" else 4
    flops = part * problem["B"] * problem["H"] * problem["N"] * problem["M"] * problem["D"]
    size = sum(t.numel() * t.element_size() for t in tensors[1:]) if problem["N"] == 1 else 0
    for b in BACKENDS:
        row = summarise(dict(problem, kernel="torch " + b, type=kind), samples[b], flops, size)
        writer.writerow(dict(row, off=said[b][1], status=said[b][0]))
    sys.stdout.flush()


def time_limit(kind, device, clock, writer):
    """A matrix product: what the chip reaches in this process."""
    n = 8192 if clock.cuda else 64
    a, b = (torch.randn(n, n, device=device).to(TYPES[kind]) for _ in range(2))
    samples = [clock(lambda: a @ b) for _ in range(MOST_ROUNDS + 2)][2:]
    row = dict.fromkeys(HEADER, "")
    row.update(what="limit", N=n, kernel="torch matmul", type=kind, status="ok")
    row = summarise(row, samples, 2 * n ** 3, 0)
    writer.writerow(row)


def read_problems():
    for row in csv.DictReader(sys.stdin):
        yield {name: int(text) if text.isdigit() else text for name, text in row.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--device", default="cuda")
    flags = parser.parse_args()
    if flags.device == "cuda" and not torch.cuda.is_available():
        print("gpu_torch: this PyTorch", torch.__version__, "sees no GPU", file=sys.stderr)
        sys.exit(4)
    began = time.monotonic()
    print("gpu_torch: PyTorch", torch.__version__, file=sys.stderr)
    torch.manual_seed(7)
    clock = Clock(flags.device)
    writer = csv.DictWriter(sys.stdout, HEADER, lineterminator="\n")
    writer.writeheader()
    for kind in TYPES:
        time_limit(kind, flags.device, clock, writer)
    for problem in read_problems():
        for kind in TYPES:
            if time.monotonic() - began > flags.seconds:
                print("gpu_torch: out of time", file=sys.stderr)
                return
            time_problem(problem, kind, flags.device, clock, writer)


main()
sys.exit(1 if failed else 0)
