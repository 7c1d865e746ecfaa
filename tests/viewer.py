"""make viewer-check: clicks through the trace viewer in a real browser.

    python3 tests/viewer.py FOLDER [PART]...

FOLDER is build/viewer, as make viewer wrote it of the usual runs; PART one of the functions below. Headless Chromium, by selenium,
moves the slider, points, clicks, types, and looks at what the page says and paints; every cell of
every trace is computed once more; foreign traces (names that are markup, NaN, a trace of an older
program, more columns than a screen) are shown too. One `ok - ` or `not ok - ` line a check, the last
line counts them. Exit: 0, 1 something is wrong, 4 no browser.
"""

import contextlib
import csv
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = os.environ.get("VIEWER_BUILD", "traces/viewer/build.sh")  # tests/viewer.sh has wrong ones, too
sys.path.insert(0, str(ROOT / "docs" / "book"))
import check as browser_check  # the book's: how a browser is started, contrast, width

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

passed = failed = 0


def check(name, good, said=""):
    global passed, failed
    passed, failed = passed + bool(good), failed + (not good)
    print(f"ok - {name}" if good else f"not ok - {name}: {said}", flush=True)


class Page:
    """The viewer as a reader has it: eyes, a pointer, keys."""

    def __init__(self, browser, folder):
        self.browser, self.folder = browser, folder
        self.url = (folder / "index.html").resolve().as_uri()

    def open(self, address="", width=1280):
        browser_check.set_width(self.browser, width)
        self.browser.get("about:blank")
        self.browser.get(f"{self.url}#{address}")

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def trace(self, *words):
        """The first trace whose name has all these words, by its number."""
        names = self.run("return viewer.traces.map((t) => t.name)")
        return next(i for i, name in enumerate(names) if all(w in name.split() for w in words))

    def go(self, a, step=0, b=None, head=0):
        names = self.run("return viewer.traces.map((t) => t.name)")
        self.run("viewer.set({ a: arguments[0], b: arguments[1], at: arguments[2], head: arguments[3], "
                 "batch: 0, cell: null, locked: false })", a, -1 if b is None else b, step, head)
        return names[a]

    def step_named(self, word, pass_=0):
        return self.run("return viewer.moments.findIndex((m) => m.name === arguments[0] && "
                        "m.pass === arguments[1])", word, pass_)

    def text(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector).text

    def canvas(self, panel):
        return self.run("return viewer.views.get(arguments[0]).canvas", panel)

    def pointer(self, panel, i, j, click=False):
        """Moves the pointer to a cell's middle, and clicks."""
        canvas = self.canvas(panel)
        self.run("arguments[0].scrollIntoView({ block: 'center' })", canvas)
        x, y = self.run("return viewer.views.get(arguments[0]).middleOf(arguments[1], arguments[2])", panel, i, j)
        box = canvas.size
        chain = ActionChains(self.browser).move_to_element_with_offset(
            canvas, round(x - box["width"] / 2), round(y - box["height"] / 2))
        (chain.click() if click else chain).perform()

    def away(self):
        heading = self.browser.find_element(By.TAG_NAME, "h1")
        self.run("arguments[0].scrollIntoView({ block: 'center' })", heading)
        ActionChains(self.browser).move_to_element(heading).perform()

    def type(self, key):
        ActionChains(self.browser).send_keys(key).perform()

    def lit(self, panel):
        """Cells of a matrix that lie in a yellow frame, as the page has it on the screen."""
        return [tuple(cell) for cell in self.run("""
            const view = viewer.views.get(arguments[0]), { n, m } = view.matrix, { x, y } = view.canvas.getBoundingClientRect();
            const frames = [...view.figure.querySelectorAll(".frame")].filter((f) =>
                getComputedStyle(f).borderTopColor === "rgb(255, 196, 0)").map((f) => f.getBoundingClientRect());
            const lit = [];
            for (let i = 0; i < n; i++)
                for (let j = 0; j < m; j++) {
                    const [cx, cy] = view.middleOf(i, j);
                    if (frames.some((f) => f.left < x + cx && x + cx < f.right && f.top < y + cy && y + cy < f.bottom))
                        lit.push([i, j]);
                }
            return lit;""", panel)]

    def address(self):
        """What the bar shows behind the #; the page waits a moment before it writes there."""
        time.sleep(0.3)
        return self.browser.current_url.split("#")[1]

    def complaints(self):
        return [entry["message"] for entry in self.browser.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING")]


# --- every number ---------------------------------------------------------------------------------

# Every cell of every panel at every moment: how far what is computed here is from the trace, by panel.
AGAIN = """
const { explain, momentsOf, panelOf, ulps } = viewerParts, far = {};
for (const trace of viewer.traces.filter((t, i) => typeof arguments[0] === "number" ? i === arguments[0]
    : (t.run.device === "cpu") === arguments[0]))
    for (let batch = 0; batch < trace.B; batch++)
        for (let head = 0; head < trace.H; head++)
            for (const moment of momentsOf(trace, batch, head))
                for (const panel of moment.now) {
                    const x = panelOf(trace, moment, batch, head, panel);
                    for (let i = 0; i < x.n; i++)
                        for (let j = 0; j < x.m; j++) {
                            const { again, rule } = explain(trace, moment, batch, head, panel, i, j);
                            if (!rule)
                                throw new Error(`${trace.name} ${panel}: no formula`);
                            if (again === undefined)
                                continue;
                            const value = x.data[i * x.m + j], apart = ulps(value, again);
                            const own = far[panel] ??= { cells: 0, most: 0, by: 0 };
                            own.cells++;
                            own.most = apart === null ? Infinity : Math.max(own.most, apart);
                            own.by = Math.max(own.by, Math.abs(value - again) || 0);
                        }
                }
return far;
"""


def numbers(page):
    page.open()
    far = page.run(AGAIN, True)
    for panel in ("scores", "scaled", "masked", "change"):
        check(f"{panel}: computed here, the same bits in all {far[panel]['cells']} cells",
              far[panel]["most"] == 0, far[panel])
    # An exponential is the C library's there and the browser's here: the last bit may differ.
    for panel in ("weights", "output", "state", "acc", "lse"):
        check(f"{panel}: within 1e-6 in all {far[panel]['cells']} cells", far[panel]["by"] <= 1e-6, far[panel])
    kernels = page.run(AGAIN, False)
    check("the kernels' traces: within 1e-5", kernels and all(x["by"] <= 1e-5 for x in kernels.values()), kernels)


# Cells of a trace's first two heads whose formula lights a cell that the answer does not depend on, or
# forgets one: every number on the table becomes another, one at a time. What chapter 07's tile of scores
# is made of is lit when the tile is pointed at.
INPUTS = """
const { explain, momentsOf, panelOf } = viewerParts, trace = viewer.traces[arguments[0]], wrong = [];
const same = (x, y) => x === y || (Number.isNaN(x) && Number.isNaN(y));
let looked = 0;
for (let head = 0; head < Math.min(2, trace.H); head++)
    for (const moment of momentsOf(trace, 0, head))
        for (const panel of moment.now) {
            const matrix = panelOf(trace, moment, 0, head, panel);
            for (let n = 0; n < matrix.data.length; n++) {
                const cell = [Math.floor(n / matrix.m), n % matrix.m];
                const told = explain(trace, moment, 0, head, panel, ...cell);
                if (told.again !== undefined && matrix.data[n] !== 0)
                    look(moment, head, panel, cell, told);
            }
        }
function look(moment, head, panel, cell, told) {
    const lit = new Set(told.inputs.flatMap((x) => x.cells.map((at) => `${x.panel} ${at}`)));
    const through = ["state", "acc"].includes(panel) ? ["q", "k"] : [];
    looked++;
    for (const name of moment.panels.filter((p) => p !== panel && !through.includes(p) &&
        !["plane", "ended", "ended_acc", "block_table", "cache"].includes(p))) {
        const from = panelOf(trace, moment, 0, head, name);
        for (let n = 0; n < from.data.length; n++) {
            const old = from.data[n], key = `${name} ${[Math.floor(n / from.m), n % from.m]}`;
            const changes = [100, -100, NaN].some((x) => {
                from.data[n] = x;
                return !same(explain(trace, moment, 0, head, panel, ...cell).again, told.again);
            });
            from.data[n] = old;
            if (changes !== lit.has(key) && old !== -Infinity)
                wrong.push(`${panel} ${cell}: ${key} is ${changes ? "not " : ""}lit`);
        }
    }
}
return [looked, wrong.slice(0, 5)];
"""


def inputs(page):
    page.open()
    for words in (("02_masking", "fruit"), ("05_kv_cache",), ("07_flash_tiling", "fruit")):
        looked, wrong = page.run(INPUTS, page.trace(*words))
        check(f"{words[0]}: what is lit goes in, and nothing else does, for {looked} cells",
              looked > 50 and not wrong, wrong)


# --- pointing and clicking ------------------------------------------------------------------------

def cells(page):
    page.open()
    page.go(page.trace("02_masking", "fruit"), 0)
    step = page.step_named("weights")
    page.go(page.trace("02_masking", "fruit"), step)
    page.pointer("weights", 3, 0)
    said = page.text(".cell")
    check("pointing at a weight: its number, bits and formula",
          all(w in said for w in ("P[an, an]", "0.4945", "0x3efd", "exp(S[i,j]", "the same bits")), said)
    check("what goes in is lit: the row of masked scores, nothing else",
          page.lit("masked") == [(3, j) for j in range(5)] and not page.lit("scores"), page.lit("masked"))
    page.away()
    check("the pointer gone, the formula goes", "Point at a number" in page.text(".cell"), page.text(".cell"))
    page.pointer("scores", 1, 4, click=True)
    page.away()
    said = page.text(".cell")
    check("a click holds the cell", "S[apple, orange]" in said and "held" in said, said)
    check("a score lights its row of Q and its row of K",
          page.lit("q") == [(1, d) for d in range(4)] and page.lit("k") == [(4, d) for d in range(4)],
          (page.lit("q"), page.lit("k")))
    address = page.address()
    check("the held cell stands in the address", "cell=scores%2C1%2C4" in address, address)
    page.pointer("weights", 0, 0)
    check("a held cell is not lost by pointing elsewhere", "S[apple, orange]" in page.text(".cell"), page.text(".cell"))
    page.pointer("scores", 1, 4, click=True)
    page.away()
    check("a second click lets go", "Point at a number" in page.text(".cell"), page.text(".cell"))
    page.pointer("masked", 0, 2, click=True)
    said = page.text(".cell")
    check("a hidden pair says so", "−∞" in said and "hides key and from query an" in said, said)
    page.type(Keys.ESCAPE)
    check("Esc lets go", "Point at a number" in page.text(".cell"), page.text(".cell"))
    page.pointer("weights", 0, 3)
    value = page.run("return viewer.views.get('weights').canvas.getContext('2d').getImageData("
                     "...viewer.views.get('weights').middleOf(0, 3).map((x, n) => n ? x - 9 : x - 15), 1, 1).data.slice(0, 3).join()")
    check("a masked weight is pale, not the colour of 0", value == "233,236,239", value)


def keys(page):
    page.open()
    page.go(page.trace("03_multi_head", "2"), 0)
    page.type(Keys.ARROW_RIGHT)
    page.type(Keys.ARROW_RIGHT)
    check("arrows walk the steps", page.run("return viewer.state.at") == 2, page.run("return viewer.state.at"))
    page.type("]")
    check("] takes the next head", page.run("return viewer.state.head") == 1)
    page.type("]")
    check("and stops at the last", page.run("return viewer.state.head") == 1)
    page.type("[")
    check("[ goes back", page.run("return viewer.state.head") == 0)
    page.type(Keys.END)
    last = page.run("return viewer.state.at === viewer.moments.length - 1")
    check("End is the output", last and "output" in page.run("return viewer.moment.now.join()"))
    page.run("viewer.views.get('output').canvas.focus()")
    for key in (Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_RIGHT):
        page.type(key)
    check("arrows in a matrix walk its cells", "O[apple, d1]" in page.text(".cell"), page.text(".cell"))
    check("and leave the step alone", page.run("return viewer.state.at === viewer.moments.length - 1"))
    order = page.run("return document.activeElement === viewer.views.get('output').canvas")
    check("the focus stays in the matrix", order)
    page.run("document.activeElement.blur()")
    page.type("p")
    playing = page.run("return Boolean(viewer.playing) && viewer.state.at === 0")
    page.type("p")
    check("p plays from the beginning, and stops", playing and not page.run("return Boolean(viewer.playing)"))


def heads(page):
    page.open()
    page.go(page.trace("04_gqa"), 0)
    page.go(page.trace("04_gqa"), page.step_named("weights"))
    buttons = page.browser.find_elements(By.CSS_SELECTOR, ".heads .pick")
    check("a thumbnail a head, with the KV head it reads", [b.text for b in buttons] == ["head 0 · KV 0", "head 1 · KV 0"],
          [b.text for b in buttons])
    check("thumbnails are painted", page.run(
        "return [...document.querySelectorAll('.thumb')].every((c) => c.getContext('2d')"
        ".getImageData(0, 0, 1, 1).data[3] === 255)"))
    before = page.run("return [...viewer.views.get('weights').matrix.data].join()")
    buttons[1].click()
    check("a click shows that head", page.run("return viewer.state.head") == 1 and
          before != page.run("return [...viewer.views.get('weights').matrix.data].join()"))
    page.go(page.trace("06_paged_blocks", "--batch"), 0)
    picks = [b.text for b in page.browser.find_elements(By.CSS_SELECTOR, ".heads .pick")]
    check("sequences of a batch are chosen there too", picks[:3] == ["sequence 0", "sequence 1", "sequence 2"], picks)


def slider(page):
    page.open()
    page.go(page.trace("05_kv_cache"), 0)
    handle = page.browser.find_element(By.CSS_SELECTOR, "input[type=range]")
    page.run("arguments[0].value = 9; arguments[0].dispatchEvent(new Event('input'))", handle)
    check("the slider moves through passes", "pass 1 of 2, one more token" in page.text(".step"), page.text(".step"))
    widths = []
    for p in range(3):
        page.go(page.trace("05_kv_cache"), page.step_named("weights", p))
        widths.append(page.run("const m = viewer.views.get('weights').matrix; return [m.n, m.m, viewer.views.get('k').matrix.n]"))
    check("each pass has its own rows, and all keys so far", widths == [[3, 3, 3], [1, 4, 4], [1, 5, 5]], widths)
    select = Select(page.browser.find_element(By.CSS_SELECTOR, ".choice select"))
    select.select_by_index(0)
    check("another trace begins at its first step", "1/" in page.text(".step") and page.run("return viewer.state.a") == 0)
    page.go(page.trace("07_flash_tiling", "random"), 4)
    page.run("viewer.lock('acc', 1, 2)")
    address = page.address()
    page.open(address)
    check("an address opens what it was copied from",
          page.run("const s = viewer.state; return [viewer.a.program, s.at, s.cell.panel, s.cell.i, s.cell.j, s.locked].join()")
          == "07_flash_tiling,4,acc,1,2,true", address)
    page.open("a=nothing&step=999&head=-3&cell=nothing,x,y")
    complaints = page.complaints()
    check("a wrong address does no harm", page.run("return viewer.state.cell === null && viewer.state.a === 0") and
          not complaints, complaints)


# --- tiles, blocks, counters ----------------------------------------------------------------------

def tiles(page):
    page.open()
    trace = page.trace("07_flash_tiling", "random", "4,4")
    page.go(trace)
    steps = page.run("return viewer.moments.map((m, i) => [m.name, i]).filter((x) => x[0] === 'tile').map((x) => x[1])")
    check("causal tiles of 4 by 4 over 12 by 12: six are walked", len(steps) == 6, steps)
    seen, good = set(), True
    for step in steps:
        page.go(trace, step)
        plane = page.run("return [...viewer.views.get('plane').matrix.status]")
        now = [n for n, s in enumerate(plane) if s == 1]
        good = good and len(now) == 16 and sum(s == 3 for s in plane) == 48 and \
            sum(s == 2 for s in plane) == len(seen)
        seen |= set(now)
    check("one tile at a time has scores; gone ones are ticked, hidden ones are skipped", good and len(seen) == 96)
    moved = page.run("return viewerParts.momentsOf(viewer.a, 0, 0).filter((m) => m.name === 'tile' && m.tile.i === 8)"
                     ".map((m) => [...viewerParts.panelOf(viewer.a, m, 0, 0, 'state').data])")
    rises = all(a[4 * r + 1] == b[4 * r] and b[4 * r + 1] >= a[4 * r + 1] for a, b in zip(moved, moved[1:]) for r in range(4))
    check("the maximum never falls, and is the next tile's old one", rises and len(moved) == 3, moved)
    page.go(trace, steps[-2])
    page.pointer("state", 1, 3, click=True)
    said = page.text(".cell")
    check("the sum's formula: rescale and shares", "l = rescale · l′" in said and "state[q9, sum]" in said, said)
    check("its inputs are lit: the tile's row", page.lit("plane") == [(9, j) for j in range(4, 8)], page.lit("plane"))
    page.pointer("plane", 0, 11, click=True)
    check("a skipped tile says so", "Skipped" in page.text(".cell"), page.text(".cell"))
    page.go(trace, steps[-1] + 1)
    page.pointer("output", 2, 1, click=True)
    check("the output is the accumulator over the sum", "acc / l" in page.text(".cell") and
          page.lit("ended") == [(2, 1)] and page.lit("ended_acc") == [(2, 1)], page.text(".cell"))


def blocks(page):
    page.open()
    trace = page.trace("06_paged_blocks", "--batch")
    page.go(trace)
    page.go(trace, page.step_named("scores", 2))
    table = page.run("return viewerParts.poolOf(viewer.a, 2).table")
    slots = page.browser.find_elements(By.CSS_SELECTOR, "button.slot")
    check("the pool shows every token of every sequence once", len({s.get_attribute("data-token") for s in slots})
          == len(slots) == 3 * 6, len(slots))
    box = page.browser.find_element(By.CSS_SELECTOR, "button.slot[data-token='1:4']")
    page.run("arguments[0].scrollIntoView({ block: 'center' })", box)
    ActionChains(page.browser).move_to_element(box).perform()
    said = page.text(".translation")
    block = int(table[1][4 // 3])
    byte = ((block * 2 + 0) * 3 + 4 % 3) * 4 * 4  # [blocks, G, T, D] floats
    check("pointing at a token translates its address", f"table[1] = block {block}" in said and
          f"= {byte} of the pool" in said and "slot 4 mod 3 = 1" in said, said)
    check("its entry is lit", page.text(".entry.lit") == f"e1 → {block}", page.text(".entry.lit"))
    page.run("document.querySelector(\"button.slot[data-token='0:0']\").focus()")
    page.type(Keys.TAB)
    check("Tab goes from token to token, and each tells its address", page.run(
        "return document.activeElement.dataset.token") == "0:1" and "token 1" in page.text(".translation"),
        page.text(".translation"))
    free = page.browser.find_elements(By.CSS_SELECTOR, ".block.free")
    check("free blocks are there, and pale", len(free) == 11 - 3 * 2, len(free))


def counters(page):
    page.open()
    trace = page.trace("02_masking", "fruit")
    page.go(trace, 99)
    with tempfile.TemporaryDirectory() as folder:
        record(folder, "02_masking", "--example", "fruit")
        rows = list(csv.DictReader(open(f"{folder}/counts.csv", encoding="ascii")))
    said = page.text(".counters")
    check("the counters at the output are counts.csv's", f"{int(rows[-1]['flops']):,}" in said and
          f"bytes read {rows[-1]['read_bytes']} B" in said, said)
    page.go(trace, 1)
    falls = page.run("""
        const { momentsOf } = viewerParts, falls = [];
        for (const trace of viewer.traces)
            momentsOf(trace, 0, 0).forEach((moment, n, all) => {
                for (const key of ["scores", "flops", "read_bytes", "written_bytes"])
                    if (n && moment.counted[key] < all[n - 1].counted[key])
                        falls.push(`${trace.name}: ${key} at step ${n + 1}`);
            });
        return falls;""")
    check("what was counted never becomes less from step to step", not falls, falls)
    check("and fewer at the first step", f"bytes read {rows[-1]['read_bytes']} B" not in page.text(".counters"),
          page.text(".counters"))


# --- side by side ---------------------------------------------------------------------------------

def pairs(page):
    page.open()
    buttons = {b.text: b for b in page.browser.find_elements(By.CSS_SELECTOR, ".pairs button")}
    wanted = {"a mask": "≠", "one head is chapter 02": "=", "02 against 03": "≠", "05 cached against 04": "=",
              "06 paged against 05": "=", "small tiles against one": "≠"}
    if page.run("return viewer.traces.some((t) => t.run.device !== 'cpu')"):
        wanted |= {"cpu against simt": "", "the same, tiled": ""}
    else:
        print("skip - cpu against simt: the kernels are not built (g++)")
    for label, sign in wanted.items():
        buttons[label].click()
        said = page.run("const v = document.querySelector('.verdict'); "
                        "return getComputedStyle(v, '::before').content.replaceAll('\"', '').trim() + ' ' + v.textContent")
        shown = len(page.browser.find_elements(By.CSS_SELECTOR, ".beside canvas"))
        check(f"{label}: {said}", said.startswith(sign) and shown == 3, shown)
    buttons["a mask"].click()
    right = page.run("const [a, b, d] = [0, 1, 2].map((i) => viewer.views.get(`weights beside ${i}`).matrix.data); "
                     "return d.every((x, i) => x === Math.fround(b[i] - a[i])) && Math.max(...d) > 0.1")
    check("the difference map holds the second less the first", right)
    page.pointer("weights beside 2", 1, 4)
    said = page.text(".cell")
    check("pointing at a difference says both numbers", "02_masking" in said and "0.7204 away" in said, said)
    page.browser.find_element(By.XPATH, "//button[text()='swap']").click()
    check("swap swaps, and stays at the step", page.run("return viewer.a.program + viewer.moment.name")
          == "02_maskingweights", page.run("return viewer.a.program + viewer.moment.name"))
    pale = page.run("return [0, 1, 2].map((i) => { const v = viewer.views.get(`weights beside ${i}`); "
                    "const [x, y] = v.middleOf(0, 4); return v.canvas.getContext('2d')"
                    ".getImageData(x - 4, y - 4, 1, 1).data.slice(0, 3).join() === '233,236,239'; })")
    check("each trace's own mask says which weights are hidden, and no difference is", pale == [True, False, False], pale)
    page.go(page.trace("06_paged_blocks", "fruit"), 5, b=page.trace("07_flash_tiling", "fruit"))
    check("what the other trace never made is said", "has no such step" in page.text(".verdict"), page.text(".verdict"))


# --- what keys reach, what moves --------------------------------------------------------------------

def still(page):
    """Pointing, and choosing a head, moves nothing; stepping leaves the matrices where they are."""
    where = """return [".table", ".counters", ".heads", ".pick:last-child", ".help"].map((name) => {
        const { x, y } = document.querySelector(name).getBoundingClientRect();
        return `${name} ${x},${y + scrollY}`; });"""
    for width in (390, 820, 1280):
        page.open(width=width)
        page.go(page.trace("04_gqa"), 5)
        page.run("viewer.lock('output', 4, 1)")
        tall = page.run("return document.querySelector('.cell h3').clientHeight")
        check(f"{width} pixels: a held cell's name stands in one line", 0 < tall < 40, tall)
        page.run("viewer.set({ cell: null, locked: false })")
        before = page.run(where)
        page.run("viewer.point('output', 0, 0)")
        pointed = page.run(where)
        page.run("viewer.lock('output', 0, 0)")
        held = page.run(where)
        page.run("viewer.set({ cell: null, locked: false, head: 1 })")
        chosen = page.run(where)
        check(f"{width} pixels: pointing, holding and choosing move nothing",
              before == pointed == held == chosen, [before, pointed, held, chosen])
        tops = set()
        for step in range(page.run("return viewer.moments.length")):
            page.go(page.trace("04_gqa"), step)
            tops.add(page.run(where)[0])
        check(f"{width} pixels: stepping leaves the matrices in place", len(tops) == 1, tops)


def focus(page):
    page.open()
    page.go(page.trace("06_paged_blocks", "--batch"), 5)
    wanted = page.run("return [...document.querySelectorAll('select, input, button, .matrix canvas')]"
                      ".filter((e) => e.offsetParent).length")
    seen = unseen = 0
    for _ in range(wanted + 2):
        page.type(Keys.TAB)
        inside, visible = page.run("""
            const at = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(at);
            return [at !== document.body, outlineStyle === "solid" && outlineWidth === "3px"];""")
        seen, unseen = seen + inside, unseen + (inside and not visible)
    check("Tab reaches every control, matrix and token", seen >= wanted > 30, (seen, wanted))
    check("and what has the focus is framed", unseen == 0, unseen)
    page.run("document.querySelectorAll('.pick')[4].focus()")
    page.type(Keys.ENTER)
    check("a head chosen by key keeps the focus", page.run("return viewer.state.head === 1 && "
          "document.activeElement === document.querySelectorAll('.pick')[4]"))
    page.run("viewer.slider.focus()")
    page.type(Keys.ARROW_RIGHT)
    page.type("]")
    check("keys work on the slider, too", page.run("return [viewer.state.at, viewer.state.head].join()") == "6,2")
    page.run("viewer.views.get('q').canvas.focus()")
    page.type(Keys.ARROW_DOWN)
    edge = page.run("return parseFloat(getComputedStyle(viewer.views.get('q').canvas).outlineOffset)")
    check("a matrix's frame is not cut off by what scrolls it", edge <= -3, edge)


# --- on a phone, in the dark ------------------------------------------------------------------------

def pages(page):
    for width in (390, 1280):
        for address in ("step=4", "a=9&step=4", "a=8&b=7&step=5"):
            page.open(address, width)
            wrong = page.run(browser_check.LOOK)
            check(f"{width} pixels, {address}: nothing is wider than the page", not wrong, wrong)
    for theme in ("light", "dark"):
        page.open("step=4")
        page.run("viewer.lock('weights', 1, 1)")
        page.run("document.body.dataset.theme = arguments[0]", theme)
        wrong = page.run(browser_check.CONTRAST, theme)
        check(f"contrast, {theme}", not wrong, wrong)
    page.open("step=4", 390)
    page.pointer("weights", 1, 1, click=True)
    box = page.run("const b = document.querySelector('.cell').getBoundingClientRect(); "
                   "return b.top >= 0 && b.bottom <= innerHeight && b.height > 60")
    check("on a phone the cell's formula stays in sight", box)
    page.browser.find_element(By.CSS_SELECTOR, ".free").click()
    check("and a button lets it go", not page.run("return viewer.state.locked"))


# --- other people's traces --------------------------------------------------------------------------

def record(folder, program, *flags):
    subprocess.run([f"build/cpu/{program}", *flags, "--print", "none", "--trace", str(folder)], cwd=ROOT,
                   check=True, stdout=subprocess.DEVNULL)


SLY = "a</script><b> \"q\\ é🍎 &amp;"
FOREIGN = {  # by name: a program and its flags; a word that begins with @ is an array, made below
    "sly": ("02_masking", "--example", "random", "--n", "4", "--dim", "3", "--tokens", SLY),
    "old": ("07_flash_tiling", "--example", "fruit"),
    "wide": ("02_masking", "--example", "random", "--n", "300", "--dim", "2"),
    "cut": ("07_flash_tiling", "--example", "random", "--n", "9", "--tile", "3,2", "--cut", "4,7", "--prefill", "9"),
    "dead": ("02_masking", "--example", "random", "--n", "3", "--m", "5", "--mask", "padding=0"),
    "nan": ("01_naive_attention", "--q", "@nan", "--k", "@nan", "--v", "@nan"),
    "scale": ("04_gqa", "--x", "example", "--scale", "0.7071067"),
    "whole": ("04_gqa", "--q", "@all", "--k", "@all", "--v", "@all"),
    "past": ("05_kv_cache", "--q", "@late", "--k", "@late", "--v", "@late", "--past-k", "@early", "--past-v", "@early"),
    "none kept": ("05_kv_cache", "--x", "example", "--no-cache", "--prefill", "1"),
    "long": ("06_paged_blocks", "--example", "random", "--n", "4", "--tokens",
             "x" * 200 + " שלום " + "a\u0301\u0302 " + "م" * 50),
    "twins/twin": ("01_naive_attention",),
    "twin": ("01_naive_attention",),
}
ARRAYS = (("nan", "values", "2,2", "nan", "nan", "1", "inf"), ("all", "random", "1,2,6,3", "1"),
          ("early", "slice", "@all", "2", "0", "4"), ("late", "slice", "@all", "2", "4", "6"))


@contextlib.contextmanager
def page_of(browser, *names):
    """A page of foreign traces, and each one's number there."""
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        words = lambda all: [f"{work}/{word[1:]}.npy" if word.startswith("@") else word for word in all]
        for name, *kind in ARRAYS:
            subprocess.run(["build/tests/make_arrays", f"{work}/{name}.npy", *words(kind)], cwd=ROOT, check=True)
        (work / "twins").mkdir()
        for name in names:
            program, *flags = FOREIGN[name]
            record(work / name, program, *words(flags))
        for name in ("run.json", "counts.csv", "trace.txt"):
            (work / "old" / name).unlink(missing_ok=True)
        subprocess.run(["sh", BUILD, "--into", str(work / "page"), *(str(work / n) for n in names)],
                       cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        yield Page(browser, work / "page"), {name: n for n, name in enumerate(names)}


def foreign(page):
    """Traces of all sorts, shown through make viewer's own script."""
    with page_of(page.browser, *FOREIGN) as (page, number):
        show_foreign(page, number)


def show_foreign(page, number):
    page.open("step=3")
    check("names that are markup, quotes or signs are shown as they are",
          page.run("return viewer.a.step(0, 0, 0, 'q').rows.join('|')") == SLY.replace(" ", "|"),
          page.run("return viewer.a.step(0, 0, 0, 'q').rows.join('|')"))
    page.pointer("masked", 0, 0)
    check("and open nothing", "a</script><b>" in page.text(".cell") and page.run("return document.querySelectorAll('b').length") == 1,
          page.text(".cell"))
    for name, trace in number.items():
        page.go(trace)
        for step in range(page.run("return viewer.moments.length")):
            page.go(trace, step)
            for panel in page.run("return viewer.moment.now"):
                page.run("viewer.set({ cell: { panel: arguments[0], i: 0, j: 0 } })", panel)
        complaints = page.complaints()
        check(f"{name}: every step is shown", not complaints, complaints)
    names = page.run("return viewer.traces.map((t) => t.name)")
    check("no two traces have the same name", len(set(names)) == len(names), names)
    far = page.run(AGAIN, number["cut"])
    check("keys cut into parts: each part's tiles and the merged state give the output",
          all(far[panel]["by"] <= 1e-6 for panel in ("state", "acc", "output")), far)
    far = page.run(AGAIN, number["nan"])
    check("rows of NaN are no dead rows", far["weights"]["most"] == 0, far)
    far = page.run(AGAIN, number["scale"])
    check("a scale that is no short decimal: the same bits", far["scaled"]["most"] == 0, far)


def words(page):
    """What the page says of runs that are not the usual ones."""
    with page_of(page.browser, "dead", "old", "none kept", "past", "whole") as (page, number):
        page.open()
        show_words(page, number)


def show_words(page, number):
    page.go(number["dead"])
    for panel in ("weights", "output"):
        page.go(number["dead"], page.step_named(panel))
        page.pointer(panel, 0, 0)
        check(f"a dead row is called one: {panel}", "dead row" in page.text(".cell") and not page.lit("v"), page.text(".cell"))
    page.go(number["old"], 2)
    check("an older trace says what it lacks", "no counts.csv" in page.text(".counters"), page.text(".counters"))
    page.go(number["none kept"], 99)
    page.go(number["none kept"], page.step_named("q", 1))
    check("without a cache nothing is called kept", "computed once more" in page.text(".step"), page.text(".step"))
    page.go(number["past"], 99)
    page.go(number["past"], page.step_named("output", 1), b=number["whole"])
    check("queries behind a past stand beside those of a run without one",
          "same bits in all 3" in page.text(".verdict"), page.text(".verdict"))


def long(page):
    """Names of two hundred signs, and from right to left: at no step is anything wider than its place."""
    with page_of(page.browser, "long") as (page, _):
        for width in (390, 1280):
            page.open(width=width)
            wrong = []
            for step in range(page.run("return viewer.moments.length")):
                page.go(0, step)
                page.run("viewer.pointToken([0, 0]); viewer.lock(viewer.moment.now.includes('masked') ? 'masked' : 'k', 0, 0)")
                wrong += page.run(browser_check.LOOK)
                wrong += page.run("return [...document.querySelectorAll('.cell, .side, .stage, .blocks')].filter((e) =>"
                                  "e.scrollWidth > e.clientWidth + 4).map((e) => `${e.className} at ${viewer.moment.name}`)")
            check(f"{width} pixels: long names stay in their places", not wrong, wrong[:3])
        page.open()
        page.go(0, 4)
        page.run("viewer.lock('masked', 1, 0)")
        check("a name from right to left stays within itself", "[\u2068שלום\u2069, xxx" in page.text(".cell"), page.text(".cell"))


def wide(page):
    """Many tokens: a picture, which pointing leaves as it is."""
    with page_of(page.browser, "wide") as (page, number):
        page.open()
        show_wide(page)


def show_wide(page):
    page.go(0, 2)
    check("three hundred tokens still are one picture", page.run("return viewer.views.get('scaled').at.cell.w") == 3 and
          not page.run(browser_check.LOOK), page.run(browser_check.LOOK))
    painted = page.run("""
        let painted = 0;
        for (const view of viewer.views.values()) {
            const paint = view.paint;
            view.paint = function (...given) { painted++; paint.apply(this, given); };
        }
        for (let n = 0; n < 50; n++)
            viewer.point("scaled", n, 2 * n);
        return painted;""")
    check("pointing paints no picture anew", painted == 0, painted)
    page.run("viewer.lock('scaled', 299, 299, true); viewer.views.get('scaled').canvas.focus()")
    page.type(Keys.ARROW_UP)
    there = page.run("const { scrollTop, scrollLeft } = viewer.views.get('scaled').scroll; return scrollTop + scrollLeft > 300")
    check("a cell that the keys move to scrolls into sight", there)
    page.run("viewer.set({ cell: null, locked: false })")
    one = page.run("return viewer.views.get('q').figure.querySelectorAll('.frame').length")
    page.run("viewer.point('scores', 3, 3)")
    check("a row that is lit has one frame", one == 0 and page.run(
        "return viewer.views.get('q').figure.querySelectorAll('.frame').length") == 1)


PARTS = (numbers, inputs, cells, keys, heads, slider, tiles, blocks, counters, pairs, still, focus, pages, foreign, words,
         long, wide)


def main(arguments):
    names = [part.__name__ for part in PARTS]
    if not arguments or not set(arguments[1:]) <= set(names):
        print(f"usage: viewer.py FOLDER [{'|'.join(names)}]...", file=sys.stderr)
        return 2
    folder, chosen = pathlib.Path(arguments[0]), arguments[1:] or names
    try:
        browser = browser_check.start()
    except Exception as error:
        print(f"viewer-check: no browser: {str(error).splitlines()[0]}", file=sys.stderr)
        return 4
    page = Page(browser, folder)
    try:
        for part in PARTS:
            if part.__name__ in chosen:
                part(page)
        complaints = page.complaints()
        check("the console is silent", not complaints, complaints)
    finally:
        browser.quit()
    print(f"viewer: {passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
