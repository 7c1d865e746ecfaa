// What --trace DIR wrote, as the viewer's other files ask for it: matrices by pass, batch, head and
// name, rows of several passes under each other, and the counters (docs/TRACES.md).
"use strict";

// JSON knows no infinity and no NaN: a trace has them as strings.
const SPECIAL = { inf: Infinity, "-inf": -Infinity, nan: NaN };

function numbersOf(data) {
    return Float32Array.from(data, (x) => typeof x === "string" ? SPECIAL[x] : x);
}

// A step as a matrix [n, m]; a step of one axis is a column. first: its row 0 is row `first` of the
// run, or of all keys.
function matrixOf(step, first) {
    const [n, m = 1] = step.shape;
    const columns = step.columns.length === m ? step.columns : [step.name];
    return { name: step.name, step: step.step, pass: step.pass, batch: step.batch, head: step.head,
        n, m, rows: step.rows, columns, data: numbersOf(step.data), first };
}

function at(matrix, i, j) {
    return matrix.data[i * matrix.m + j];
}

function rowOf(matrix, i) { return Array.from({ length: matrix.m }, (_, j) => at(matrix, i, j)); }

// Matrices of the passes under each other, as wide as the widest: what a pass had no key for is NaN
// and, since that is not what the pass computed, `there` says so.
function stack(matrices, name) {
    const m = Math.max(...matrices.map((x) => x.m));
    const n = matrices.reduce((sum, x) => sum + x.n, 0);
    const widest = matrices.find((x) => x.m === m);
    const whole = { name, step: matrices[0].step, batch: matrices[0].batch, head: matrices[0].head,
        n, m, rows: [], columns: widest.columns, data: new Float32Array(n * m).fill(NaN),
        there: new Uint8Array(n * m), first: 0 };
    for (const part of matrices) {
        for (let i = 0; i < part.n; i++)
            for (let j = 0; j < part.m; j++) {
                whole.data[(whole.rows.length + i) * m + j] = at(part, i, j);
                whole.there[(whole.rows.length + i) * m + j] = 1;
            }
        whole.rows.push(...part.rows);
    }
    return whole;
}

// counts.csv as a table by step; null where an older trace has none.
function countsOf(text) {
    if (!text)
        return null;
    const [header, ...lines] = text.trim().split("\n");
    const names = header.split(",").slice(1);
    const rows = lines.map((line) => line.split(","));
    const byStep = new Map(rows.map((row) => [row[0],
        Object.fromEntries(names.map((name, i) => [name, Number(row[i + 1])]))]));
    return { names, byStep, last: byStep.get(rows[rows.length - 1][0]) };
}

// What a reader would call it: the program, its flags, and the device if it is not the processor.
function nameOf({ name, run }) {
    if (!run)
        return name;
    const words = [run.program, ...run.flags].join(" ");
    return run.device === "cpu" ? words : `${words} · ${run.device}`;
}

// One trace: { name, run, counts, pool, steps } as make viewer wrote it.
class Trace {
    constructor(raw) {
        this.name = nameOf(raw);
        this.run = raw.run || {};
        this.counts = countsOf(raw.counts);
        this.poolBlocks = raw.pool || {}; // by pass: how many blocks the pool has
        this.steps = raw.steps;
        this.byName = new Map(raw.steps.map((step) => [step.step, step]));
        this.made = new Map(); // what was asked for once
        const most = (key, of) =>
            raw.steps.reduce((m, s) => of(s) ? Math.max(m, s[key] + 1) : m, 0);
        this.passes = most("pass", () => true);
        this.B = most("batch", () => true);
        this.H = most("head", (s) => s.name === "q") || most("head", () => true);
        this.G = most("head", (s) => s.name === "k") || this.H;
    }

    // The program without its folder: "07_flash_tiling".
    get program() { return this.run.program || ""; }
    get chapter() { return this.program.slice(0, 2); }

    // Head h's keys and values are KV head h / (H / G)'s: neighbours share.
    kvHead(h) { return Math.floor(h / Math.max(1, this.H / this.G)); }

    // The same answer as last time: a pointer asks for everything again at each of its moves.
    once(key, make) {
        if (!this.made.has(key))
            this.made.set(key, make());
        return this.made.get(key);
    }

    // Keys before the run's first.
    get P() { return this.step(0, 0, 0, "past_k")?.n || 0; }

    // Query 0's position among all keys, as the rules of a mask count it (common/mask.h).
    get offset() {
        const { mask, N, M } = this.run;
        return this.P + (mask?.includes("causal-end") ? M - N : 0);
    }

    // One pass's step, or undefined. Steps of the whole sequence (x, block_table) are head 0's.
    step(pass, batch, head, name) {
        const key = `p${pass}.b${batch}.h${head}.${name}`, step = this.byName.get(key);
        return this.once(key, () => step && this.masked(matrixOf(step, this.firstRow(pass))));
    }

    // A weight that the mask hides is no small weight: weights say which they are.
    masked(matrix) {
        const rule = matrix.name === "weights" && this.rule(matrix.batch, matrix.head);
        if (rule)
            matrix.hidden = (i, j) => !rule.sees(matrix.first + i, j);
        return matrix;
    }

    has(pass, batch, head, name) { return this.byName.has(`p${pass}.b${batch}.h${head}.${name}`); }

    // Queries of the passes before this one.
    firstRow(pass) {
        let first = 0;
        for (let p = 0; p < pass; p++)
            first += this.byName.get(`p${p}.b0.h0.q`)?.shape[0] || 0;
        return first;
    }

    // A step of all passes, or of those up to `last`, under each other; undefined if none has it.
    stacked(batch, head, name, last = this.passes - 1) {
        return this.once(`${last}.b${batch}.h${head}.${name} stacked`, () => {
            const parts = this.stepsUpTo(last, batch, head, name);
            return parts.length ? this.masked(stack(parts, name)) : undefined;
        });
    }

    stepsUpTo(last, batch, head, name) {
        return Array.from({ length: last + 1 }, (_, p) => this.step(p, batch, head, name))
            .filter(Boolean);
    }

    // All keys, or values, that queries of this pass may look at: the past, then each pass's own.
    memory(pass, batch, head, name) {
        const g = this.kvHead(head);
        return this.once(`${pass}.b${batch}.g${g}.${name} memory`, () => {
            const past = this.step(0, batch, g, `past_${name}`);
            const parts = [...(past ? [past] : []), ...this.stepsUpTo(pass, batch, g, name)];
            return parts.length ? stack(parts, name) : undefined;
        });
    }

    // The scale of the scores: what run.json says, else the usual one.
    scale() {
        const q = this.step(0, 0, 0, "q");
        return f32(this.run.scale ?? 1 / Math.sqrt(q ? q.m : 1)); // JSON's is a decimal near it
    }

    // May query i of the run look at key j, and what is added to their score? From run.json;
    // null where an older trace does not say.
    rule(batch, head) {
        return this.once(`b${batch}.h${head} rule`, () => this.makeRule(batch, head));
    }

    makeRule(batch, head) {
        const masks = this.run.masks;
        if (!masks)
            return null;
        if (!masks.length) // chapter 01 has no mask
            return { sees: () => true, bias: () => 0 };
        const own = masks.find((x) => x.batch === batch && x.head === head) || masks[0];
        const bias = own.bias && numbersOf(own.bias), width = own.rows[0]?.length || 0;
        return { sees: (i, j) => own.rows[i]?.[j] === "1",
            bias: (i, j) => bias ? bias[i * width + j] : 0 };
    }

    // Tiles of 07 in the order they were walked, for one head in one pass.
    tiles(pass, batch, head) {
        return this.once(`p${pass}.b${batch}.h${head} tiles`, () => {
            const start = `p${pass}.b${batch}.h${head}.q`, found = [];
            for (const { step, name } of this.steps) {
                const match = step.startsWith(start) && name.match(/^(q(\d+)\.k(\d+))\.state$/);
                if (match)
                    found.push({ i: Number(match[2]), j: Number(match[3]), name: match[1] });
            }
            return found;
        });
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
