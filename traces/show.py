"""What the notebooks share: run a chapter's program, look at its trace, hold it against NumPy.

The arithmetic is always the C programs'. In a notebook:

    t = run("02_masking --mask window=1", "window")   # says the command, keeps every step of it
    t.show("scores", "weights")                       # steps as the program prints them
    t.heat(), t.draw("online"), masks(window=t)       # as pictures: plots/trace.sh lists them
    t["q"], t["h1.q"], t["p1.b0.h0.weights"]          # steps as arrays; t.heads("q") has all heads
    stats("02_masking", "flops|scratch")              # what it counts
    compare(t, u)                                     # two traces, by the project's own comparer
    agree(t["output"], mine, q, k, v)                 # is mine within the bound? no digits
    shell("build/cpu/02_masking --help")              # any command, and what it prints
    figure("scratch")                                 # a figure of docs/PLOTS.md

Steps come as float64, exactly the program's float32 numbers: a check should be finer than what it
checks.
"""

import pathlib
import re
import struct
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEPT = "build/notebooks" # below ROOT: what a command says of folders is the same everywhere
(ROOT / KEPT).mkdir(parents=True, exist_ok=True)
np.set_printoptions(precision=4, suppress=True, linewidth=100)


class Refused(RuntimeError):
    """A command ended badly. What it had to say stands in the message."""


def finished(*command):
    """Runs a command in the project's root: exit status, what it printed, what it complained."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout, done.stderr


def shell(command):
    """Says a shell command and prints what it prints; stops the notebook where it fails."""
    print("$ " + command)
    code, out, complaint = finished("sh", "-c", command)
    print(out + complaint, end="")
    if code:
        raise Refused(f"exit status {code}: {command}\n{complaint}")


def stats(flags, which=""):
    """What a chapter's program counts: all but the clock, or the lines that match which."""
    lines = f"grep -E '{which}'" if which else "grep -v seconds"
    shell(f"build/cpu/{flags} --print none --stats | {lines}")


def run(flags, name, device="cpu"):
    """Runs a chapter's program and keeps every step of it in build/notebooks/NAME."""
    shell(f"build/{device}/{flags} --print none --trace {KEPT}/{name}")
    return Trace(f"{KEPT}/{name}", f"build/{device}/{flags}")


class Trace:
    """The folder that a run filled, and the command that did (docs/TRACES.md)."""

    def __init__(self, folder, command):
        self.folder, self.command = folder, command

    def __getitem__(self, step):
        """A step of batch 0, of head 0 unless it says another, the passes under each other."""
        if re.match(r"p\d+\.", step):
            files = [ROOT / self.folder / f"{step}.npy"]
        else:
            head = "" if re.match(r"h\d+\.", step) else "h0."
            files = sorted((ROOT / self.folder).glob(f"p*.b0.{head}{step}.npy"),
                           key=lambda file: int(file.name[1:].split(".")[0]))
        if not files or not files[0].exists():
            raise KeyError(f"{step}: the trace of {self.command} has no such step")
        return np.concatenate([np.load(file).astype(np.float64) for file in files])

    def heads(self, step):
        """A step of all heads that have it: [H, rows, columns], or [G, ...] of K and V."""
        count = len(list((ROOT / self.folder).glob(f"p0.b0.h*.{step}.npy")))
        return np.stack([self[f"h{h}.{step}"] for h in range(count)])

    def show(self, *steps):
        """Prints steps as the program does: "weights", "h1.weights", "p1.b0.h0.weights"."""
        text = (ROOT / self.folder / "trace.txt").read_text()
        parts = re.split(r"^(?=== )", text, flags=re.M)
        shown = [part.rstrip("\n") for part in parts if is_step(part, steps)]
        if not shown:
            raise KeyError(f"{' '.join(steps)}: the trace of {self.command} has no such step")
        print("\n\n".join(shown))

    def draw(self, kind):
        """heat, blocks or online: a picture; plots/trace.sh says in its first lines of what."""
        return draw(kind, f"{self.folder}.{kind}.png", self.command, self.folder)

    def heat(self):
        """All heads' weights, the passes of a cached run under each other."""
        return self.draw("heat")


def is_step(part, steps):
    """Does a part of trace.txt begin with the heading of one of these steps?"""
    name = part[len("== "):].split(" ")[0]
    return any(name == step or name.endswith("." + step) for step in steps)


def masks(**traces):
    """Which keys may be seen, a panel a trace: masks(window=t, prefix=u)."""
    panels = [word for title, trace in traces.items() for word in (trace.folder, title)]
    return draw("masks", f"{KEPT}/masks.png", "build/cpu/02_masking", *panels)


def draw(kind, out, *words):
    """What plots/trace.sh draws."""
    code, _, complaint = finished("sh", "plots/trace.sh", kind, out, *words)
    return picture(out, code, complaint)


def picture(file, code, complaint):
    """A PNG, drawn at twice the size it is shown in; without gnuplot, a line that says so."""
    if code == 4: # no gnuplot: the page goes on without
        print(complaint, end="")
        return None
    if code:
        raise Refused(complaint)
    from IPython.display import Image
    data = (ROOT / file).read_bytes()
    width = struct.unpack(">I", data[16:20])[0] # a PNG's first chunk begins with its size
    return Image(data, width=width // 2)


def figure(name):
    """A figure of docs/PLOTS.md, drawn now from its committed table."""
    code, _, complaint = finished("sh", "plots/draw.sh", "--into", KEPT, name)
    return picture(f"build/plots/{name}.png", code, complaint)


def compare(a, b, brief=False):
    """Two traces, step by step. Where they differ: in which step first, but by which digits not,
    since the last ones are the processor's. brief: the verdict alone."""
    command = f"build/tests/compare {a.folder} {b.folder}"
    print("$ " + command)
    _, out, complaint = finished(*command.split())
    for line in (out + complaint).splitlines():
        if brief:
            line = line.split(" ")[0] if re.match(r"BIT-EXACT|FAIL", line) else ""
        if re.match(r"only in|BIT-EXACT|FAIL|compare:", line):
            print(re.sub(r", worst at .*", "", line))


def near(a, b, flags, lucky=False):
    """Two traces whose sums were added in another order: is the first near enough to float64?
    flags: those of a, which the float64 reference must know. Only the verdict is printed. lucky:
    few or simple numbers, of which a processor may hit the same bits, and another not."""
    print(f'$ sh tests/near.sh {a.folder} {b.folder} "{flags}"')
    _, out, complaint = finished("sh", "tests/near.sh", a.folder, b.folder, flags)
    verdict = (out + complaint).splitlines()[-1]
    verdict = verdict.split(" ")[0]
    print("within the bound" if lucky and verdict != "FAIL" else verdict)


def bound(q, k, v, scale=None):
    """How far one float32 run may be from the exact answer: docs/TESTING.md, "The bounds"."""
    D, M = q.shape[-1], k.shape[-2]
    scale = 1 / np.sqrt(D) if scale is None else scale
    A = (np.abs(scale) * np.abs(q) @ np.abs(k).swapaxes(-1, -2)).max()
    return 2.0**-23 * ((D + 6) * A + M + 5) * np.abs(v).max()


def agree(ours, mine, q, k, v, scale=None):
    """Says whether the program's output is within the bound of an output computed here."""
    if ours.shape != mine.shape:
        print(f"DIFFERS: shape {ours.shape} here, {mine.shape} there")
    elif np.abs(ours - mine).max() <= bound(q, k, v, scale): # NaN is not
        print("agrees within the bound")
    else:
        print("DIFFERS by more than the bound")
