// The viewer itself: what is chosen, what that shows, and what keys and pointers do. TRACES and
// VIRIDIS stand above all scripts, where build.sh puts them.
"use strict";

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
        new MutationObserver(() => this.show()) // the book's button for day and night
            .observe(document.body, { attributeFilter: ["data-theme"] });
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
        this.chooseA.addEventListener("change", () =>
            this.set({ a: Number(this.chooseA.value), at: 0, cell: null, locked: false }));
        this.chooseB.addEventListener("change", () => this.set({ b: Number(this.chooseB.value) }));
    }

    buildPairs() {
        const find = (name) => this.traces.findIndex((trace) => trace.name === name);
        for (const [label, first, second, step] of PAIRS) {
            const a = find(first), b = find(second), button = element("button", "", label);
            button.addEventListener("click", () =>
                this.set({ a, b, at: step, head: 0, cell: null, locked: false }));
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
        const back = button("◀", "one step back", () => this.go(this.state.at - 1));
        const on = button("▶|", "one step on", () => this.go(this.state.at + 1));
        this.travel.append(back, this.slider, on, this.play);
    }

    buildSide() {
        this.cell = element("section", "cell");
        this.cell.setAttribute("aria-live", "polite");
        this.counters = element("section", "counters");
        const help = element("p", "help", "← → steps · [ ] heads · arrows in a matrix walk its " +
            "cells · click holds a cell, Esc lets go · p plays");
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
        const held = event.ctrlKey || event.altKey || event.metaKey;
        if (held || event.target.closest("input:not([type=range]), select, textarea"))
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

    // Not at every key that is held down: browsers stop listening to pages that do that.
    writeAddress() {
        clearTimeout(this.writing);
        const write = () => history.replaceState(null, "", addressOf(this.state, this.a, this.b));
        this.writing = setTimeout(write, 150);
    }

    readAddress() { Object.assign(this.state, stateOf(location.hash, this.traces)); }

    // --- what is shown --------------------------------------------------------------------------

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
        const what = pass === 0 ? "the prompt" : "one more token";
        const which = passes === 1 ? "" : `pass ${pass} of ${passes - 1}, ${what} · `;
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
            const shared = a.G < a.H || a.chapter >= "04" ? ` · KV ${a.kvHead(h)}` : "";
            const button = this.choiceButton(`head ${h}${shared}`, h === state.head, { head: h });
            const matrix = a.stacked(state.batch, h, "weights", this.moment.pass) ||
                a.stacked(state.batch, h, "output", this.moment.pass);
            if (matrix)
                button.prepend(thumbnail(matrix));
            parts.push(button);
        }
        const focused = [...this.heads.children].indexOf(document.activeElement);
        this.heads.replaceChildren(...parts);
        this.heads.children[focused]?.focus();
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
            this.views.set(name, panel === "block_table" ? new BlocksView(this.toldOfTokens())
                : new MatrixView(this.toldOfCells(panel)));
        }
        return this.views.get(name);
    }

    toldOfCells(panel) {
        return { point: (i, j) => this.point(panel, i, j), leave: () => this.leave(),
            lock: (i, j, moved) => this.lock(panel, i, j, moved) };
    }

    // A token that is clicked holds its row of K.
    toldOfTokens() {
        return { point: (s, t) => this.pointToken([s, t]), leave: () => this.pointToken(null),
            lock: (s, t) =>
                this.set({ batch: s, cell: { panel: "k", i: t, j: 0 }, locked: true }) };
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
        const matrix = panelOf(this.a, moment, batch, head, name);
        const fresh = moment.now.includes(name), into = told ? told.inputs : [];
        const lit = into.filter((x) => x.panel === name).flatMap((x) => x.cells);
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
        const ours = panelOf(this.a, this.moment, batch, head, name);
        const three = difference ? [[ours, this.a.name, kind], [theirs, this.b.name, kind],
            [difference, "the second less the first", "difference"]] : [];
        const views = three.map((_, i) => this.view(`${name} beside ${i}`));
        const line = element("p", `verdict ${sign}`, `${title}: ${verdict}`);
        this.place(this.beside, [{ figure: line }, ...views]);
        three.forEach(([matrix, heading, sort], i) => views[i].draw(matrix,
            { title: heading, kind: sort, cursor: this.cursorIn(name), small: matrix.m > 5 }));
    }

    // The same answer while only another cell is pointed at: large matrices take time.
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
            return this.cell.replaceChildren(element("h3", "", "a cell"), element("p", "",
                "Point at a number: its formula, and what goes into it. Click to hold it."));
        const matrix = panelOf(this.a, this.moment, batch, head, cell.panel);
        const title = cellTitle(matrix, cell);
        const lines = [title, ...cellLines(matrix, cell, this.told)];
        if (locked)
            title.append(this.freeButton());
        if (this.b)
            lines.push(otherLine(this.b.name, this.comparedStep(cell.panel), cell,
                at(matrix, cell.i, cell.j)));
        this.cell.replaceChildren(...lines);
    }

    freeButton() {
        const free = element("button", "free", "held · let go");
        free.addEventListener("click", () => this.set({ cell: null, locked: false }));
        return free;
    }

    showCounters() {
        const { counted } = this.moment;
        this.counters.replaceChildren(...counterLines(counted, this.a.counts?.last, this.b));
    }
}

function start() {
    for (const root of document.querySelectorAll(".viewer"))
        window.viewer = new Viewer(root, TRACES);
    window.viewerParts = { explain, panelOf, momentsOf, translate, poolOf, ulps };
}

if (document.readyState === "loading")
    document.addEventListener("DOMContentLoaded", start);
else
    start();
