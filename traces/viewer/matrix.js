// A matrix as a picture: a canvas of coloured cells with their numbers, row and column names, and
// cells that are lit. It knows nothing of attention; whoever makes one is told which cell is meant.
"use strict";

const SIGNED = [[33, 102, 172], [247, 247, 247], [179, 88, 6]];      // blue, white, orange
const DIFFERENT = [[118, 42, 131], [247, 247, 247], [27, 120, 55]];  // purple, white, green
const HIDDEN = [233, 236, 239], NOT_A_NUMBER = [216, 27, 96], PLAIN = [247, 247, 247];
const INK = "#1c2126", PALE = "#757c83";
const FONT = "system-ui, sans-serif", MONO = "ui-monospace, monospace";

// 256 colours along a list of some: by index, so that a million cells cost no arithmetic.
function scaleOf(colours) {
    return Array.from({ length: 256 }, (_, n) => {
        const place = n / 255 * (colours.length - 1);
        const low = Math.min(Math.floor(place), colours.length - 2), high = colours[low + 1];
        return colours[low].map((c, i) => Math.round(c + (high[i] - c) * (place - low)));
    });
}

const SCALES = { weights: scaleOf(VIRIDIS), signed: scaleOf(SIGNED),
    difference: scaleOf(DIFFERENT) };

// The colour at t in [0, 1].
function shade(scale, t) { return scale[Math.round(255 * Math.min(1, Math.max(0, t)))]; }

function css(colour) { return `rgb(${colour.join(", ")})`; }

// Black or white, whichever is easier to read on it.
function inkOn([r, g, b]) { return r * 0.299 + g * 0.587 + b * 0.114 > 140 ? INK : "#ffffff"; }

// The largest finite size in a matrix: what full colour stands for.
function sizeOf(matrix) {
    let most = 0;
    for (const x of matrix.data)
        if (Number.isFinite(x) && Math.abs(x) > most)
            most = Math.abs(x);
    return most;
}

// How cells look: { fill(i, j), text(i, j) }. fill null: nothing is there.
function looks(matrix, kind) {
    const most = sizeOf(matrix) || 1, { m, data, there, status } = matrix;
    const hidden = (i, j) => data[i * m + j] === -Infinity || Boolean(matrix.hidden?.(i, j));
    const absent = (n) => there && !there[n];
    return {
        fill(i, j) {
            const n = i * m + j, x = data[n];
            if (absent(n))
                return null;
            if (status && status[n] !== NOW)
                return status[n] === SKIPPED ? HIDDEN : null;
            if (Number.isNaN(x))
                return NOT_A_NUMBER;
            if (hidden(i, j))
                return HIDDEN;
            if (kind === "plain")
                return PLAIN;
            return shade(SCALES[kind], kind === "weights" ? x : x / most / 2 + 0.5);
        },
        text(i, j) {
            const n = i * m + j, x = data[n];
            if (absent(n))
                return "";
            if (status && status[n] !== NOW)
                return status[n] === GONE ? "✓" : "";
            if (!Number.isNaN(x) && hidden(i, j))
                return x === -Infinity && kind !== "weights" ? "−∞" : "·";
            return kind === "plain" ? exact(x) : brief(x);
        },
    };
}

// Without numbers: up to so many columns, squares of so many pixels.
const SQUARES = [[24, 18], [40, 14], [160, 7], [400, 3], [Infinity, 2]];

function widestOf(pen, font, texts) {
    pen.font = `12px ${font}`;
    return texts.reduce((widest, text) => Math.max(widest, pen.measureText(text).width), 0);
}

// The sizes of a matrix on the page, in pixels: with numbers in the cells, or as small squares.
function layout(matrix, pen, numbers, widest) {
    const square = SQUARES.find(([columns]) => matrix.m <= columns)[1];
    const cell = numbers ? { w: Math.max(40, widest + 7), h: 25 } : { w: square, h: square };
    const names = numbers || square >= 14, { rows, columns } = matrix;
    const left = names ? Math.min(96, widestOf(pen, FONT, rows) + 10) : 30;
    const top = names && !numbers ? Math.min(80, widestOf(pen, FONT, columns) + 8) : 20;
    // Browsers draw no canvas of more than some 16,000 pixels a side.
    const shown = { n: Math.min(matrix.n, Math.floor(12000 / cell.h)),
        m: Math.min(matrix.m, Math.floor(12000 / cell.w)) };
    return { numbers, names, cell, left, top, shown };
}

// text, shortened until it is at most so wide.
function fitted(pen, text, width) {
    if (pen.measureText(text).width <= width)
        return text;
    const signs = [...text]; // not half of one
    while (signs.length && pen.measureText(signs.join("") + "…").width > width)
        signs.pop();
    return signs.join("") + "…";
}

// Cells that lie side by side, or below each other, as one: [{ from: [i, j], to: [i, j] }].
function runsOf(cells) {
    const runs = [];
    for (const [i, j] of cells) {
        const { from, to } = runs[runs.length - 1] || { from: [], to: [] };
        const beside = i === from[0] && i === to[0] && j === to[1] + 1;
        const below = j === from[1] && j === to[1] && i === to[0] + 1;
        if (beside || below)
            runs[runs.length - 1].to = [i, j];
        else
            runs.push({ from: [i, j], to: [i, j] });
    }
    return runs;
}

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

class MatrixView {
    // told: { point(i, j), leave(), lock(i, j) }
    constructor(told) {
        this.figure = document.createElement("figure");
        this.figure.className = "matrix";
        this.caption = document.createElement("figcaption");
        this.scroll = document.createElement("div");
        this.scroll.className = "scroll";
        this.canvas = document.createElement("canvas");
        this.canvas.tabIndex = 0;
        this.canvas.setAttribute("role", "img");
        this.frames = element("div", "frames");
        this.scroll.append(this.canvas, this.frames);
        this.figure.append(this.caption, this.scroll);
        this.listen(told);
    }

    listen(told) {
        const cell = (event) => this.cellAt(event.offsetX, event.offsetY);
        this.canvas.addEventListener("pointermove", (event) => {
            const found = event.pointerType !== "touch" && cell(event); // a finger taps, or scrolls
            if (found)
                told.point(...found);
            else
                told.leave();
        });
        this.canvas.addEventListener("pointerleave", () => told.leave());
        this.canvas.addEventListener("click", (event) => {
            const found = cell(event);
            if (found)
                told.lock(...found);
        });
        this.canvas.addEventListener("keydown", (event) => {
            const step = ARROWS[event.key];
            if (!step || event.ctrlKey || event.altKey || event.metaKey)
                return;
            const [i, j] = this.cursor || [-step[0], -step[1]], { n, m } = this.matrix;
            const within = (x, size) => Math.min(size - 1, Math.max(0, x));
            told.lock(within(i + step[0], n), within(j + step[1], m), true);
            this.frames.lastElementChild?.scrollIntoView({ block: "nearest", inline: "nearest" });
            event.preventDefault();
            event.stopPropagation();
        });
    }

    // The cell at a place of the canvas; null beside them all.
    cellAt(x, y) {
        const { left, top, cell, shown } = this.at;
        const i = Math.floor((y - top) / cell.h), j = Math.floor((x - left) / cell.w);
        return i >= 0 && i < shown.n && j >= 0 && j < shown.m ? [i, j] : null;
    }

    // The middle of a cell in the canvas's own pixels: where a pointer would meet it.
    middleOf(i, j) {
        const { left, top, cell } = this.at;
        return [left + (j + 0.5) * cell.w, top + (i + 0.5) * cell.h];
    }

    // title: above it. kind: "weights", "signed", "difference", "plain". lit: cells that go into
    // the one that is looked at; cursor: that one. fresh: this matrix is what the moment adds.
    // small: as squares without numbers, so that much fits on the page.
    draw(matrix, { title, kind, lit = [], cursor = null, fresh = false, small = false }) {
        this.matrix = matrix;
        this.cursor = cursor;
        this.caption.textContent = "";
        const size = document.createElement("span");
        size.className = "shape";
        size.textContent = ` ${matrix.n} × ${matrix.m}`;
        this.caption.append(title, size);
        this.figure.classList.toggle("fresh", fresh);
        this.canvas.setAttribute("aria-label",
            `${title}, ${matrix.n} rows, ${matrix.m} columns; arrow keys walk its cells`);
        const pen = this.canvas.getContext("2d", { willReadFrequently: true });
        const colour = getComputedStyle(this.figure).color || INK;
        const key = [kind, small, colour, window.devicePixelRatio].join();
        if (this.painted !== matrix || this.key !== key) {
            Object.assign(this, { painted: matrix, key });
            this.measure(pen, matrix, looks(matrix, kind), small);
            this.paint(pen, looks(matrix, kind), colour);
            this.say(matrix);
        }
        this.light(lit, cursor);
    }

    // Frames lie over the canvas, which stays as it is: a pointer moves many times a second.
    light(lit, cursor) {
        const { n, m } = this.at.shown, seen = ([i, j]) => i < n && j < m;
        const frames = runsOf(lit.filter(seen)).map((run) => this.frame("frame lit", run));
        if (cursor && seen(cursor))
            frames.push(this.frame("frame", { from: cursor, to: cursor }));
        this.frames.replaceChildren(...frames);
    }

    frame(className, { from, to }) {
        const { left, top, cell } = this.at, frame = element("div", className);
        frame.style.left = `${left + from[1] * cell.w}px`;
        frame.style.top = `${top + from[0] * cell.h}px`;
        frame.style.width = `${(to[1] - from[1] + 1) * cell.w - 1}px`;
        frame.style.height = `${(to[0] - from[0] + 1) * cell.h - 1}px`;
        return frame;
    }

    measure(pen, matrix, look, small) {
        const numbers = !small && matrix.m <= 12 && matrix.n <= 48;
        const texts = Array.from({ length: numbers ? matrix.n * matrix.m : 0 },
            (_, n) => look.text(Math.floor(n / matrix.m), n % matrix.m));
        const names = Math.min(56, widestOf(pen, FONT, numbers ? matrix.columns : []));
        this.at = layout(matrix, pen, numbers, Math.max(widestOf(pen, MONO, texts), names));
    }

    // What does not fit is said.
    say(matrix) {
        const { shown } = this.at;
        const cut = shown.n < matrix.n || shown.m < matrix.m;
        this.figure.querySelector(".cut")?.remove();
        if (!cut)
            return;
        const line = document.createElement("p");
        line.className = "cut";
        line.textContent = `the first ${shown.n} rows and ${shown.m} columns`;
        this.figure.append(line);
    }

    paint(pen, look, colour) {
        const { left, top, cell, shown, numbers } = this.at, ratio = window.devicePixelRatio || 1;
        const width = left + shown.m * cell.w + 4, height = top + shown.n * cell.h + 4;
        this.canvas.style.width = `${width}px`;
        this.canvas.style.height = `${height}px`;
        const sharp = Math.min(ratio, 16000 / width, 16000 / height);
        this.canvas.width = Math.round(width * sharp);
        this.canvas.height = Math.round(height * sharp);
        pen.scale(sharp, sharp);
        if (numbers)
            this.paintCells(pen, look);
        else
            this.paintSquares(pen, look);
        this.paintNames(pen, colour);
    }

    paintCells(pen, look) {
        const { shown } = this.at;
        for (let i = 0; i < shown.n; i++)
            for (let j = 0; j < shown.m; j++)
                this.paintCell(pen, look.fill(i, j), look.text(i, j), i, j);
    }

    // Without numbers: a picture of a pixel a cell, drawn larger. There may be a million.
    paintSquares(pen, look) {
        const { left, top, cell, shown } = this.at;
        if (!shown.n || !shown.m)
            return;
        const picture = new ImageData(shown.m, shown.n), from = element("canvas");
        for (let i = 0, at = 0; i < shown.n; i++)
            for (let j = 0; j < shown.m; j++, at += 4) {
                const fill = look.fill(i, j);
                if (fill) {
                    picture.data.set(fill, at);
                    picture.data[at + 3] = 255;
                }
            }
        from.width = shown.m;
        from.height = shown.n;
        from.getContext("2d").putImageData(picture, 0, 0);
        pen.imageSmoothingEnabled = false;
        pen.drawImage(from, left, top, shown.m * cell.w, shown.n * cell.h);
        for (let i = 1; cell.w > 5 && i < shown.n; i++)
            pen.clearRect(left, top + i * cell.h - 1, shown.m * cell.w, 1);
        for (let j = 1; cell.w > 5 && j < shown.m; j++)
            pen.clearRect(left + j * cell.w - 1, top, 1, shown.n * cell.h);
    }

    paintCell(pen, fill, text, i, j) {
        const { left, top, cell } = this.at, x = left + j * cell.w, y = top + i * cell.h;
        const w = cell.w - 1, h = cell.h - 1;
        if (fill) {
            pen.fillStyle = css(fill);
            pen.fillRect(x, y, w, h);
        } else {
            pen.strokeStyle = "#9aa1a880"; // neighbours share their lines
            pen.lineWidth = 1;
            pen.strokeRect(x - 0.5, y - 0.5, cell.w, cell.h);
        }
        if (this.matrix.status && this.matrix.status[i * this.matrix.m + j] === SKIPPED)
            this.hatch(pen, x, y, w, h);
        pen.font = `12px ${MONO}`;
        pen.fillStyle = !fill ? PALE : fill === HIDDEN ? "#5d646b" : inkOn(fill);
        pen.textAlign = "center";
        pen.textBaseline = "middle";
        pen.fillText(text, x + w / 2, y + cell.h / 2);
    }

    hatch(pen, x, y, w, h) {
        pen.save();
        pen.beginPath();
        pen.rect(x, y, w, h);
        pen.clip();
        pen.strokeStyle = "#c3c9cf";
        pen.lineWidth = 1;
        pen.beginPath();
        for (let s = -h; s < w; s += 6) {
            pen.moveTo(x + s, y + h);
            pen.lineTo(x + s + h, y);
        }
        pen.stroke();
        pen.restore();
    }

    paintNames(pen, colour) {
        const { left, top, cell, names, numbers, shown } = this.at;
        const every = names ? 1 : cell.w > 5 ? 10 : 50;
        const rowName = (i) => names ? fitted(pen, this.matrix.rows[i], left - 8) : i;
        pen.font = `12px ${FONT}`;
        pen.fillStyle = colour;
        pen.textBaseline = "middle";
        pen.textAlign = "right";
        for (let i = 0; i < shown.n; i += every)
            pen.fillText(rowName(i), left - 6, top + (i + 0.5) * cell.h);
        pen.textAlign = numbers || !names ? "center" : "left";
        for (let j = 0; j < shown.m; j += every) {
            const x = left + (j + 0.5) * cell.w, name = this.matrix.columns[j];
            if (numbers || !names) {
                pen.fillText(numbers ? fitted(pen, name, cell.w - 4) : j, x, top - 9);
                continue;
            }
            pen.save();
            pen.translate(x, top - 4);
            pen.rotate(-Math.PI / 2);
            pen.fillText(fitted(pen, name, top - 8), 0, 0);
            pen.restore();
        }
    }
}

// A matrix too small to read: its pattern.
function thumbnail(matrix) {
    const canvas = element("canvas", "thumb");
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const look = looks(matrix, matrix.name === "weights" ? "weights" : "signed");
    const size = Math.max(1, Math.floor(64 / Math.max(matrix.n, matrix.m)));
    const n = Math.min(64, matrix.n), m = Math.min(64, matrix.m); // of long ones: their beginning
    canvas.width = size * m;
    canvas.height = size * n;
    for (let i = 0; i < n; i++)
        for (let j = 0; j < m; j++) {
            const fill = look.fill(i, j);
            if (fill) {
                pen.fillStyle = css(fill);
                pen.fillRect(j * size, i * size, size, size);
            }
        }
    return canvas;
}
