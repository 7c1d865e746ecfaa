// Beside the matrices: the cell that is looked at, as number and formula, and what was counted.
"use strict";

const COUNTERS = { scores: "scores", flops: "flops", read_bytes: "bytes read",
    written_bytes: "bytes written", live_bytes: "bytes live", peak_bytes: "bytes at most" };

// A new element with a class and a text.
function element(tag, className = "", text = "") {
    const made = document.createElement(tag);
    if (className)
        made.className = className;
    made.textContent = text;
    return made;
}

// P[apple, orange]
function cellTitle(matrix, { panel, i, j }) {
    const column = matrix.m > 1 || panel === "state" ? `, ${named(matrix.columns[j])}` : "";
    return element("h3", "", `${PANELS[panel][2]}[${named(matrix.rows[i])}${column}]`);
}

// A cell's number, its formula, and the formula computed once more.
function cellLines(matrix, { i, j }, told) {
    const value = at(matrix, i, j), gone = matrix.status && matrix.status[i * matrix.m + j] !== NOW;
    const lines = [element("p", "shape", `row ${i}, column ${j}`),
        element("p", "value", gone ? "no number" : `${exact(value)}   ${bits(value)}`),
        element("p", "rule", told.rule),
        ...told.numbers.map((line) => element("p", "numbers", line))];
    if (told.again !== undefined)
        lines.push(element("p", "again", agreement(value, told.again)));
    return lines;
}

function agreement(value, again) {
    const number = ulps(value, again) === 0 ? "" : `${exact(again)}, `;
    return `computed here once more: ${number}${distance(value, again)}`;
}

// The same cell of the trace beside it.
function otherLine(name, { theirs }, { i, j }, value) {
    const there = theirs && theirs.there[i * theirs.m + j], other = there && at(theirs, i, j);
    return element("p", "other",
        `${name}: ${there ? `${exact(other)}, ${distance(value, other)}` : "not there"}`);
}

// What was counted by now, each as a part of the whole run; or beside what the other run cost.
function counterLines(now, whole, other) {
    if (!now)
        return [element("h3", "", "counted"), element("p", "", "This trace has no counts.csv.")];
    const list = element("table");
    for (const [key, name] of Object.entries(COUNTERS)) {
        const show = key.includes("bytes") ? bytes : thousands, row = element("tr");
        row.append(element("th", "", name), element("td", "number", show(now[key])), other
            ? element("td", "number", other.counts ? show(other.counts.last[key]) : "")
            : shareOf(now[key], whole[key]));
        list.append(row);
    }
    const heading = element("h3", "", "counted so far, all heads");
    return [heading, list,
        ...(other ? [element("p", "", `Last column: ${other.name}, at the end of its run.`)] : [])];
}

function shareOf(now, whole) {
    const cell = element("td", "part"), bar = element("span", "bar");
    bar.style.width = `${100 * Math.min(1, now / (Math.max(whole, now) || 1))}%`;
    cell.append(bar);
    return cell;
}
