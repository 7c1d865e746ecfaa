# From a benchmark's CSV to what one figure draws:
#
#     awk -v figure=time -v base=build/plots/time -f plots/bench.awk mine.csv
#
# writes base.csv (points: panel,x,y,low,high,colour,marker; an empty line ends a curve),
# base_labels.csv (panel,x,y,colour,text) and base.gp (the axes' ranges, titles, the caption).
# mine.csv is what make bench writes or what a chapter's --bench prints, also several of them one
# behind the other. Exit: 0 drawn, 3 the file is wrong, 9 it has nothing for this figure.

BEGIN {
    FS = ","
    BLUE = 29362; RED = 13983232; GREEN = 40563; PINK = 12081295; GOLD = 11893504; SKY = 3839688; GREY = 7041915
}

function wrong(text) {
    if (failed) return
    failed = 1
    print FILENAME ": " text > "/dev/stderr"
    exit 3
}

{ sub(/\r$/, "") }
/^#/ { comment(); next }
/^[ \t]*$/ { next }
$1 == "suite" || $1 == "chapter" { header(); next }
!columns { wrong("line " FNR ": expected the names of columns, as make bench and --bench write them") }
NF != columns { wrong("line " FNR ": expected " columns " columns, got " NF) }
{ row() }

# The machine is what the first comment says, the date what one says that looks like one.
function comment(    text) {
    text = substr($0, 2)
    sub(/^ */, "", text)
    gsub(/[_{}^@&"\\]/, " ", text)
    if (text ~ /^(date: *)?[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/) date = ", " substr(text, match(text, /[0-9]/), 10)
    else if (machine == "") { machine = text; sub(/^(machine|cpu|processor): */, "", machine) }
}

function header(    i) {
    schema = $1
    columns = NF
    split("", at)
    for (i = 1; i <= NF; i++) at[$i] = i
    need("N M D H G median_s min_s max_s scratch_bytes flops")
    if (schema == "suite") need("name what kernel isa threads mask kv_dtype moved_bytes kv_bytes gflops gbytes_s of_peak of_dram peak_gflops dram_gbytes_s against ratio ratio_min ratio_max")
}

function need(names,    list, n, i) {
    n = split(names, list, " ")
    for (i = 1; i <= n; i++) if (!(list[i] in at)) wrong("line " FNR ": expected a column " list[i])
}

function row(    name) {
    rows++
    for (name in at) cell[rows, name] = $at[name]
    number("N"); number("M"); number("D"); number("H"); number("G")
    number("median_s"); number("min_s"); number("max_s"); number("scratch_bytes"); number("flops")
}

# A cell may be empty where nothing was timed.
function number(name) {
    if (cell[rows, name] !~ /^([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?)?$/)
        wrong("line " FNR ": " name ": expected a number, got \"" cell[rows, name] "\"")
}

END {
    if (failed) exit 3
    if (!rows) wrong("it holds no rows")
    if (failed) exit 3
    if (figure == "check") { print schema; exit 0 }
    table = base ".csv"; labels = base "_labels.csv"; settings = base ".gp"
    print "panel,x,y,low,high,colour,marker" > table
    print "panel,x,y,colour,text" > labels
    if (schema == "chapter") chapter()
    else if (figure == "time") time()
    else if (figure == "decode") decode()
    else if (figure == "prefill_ladder") ladder("of_peak", "mask")
    else if (figure == "decode_ladder") ladder("of_dram", "heads")
    else if (figure == "cached") cached()
    else if (figure == "roofline") roofline()
    if (!drawn) exit 9
    printf "MACHINE = \"%s%s\"; ROUNDS = \"%s rounds\"\n", machine, date, least == greatest ? least : least " to " greatest > settings
}

# --- curves ------------------------------------------------------------------------------------

function shape(i) { return cell[i, "H"] "," cell[i, "G"] "," cell[i, "D"] "," cell[i, "mask"] "," cell[i, "kv_dtype"] }

# What a reader calls it, or "" for what is not drawn.
function curve_of(i,    what, kernel) {
    what = cell[i, "what"]; kernel = cell[i, "kernel"]
    if (what == "chapter") {
        if (kernel ~ /^04/ && cell[i, "N"] > 1) return "04 naive"
        if (kernel ~ /^05/ && cell[i, "N"] == 1) return "05 cached"
        if (kernel ~ /^06/) return "06 paged"
        if (kernel ~ /^07/) return "07 flash"
        return ""
    }
    if (what == "peer") return cell[i, "threads"] == 1 ? cell[i, "name"] : ""
    if (what != "fast") return ""
    if (kernel == "blas") return cell[i, "threads"] == 1 ? "OpenBLAS" : ""
    return cell[i, "threads"] == 1 ? "fast, 1 thread" : "fast, " cell[i, "threads"] " threads"
}

function colour_of(name) {
    if (figure == "roofline" && name ~ /^(pre|de)/) return name ~ /^pre/ ? RED : PINK
    return name ~ /^0[1-5]/ ? BLUE : name ~ /^06/ ? SKY : name ~ /^07/ ? GREEN : name ~ /1 thread$/ ? RED : \
        name ~ /^fast/ ? PINK : name ~ /limit/ ? GREY : GOLD
}

function marker_of(name) {
    if (figure == "roofline" && name ~ /^(pre|de)/) return name ~ /^pre/ ? 5 : 13
    return name ~ /^0[1-5]/ ? 7 : name ~ /^06/ ? 4 : name ~ /^07/ ? 9 : name ~ /1 thread$/ ? 5 : name ~ /^fast/ ? 13 : 11
}

# point(PANEL, CURVE, x, y, low, high): collected, and written in order of x by write_curves
function point(panel, name, x, y, low, high,    k) {
    k = panel SUBSEP name
    if (!(k in count)) { curves++; curve[curves] = name; curve_panel[curves] = panel }
    if ((k, x) in had) return
    had[k, x] = 1
    count[k]++
    px[k, count[k]] = x; py[k, count[k]] = y; pl[k, count[k]] = low; ph[k, count[k]] = high
    if (!(panel in xmin) || x < xmin[panel]) xmin[panel] = x
    if (!(panel in xmax) || x > xmax[panel]) xmax[panel] = x
    if (!(panel in ymin) || low < ymin[panel]) ymin[panel] = low
    if (!(panel in ymax) || high > ymax[panel]) ymax[panel] = high
    drawn = 1
}

function timed(panel, name, x, i) {
    point(panel, name, x + 0, cell[i, "median_s"] + 0, cell[i, "min_s"] + 0, cell[i, "max_s"] + 0)
    rounds(i)
}

function rounds(i,    r) {
    r = cell[i, "rounds"] + 0
    if (r > 0 && (!least || r < least)) least = r
    if (r > greatest) greatest = r
}

# Curves, then their names where they end, pushed apart where they would lie on each other: on a
# logarithmic axis a line of text is a factor.
function write_curves(text_height,    c, k, n, i, j, best, swap, panel, names) {
    for (c = 1; c <= curves; c++) {
        k = curve_panel[c] SUBSEP curve[c]
        n = count[k]
        for (i = 1; i < n; i++) for (j = i + 1; j <= n; j++) if (px[k, j] < px[k, i]) {
            swap = px[k, i]; px[k, i] = px[k, j]; px[k, j] = swap
            swap = py[k, i]; py[k, i] = py[k, j]; py[k, j] = swap
            swap = pl[k, i]; pl[k, i] = pl[k, j]; pl[k, j] = swap
            swap = ph[k, i]; ph[k, i] = ph[k, j]; ph[k, j] = swap
        }
        for (i = 1; i <= n; i++)
            printf "%s,%.9g,%.9g,%.9g,%.9g,%d,%d\n", curve_panel[c], px[k, i], py[k, i], pl[k, i], ph[k, i], colour_of(curve[c]), marker_of(curve[c]) > table
        print "" > table
        label(curve_panel[c], px[k, n], py[k, n], colour_of(curve[c]), curve[c])
    }
    write_ranges()
    write_labels(text_height)
}

# An axis has room for two powers of ten, or it might show none.
function write_ranges(    panel, wider) {
    for (panel in xmin) {
        wider = sqrt(12 * ymin[panel] / ymax[panel])
        if (wider > 1) { ymin[panel] /= wider; ymax[panel] *= wider }
        printf "XMIN_%s = %.9g; XMAX_%s = %.9g; YMIN_%s = %.9g; YMAX_%s = %.9g\n", panel, xmin[panel], panel, xmax[panel], panel, ymin[panel], panel, ymax[panel] > settings
    }
}

function label(panel, x, y, colour, text) {
    texts++
    tp[texts] = panel; tx[texts] = x; ty[texts] = log(y); tc[texts] = colour; tt[texts] = text
}

# text_height: of the panel's height, on a logarithmic axis of y from ymin/1.6 to ymax*1.6
function write_labels(text_height,    turn, i, j, gap, low) {
    # A name does not begin on top of a mark to the right of its own.
    for (i = 1; i <= texts; i++) for (j = 1; j <= texts; j++) {
        gap = text_height * log(ymax[tp[i]] / ymin[tp[i]] * 2.6)
        if (tp[i] == tp[j] && tx[j] > tx[i] && tx[j] < 1.5 * tx[i] && ty[i] - ty[j] < 3 * gap && ty[j] - ty[i] < 3 * gap) tx[i] = tx[j]
    }
    for (turn = 0; turn < 400; turn++)
        for (i = 1; i <= texts; i++) for (j = 1; j <= texts; j++) {
            if (i == j || tp[i] != tp[j] || ty[i] < ty[j] || (ty[i] == ty[j] && i < j)) continue
            if (tx[i] / tx[j] > 2.2 || tx[j] / tx[i] > 2.2) continue
            gap = text_height * log(ymax[tp[i]] / ymin[tp[i]] * 2.6)
            if (ty[i] - ty[j] < gap) { low = (gap - (ty[i] - ty[j])) / 2; ty[i] += low * 1.01; ty[j] -= low * 1.01 }
            if (highest && ty[i] > log(highest)) ty[i] = log(highest)
        }
    for (i = 1; i <= texts; i++)
        printf "%s,%.9g,%.9g,%d,\"%s\"\n", tp[i], tx[i], exp(ty[i]), tc[i], tt[i] > labels
}

# --- the figures -------------------------------------------------------------------------------

# One shape: the one with the most rows.
function time(    i, best) {
    for (i = 1; i <= rows; i++)
        if (in_time(i) && ++many[shape(i)] > many[best]) best = shape(i)
    for (i = 1; i <= rows; i++)
        if (in_time(i) && shape(i) == best && curve_of(i) != "") timed(1, curve_of(i), cell[i, "N"], i)
    split(best, part, ",")
    printf "SHAPE = \"%d heads over %d KV heads of size %d, %s\"\n", part[1], part[2], part[3], mask_named(part[4]) > settings
    write_curves(0.045)
}

function in_time(i) {
    return cell[i, "suite"] ~ /^(prefill|chapters|peers)$/ && cell[i, "N"] > 1 && cell[i, "N"] == cell[i, "M"] && cell[i, "median_s"] != ""
}

function mask_named(mask) { return mask == "none" ? "no mask" : "causal" }

# A panel a shape, and in each the time that reading K and V once would take.
function decode(    i, s, limit) {
    for (i = 1; i <= rows; i++) {
        if (cell[i, "suite"] != "decode" || cell[i, "N"] != 1 || cell[i, "median_s"] == "") continue
        s = shape(i)
        if (!(s in panel_of)) {
            if (panels == 2) continue
            panel_of[s] = ++panels
            printf "SHAPE_%d = \"%d heads over %d KV heads of size %d\"\n", panels, cell[i, "H"], cell[i, "G"], cell[i, "D"] > settings
        }
        if (curve_of(i) != "") timed(panel_of[s], curve_of(i), cell[i, "M"], i)
        if (cell[i, "what"] == "fast" && cell[i, "threads"] == 1) {
            limit = cell[i, "kv_bytes"] / (cell[i, "dram_gbytes_s"] * 1e9)
            point(panel_of[s], "limit, 1 thread", cell[i, "M"] + 0, limit, limit, limit)
        }
    }
    if (panels) { printf "PANELS = %d\n", panels > settings; write_curves(0.045) }
}

# Steps from top to bottom, a panel a mask or a way to share heads; whiskers from the slowest round to
# the fastest.
function ladder(share, by,    i, key, name, y, x, colour) {
    for (i = 1; i <= rows; i++) {
        if (cell[i, "suite"] != figure || cell[i, "median_s"] == "" || cell[i, share] == "") continue
        key = shape(i)
        if (!(key in panel_of)) {
            if (panels == 2) continue
            panel_of[key] = ++panels
            printf "SHAPE_%d = \"%d heads over %d KV heads of size %d, N = %d, M = %d%s\"\n", panels, cell[i, "H"], cell[i, "G"], cell[i, "D"], cell[i, "N"], cell[i, "M"], by == "mask" ? ", " mask_named(cell[i, "mask"]) : "" > settings
            first_isa = first_isa == "" ? cell[i, "isa"] : first_isa
        }
        name = cell[i, "kernel"]
        colour = cell[i, "threads"] > 1 ? PINK : cell[i, "isa"] != first_isa ? GREY : RED
        if (cell[i, "isa"] != first_isa) name = name ", " cell[i, "isa"]
        if (cell[i, "threads"] > 1) name = name ", " cell[i, "threads"] " threads"
        y = ++lines[panel_of[key]]
        if (y > most) most = y
        x = 100 * cell[i, share]
        printf "%d,%.9g,%d,%.9g,%.9g,%d,0\n", panel_of[key], x, y, x * cell[i, "median_s"] / cell[i, "max_s"], x * cell[i, "median_s"] / cell[i, "min_s"], colour > table
        printf "%d,0,%d,%d,\"%s\"\n", panel_of[key], y, colour, name > labels
        rounds(i)
        drawn = 1
    }
    printf "PANELS = %d; LINES = %d; ISA = \"%s\"\n", panels, most, first_isa > settings
}

# Pairs of rows: a cached one, and the one that it is against. Their names say what part of the whole
# way was run: "1-of-12-layers-5-of-1000-lengths".
function cached(    i, j, y, name, seconds) {
    for (i = 1; i <= rows; i++) {
        if (cell[i, "suite"] != "gpt2" || cell[i, "against"] == "" || cell[i, "ratio"] == "") continue
        for (j = 1; j <= rows; j++)
            if (cell[j, "suite"] == "gpt2" && cell[j, "name"] == cell[i, "against"] && cell[j, "median_s"] != "") {
                y++
                bar(j, y - 0.19, BLUE)
                bar(i, y + 0.19, RED)
                name = cell[i, "name"]
                sub(/.*-against-/, "", name)
                printf "1,%.9g,%g,%d,\"%.3g× (%.3g to %.3g)\"\n", way(j) * cell[j, "max_s"], y - 0.19, BLUE, cell[i, "ratio"], cell[i, "ratio_min"], cell[i, "ratio_max"] > labels
                printf "2,0,%g,%d,\"%s\"\n", y, GREY, name > labels
                if (way(j) * cell[j, "max_s"] > most) most = way(j) * cell[j, "max_s"]
                if (!fewest || way(i) * cell[i, "min_s"] < fewest) fewest = way(i) * cell[i, "min_s"]
            }
    }
    printf "LINES = %d; XMIN = %g; XMAX = %g\n", y, fewest, most > settings
}

function bar(i, y, colour) {
    printf "1,%.9g,%g,%.9g,%.9g,%d,0\n", way(i) * cell[i, "median_s"], y, way(i) * cell[i, "min_s"], way(i) * cell[i, "max_s"], colour > table
    rounds(i)
    drawn = 1
}

function way(i,    list, n, k, factor) {
    factor = 1
    n = split(cell[i, "name"], list, "-")
    for (k = 2; k < n; k++) if (list[k] == "of") factor *= list[k + 1] / list[k - 1]
    return factor
}

# On one thread: the steps of both ladders, and the chapters at their longest run.
function roofline(    i, key, bytes, x, name) {
    for (i = 1; i <= rows; i++) {
        if (cell[i, "threads"] != 1 || cell[i, "median_s"] == "") continue
        if (cell[i, "peak_gflops"] + 0 > peak) peak = cell[i, "peak_gflops"]
        if (cell[i, "dram_gbytes_s"] + 0 > dram) dram = cell[i, "dram_gbytes_s"]
        name = ""
        if (cell[i, "suite"] == "prefill_ladder" && cell[i, "mask"] == "none") name = "prefill " cell[i, "kernel"]
        if (cell[i, "suite"] == "decode_ladder") name = "decode " cell[i, "kernel"] (cell[i, "H"] == cell[i, "G"] ? ", MHA" : ", GQA")
        if (cell[i, "what"] == "chapter" && cell[i, "suite"] ~ /^(prefill|chapters)$/ && cell[i, "mask"] == "none" && curve_of(i) != "") name = curve_of(i) ", prefill"
        if (cell[i, "what"] == "chapter" && cell[i, "suite"] == "decode" && curve_of(i) != "" && cell[i, "H"] == cell[i, "G"]) name = curve_of(i) ", decode"
        if (name == "" || (name in isa_of && isa_of[name] != cell[i, "isa"])) continue
        isa_of[name] = cell[i, "isa"]
        if (!(name in longest) || cell[i, "M"] >= cell[longest[name], "M"]) longest[name] = i
        if (!(name in seen)) { seen[name] = 1; order[++names] = name }
    }
    for (key = 1; key <= names; key++) {
        name = order[key]
        i = longest[name]
        rounds(i)
        x = cell[i, "moved_bytes"] > 0 ? cell[i, "flops"] / cell[i, "moved_bytes"] : cell[i, "gflops"] / cell[i, "gbytes_s"]
        point(1, name, x, cell[i, "gflops"] + 0, cell[i, "flops"] / cell[i, "max_s"] / 1e9, cell[i, "flops"] / cell[i, "min_s"] / 1e9)
    }
    printf "PEAK = %g; DRAM = %g\n", peak, dram > settings
    highest = peak * 0.8 # names stay under the roof
    if (drawn) write_curves(0.034)
}

# --- a chapter's own --bench -------------------------------------------------------------------

function chapter(    i, x, name) {
    for (i = 1; i <= rows; i++) if (cell[i, "N"] != cell[1, "N"]) vary = "N"
    for (i = 1; i <= rows && vary == ""; i++) if (cell[i, "M"] != cell[1, "M"]) vary = "M"
    if (vary == "") vary = "N"
    for (i = 1; i <= rows; i++) {
        if (cell[i, "median_s"] == "") continue
        name = cell[i, "chapter"] extra(i, "device", "cpu") extra(i, "kernel", "")
        if (cell[i, "H"] "," cell[i, "G"] "," cell[i, "D"] != cell[1, "H"] "," cell[1, "G"] "," cell[1, "D"])
            name = name " H" cell[i, "H"] " G" cell[i, "G"] " D" cell[i, "D"]
        gsub(/_/, " ", name)
        timed(1, name, cell[i, vary], i)
        if (cell[i, "scratch_bytes"] > 0) point(2, name, cell[i, vary] + 0, cell[i, "scratch_bytes"] + 0, cell[i, "scratch_bytes"] + 0, cell[i, "scratch_bytes"] + 0)
    }
    if (!drawn) return
    printf "VARIES = \"%s\"; PANELS = %d\n", vary == "M" ? "keys M (tokens)" : "queries N (tokens)", 2 in xmin ? 2 : 1 > settings
    write_curves(0.045)
}

function extra(i, name, usual) {
    return (name in at) && cell[i, name] != "" && cell[i, name] != "-" && cell[i, name] != usual ? " " cell[i, name] : ""
}
