// The moments that the slider passes through: the algorithm's own steps, pass after pass, and for
// chapter 07 tile after tile. Each says which matrices stand on the table by then, and which is
// new.
"use strict";

// What a step does, and what it is called in a line. Chapters 01 to 06 walk down this list.
const STEPS = [
    { name: "x", title: "X",
        text: "The tokens' vectors, before the projections make Q, K and V of them." },
    { name: "q", title: "Q, K, V",
        text: "What goes in: a row of Q for each query, a row of K and of V for each key." },
    { name: "cache", title: "cache",
        text: "K and V are kept for later tokens. Bytes reserved, used, wasted and copied." },
    { name: "block_table", title: "block table",
        text: "K and V lie in blocks anywhere in the pool. The table says where." },
    { name: "scores", title: "S = Q Kᵀ",
        text: "Every query meets every key: multiply feature by feature, and add." },
    { name: "scaled", title: "S · scale", text: "The scale, 1/√D unless told otherwise, keeps " +
        "the softmax from settling on one key." },
    { name: "masked", title: "masked S",
        text: "Where the rule hides a key, its score becomes −∞: exp(−∞) is exactly 0." },
    { name: "weights", title: "P = softmax(S)",
        text: "Each row becomes positive and sums to one: who listens to whom, and how much." },
    { name: "output", title: "O = P V",
        text: "Each query's output: the rows of V, mixed by its weights." },
    { name: "change", title: "O − input", text: "What attention changed in each token." },
    { name: "concat", title: "heads joined",
        text: "The heads' outputs side by side, a token a row." },
    { name: "result", title: "result",
        text: "The joined heads, through W_O: what the next layer gets." },
];

const DIVIDE = { title: "O = acc / l",
    text: "No tile is left: what was accumulated is divided by the sum." };

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
        const add = (step, now, panels) => moments.push({ pass, ...step, now, panels,
            counted: countedAt(trace, pass, batch, head, now) });
        for (const step of STEPS) {
            if (step.name === "output")
                addTiles(trace, pass, batch, head, shown, moments);
            if (step.name !== "q" ? !hasStep(trace, pass, batch, head, step.name)
                : !trace.memory(pass, batch, head, "k"))
                continue;
            const now = newPanels(trace, pass, batch, head, step.name);
            const tiled = step.name === "output" && trace.tiles(pass, batch, head).length;
            shown.push(...(tiled ? ["ended", "ended_acc"] : []), ...now);
            add({ ...step, ...(tiled ? DIVIDE : again(trace, step, pass)) }, now, [...shown]);
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
    const two = name === "output" && hasStep(trace, pass, batch, head, "lse");
    return two ? ["output", "lse"] : [name];
}

// Tile by tile, before the output of 07.
function addTiles(trace, pass, batch, head, shown, moments) {
    for (const tile of trace.tiles(pass, batch, head)) {
        const now = ["plane", "state", "acc"];
        const rows = trace.step(pass, batch, head, `${tile.name}.state`).n;
        const to = tileEnd(trace, { pass }, batch, head, tile);
        const last = tile.i + rows - 1;
        const text = `Queries ${tile.i} to ${last} meet keys ${tile.j} to ${to - 1}. ` +
            "The maximum m rises or stays; sum l and accumulator shrink by the rescale, then " +
            "grow by what the tile adds. No other scores exist.";
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
