// Chapter 07, tile by tile, of which a trace keeps only a state and an accumulator: which part of
// the scores there is, and what each query carries in the end.
"use strict";

const LATER = 0, NOW = 1, GONE = 2, SKIPPED = 3; // of a pair of query and key

// The key behind a tile's last. Its width is --tile's; where an older trace does not say that, the
// least step from tile to tile.
function tileEnd(trace, moment, batch, head, tile) {
    const keys = trace.memory(moment.pass, batch, head, "k").n;
    const width = Number(trace.run.settings?.tile.split(",")[1])
        || leastStep(trace, moment.pass, batch, head);
    return Math.min(tile.j + width, keys, ...cutsOf(trace).filter((cut) => cut > tile.j));
}

function leastStep(trace, pass, batch, head) {
    return trace.once(`p${pass}.b${batch}.h${head} least step`, () => {
        const starts = [...new Set(trace.tiles(pass, batch, head).map((t) => t.j))];
        starts.sort((a, b) => a - b);
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
    if (!rule.sees(row, j))
        return -Infinity;
    return f32(f32(dot(q, i, k, j) * trace.scale()) + rule.bias(row, j));
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

// --- what each query carries when no tile is left ------------------------------------

// { ended: [N, 2], the maximum and the sum; ended_acc: [N, Dv] } of a pass.
function endedOf(trace, pass, batch, head) {
    return trace.once(`p${pass}.b${batch}.h${head} ended`,
        () => makeEnded(trace, pass, batch, head));
}

function makeEnded(trace, pass, batch, head) {
    const out = trace.step(pass, batch, head, "output"), { n, m, rows, columns, first } = out;
    const ended = { name: "ended", step: "ended", n, m: 2, rows, columns: ["max", "sum"], first,
        data: new Float32Array(n * 2) };
    const acc = { name: "ended_acc", step: "ended_acc", n, m, rows, columns, first,
        data: new Float32Array(n * m) };
    for (let i = 0; i < n; i++) {
        const last = lastState(trace, pass, batch, head, i);
        ended.data.set([last.max, last.sum], i * 2);
        acc.data.set(last.acc, i * m);
    }
    return { ended, ended_acc: acc };
}

// Query i's state after its last tile; where --cut made parts that were walked apart, theirs
// merged. A query that met no tile has seen nothing.
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
