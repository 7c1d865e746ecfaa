// What is shown, as the words behind the # of the page's address: a copy of it shows the same.
"use strict";

function addressOf({ batch, head, at: step, cell, locked }, a, b) {
    const words = new URLSearchParams({ a: a.name });
    if (b)
        words.set("b", b.name);
    if (batch)
        words.set("batch", batch);
    if (head)
        words.set("head", head);
    words.set("step", step);
    if (cell && locked)
        words.set("cell", `${cell.panel},${cell.i},${cell.j}`);
    return `#${words}`;
}

// What an address asks for; whether there is such a step or cell is seen when it is shown.
function stateOf(address, traces) {
    const words = new URLSearchParams(address.slice(1));
    const number = (name) => Math.max(0, Number.parseInt(words.get(name), 10) || 0);
    const find = (name) => traces.findIndex((trace) => trace.name === words.get(name));
    const [panel, i, j] = (words.get("cell") || "").split(",");
    return { a: Math.max(0, find("a")), b: find("b"), batch: number("batch"), head: number("head"),
        at: number("step"), locked: Boolean(panel),
        cell: panel ? { panel, i: Number(i) || 0, j: Number(j) || 0 } : null };
}
