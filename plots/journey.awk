# One sentence through the seven chapters, laid out for plots/journey.gp in pixels: a panel each. The
# first "# " line is the picture's; behind each next one come a chapter's lines, 01 to 07.
#
# 05 is put together from its passes; 07 has no weights, only what each tile added to a row's sum.

BEGIN {
    INK = "#33383d"; FAINT = "#6b737b"; LINE = "#8a9199"; WATCHED = "#B84E00"
    watched = 1 # the word whose rows are framed
    slot_w = 20; tall = 50 # a key in its block
    large = 29; small = 17; gap = 8; top = 172; below = 276
}

/^\{/ { chapter = runs - 1; shape_of(); head = number("head") }
/^\{/ && step == "k" { keys[chapter] = head + 1 }
/^\{/ && (step == "masked" || step == "weights") {
    pass = number("pass")
    n = data_of()
    if (!((chapter, head, pass) in first))
        first[chapter, head, pass] = rows[chapter, head] + 0
    for (i = 0; i < n; i++) {
        q = first[chapter, head, pass] + int(i / shape[2])
        value[step, chapter, head, q, i % shape[2]] = list[i + 1]
        pass_of[chapter, q] = pass
    }
    if (step == "weights")
        rows[chapter, head] += shape[1]
    if (chapter == 1 && labels_of("rows"))
        for (N = 0; N < shape[1]; N++)
            name[N] = cut(list[N + 1], 9)
}
# The state after a tile, of each of its rows: old maximum, maximum, rescale, sum.
/^\{/ && step ~ /^q[0-9]+\.k[0-9]+\.state$/ {
    data_of()
    split(step, place, /[qk.]+/)
    for (i = 0; i < shape[1]; i++) {
        q = place[2] + i
        rescale = list[4 * i + 3]
        for (k = 0; k < place[3]; k += 2)
            part[q, k] *= rescale
        part[q, place[3]] = list[4 * i + 4] - rescale * sum[q]
        sum[q] = list[4 * i + 4]
        computed[place[2], place[3]] = 1
    }
}
/^\{/ && step == "block_table" {
    entries = data_of()
    for (e = 0; e < entries; e++)
        block_of[e] = list[e + 1]
}
/^block [0-9]+ +(free$|sequence 0:)/ {
    blocks = $2 + 1
    inside[$2 + 0] = $3 == "free" ? "" : substr($0, index($0, ":") + 2)
}

# --- shapes, at pixels

# A box by its upper left corner. kind: 0 a weight, 1 hidden by the mask, 2 a colour of the list in
# journey.gp, 3 pale.
function box(x, y, w, h, kind, what) {
    printf "%g,%g,%g,%g,%d,%s\n", x + w / 2, y + h / 2, w / 2 - 0.5, h / 2 - 0.5, kind, what > table
}
function cell(x, y, unit, c, h, q, k) {
    if (!(("weights", c, h, q, k) in value))
        return # a key that came later
    if (value["masked", c, h, q, k] ~ /-inf/)
        hidden(x, y, unit)
    else
        box(x, y, unit, unit, 0, value["weights", c, h, q, k])
}
function hidden(x, y, unit) {
    box(x, y, unit, unit, 1, 0)
    word("·", x + unit / 2, y + unit / 2, "center", 10, LINE)
}
function frame(x, y, w, h, colour, dashes) {
    printf "set object rectangle from %g,%g to %g,%g front fillstyle empty border lc rgb '%s' lw %s\n",
        x, y, x + w, y + h, colour, dashes > file
}
function line(x, y, to_x, to_y) {
    printf "set arrow from %g,%g to %g,%g nohead front lc rgb '%s' lw 1.4\n", x, y, to_x, to_y,
        LINE > file
}
function title(x, y, text, idea) {
    printf "set label '{/:Bold %s}' at %g,%g left front font ',14' textcolor rgb '%s'\n", text, x,
        y, INK > file
    word(idea, x, y + 20, "left", 11, FAINT)
}
function above(i, x, y, size) { token(i, x, y - 5, "left rotate by 90", size) }
function beside(i, x, y) { token(i, x - 8, y, "right", 11) }
function token(i, x, y, how, size) { word(name[i], x, y, how, size, i == watched ? WATCHED : INK) }
function watch(x, y, w, h) { frame(x, y, w, h, WATCHED, "2") }

# Where row q of chapter c begins: a pass stands apart from the one before.
function row_y(y, unit, c, q) { return y + q * unit + gap * pass_of[c, q] }
function heat(x, y, unit, c, h,   q, k, w) {
    for (k = 0; k < N; k++)
        above(k, x + (k + 0.5) * unit, y, unit > 20 ? 11 : 10)
    for (q = 0; q < N; q++)
        for (k = 0; k < N; k++)
            cell(x + k * unit, row_y(y, unit, c, q), unit, c, h, q, k)
    for (k = 0; k < N; k++)
        w += ("weights", c, h, watched, k) in value
    watch(x, row_y(y, unit, c, watched), unit * w, unit)
}
function names_of_rows(x, y, unit, c,   q) {
    for (q = 0; q < N; q++)
        beside(q, x, row_y(y, unit, c, q) + unit / 2)
}
function said_beside(k, q, text) { # behind k keys of row q in 05
    word(text, left + k * large + 7, row_y(top + below, large, 5, q) + large / 2, "left", 10, FAINT)
}

# Two heads, and below them the keys that they read: a strip for each KV head.
function heads(x, y, c,   h, g, w, at, low) {
    w = small * N
    low = y + w + 36
    for (h = 0; h < 2; h++) {
        heat(x + h * (w + 18), y, small, c, h)
        g = keys[c] == 1 ? 0 : h
        at = x + (keys[c] == 1 ? (w + 18) / 2 : h * (w + 18)) + w / 2
        line(x + h * (w + 18) + w / 2, y + w + 3, at, low - 2)
    }
    for (g = 0; g < keys[c]; g++) {
        at = x + (keys[c] == 1 ? (w + 18) / 2 : g * (w + 18))
        for (k = 0; k < N; k++)
            box(at + k * small, low, small, small, 2, g == 0 ? 0 : 2)
        word(keys[c] == 1 ? "keys for both" : "keys of head " g, at + w / 2, low + small + 11,
             "center", 10, FAINT)
    }
}

# The keys in their order, and the pool in the order of memory: a line from each entry to its block.
function pages(x, y,   e, b, low, at, to) {
    low = y + tall + 64
    word("the keys in their order", x, y - 12, "left", 10, FAINT)
    for (e = 0; e < entries; e++) {
        at = x + e * (2 * slot_w + 8) + 20
        to = x + block_of[e] * (2 * slot_w + 2) + slot_w
        owner[block_of[e]] = e
        line(at + slot_w, y + tall + 2, to, low - 2)
        block(at, y, inside[block_of[e]], e)
    }
    for (b = 0; b < blocks; b++)
        block(x + b * (2 * slot_w + 2), low, inside[b], b in owner ? owner[b] : -1)
    word("the blocks in memory", x + blocks * (2 * slot_w + 2) - 2, low + tall + 13, "right", 10,
         FAINT)
}
function block(x, y, words, colour,   slot, list) {
    split(words, list, " ")
    for (slot = 0; slot < 2; slot++) {
        if (list[slot + 1] == "" || list[slot + 1] == "-")
            box(x + slot * slot_w, y, slot_w, tall, 3, 0)
        else {
            box(x + slot * slot_w, y, slot_w, tall, 2, colour)
            word(list[slot + 1], x + (slot + 0.5) * slot_w, y + tall - 6, "left rotate by 90", 10,
                 "#ffffff")
            if (list[slot + 1] == name[watched])
                watch(x + slot * slot_w, y, slot_w, tall)
        }
    }
}

# A tile's keys are one box in a row: what they weigh together. A tile without a state was skipped.
function tiles(x, y, unit,   q, k, kt, qt, n, at_x, at_y, w, h) {
    for (k = 0; k < N; k++) {
        above(k, tile_x(x, unit, k) + unit / 2, y, 11)
        beside(k, x, tile_x(y, unit, k) + unit / 2)
    }
    for (qt = 0; qt < N; qt += 2)
        for (kt = 0; kt < N; kt += 2) {
            at_x = tile_x(x, unit, kt)
            at_y = tile_x(y, unit, qt)
            w = (kt + 2 <= N ? 2 : N - kt) * unit
            h = (qt + 2 <= N ? 2 : N - qt) * unit
            if (!((qt, kt) in computed)) {
                frame(at_x, at_y, w, h, LINE, "1 dt 2")
                word("skipped", at_x + w / 2, at_y + h / 2,
                     h > w ? "center rotate by 90" : "center", 9, FAINT)
                continue
            }
            for (q = qt; q < qt + h / unit; q++) {
                n = 0
                for (k = kt; k < kt + w / unit; k++)
                    if (value["masked", 2, 0, q, k] ~ /-inf/)
                        hidden(at_x + (k - kt) * unit, at_y + (q - qt) * unit, unit)
                    else
                        n++
                box(at_x, at_y + (q - qt) * unit, n * unit, unit, 0, part[q, kt] / sum[q])
            }
        }
    watch(x, y + watched * unit, unit * 2, unit)
}
function tile_x(x, unit, k) { return x + k * unit + gap * int(k / 2) }

# How to read it, where an eighth panel would be.
function legend(x, y,   i) {
    word("weight", x, y + 7, "left", 11)
    for (i = 0; i < 24; i++)
        printf "%g,%g,%g,%g,0,%g\n", x + 5 * i + 2.5, y + 29, 2.6, 7, i / 23 > table
    word("0", x, y + 47, "left", 10, FAINT)
    word("1", x + 120, y + 47, "right", 10, FAINT)
    hidden(x, y + 72, small + 4)
    word("hidden", x + 30, y + 83, "left", 11)
    watch(x + 1, y + 108, small + 2, small + 2)
    word("apple asks", x + 30, y + 118, "left", 11)
}

END {
    if (runs != 8 || N != 5)
        stop(3, runs - 1 " runs of " N + 0 " tokens: expected 01 to 07 of 5")
    width = 860; height = 680
    file = base ".gp"; table = base ".csv"
    printf "W = %d; H = %d\n", width, height > file
    print "x,y,w,h,kind,value" > table
    left = 72
    header("“an apple and an orange”, through seven programs")
    word("A row is a word that asks, a column a word that it looks at. The brighter, the more.",
         17, 49, "left", 12, FAINT)

    title(16, 84, "01  naive attention", "every word looks at every word")
    heat(left, top, large, 1, 0)
    names_of_rows(left, top, large, 1)
    title(268, 84, "02  masking", "nobody looks ahead")
    heat(268, top, large, 2, 0)
    title(446, 84, "03  multi-head", "two heads look for two things")
    heads(446, top, 3)
    title(660, 84, "04  GQA", "and share one head of keys")
    heads(660, top, 4)

    title(16, 84 + below, "05  KV cache", "row by row: keys are kept")
    heat(left, top + below, large, 5, 0)
    names_of_rows(left, top + below, large, 5)
    said_beside(3, 1, "prefill")
    said_beside(4, 3, "decode")
    said_beside(5, 4, "decode")
    title(268, 84 + below, "06  paged blocks", "kept anywhere, found by a table")
    pages(268, top + below - 32)
    title(490, 84 + below, "07  flash tiling", "tile by tile, no whole matrix")
    tiles(546, top + below, large)
    legend(724, top + below)
    footer("05 and 07 show head 0; in 07 a box is what a tile's keys weigh together")
    exit 0
}
