// The moments that the slider passes through: the algorithm's own steps, pass after pass, and for
// chapter 07 tile after tile. Each says which matrices stand on the table by then, and which is new.
"use strict";

// What a step does, and what it is called in a line. Chapters 01 to 06 walk down this list.
const STEPS = [
    { name: "x", title: "X", text: "The tokens' vectors, before the projections make Q, K and V of them." },
    { name: "q", title: "Q, K, V", text: "What goes in: a row of Q for each query, a row of K and of V for each key." },
    { name: "cache", title: "cache", text: "K and V are kept for later tokens. Bytes reserved, used, wasted and copied." },
    { name: "block_table", title: "block table", text: "K and V lie in blocks anywhere in the pool. The table says where." },
    { name: "scores", title: "S = Q Kᵀ", text: "Every query meets every key: multiply feature by feature, and add." },
    { name: "scaled", title: "S · scale", text: "The scale, 1/√D unless told otherwise, keeps the softmax from settling on one key." },
    { name: "masked", title: "masked S", text: "Where the rule hides a key, its score becomes −∞: exp(−∞) is exactly 0." },
    { name: "weights", title: "P = softmax(S)", text: "Each row becomes positive and sums to one: who listens to whom, and how much." },
    { name: "output", title: "O = P V", text: "Each query's output: the rows of V, mixed by its weights." },
    { name: "change", title: "O − input", text: "What attention changed in each token." },
    { name: "concat", title: "heads joined", text: "The heads' outputs side by side, a token a row." },
    { name: "result", title: "result", text: "The joined heads, through W_O: what the next layer gets." },
];

const DIVIDE = { title: "O = acc / l", text: "No tile is left: what was accumulated is divided by the sum." };

// Steps that are recorded when the pass is over, and shown where they begin to matter.
const WHEN_OVER = ["cache", "block_table"];

// Steps that belong to all heads are head 0's.
const WHOLE = ["x", "concat", "result", "cache", "block_table"];

function headOf(name, head) { return WHOLE.includes(name) ? 0 : head; }

// Moments of one head. panels: what is shown, in order; now: what is new.
function momentsOf(trace, batch, head) {
    return trace.once(`b${batch}.h${head} moments`, () => makeMoments(trace, batch, head));
}

function makeMoments(trace, batch, head) {
    const moments = [];
    for (let pass = 0; pass < trace.passes; pass++) {
        const shown = [];
        const add = (step, now, panels) =>
            moments.push({ pass, ...step, now, panels, counted: countedAt(trace, pass, batch, head, now) });
        for (const step of STEPS) {
            if (step.name === "output")
                addTiles(trace, pass, batch, head, shown, moments);
            if (step.name !== "q" ? !hasStep(trace, pass, batch, head, step.name)
                : !trace.memory(pass, batch, head, "k"))
                continue;
            const now = newPanels(trace, pass, batch, head, step.name);
            const tiled = step.name === "output" && trace.tiles(pass, batch, head).length;
            shown.push(...(tiled ? ["ended", "ended_acc"] : []), ...now);
            add(tiled ? { ...step, ...DIVIDE } : { ...step, ...again(trace, step, pass) }, now, [...shown]);
        }
    }
    return moments;
}

// From the second pass on, little goes in.
function again(trace, step, pass) {
    if (step.name !== "q" || pass === 0)
        return {};
    return { text: "One more token: one row of Q. " + (trace.run.settings?.["no-cache"]
        ? "Nothing is kept: K and V of all tokens before it are computed once more."
        : "Its rows of K and V join those that are kept; only they are new.") };
}

function hasStep(trace, pass, batch, head, name) {
    // The table of a batch is one step, sequence 0's.
    return trace.has(pass, name === "block_table" ? 0 : batch, headOf(name, head), name);
}

function newPanels(trace, pass, batch, head, name) {
    if (name === "q")
        return ["q", "k", "v"];
    return name === "output" && hasStep(trace, pass, batch, head, "lse") ? ["output", "lse"] : [name];
}

// Tile by tile, before the output of 07.
function addTiles(trace, pass, batch, head, shown, moments) {
    for (const tile of trace.tiles(pass, batch, head)) {
        const now = ["plane", "state", "acc"], rows = trace.step(pass, batch, head, `${tile.name}.state`).n;
        const to = tileEnd(trace, { pass }, batch, head, tile);
        const text = `Queries ${tile.i} to ${tile.i + rows - 1} meet keys ${tile.j} to ${to - 1}. The ` +
            "maximum m rises or stays; the sum l and the accumulator shrink by the rescale, then grow " +
            "by what the tile adds. No other scores exist.";
        moments.push({ pass, name: "tile", tile, title: `tile q${tile.i} × k${tile.j}`, text,
            now, panels: [...shown, ...now],
            counted: countedAt(trace, pass, batch, head, [tile.name + ".acc"]) });
    }
}

// The counters when this was done: a step's own row of counts.csv, or where the pass began.
function countedAt(trace, pass, batch, head, names) {
    if (!trace.counts)
        return null;
    for (const name of WHEN_OVER.includes(names[0]) ? ["v", "k", "q"] : [...names].reverse()) {
        const found = trace.counts.byStep.get(`p${pass}.b${batch}.h${headOf(name, head)}.${name}`);
        if (found)
            return found;
    }
    return null;
}

// The matrix behind a panel at a moment.
function panelOf(trace, moment, batch, head, name) {
    const { pass } = moment;
    if (name === "k" || name === "v")
        return trace.memory(pass, batch, head, name);
    if (name === "plane")
        return planeOf(trace, moment, batch, head);
    if (name === "ended" || name === "ended_acc")
        return endedOf(trace, pass, batch, head)[name];
    if (name === "state" || name === "acc")
        return trace.step(pass, batch, head, `${moment.tile.name}.${name}`);
    return trace.step(pass, name === "block_table" ? 0 : batch, headOf(name, head), name);
}

// --- chapter 07: which part of the scores there is -----------------------------------------------

const LATER = 0, NOW = 1, GONE = 2, SKIPPED = 3; // of a pair of query and key

// The key behind a tile's last. Its width is --tile's; where an older trace does not say that, the
// least step from tile to tile.
function tileEnd(trace, moment, batch, head, tile) {
    const keys = trace.memory(moment.pass, batch, head, "k").n;
    const width = Number(trace.run.settings?.tile.split(",")[1]) || leastStep(trace, moment.pass, batch, head);
    return Math.min(tile.j + width, keys, ...cutsOf(trace).filter((cut) => cut > tile.j));
}

function leastStep(trace, pass, batch, head) {
    return trace.once(`p${pass}.b${batch}.h${head} least step`, () => {
        const starts = [...new Set(trace.tiles(pass, batch, head).map((t) => t.j))].sort((a, b) => a - b);
        return starts.slice(1).reduce((least, j, i) => Math.min(least, j - starts[i]), Infinity);
    });
}

// --cut: where the keys are cut into parts that are walked apart.
function cutsOf(trace) {
    const cut = trace.run.settings?.cut;
    return cut ? cut.split(",").map(Number) : [];
}

// The score of one pair, computed as chapter 07 does, for its trace keeps none: in float32, in the
// order of the features. −∞ where the mask hides the key; NaN where the trace does not say.
function scoreOf(trace, pass, batch, head, i, j) {
    const q = trace.step(pass, batch, head, "q"), k = trace.memory(pass, batch, head, "k");
    const rule = trace.rule(batch, head), row = q.first + i;
    if (!rule)
        return NaN;
    return rule.sees(row, j) ? f32(f32(dot(q, i, k, j) * trace.scale()) + rule.bias(row, j)) : -Infinity;
}

function dot(q, i, k, j) {
    let sum = 0;
    for (let d = 0; d < q.m; d++)
        sum = f32(sum + f32(at(q, i, d) * at(k, j, d)));
    return sum;
}

// All pairs of the pass, of which only this tile's have a number now. One plane is kept: those of
// all tiles would take more memory than the N × M scores that 07 is there to save.
function planeOf(trace, moment, batch, head) {
    const { pass, tile } = moment, key = `p${pass}.b${batch}.h${head}.${tile.name} plane`;
    if (trace.plane?.key !== key)
        trace.plane = { key, matrix: makePlane(trace, moment, batch, head) };
    return trace.plane.matrix;
}

function makePlane(trace, moment, batch, head) {
    const { pass, tile } = moment, q = trace.step(pass, batch, head, "q");
    const k = trace.memory(pass, batch, head, "k"), tiles = trace.tiles(pass, batch, head);
    const plane = { name: "plane", step: `${tile.name} scores`, pass, batch, head, n: q.n, m: k.n,
        rows: q.rows, columns: k.rows, first: q.first, data: new Float32Array(q.n * k.n).fill(NaN),
        status: new Uint8Array(q.n * k.n).fill(SKIPPED) };
    const reached = tiles.findIndex((t) => t.i === tile.i && t.j === tile.j);
    tiles.forEach((t, n) => {
        const to = tileEnd(trace, moment, batch, head, t);
        const rows = trace.step(pass, batch, head, `${t.name}.state`).n;
        for (let i = t.i; i < t.i + rows; i++)
            for (let j = t.j; j < to; j++) {
                plane.status[i * k.n + j] = n < reached ? GONE : n > reached ? LATER : NOW;
                if (n === reached)
                    plane.data[i * k.n + j] = scoreOf(trace, pass, batch, head, i, j);
            }
    });
    return plane;
}

// --- chapter 07: what each query carries when no tile is left -------------------------------------

// { ended: [N, 2], the maximum and the sum; ended_acc: [N, Dv] } of a pass.
function endedOf(trace, pass, batch, head) {
    return trace.once(`p${pass}.b${batch}.h${head} ended`, () => makeEnded(trace, pass, batch, head));
}

function makeEnded(trace, pass, batch, head) {
    const out = trace.step(pass, batch, head, "output"), { n, m, rows, columns, first } = out;
    const ended = { name: "ended", step: "ended", n, m: 2, rows, columns: ["max", "sum"], first,
        data: new Float32Array(n * 2) };
    const acc = { name: "ended_acc", step: "ended_acc", n, m, rows, columns, first, data: new Float32Array(n * m) };
    for (let i = 0; i < n; i++) {
        const last = lastState(trace, pass, batch, head, i);
        ended.data.set([last.max, last.sum], i * 2);
        acc.data.set(last.acc, i * m);
    }
    return { ended, ended_acc: acc };
}

// Query i's state after its last tile; where --cut made parts that were walked apart, theirs merged.
// A query that met no tile has seen nothing.
function lastState(trace, pass, batch, head, i) {
    const cuts = cutsOf(trace), parts = new Map();
    for (const tile of trace.tiles(pass, batch, head)) {
        const state = trace.step(pass, batch, head, `${tile.name}.state`);
        if (tile.i <= i && i < tile.i + state.n)
            parts.set(cuts.filter((cut) => cut <= tile.j).length, tile);
    }
    let whole = null;
    for (const tile of parts.values()) {
        const state = trace.step(pass, batch, head, `${tile.name}.state`), r = i - tile.i;
        const acc = rowOf(trace.step(pass, batch, head, `${tile.name}.acc`), r);
        const part = { max: at(state, r, 1), sum: at(state, r, 3), acc };
        whole = whole ? mergeStates(whole, part) : part;
    }
    return whole || { max: -Infinity, sum: 0, acc: [] };
}

// m = max(m1, m2),  l = exp(m1 - m) l1 + exp(m2 - m) l2,  acc likewise
function mergeStates(a, b) {
    const max = Math.max(a.max, b.max), base = max === -Infinity ? 0 : max;
    const left = f32(Math.exp(f32(a.max - base))), right = f32(Math.exp(f32(b.max - base)));
    const add = (x, y) => f32(f32(left * x) + f32(right * y));
    return { max, sum: add(a.sum, b.sum), acc: a.acc.map((x, d) => add(x, b.acc[d])) };
}
