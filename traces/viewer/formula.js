// What a cell is: its formula, with the numbers that go in, which cells those are, and the same
// computed once more here in float32, in the order that the chapters use.
"use strict";

// An answer: { rule, numbers, inputs: [{ panel, cells }], again }. rule: the formula in letters;
// numbers: the same with numbers, a line each; again: the value computed here, or undefined where
// what goes in is not in the trace.
function explain(trace, moment, batch, head, panel, i, j) {
    const matrix = panelOf(trace, moment, batch, head, panel);
    const get = (name) => panelOf(trace, moment, batch, head, name);
    const has = (name) => moment.panels.includes(name) && get(name);
    const how = EXPLAIN[panel] || (() => given("Given."));
    return how({ trace, moment, batch, head, matrix, get, has, i, j });
}

function given(text, inputs = []) { return { rule: text, numbers: [], inputs }; }

function dead(inputs = []) {
    return { ...given("0: a dead row, which may look at nothing", inputs), again: 0 };
}

// One row of a panel, or one cell, as what goes in.
function rowOfPanel(c, panel, i) { return { panel, cells: rowCells(i, c.get(panel).m) }; }
function cellOf(panel, i, j) { return { panel, cells: [[i, j]] }; }

function rowCells(i, m) { return Array.from({ length: m }, (_, j) => [i, j]); }

// A long sum shows its first terms and its last.
function sumText(terms) {
    const most = 8;
    if (terms.length <= most)
        return terms.join(" + ") || "0";
    const between = `… ${terms.length - most + 1} more …`;
    return [...terms.slice(0, most - 2), between, terms[terms.length - 1]].join(" + ");
}

function product(a, b) {
    const text = (x) => x < 0 || Object.is(x, -0) ? `(${brief(x)})` : brief(x);
    return `${text(a)}·${text(b)}`;
}

// --- the softmax, as chapters 01 to 06 compute a row ---------------------------------------------

function softmaxRow(values) {
    const max = values.reduce((m, x) => x > m ? x : m, -Infinity); // fmaxf: a NaN does not count
    const base = max === -Infinity ? 0 : max;
    const shares = values.map((x) => f32(Math.exp(f32(x - base))));
    const sum = shares.reduce((s, x) => f32(s + x), 0);
    return { max, base, shares, sum };
}

// The scores that the softmax read: the last step before it.
function softmaxInput(c) { return ["masked", "scaled", "scores"].find((name) => c.has(name)); }

// --- the state of 07 -----------------------------------------------------------------------------

// The tile that these queries met before this one, in the same part of a --cut; undefined: none.
function tileBefore(c) {
    const { trace, moment, batch, head } = c, cuts = cutsOf(trace), { i, j } = moment.tile;
    const part = (key) => cuts.filter((cut) => cut <= key).length;
    const before = trace.tiles(moment.pass, batch, head)
        .filter((t) => t.i === i && t.j < j && part(t.j) === part(j));
    return before[before.length - 1];
}

function stateBefore(c, kind) {
    const tile = tileBefore(c);
    return tile && c.trace.step(c.moment.pass, c.batch, c.head, `${tile.name}.${kind}`);
}

// The row of this tile's scores, and where it stands in the plane.
function tileRow(c) {
    const { trace, moment, batch, head, i } = c;
    const to = tileEnd(trace, moment, batch, head, moment.tile), row = moment.tile.i + i;
    const scores = [], cells = [];
    for (let j = moment.tile.j; j < to; j++) {
        scores.push(scoreOf(trace, moment.pass, batch, head, row, j));
        cells.push([row, j]);
    }
    return { scores, cells, row };
}

function explainState(c) {
    const { i, j, matrix } = c, { scores, cells } = tileRow(c), before = stateBefore(c, "state");
    const [old, sumBefore] = before ? [at(before, i, 1), at(before, i, 3)] : [-Infinity, 0];
    const max = at(matrix, i, 1), base = max === -Infinity ? 0 : max;
    const known = Boolean(c.trace.rule(c.batch, c.head));
    const unknown = known ? "" : "This trace does not say which keys are hidden.";
    const tile = { panel: "plane", cells }, own = (...columns) =>
        ({ panel: "state", cells: columns.map((column) => [i, column]) });
    if (j === 0)
        return { rule: "m′: the maximum before this tile", inputs: [], again: old,
            numbers: [before ? `after the tile before: ${brief(old)}` : "no tile before: −∞"] };
    if (j === 1)
        return { rule: "m = max(m′, S[i,j] of the tile)", inputs: [tile, own(0)],
            again: known ? scores.reduce((m, x) => x > m ? x : m, old) : undefined,
            numbers: [unknown || `= max(${[old, ...scores].map(brief).join(", ")})`] };
    const rescale = f32(Math.exp(f32(old - base)));
    if (j === 2)
        return { rule: "rescale = exp(m′ − m)", again: rescale,
            inputs: [own(0, 1)],
            numbers: [`= exp(${brief(old)} − ${paren(base)})`,
                rescale === 1 ? "the maximum stays: nothing shrinks" : ""].filter(Boolean) };
    const shares = scores.map((x) => f32(Math.exp(f32(x - base))));
    const tileSum = shares.reduce((s, x) => f32(s + x), 0);
    return { rule: "l = rescale · l′ + Σ exp(S[i,j] − m)", inputs: [tile, own(1, 2)],
        again: known ? f32(f32(rescale * sumBefore) + tileSum) : undefined,
        numbers: [unknown ||
            `= ${brief(rescale)} · ${brief(sumBefore)} + ${sumText(shares.map(brief))}`] };
}

function paren(x) { return x < 0 ? `(${brief(x)})` : brief(x); }

function explainAcc(c) {
    const { i, j } = c, { scores, cells, row } = tileRow(c), rule = c.trace.rule(c.batch, c.head);
    const state = c.get("state"), v = c.get("v"), before = stateBefore(c, "acc");
    const max = at(state, i, 1), base = max === -Infinity ? 0 : max, rescale = at(state, i, 2);
    const first = c.moment.tile.j, terms = [], read = [];
    let mixed = 0;
    scores.forEach((x, n) => {
        if (!rule || !rule.sees(c.get("q").first + row, first + n))
            return; // a hidden key's V is never read
        const share = f32(Math.exp(f32(x - base)));
        mixed = f32(mixed + f32(share * at(v, first + n, j)));
        terms.push(product(share, at(v, first + n, j)));
        read.push(first + n);
    });
    const old = before ? at(before, i, j) : 0;
    return { rule: "acc = rescale · acc′ + Σ exp(S[i,j] − m) V[j,d]",
        numbers: [rule ? `= ${brief(rescale)} · ${paren(old)} + ${sumText(terms)}`
            : "This trace does not say which keys are hidden."],
        inputs: [{ panel: "plane", cells: cells.filter(([, key]) => read.includes(key)) },
            { panel: "state", cells: read.length ? [[i, 1], [i, 2]] : [[i, 2]] },
            { panel: "v", cells: read.map((key) => [key, j]) }],
        again: rule ? f32(f32(rescale * old) + mixed) : undefined };
}

// --- a panel's formula ---------------------------------------------------------------------------

const EXPLAIN = {
    x: () => given("A token's vector: what went in."),
    q: (c) => c.has("x") ? given("Q = X W_Qᵀ: the token's row of X, through W_Q, this head's " +
        "columns.", [rowOfPanel(c, "x", c.i)]) : given("Q: what went in."),
    k: () => given("K: a key, by which a query finds a token."),
    v: () => given("V: what a token has to say."),
    cache: () => given("Counted by the cache itself, in bytes."),
    block_table: (c) => given(`Entry ${c.j} of sequence ${c.i}: the block that holds its tokens.`),

    scores(c) {
        const q = c.get("q"), k = c.get("k"), { i, j } = c;
        const terms = rowCells(i, q.m).map(([, d]) => product(at(q, i, d), at(k, j, d)));
        return { rule: "S[i,j] = Σ Q[i,d] K[j,d]", numbers: [`= ${sumText(terms)}`],
            inputs: [rowOfPanel(c, "q", i), rowOfPanel(c, "k", j)], again: dot(q, i, k, j) };
    },

    scaled(c) {
        const s = c.get("scores"), scale = c.trace.scale();
        return { rule: "scale · S[i,j]", numbers: [`= ${exact(scale)} · ${paren(at(s, c.i, c.j))}`],
            inputs: [cellOf("scores", c.i, c.j)], again: f32(at(s, c.i, c.j) * scale) };
    },

    masked(c) {
        const x = at(c.get("scaled"), c.i, c.j), rule = c.trace.rule(c.batch, c.head);
        const inputs = [cellOf("scaled", c.i, c.j)], row = c.matrix.first + c.i;
        const query = named(c.matrix.rows[c.i]), key = named(c.matrix.columns[c.j]);
        if (!rule)
            return { rule: "S[i,j], or −∞ where the mask hides it", numbers: [], inputs };
        if (!rule.sees(row, c.j))
            return { ...given(`−∞: the mask (${c.trace.run.mask}) hides key ${key} from query ` +
                query), again: -Infinity };
        const bias = rule.bias(row, c.j), seen = `query ${query} may look at key ${key}`;
        return { rule: bias ? "S[i,j] + bias[i,j]" : `S[i,j]: ${seen}`, inputs,
            numbers: bias ? [`= ${brief(x)} + ${paren(bias)}`] : [], again: f32(x + bias) };
    },

    weights(c) {
        const from = softmaxInput(c);
        if (!from)
            return given("P = softmax(S); the scores are not in this trace.");
        const { base, shares, sum } = softmaxRow(rowOf(c.get(from), c.i));
        const inputs = [rowOfPanel(c, from, c.i)], score = brief(at(c.get(from), c.i, c.j));
        if (sum === 0)
            return dead(inputs);
        return { rule: "P[i,j] = exp(S[i,j] − m) / Σ exp(S[i,j′] − m),  m: the row's maximum",
            numbers: [`= exp(${score} − ${paren(base)}) / (${sumText(shares.map(brief))})`,
                `= ${brief(shares[c.j])} / ${brief(sum)}`],
            inputs, again: shares[c.j] === 0 ? 0 : f32(shares[c.j] / sum) };
    },

    output(c) {
        if (c.trace.tiles(c.moment.pass, c.batch, c.head).length)
            return explainDivide(c);
        if (!c.has("weights"))
            return given("O = softmax(scale · Q Kᵀ) V; no step between is in this trace.");
        const p = c.get("weights"), v = c.get("v"), rule = c.trace.rule(c.batch, c.head);
        const terms = [], read = [], lse = c.has("lse");
        if (lse && at(lse, c.i, 0) === -Infinity)
            return dead();
        let sum = 0;
        for (let j = 0; j < p.m; j++)
            if (!rule || rule.sees(p.first + c.i, j)) { // a hidden key's V is never read
                sum = f32(sum + f32(at(p, c.i, j) * at(v, j, c.j)));
                terms.push(product(at(p, c.i, j), at(v, j, c.j)));
                read.push(j);
            }
        return { rule: "O[i,d] = Σ P[i,j] V[j,d]", numbers: [`= ${sumText(terms)}`],
            inputs: [{ panel: "weights", cells: read.map((j) => [c.i, j]) },
                { panel: "v", cells: read.map((j) => [j, c.j]) }], again: sum };
    },

    lse(c) {
        const tiled = c.trace.tiles(c.moment.pass, c.batch, c.head).length, from = softmaxInput(c);
        if (!tiled && !from)
            return given("L = m + log Σ exp(S − m): the log-sum-exp of the row's scores.");
        const ended = tiled && { max: at(c.get("ended"), c.i, 0), sum: at(c.get("ended"), c.i, 1) };
        const { max, sum } = ended || softmaxRow(rowOf(c.get(from), c.i));
        const base = max === -Infinity ? 0 : max;
        return { rule: tiled ? "L[i] = m + log(l)" : "L[i] = m + log Σ exp(S[i,j] − m)",
            numbers: [`= ${brief(base)} + log(${brief(sum)})`],
            inputs: [rowOfPanel(c, tiled ? "ended" : from, c.i)],
            again: f32(base + f32(Math.log(sum))) };
    },

    change(c) {
        const out = c.get("output"), x = c.get("q");
        return { rule: "O[i,d] − the input's", again: f32(at(out, c.i, c.j) - at(x, c.i, c.j)),
            numbers: [`= ${brief(at(out, c.i, c.j))} − ${paren(at(x, c.i, c.j))}`],
            inputs: [cellOf("output", c.i, c.j), cellOf("q", c.i, c.j)] };
    },

    concat(c) {
        const out = c.trace.step(c.moment.pass, c.batch, 0, "output");
        const width = out ? out.m : c.matrix.m, h = Math.floor(c.j / width), d = c.j % width;
        const from = c.trace.step(c.moment.pass, c.batch, h, "output");
        return { rule: `head ${h}'s output, feature ${d}`, numbers: [],
            inputs: h === c.head ? [cellOf("output", c.i, d)] : [],
            again: from ? at(from, c.i, d) : undefined };
    },

    result: (c) => given("result = concat W_Oᵀ: the token's row of all heads, through W_O.",
        [rowOfPanel(c, "concat", c.i)]),

    plane(c) {
        const status = c.matrix.status[c.i * c.matrix.m + c.j], q = c.get("q"), k = c.get("k");
        if (status !== NOW)
            return given(["Later: this tile's turn has not come.", "",
                "Gone: the next tile took its place. Only state and accumulator remember it.",
                "Skipped: the mask hides the whole tile, so nobody computes it."][status]);
        const rule = c.trace.rule(c.batch, c.head), row = q.first + c.i;
        const inputs = [rowOfPanel(c, "q", c.i), rowOfPanel(c, "k", c.j)];
        if (!rule)
            return given("The trace keeps no scores of a tile, nor says what is hidden.", inputs);
        if (!rule.sees(row, c.j))
            return given(`−∞: the mask (${c.trace.run.mask}) hides this key; its exp is 0.`);
        const terms = rowCells(c.i, q.m).map(([, d]) => product(at(q, c.i, d), at(k, c.j, d)));
        const bias = rule.bias(row, c.j);
        return { rule: `S[i,j] = scale · Σ Q[i,d] K[j,d]${bias ? " + bias[i,j]" : ""}`, inputs,
            numbers: [`= ${exact(c.trace.scale())} · (${sumText(terms)})` +
                (bias ? ` + ${paren(bias)}` : ""),
                "The trace keeps no scores of a tile: this one is computed here."] };
    },

    state: explainState,
    acc: explainAcc,
    ended: (c) => given(endedText(c)),
    ended_acc: (c) => given(endedText(c)),
};

function endedText(c) {
    if (!cutsOf(c.trace).length)
        return "As the last tile that this query met left it.";
    return "The parts that --cut made, merged: each shrinks to the larger maximum, then they add " +
        "up. Computed here; the trace keeps the parts.";
}

function explainDivide(c) {
    const sum = at(c.get("ended"), c.i, 1), acc = at(c.get("ended_acc"), c.i, c.j);
    if (sum === 0)
        return dead([cellOf("ended", c.i, 1)]);
    return { rule: "O[i,d] = acc / l", numbers: [`= ${brief(acc)} / ${brief(sum)}`],
        inputs: [cellOf("ended", c.i, 1), cellOf("ended_acc", c.i, c.j)], again: f32(acc / sum) };
}
