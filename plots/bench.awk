# From a measurement to what one figure draws:
#
#     awk -v figure=time -v base=build/plots/time -f plots/read.awk -f plots/curves.awk \
#         -f plots/bench.awk < mine.csv
#
# A figure picks rows by their suite. Exit: 0 the tables are written, 3 the file is wrong, 9 it has
# nothing for this figure. figure=check only looks the file through and prints its kind.

END {
    if (!failed && !rows) wrong("it holds no rows")
    if (failed) exit 3
    if (figure == "check") { print schema; exit 0 }
    begin_tables()
    if (schema == "chapter") own()
    else if (figure == "time") time()
    else if (figure == "decode") decode()
    else if (figure == "prefill_ladder") ladder("of_peak")
    else if (figure == "decode_ladder") ladder("of_dram")
    else if (figure == "cached") cached()
    else if (figure == "roofline") roofline()
    if (!drawn) exit 9
    set("MACHINE", machine == "" ? "unknown machine" : machine)
    set("DATE", date == "" ? "" : ", " date)
    set("ROUNDS", rounds())
}

# --- names -----------------------------------------------------------------------------------------

function shape(i) {
    return get(i, "H") "," get(i, "G") "," get(i, "D") "," get(i, "mask") "," get(i, "kv_dtype")
}

function heads_named(i) {
    return get(i, "H") " heads, " get(i, "G") " KV heads of size " get(i, "D")
}

function mask_named(i) { return get(i, "mask") == "none" ? "no mask" : get(i, "mask") }

# What a reader calls it, or nothing where it is not drawn: 01 to 04 would be one curve.
function name_of(i,    chapter) {
    chapter = substr(get(i, "kernel"), 1, 2)
    if (get(i, "what") == "fast")
        return get(i, "threads") == 1 ? "fast, 1 thread" : "fast, " get(i, "threads") " threads"
    if (get(i, "what") != "chapter") return ""
    if (chapter == "04" && get(i, "N") > 1) return "04 naive"
    if (chapter == "05" && get(i, "N") == 1) return "05 cached"
    return chapter == "06" ? "06 paged" : chapter == "07" ? "07 flash" : ""
}

# The panel of row i: rows of the same shape share one, and there are two at most (then: 0).
function panel_of(i) {
    if (!(shape(i) in panels_by)) panels_by[shape(i)] = panels < 2 ? ++panels : 0
    return panels_by[shape(i)]
}

# --- time against N, and against the context ---------------------------------------------------

# One shape: the one with the most rows.
function time(    i, best) {
    for (i = 1; i <= rows; i++)
        if (square(i) && ++having[shape(i)] > having[best]) best = shape(i)
    for (i = 1; i <= rows; i++)
        if (square(i) && shape(i) == best && name_of(i) != "") {
            seconds(1, name_of(i), get(i, "N"), i)
            set("SHAPE", heads_named(i) ", " mask_named(i))
        }
    write_curves(0.045)
}

function square(i) {
    return get(i, "suite") ~ /^(prefill|chapters)$/ && timed(i) && get(i, "N") > 1 &&
        get(i, "N") == get(i, "M")
}

# A panel a shape, and in each what reading K and V once would take.
function decode(    i, panel, limit) {
    for (i = 1; i <= rows; i++) {
        if (get(i, "suite") != "decode" || !timed(i) || name_of(i) == "") continue
        panel = panel_of(i)
        if (!panel) continue
        set("SHAPE_" panel, heads_named(i))
        seconds(panel, name_of(i), get(i, "M"), i)
        if (get(i, "what") == "fast" && get(i, "threads") == 1 && get(i, "dram_gbytes_s") > 0) {
            limit = get(i, "kv_bytes") / (get(i, "dram_gbytes_s") * 1e9)
            point(panel, "DRAM, 1 thread", get(i, "M"), limit, limit, limit)
        }
    }
    set_number("PANELS", panels)
    write_curves(0.045)
}

# --- ladders -----------------------------------------------------------------------------------

# Steps from top to bottom, in the order in which they were measured, each as a share of a limit.
# Behind them what is no step: more threads, other instruction sets.
function ladder(share,    i, panel, x, colour) {
    for (i = 1; i <= rows; i++) {
        if (get(i, "suite") != figure || !timed(i) || get(i, share) == "") continue
        panel = panel_of(i)
        if (!panel) continue
        if (isa == "") isa = get(i, "isa")
        set("SHAPE_" panel, heads_named(i) ", " \
            (share == "of_peak" ? "N = " get(i, "N") ", " mask_named(i) : "M = " get(i, "M")))
        x = 100 * get(i, share)
        colour = get(i, "threads") > 1 ? PINK : get(i, "isa") != isa ? GREY : RED
        printf "%d,%.9g,%d,%.9g,%.9g,%d,0\n", panel, x, ++lines[panel],
            x * get(i, "median_s") / get(i, "max_s"), x * get(i, "median_s") / get(i, "min_s"),
            colour > table
        printf "%d,0,%d,%d,\"%s\"\n", panel, lines[panel], colour, shown(step_named(i)) > labels
        if (lines[panel] > longest) longest = lines[panel]
        count_rounds(i)
        drawn = 1
    }
    set_number("PANELS", panels)
    set_number("LINES", longest)
    set("ISA", isa)
}

function step_named(i) {
    if (get(i, "threads") > 1) return "on " get(i, "threads") " threads"
    return get(i, "isa") != isa ? "with " get(i, "isa") : get(i, "kernel")
}

# --- with and without a cache --------------------------------------------------------------------

# A row that is against another one, and that other one: a pair of bars, and their ratio.
function cached(    i, j) {
    for (i = 1; i <= rows; i++) {
        if (get(i, "suite") != "gpt2" || get(i, "ratio") == "" || !timed(i)) continue
        for (j = 1; j <= rows; j++)
            if (get(j, "name") == get(i, "against") && get(j, "suite") == "gpt2" && timed(j))
                pair(i, j)
    }
    set_number("LINES", pairs)
    set_number("XMIN", shortest)
    set_number("XMAX", longest)
}

# Three digits, and never as a power of ten.
function times(ratio) { return sprintf(ratio < 100 ? "%.3g" : "%.0f", ratio) }

function pair(with, without,    name, top) {
    pairs++
    bar(without, pairs - 0.19, BLUE)
    bar(with, pairs + 0.19, RED)
    name = get(with, "name")
    sub(/.*-against-/, "", name)
    top = whole(without) * get(without, "max_s")
    printf "1,%.9g,%g,%d,\"%s× (%s to %s)\"\n", top, pairs - 0.19, BLUE,
        times(get(with, "ratio")), times(get(with, "ratio_min")), times(get(with, "ratio_max")) > labels
    printf "2,0,%g,%d,\"%s\"\n", pairs, GREY, shown(name) > labels
    if (top > longest) longest = top
}

function bar(i, y, colour,    w) {
    w = whole(i)
    printf "1,%.9g,%g,%.9g,%.9g,%d,0\n", w * get(i, "median_s"), y, w * get(i, "min_s"),
        w * get(i, "max_s"), colour > table
    if (!shortest || w * get(i, "min_s") < shortest) shortest = w * get(i, "min_s")
    count_rounds(i)
    drawn = 1
}

# How many times what was run makes the whole. The row's name says it: "...-1-of-12-layers" is 12,
# "...-1-of-12-layers-5-of-1000-lengths" is 12 times 200.
function whole(i,    word, n, k, factor) {
    factor = 1
    n = split(get(i, "name"), word, "-")
    for (k = 2; k < n; k++)
        if (word[k] == "of" && word[k - 1] > 0) factor *= word[k + 1] / word[k - 1]
    return factor
}

# --- roofline ----------------------------------------------------------------------------------

# On one thread: the steps of both ladders, and the chapters at their longest run.
function roofline(    i, key, name) {
    for (i = 1; i <= rows; i++) {
        if (get(i, "threads") != 1 || !timed(i)) continue
        if (get(i, "peak_gflops") > peak) peak = get(i, "peak_gflops")
        if (get(i, "dram_gbytes_s") > dram) dram = get(i, "dram_gbytes_s")
        name = roof_named(i)
        if (name == "" || (name in at_most && get(i, "isa") != get(at_most[name], "isa"))) continue
        if (!(name in at_most)) order[++names] = name
        if (!(name in at_most) || get(i, "M") >= get(at_most[name], "M")) at_most[name] = i
    }
    for (key = 1; key <= names && peak > 0 && dram > 0; key++)
        roof_point(order[key], at_most[order[key]])
    set_number("PEAK", peak)
    set_number("DRAM", dram)
    highest = peak * 0.8 # names stay under the roof
    write_curves(0.034)
}

function roof_named(i,    suite) {
    suite = get(i, "suite")
    if (suite == "decode_ladder")
        return "decode " get(i, "kernel") (get(i, "H") == get(i, "G") ? ", MHA" : ", GQA")
    if (get(i, "mask") != "none") return ""
    if (suite == "prefill_ladder") return "prefill " get(i, "kernel")
    if (get(i, "what") != "chapter" || name_of(i) == "") return ""
    if (suite ~ /^(prefill|chapters)$/) return name_of(i) ", prefill"
    return suite == "decode" && get(i, "H") == get(i, "G") ? name_of(i) ", decode" : ""
}

function roof_point(name, i,    flops) {
    flops = get(i, "flops")
    if (!(get(i, "moved_bytes") > 0) || !(flops > 0)) return
    count_rounds(i)
    point(1, name, flops / get(i, "moved_bytes"), flops / get(i, "median_s") / 1e9,
        flops / get(i, "max_s") / 1e9, flops / get(i, "min_s") / 1e9)
}

# --- a chapter's own --bench -------------------------------------------------------------------

# Against N, or against M where N is always the same.
function own(    i, x, bytes) {
    if (sub(/, [0-9]+\.[0-9.]+/, " compiler&", machine)) sub(/ compiler, /, ", compiler ", machine)
    x = differ("N", "") || !differ("M", "") ? "N" : "M"
    for (i = 1; i <= rows; i++) {
        if (!timed(i)) continue
        seconds(1, run_named(i), get(i, x), i)
        bytes = get(i, "scratch_bytes")
        if (bytes > 0) point(2, run_named(i), get(i, x), bytes, bytes, bytes)
    }
    set("VARIES", x == "N" ? "queries N (tokens)" : "keys M (tokens)")
    set_number("PANELS", 2 in xmin ? 2 : 1)
    write_curves(0.045)
}

# "04 gqa", "04 fast-avx2-1", and what else sets a run apart from others in the file.
function run_named(i,    name) {
    name = get(i, "chapter")
    if (has(i, "device") && get(i, "device") != "cpu")
        name = substr(name, 1, 2) " " get(i, "device")
    if (has(i, "kernel") && differ("kernel", "device")) name = name " " get(i, "kernel")
    if (differ("H", "") || differ("G", "")) name = name " H" get(i, "H") "/" get(i, "G")
    if (differ("D", "")) name = name " D" get(i, "D")
    return name
}

function has(i, name) { return (name in at) && get(i, name) != "" && get(i, name) != "-" }

# Are there two rows with another `name` (and, unless that is "", with the same `beside`)?
function differ(name, beside,    i, first, key) {
    if ((name, beside) in differs) return differs[name, beside]
    differs[name, beside] = 0
    for (i = 1; i <= rows; i++) {
        key = beside == "" ? "" : get(i, beside)
        if (!(key in first)) first[key] = get(i, name)
        if (first[key] != get(i, name)) differs[name, beside] = 1
    }
    return differs[name, beside]
}
