// The viewer itself: what is chosen, what that shows, and what keys and pointers do. TRACES and
// VIRIDIS are made by make viewer (traces.js).
"use strict";

// A panel's heading, what kind of numbers it holds, and what a cell of it is called.
const PANELS = {
    x: ["X", "signed", "X"], q: ["Q", "signed", "Q"], k: ["K", "signed", "K"], v: ["V", "signed", "V"],
    cache: ["cache, bytes", "plain", "cache"], block_table: ["block table", "plain", "table"],
    scores: ["S = Q Kᵀ", "signed", "S"], scaled: ["S · scale", "signed", "scaled S"],
    masked: ["masked S", "signed", "masked S"], weights: ["P = softmax(S)", "weights", "P"],
    output: ["O, output", "signed", "O"], lse: ["L, log-sum-exp", "signed", "L"],
    change: ["O − input", "signed", "change"], concat: ["heads joined", "signed", "joined"],
    result: ["result", "signed", "result"], plane: ["S, one tile at a time", "signed", "S"],
    ended: ["m and l in the end", "signed", "state"], ended_acc: ["accumulator in the end", "signed", "acc"],
    state: ["state m′, m, rescale, l", "signed", "state"], acc: ["accumulator", "signed", "acc"],
};

// Pairs worth a look, of the runs that make viewer records: what they show, the two, and a step.
const PAIRS = [
    ["a mask", "01_naive_attention --example fruit", "02_masking --example fruit", 3],
    ["one head is chapter 02", "03_multi_head --example fruit --heads 1", "02_masking --example fruit", 4],
    ["02 against 03", "02_masking --example fruit", "03_multi_head --example fruit --heads 2", 4],
    ["05 cached against 04", "05_kv_cache --example fruit --heads 2 --kv-heads 1 --prefill 3",
        "04_gqa --example fruit --heads 2 --kv-heads 1", 12],
    ["06 paged against 05", "06_paged_blocks --example fruit --heads 2 --kv-heads 1 --prefill 3",
        "05_kv_cache --example fruit --heads 2 --kv-heads 1 --prefill 3", 12],
    ["small tiles against one", "07_flash_tiling --example random --n 12 --dim 8 --tile 4,4 --prefill 12",
        "07_flash_tiling --example random --n 12 --dim 8 --tile 64,64 --prefill 12", 8],
    ["cpu against simt", "02_masking --example fruit", "02_masking --example fruit · SIMT emulator", 4],
    ["the same, tiled", "07_flash_tiling --example random --n 12 --dim 8 --tile 4,4 --prefill 12",
        "07_flash_tiling --example random --n 12 --dim 8 --tile 4,4 --prefill 12 · SIMT emulator", 8],
];

const COUNTERS = { scores: "scores", flops: "flops", read_bytes: "bytes read", written_bytes: "bytes written",
    live_bytes: "bytes live", peak_bytes: "bytes at most" };

class Viewer {
    constructor(root, raw) {
        this.root = root;
        this.traces = raw.map((one) => new Trace(one));
        nameApart(this.traces, raw.map((one) => one.name));
        nameApart(this.traces, raw.map((_, i) => i + 1)); // the folders' last names are alike, too
        this.views = new Map();
        this.token = null; // of the block table, [sequence, token], while it is pointed at
        this.state = { a: 0, b: -1, batch: 0, head: 0, at: 0, cell: null, locked: false };
        this.build();
        this.readAddress();
        window.addEventListener("hashchange", () => { this.readAddress(); this.show(); });
        window.addEventListener("resize", () => this.show());
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
        new MutationObserver(() => this.show()).observe(document.body, { attributeFilter: ["data-theme"] });
        this.show();
    }

    get a() { return this.traces[this.state.a]; }
    get b() { return this.state.b < 0 ? null : this.traces[this.state.b]; }

    // --- the page --------------------------------------------------------------------------------

    build() {
        const part = (name, className) => this[name] = element("div", className);
        part("choice", "choice");
        part("pairs", "pairs");
        part("travel", "travel");
        part("heads", "heads");
        part("beside", "beside");
        part("table", "table");
        part("side", "side");
        this.step = element("p", "step");
        this.step.setAttribute("aria-live", "polite");
        const stage = element("div", "stage");
        stage.append(this.beside, this.table);
        const both = element("div", "both");
        both.append(stage, this.side);
        this.buildChoice();
        this.buildPairs();
        this.buildTravel();
        this.buildSide();
        this.root.append(this.choice, this.pairs, this.travel, this.step, this.heads, both);
        document.addEventListener("keydown", (event) => this.key(event));
    }

    buildChoice() {
        const select = (label, first) => {
            const box = element("select"), name = element("label", "", label);
            if (first)
                box.append(new Option(first, -1));
            this.traces.forEach((trace, i) => box.append(new Option(trace.name, i)));
            name.append(box);
            this.choice.append(name);
            return box;
        };
        this.chooseA = select("trace ");
        this.chooseB = select("beside it ", "nothing");
        this.swap = element("button", "", "swap");
        this.swap.addEventListener("click", () => this.swapTraces());
        this.choice.append(this.swap);
        this.chooseA.addEventListener("change", () => this.set({ a: Number(this.chooseA.value), at: 0, cell: null, locked: false }));
        this.chooseB.addEventListener("change", () => this.set({ b: Number(this.chooseB.value) }));
    }

    buildPairs() {
        const find = (name) => this.traces.findIndex((trace) => trace.name === name);
        for (const [label, first, second, step] of PAIRS) {
            const a = find(first), b = find(second), button = element("button", "", label);
            button.addEventListener("click", () => this.set({ a, b, at: step, head: 0, cell: null, locked: false }));
            if (a >= 0 && b >= 0)
                this.pairs.append(button);
        }
        if (this.pairs.children.length)
            this.pairs.prepend(element("span", "word", "side by side:"));
    }

    buildTravel() {
        const button = (text, label, act) => {
            const made = element("button", "", text);
            made.setAttribute("aria-label", label);
            made.title = label;
            made.addEventListener("click", act);
            return made;
        };
        this.slider = element("input");
        this.slider.type = "range";
        this.slider.min = 0;
        this.slider.setAttribute("aria-label", "step of the algorithm");
        this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
        this.play = button("▶", "play", () => this.toggle());
        this.travel.append(button("◀", "one step back", () => this.go(this.state.at - 1)), this.slider,
            button("▶|", "one step on", () => this.go(this.state.at + 1)), this.play);
    }

    buildSide() {
        this.cell = element("section", "cell");
        this.cell.setAttribute("aria-live", "polite");
        this.counters = element("section", "counters");
        const help = element("p", "help", "← → steps · [ ] heads · arrows in a matrix walk its cells · " +
            "click holds a cell, Esc lets go · p plays");
        this.side.append(this.cell, this.counters, help);
    }

    // --- what is chosen --------------------------------------------------------------------------

    set(change) {
        Object.assign(this.state, change);
        this.show();
        this.writeAddress();
    }

    // To a moment. A held cell stays where it is, if its matrix is still there.
    go(to) {
        this.set({ at: Math.min(this.moments.length - 1, Math.max(0, to)) });
    }

    // The other trace comes first, at the same step of its own.
    swapTraces() {
        const { a, b, batch, head, at: step } = this.state, { name, pass, tile } = this.moment;
        const found = momentsOf(this.b, batch, head).findIndex((other) =>
            other.name === name && other.pass === pass && other.tile?.name === tile?.name);
        this.set({ a: b, b: a, at: found < 0 ? step : found });
    }

    // Pointing at a cell shows it, until one is held.
    point(panel, i, j) {
        const { cell, locked } = this.state;
        if (locked || (cell && cell.panel === panel && cell.i === i && cell.j === j))
            return;
        this.state.cell = { panel, i, j };
        this.showPointed();
    }

    // A token of any sequence in the block table: its address, whatever is held.
    pointToken(token) {
        this.token = token;
        this.showTable();
    }

    leave() {
        if (!this.state.locked && this.state.cell) {
            this.state.cell = null;
            this.showPointed();
        }
    }

    // A click holds a cell; on the same cell again, it lets go. Keys move the held one.
    lock(panel, i, j, moved) {
        const c = this.state.cell, same = c && c.panel === panel && c.i === i && c.j === j;
        if (this.state.locked && same && !moved)
            this.set({ locked: false });
        else
            this.set({ cell: { panel, i, j }, locked: true });
    }

    toggle() {
        clearInterval(this.playing);
        const starts = !this.playing;
        this.playing = starts ? setInterval(() => {
            if (this.state.at === this.moments.length - 1)
                return this.toggle();
            this.go(this.state.at + 1);
        }, 900) : null;
        if (starts && this.state.at === this.moments.length - 1)
            this.go(0);
        this.play.textContent = starts ? "❚❚" : "▶";
        this.play.setAttribute("aria-label", starts ? "pause" : "play");
    }

    key(event) {
        if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea"))
            return;
        const act = {
            ArrowLeft: () => this.go(this.state.at - 1),
            ArrowRight: () => this.go(this.state.at + 1),
            Home: () => this.go(0),
            End: () => this.go(this.moments.length - 1),
            "[": () => this.set({ head: Math.max(0, this.state.head - 1) }),
            "]": () => this.set({ head: Math.min(this.a.H - 1, this.state.head + 1) }),
            Escape: () => this.set({ cell: null, locked: false }),
            p: () => this.toggle(),
        }[event.key];
        if (act) {
            act();
            event.preventDefault();
        }
    }

    // --- the address: what is shown can be sent to somebody ------------------------------------------

    // Not at every key that is held down: browsers stop listening to pages that do that.
    writeAddress() {
        clearTimeout(this.writing);
        this.writing = setTimeout(() => this.writeAddressNow(), 150);
    }

    writeAddressNow() {
        const { batch, head, at: step, cell, locked } = this.state, words = new URLSearchParams();
        words.set("a", this.a.name);
        if (this.b)
            words.set("b", this.b.name);
        if (batch)
            words.set("batch", batch);
        if (head)
            words.set("head", head);
        words.set("step", step);
        if (cell && locked)
            words.set("cell", `${cell.panel},${cell.i},${cell.j}`);
        history.replaceState(null, "", `#${words}`);
    }

    readAddress() {
        const words = new URLSearchParams(location.hash.slice(1));
        const number = (name) => Math.max(0, Number.parseInt(words.get(name), 10) || 0);
        const find = (name) => this.traces.findIndex((trace) => trace.name === words.get(name));
        const [panel, i, j] = (words.get("cell") || "").split(",");
        Object.assign(this.state, { a: Math.max(0, find("a")), b: find("b"), batch: number("batch"),
            head: number("head"), at: number("step"), locked: Boolean(panel),
            cell: panel ? { panel, i: Number(i) || 0, j: Number(j) || 0 } : null });
    }

    // --- what is shown ------------------------------------------------------------------------------

    show() {
        const s = this.state;
        s.batch = Math.min(s.batch, this.a.B - 1);
        s.head = Math.min(s.head, this.a.H - 1);
        this.moments = momentsOf(this.a, s.batch, s.head);
        s.at = Math.min(s.at, this.moments.length - 1);
        this.moment = this.moments[s.at];
        this.dropLostCell();
        this.showChoice();
        this.showHeads();
        this.showPointed();
        this.showCounters();
    }

    // What a pointer changes: the frames, and the cell's formula.
    showPointed() {
        const { cell, batch, head } = this.state;
        this.told = cell && explain(this.a, this.moment, batch, head, cell.panel, cell.i, cell.j);
        this.showBeside();
        this.showTable();
        this.showCell();
    }

    dropLostCell() {
        const { cell } = this.state, matrix = cell && this.moment.panels.includes(cell.panel) &&
            panelOf(this.a, this.moment, this.state.batch, this.state.head, cell.panel);
        if (!matrix || cell.i >= matrix.n || cell.j >= matrix.m)
            Object.assign(this.state, { cell: null, locked: false });
    }

    showChoice() {
        const s = this.state, { pass, title, text } = this.moment, { passes } = this.a;
        this.chooseA.value = s.a;
        this.chooseB.value = s.b;
        this.swap.hidden = !this.b;
        this.slider.max = this.moments.length - 1;
        this.slider.value = s.at;
        const which = passes === 1 ? "" : pass === 0 ? `pass 0 of ${passes - 1}, the prompt · ` : `pass ${pass} of ${passes - 1}, one more token · `;
        this.slider.setAttribute("aria-valuetext", which + title);
        this.step.replaceChildren(element("span", "count", `${s.at + 1}/${this.moments.length} `),
            element("b", "", which + title), document.createTextNode(` ${text}`));
    }

    // All heads of this sequence, small; and which sequence, where there are several.
    showHeads() {
        const { a, state } = this, parts = [];
        for (let b = 0; a.B > 1 && b < a.B; b++)
            parts.push(this.choiceButton(`sequence ${b}`, b === state.batch, { batch: b }));
        for (let h = 0; a.H > 1 && h < a.H; h++) {
            const label = a.G < a.H || a.chapter >= "04" ? `head ${h} · KV ${a.kvHead(h)}` : `head ${h}`;
            const button = this.choiceButton(label, h === state.head, { head: h });
            const matrix = a.stacked(state.batch, h, "weights", this.moment.pass) ||
                a.stacked(state.batch, h, "output", this.moment.pass);
            if (matrix)
                button.prepend(thumbnail(matrix));
            parts.push(button);
        }
        this.heads.replaceChildren(...parts);
    }

    choiceButton(label, on, change) {
        const button = element("button", "pick");
        button.append(element("span", "", label));
        button.setAttribute("aria-pressed", on);
        button.addEventListener("click", () => this.set(change));
        return button;
    }

    view(name) {
        if (!this.views.has(name)) {
            const panel = name.split(" ")[0];
            const told = { point: (i, j) => this.point(panel, i, j), leave: () => this.leave(),
                lock: (i, j, moved) => this.lock(panel, i, j, moved) };
            const tokens = { leave: () => this.pointToken(null), point: (s, t) => this.pointToken([s, t]),
                lock: (s, t) => this.set({ batch: s, cell: { panel: "k", i: t, j: 0 }, locked: true }) };
            this.views.set(name, panel === "block_table" ? new BlocksView(tokens) : new MatrixView(told));
        }
        return this.views.get(name);
    }

    // Puts these views on the page, touching only what is not there yet: a focus stays.
    place(parent, views) {
        const figures = views.map((view) => view.figure);
        for (const old of [...parent.children])
            if (!figures.includes(old))
                old.remove();
        figures.forEach((figure, i) => {
            if (parent.children[i] !== figure)
                parent.insertBefore(figure, parent.children[i] || null);
        });
    }

    // All matrices of this pass so far, what goes into the cell lit.
    showTable() {
        const { batch, head } = this.state, { moment } = this;
        const old = moment.panels.filter((name) => !moment.now.includes(name));
        // Steps are read from left to right; of tiles there are many, and what moves comes first.
        const tiled = this.a.tiles(moment.pass, batch, head).length;
        const order = tiled ? [...moment.now, ...old] : moment.panels;
        this.place(this.table, order.map((name) => this.view(name))); // before they ask for colours
        for (const name of order)
            if (name === "block_table")
                this.drawPool();
            else
                this.drawPanel(name);
    }

    drawPool() {
        const { batch, head, cell } = this.state, { pass, now } = this.moment;
        const held = cell && ["k", "v"].includes(cell.panel) ? [batch, cell.i] : null;
        this.view("block_table").draw(poolOf(this.a, pass), { g: this.a.kvHead(head),
            fresh: now.includes("block_table"), meant: this.token || held });
    }

    drawPanel(name) {
        const { batch, head } = this.state, { moment, told } = this, [title, kind] = PANELS[name];
        const matrix = panelOf(this.a, moment, batch, head, name), fresh = moment.now.includes(name);
        const lit = told ? told.inputs.filter((x) => x.panel === name).flatMap((x) => x.cells) : [];
        this.view(name).draw(matrix, { title, kind, fresh, lit, cursor: this.cursorIn(name),
            small: !fresh && matrix.n * matrix.m > 42 });
    }

    cursorIn(name) {
        const { cell } = this.state;
        return cell && cell.panel === name ? [cell.i, cell.j] : null;
    }

    // The step in both traces, and the difference.
    showBeside() {
        this.beside.hidden = !this.b;
        if (!this.b)
            return;
        const { batch, head } = this.state, name = this.panelBeside(), [title, kind] = PANELS[name];
        const { theirs, difference, sign, verdict } = this.comparedStep(name);
        const three = difference ? [[panelOf(this.a, this.moment, batch, head, name), this.a.name, kind],
            [theirs, this.b.name, kind],
            [difference, "the second less the first", "difference"]] : [];
        const views = three.map((_, i) => this.view(`${name} beside ${i}`));
        const line = element("p", `verdict ${sign}`, `${title}: ${verdict}`);
        this.place(this.beside, [{ figure: line }, ...views]);
        three.forEach(([matrix, heading, sort], i) => views[i].draw(matrix,
            { title: heading, kind: sort, cursor: this.cursorIn(name), small: matrix.m > 5 }));
    }

    // The same answer while nothing changes but the cell that is pointed at: large matrices take time.
    comparedStep(name) {
        const { a, b, at: step, batch, head } = this.state, when = [a, b, step, batch, head].join();
        if (this.comparedWhen !== when)
            Object.assign(this, { comparedWhen: when, compared: new Map() });
        if (!this.compared.has(name))
            this.compared.set(name, compareStep(this.a, this.b, this.moment, batch, head, name));
        return this.compared.get(name);
    }

    // Beside each other stands what is held, or else what the moment adds last but lse.
    panelBeside() {
        const { cell, locked } = this.state, now = this.moment.now;
        if (cell && locked)
            return cell.panel;
        return now.includes("acc") ? "acc" : now.includes("q") ? "q" : now[0];
    }

    showCell() {
        const { cell, locked, batch, head } = this.state;
        this.cell.classList.toggle("held", locked);
        this.cell.classList.toggle("shown", Boolean(cell));
        if (!cell)
            return this.cell.replaceChildren(element("h3", "", "a cell"),
                element("p", "", "Point at a number: its formula, and what goes into it. Click to hold it."));
        const matrix = panelOf(this.a, this.moment, batch, head, cell.panel), value = at(matrix, cell.i, cell.j);
        const { told } = this;
        const column = matrix.m > 1 || cell.panel === "state" ? `, ${named(matrix.columns[cell.j])}` : "";
        const title = element("h3", "", `${PANELS[cell.panel][2]}[${named(matrix.rows[cell.i])}${column}]`);
        title.append(element("span", "shape", `row ${cell.i}, column ${cell.j}`));
        if (locked) {
            const free = element("button", "free", "held · let go");
            free.addEventListener("click", () => this.set({ cell: null, locked: false }));
            title.append(free);
        }
        const lines = [title,
            element("p", "value", matrix.status && matrix.status[cell.i * matrix.m + cell.j] !== NOW ? "no number"
                : `${exact(value)}   ${bits(value)}`), element("p", "rule", told.rule),
            ...told.numbers.map((line) => element("p", "numbers", line))];
        if (told.again !== undefined)
            lines.push(element("p", "again", agreement(value, told.again)));
        this.cell.replaceChildren(...lines, ...this.otherValue(cell, value));
    }

    otherValue(cell, value) {
        if (!this.b)
            return [];
        const compared = this.comparedStep(cell.panel);
        const there = compared.theirs && compared.theirs.there[cell.i * compared.theirs.m + cell.j];
        if (!there)
            return [element("p", "other", `${this.b.name}: not there`)];
        const other = at(compared.theirs, cell.i, cell.j);
        return [element("p", "other", `${this.b.name}: ${exact(other)}, ${distance(value, other)}`)];
    }

    showCounters() {
        const now = this.moment.counted, { counts } = this.a;
        if (!now)
            return this.counters.replaceChildren(element("h3", "", "counted"),
                element("p", "", "This trace has no counts.csv."));
        const list = element("table");
        for (const [key, name] of Object.entries(COUNTERS).filter(([k]) => k in now)) {
            const show = key.includes("bytes") ? bytes : thousands, row = element("tr"), bar = element("span", "bar");
            const whole = Math.max(counts.last[key], now[key]) || 1;
            bar.style.width = `${100 * Math.min(1, now[key] / whole)}%`;
            const cell = element("td", "part");
            cell.append(bar);
            row.append(element("th", "", name), element("td", "number", show(now[key])),
                this.b ? element("td", "number", this.theirCount(key, show)) : cell);
            list.append(row);
        }
        this.counters.replaceChildren(element("h3", "", "counted so far, all heads"), list, ...(this.b
            ? [element("p", "", `Last column: ${this.b.name}, at the end of its run.`)] : []));
    }

    theirCount(key, show) {
        const last = this.b.counts?.last[key];
        return last === undefined ? "" : show(last);
    }
}

// Two runs of the same flags, made by different code, say by which name theirs differs.
function nameApart(traces, words) {
    const names = traces.map((trace) => trace.name);
    traces.forEach((trace, i) => {
        if (names.indexOf(names[i]) !== i || names.lastIndexOf(names[i]) !== i)
            trace.name += ` · ${words[i]}`;
    });
}

// The value of the trace beside the one that was computed here.
function agreement(value, again) {
    return `computed here once more: ${ulps(value, again) === 0 ? "" : `${exact(again)}, `}${distance(value, again)}`;
}

// A matrix too small to read: its pattern.
function thumbnail(matrix) {
    const canvas = element("canvas", "thumb"), pen = canvas.getContext("2d", { willReadFrequently: true });
    const look = looks(matrix, matrix.name === "weights" ? "weights" : "signed");
    const size = Math.max(1, Math.floor(64 / Math.max(matrix.n, matrix.m))); // long ones: their beginning
    const n = Math.min(64, matrix.n), m = Math.min(64, matrix.m);
    canvas.width = size * m;
    canvas.height = size * n;
    for (let i = 0; i < n; i++)
        for (let j = 0; j < m; j++) {
            const fill = look.fill(i, j);
            if (fill) {
                pen.fillStyle = css(fill);
                pen.fillRect(j * size, i * size, size, size);
            }
        }
    return canvas;
}

function start() {
    for (const root of document.querySelectorAll(".viewer"))
        window.viewer = new Viewer(root, TRACES);
    window.viewerParts = { explain, panelOf, momentsOf, compareStep, translate, poolOf, ulps, exact, brief, bytes };
}

if (document.readyState === "loading")
    document.addEventListener("DOMContentLoaded", start);
else
    start();
