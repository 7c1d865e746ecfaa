// The block table of 06 and 07 as a picture: the pool as it lies in memory, the table of each
// sequence, and a token's address translated step by step.
"use strict";

// { T, blocks: [{ number, sequence, entry }], table: [[...]], names: [[...]], G, D } after a pass.
function poolOf(trace, pass) {
    return trace.once(`p${pass} pool`, () => makePool(trace, pass));
}

function makePool(trace, pass) {
    const step = trace.step(pass, 0, 0, "block_table");
    if (!step)
        return null;
    const table = Array.from({ length: step.n }, (_, s) => rowOf(step, s).filter((x) => x >= 0));
    const names = table.map((_, s) => trace.memory(pass, s, 0, "k")?.rows || []);
    const T = Number(trace.run.settings?.["block-size"])
        || Math.ceil(names[0].length / table[0].length);
    const count = Math.max(trace.poolBlocks[`p${pass}`] || 0, ...table.flat().map((b) => b + 1));
    const blocks = Array.from({ length: count },
        (_, number) => ({ number, sequence: -1, entry: -1 })); // -1: free
    table.forEach((entries, sequence) => entries.forEach((number, entry) =>
        Object.assign(blocks[number], { sequence, entry })));
    const k = trace.memory(pass, 0, 0, "k");
    return { T, blocks, table, names, G: trace.G, D: k.m };
}

// Token t of sequence s: where it is. Bytes count from the beginning of the pool's K.
function translate(pool, s, t, g) {
    const entry = Math.floor(t / pool.T), slot = t % pool.T, block = pool.table[s][entry];
    const floats = ((block * pool.G + g) * pool.T + slot) * pool.D;
    return { entry, slot, block, byte: floats * 4 };
}

function translationText(pool, s, t, g) {
    const { entry, slot, block, byte } = translate(pool, s, t, g), { T, G, D } = pool;
    return [`token ${t} (${named(pool.names[s][t])}) of sequence ${s}`,
        `entry ${t} / ${T} = ${entry},  slot ${t} mod ${T} = ${slot}`,
        `table[${entry}] = block ${block}`,
        `its K of KV head ${g}: byte ((${block} · ${G} + ${g}) · ${T} + ${slot}) · ${D} · 4 = ` +
            `${byte} of the pool`];
}

class BlocksView {
    // told: { point(sequence, token), leave(), lock(sequence, token) }
    constructor(told) {
        this.told = told;
        this.figure = element("figure", "blocks");
        this.caption = element("figcaption", "", "block table");
        this.pool = element("div", "pool");
        this.tables = element("div", "tables");
        this.text = element("p", "translation");
        const line = element("div", "line");
        line.append(element("span", "word", "pool"), this.pool);
        this.figure.append(this.caption, line, this.tables, this.text);
    }

    // meant: [sequence, token] that is looked at, or null. g: the KV head whose address is told.
    // What is drawn stays while the pool does, so that a button keeps the focus.
    draw(pool, { meant, fresh, g }) {
        this.figure.classList.toggle("fresh", fresh);
        if (this.drawn !== pool)
            this.build(pool);
        const [s, t] = meant || [], known = meant && pool.names[s]?.[t] !== undefined;
        const where = known ? translate(pool, s, t, g) : null;
        this.light(!where ? []
            : [this.slots.get(`${s}:${t}`), this.entries.get(`${s}:${where.entry}`)]);
        this.text.textContent = where ? translationText(pool, s, t, g).join("\n")
            : "Point at a token: its address, step by step. s0 is sequence 0; " +
                "e0 → 1: entry 0 of its table names block 1.";
    }

    light(boxes) {
        for (const box of this.lit || [])
            box.classList.remove("lit");
        for (const box of boxes)
            box.classList.add("lit");
        this.lit = boxes;
    }

    build(pool) {
        Object.assign(this, { drawn: pool, lit: [], slots: new Map(), entries: new Map() });
        this.pool.replaceChildren(...pool.blocks.map((block) => this.block(pool, block)));
        this.tables.replaceChildren(...pool.table.map((entries, s) => this.line(entries, s)));
    }

    // The table of one sequence.
    line(entries, s) {
        const line = element("div", "line");
        line.append(element("span", "word", `s${s}`), ...entries.map((block, e) => {
            const box = element("span", `entry s${s % 6}`, `e${e} → ${block}`);
            this.entries.set(`${s}:${e}`, box);
            return box;
        }));
        return line;
    }

    block(pool, { number, sequence, entry }) {
        const box = element("span", sequence < 0 ? "block free" : `block s${sequence % 6}`);
        box.append(element("b", "", String(number)));
        for (let slot = 0; slot < pool.T; slot++)
            box.append(this.slot(pool, sequence, entry * pool.T + slot));
        return box;
    }

    slot(pool, sequence, token) {
        const name = sequence < 0 ? undefined : pool.names[sequence][token];
        if (name === undefined)
            return element("span", "slot", sequence < 0 ? "" : "–");
        const button = element("button", "slot", name);
        button.dataset.token = `${sequence}:${token}`;
        button.addEventListener("pointerenter", () => this.told.point(sequence, token));
        button.addEventListener("pointerleave", () => this.told.leave());
        button.addEventListener("focus", () => this.told.point(sequence, token));
        button.addEventListener("blur", () => this.told.leave());
        button.addEventListener("click", () => this.told.lock(sequence, token));
        this.slots.set(button.dataset.token, button);
        return button;
    }
}
