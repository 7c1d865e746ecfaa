// What matrices are called, and which pairs of traces are worth a look.
"use strict";

// A panel's heading, what kind of numbers it holds, and what a cell of it is called.
const PANELS = {
    x: ["X", "signed", "X"], q: ["Q", "signed", "Q"], k: ["K", "signed", "K"],
    v: ["V", "signed", "V"],
    cache: ["cache, bytes", "plain", "cache"], block_table: ["block table", "plain", "table"],
    scores: ["S = Q Kᵀ", "signed", "S"], scaled: ["S · scale", "signed", "scaled S"],
    masked: ["masked S", "signed", "masked S"], weights: ["P = softmax(S)", "weights", "P"],
    output: ["O, output", "signed", "O"], lse: ["L, log-sum-exp", "signed", "L"],
    change: ["O − input", "signed", "change"], concat: ["heads joined", "signed", "joined"],
    result: ["result", "signed", "result"], plane: ["S, one tile at a time", "signed", "S"],
    ended: ["m and l in the end", "signed", "state"],
    ended_acc: ["accumulator in the end", "signed", "acc"],
    state: ["state m′, m, rescale, l", "signed", "state"], acc: ["accumulator", "signed", "acc"],
};

const TILED = "07_flash_tiling --example random --n 12 --dim 8 --tile 4,4 --prefill 12";

// Pairs worth a look, of the runs that make viewer records: what they show, the two, and a step.
const PAIRS = [
    ["a mask", "01_naive_attention --example fruit", "02_masking --example fruit", 3],
    ["one head is chapter 02", "03_multi_head --example fruit --heads 1",
        "02_masking --example fruit", 4],
    ["02 against 03", "02_masking --example fruit",
        "03_multi_head --example fruit --heads 2", 4],
    ["05 cached against 04", "05_kv_cache --example fruit --heads 2 --kv-heads 1 --prefill 3",
        "04_gqa --example fruit --heads 2 --kv-heads 1", 12],
    ["06 paged against 05", "06_paged_blocks --example fruit --heads 2 --kv-heads 1 --prefill 3",
        "05_kv_cache --example fruit --heads 2 --kv-heads 1 --prefill 3", 12],
    ["small tiles against one", TILED,
        "07_flash_tiling --example random --n 12 --dim 8 --tile 64,64 --prefill 12", 8],
    ["cpu against simt", "02_masking --example fruit",
        "02_masking --example fruit · SIMT emulator", 4],
    ["the same, tiled", TILED, `${TILED} · SIMT emulator`, 8],
];
