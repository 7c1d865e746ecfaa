// float32 as the programs compute it, and numbers and names as readers see them.
"use strict";

const f32 = Math.fround;

// The shortest decimal that is this float32 and no other.
function exact(x) {
    if (!Number.isFinite(x))
        return Number.isNaN(x) ? "NaN" : x > 0 ? "∞" : "−∞";
    for (let digits = 1; digits <= 9; digits++) {
        const text = x.toPrecision(digits);
        if (f32(Number(text)) === x)
            return minus(String(Object.is(x, -0) ? "-0" : Number(text)));
    }
    return minus(String(x));
}

// As the programs print it: four decimals, or an exponent where they would say nothing.
function brief(x) {
    if (!Number.isFinite(x))
        return exact(x);
    const size = Math.abs(x);
    if (size >= 1e6 || (size > 0 && size < 5e-5))
        return minus(x.toExponential(0));
    const whole = size < 10 ? 1 : size < 100 ? 2 : size < 1e3 ? 3 : size < 1e4 ? 4 : 5; // digits
    return minus(x.toFixed(5 - whole));
}

function minus(text) { return text.replace(/-/g, "−"); }

// Its bits: sign, exponent and fraction as one hexadecimal number.
function bits(x) {
    return "0x" + integerOf(x).toString(16).padStart(8, "0");
}

function integerOf(x) {
    const view = new DataView(new ArrayBuffer(4));
    view.setFloat32(0, x);
    return view.getUint32(0);
}

// How many float32 numbers from a to b; 0 where they are equal, null where one is no number.
function ulps(a, b) {
    if (a === b || (Number.isNaN(a) && Number.isNaN(b)))
        return 0;
    if (!Number.isFinite(a) || !Number.isFinite(b))
        return null;
    const place = (x) => { // in the order of the numbers: negative ones count down from 0
        const n = integerOf(x);
        return n >= 0x80000000 ? -(n - 0x80000000) : n;
    };
    return Math.abs(place(a) - place(b));
}

const MANY = 9999; // more ulps than that say nothing that the difference does not
function ulpsText(n) { return `${thousands(n)} ulp${n === 1 ? "" : "s"}`; }

// How far b is from a, in words.
function distance(a, b) {
    const apart = ulps(a, b);
    if (apart === 0)
        return "the same bits";
    if (apart === null)
        return "not the same";
    return `${apart > MANY ? brief(Math.abs(b - a)) : ulpsText(apart)} away`;
}

// Bytes as readers say them; up to 9999 to the byte.
function bytes(n) {
    for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
        if (n >= size * 10 || (n >= 1e4 && n >= size))
            return `${(n / size).toPrecision(3)} ${unit}`;
    return `${n} B`;
}

// A token's name within a sentence: not longer than one; and what is written from right to left
// stays within itself, or the brackets and commas around it would change places.
function named(text) {
    const signs = [...text], short = signs.length > 24 ? `${signs.slice(0, 23).join("")}…` : text;
    return /[\u0590-\u08ff\ufb1d-\ufefc]/.test(short) ? `\u2068${short}\u2069` : short;
}

function thousands(n) { return String(n).replace(/\B(?=(\d{3})+$)/g, ","); }
