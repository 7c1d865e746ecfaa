// Two traces beside each other: the same step of both, row by query and column by key, and what one
// has more than the other.
"use strict";

// Steps whose rows are the run's queries: the passes of a cached run are put under each other, so
// that it can be held against one that had no cache.
const BY_QUERY = ["x", "q", "scores", "scaled", "masked", "weights", "output", "lse", "change",
    "concat", "result"];

// The step of trace b that stands where a panel of trace a does at a moment; undefined where b has
// none.
function theirsOf(b, moment, batch, head, name) {
    if (BY_QUERY.includes(name))
        return b.stacked(batch, headOf(name, head), name);
    if (name === "k" || name === "v")
        return b.memory(b.passes - 1, batch, head, name);
    if (name === "state" || name === "acc")
        return b.step(moment.pass, batch, head, `${moment.tile.name}.${name}`);
    const tiles = b.tiles(moment.pass, batch, head);
    if (name.startsWith("ended"))
        return tiles.length ? endedOf(b, moment.pass, batch, head)[name] : undefined;
    if (name === "plane")
        return tiles.some((t) => t.name === moment.tile.name)
            ? planeOf(b, moment, batch, head) : undefined;
    return b.step(moment.pass, name === "block_table" ? 0 : batch, 0, name);
}

// How many rows below its row i the query of b stands that is a's query i. Runs of the same sizes
// have the same queries; else a query is known by its position, which begins behind a past.
function rowsBelow(a, b, name) {
    const alike = ["N", "M", "P"].every((size) => a.run[size] === b.run[size]);
    return alike || ["k", "v", "cache", "block_table"].includes(name) ? 0 : a.offset - b.offset;
}

// theirs, cut to our rows and columns; `there` says which of these it has.
function alignedTo(ours, theirs, below) {
    const down = ours.first - theirs.first + below, size = ours.n * ours.m;
    const cut = { ...ours, data: new Float32Array(size).fill(NaN), there: new Uint8Array(size),
        hidden: theirs.hidden && ((i, j) => theirs.hidden(i + down, j)) };
    for (let i = 0; i < ours.n; i++)
        for (let j = 0; j < ours.m; j++) {
            const row = i + down;
            if (row < 0 || row >= theirs.n || j >= theirs.m)
                continue;
            const from = row * theirs.m + j;
            cut.data[i * ours.m + j] = theirs.data[from];
            cut.there[i * ours.m + j] = theirs.there ? theirs.there[from] : 1;
        }
    return cut;
}

// { theirs, difference, verdict } or { verdict } where there is nothing to compare.
function compareStep(a, b, moment, batch, head, name) {
    const ours = panelOf(a, moment, batch, head, name);
    const whole = theirsOf(b, moment, batch, head, name);
    if (!whole)
        return { verdict: "nothing to compare: the second trace has no such step" };
    const theirs = alignedTo(ours, whole, rowsBelow(a, b, name));
    const found = { most: 0, at: null, ulps: 0, compared: 0, missing: 0 };
    const difference = { ...theirs, data: new Float32Array(ours.n * ours.m),
        status: undefined, hidden: undefined };
    for (let n = 0; n < ours.data.length; n++)
        difference.data[n] = oneDifference(ours, theirs, n, found);
    const sign = !found.compared ? "" : found.at ? "unequal" : "same";
    return { theirs, difference, sign, verdict: verdictOf(ours, whole, found) };
}

function oneDifference(ours, theirs, n, found) {
    const x = ours.data[n], y = theirs.data[n];
    const here = (!ours.there || ours.there[n]) && (!ours.status || ours.status[n] === NOW);
    if (!theirs.there[n] || !here) {
        theirs.there[n] = 0;
        found.missing++;
        return NaN;
    }
    found.compared++;
    const apart = ulps(x, y);
    if (apart === 0)
        return 0;
    const by = y - x; // ∞ where one is infinite, NaN where one is NaN
    if (!found.at || Math.abs(by) > found.most || Number.isNaN(by))
        Object.assign(found, { most: Math.abs(by), ulps: apart,
            at: [Math.floor(n / ours.m), n % ours.m] });
    return by;
}

function verdictOf(ours, whole, { most, at: cell, ulps: apart, compared, missing }) {
    const shapes = `${ours.n} × ${ours.m} beside ${whole.n} × ${whole.m}`;
    const rest = !missing ? ""
        : `; ${missing} of ${missing + compared} have no counterpart (${shapes})`;
    if (!compared)
        return `nothing in common: ${shapes}`;
    if (!cell)
        return `same bits in all ${compared}${rest}`;
    const [i, j] = cell;
    const where = `[${named(ours.rows[i])}, ${named(ours.columns[j])}]`;
    const far = apart === null || apart > MANY ? "" : `, ${ulpsText(apart)}`;
    return `largest difference ${brief(most)} at ${where}${far}${rest}`;
}
