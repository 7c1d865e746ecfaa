# Curves and their names, for gnuplot: point() collects, write_curves() writes them out.
#
#     BASE.csv          panel,x,y,low,high,colour,marker; an empty line ends a curve
#     BASE_labels.csv   panel,x,y,colour,text
#     BASE.gp           what the script must know besides: ranges, titles, the machine

# The colours of plots/style.gp as numbers, which is how a table can name one.
BEGIN {
    BLUE = 29362; RED = 13983232; GREEN = 40563; PINK = 12081295; GOLD = 11893504; SKY = 3839688
    GREY = 7041915
    in_turn = BLUE " " RED " " GREEN " " PINK " " GOLD " " SKY
}

function begin_tables() {
    table = base ".csv"; labels = base "_labels.csv"; settings = base ".gp"
    print "panel,x,y,low,high,colour,marker" > table
    print "panel,x,y,colour,text" > labels
    printf "" > settings
}

function set(name, value) { printf "%s = \"%s\"\n", name, shown(value) > settings }

# gnuplot sets what follows a _ lower.
function shown(text) { gsub(/_/, " ", text); return text }

function set_number(name, value) { printf "%s = %.9g\n", name, value > settings }

# A point of the curve `name` in a panel; of several at one x the first stays.
function point(panel, name, x, y, low, high,    k, n) {
    k = panel SUBSEP name
    if (!(k in count)) { curve[++curves] = name; curve_panel[curves] = panel }
    if ((k, x) in had) return
    had[k, x] = 1
    n = ++count[k]
    px[k, n] = x + 0; py[k, n] = y + 0; pl[k, n] = low + 0; ph[k, n] = high + 0
    if (!(panel in xmin) || px[k, n] < xmin[panel]) xmin[panel] = px[k, n]
    if (!(panel in xmax) || px[k, n] > xmax[panel]) xmax[panel] = px[k, n]
    if (!(panel in ymin) || pl[k, n] < ymin[panel]) ymin[panel] = pl[k, n]
    if (!(panel in ymax) || ph[k, n] > ymax[panel]) ymax[panel] = ph[k, n]
    drawn = 1
}

function seconds(panel, name, x, i) {
    point(panel, name, x, get(i, "median_s"), get(i, "min_s"), get(i, "max_s"))
    count_rounds(i)
}

# For the caption: from how many rounds to how many.
function count_rounds(i,    r) {
    r = get(i, "rounds") + 0
    if (r > 0 && (!fewest || r < fewest)) fewest = r
    if (r > most) most = r
}

function rounds() { return (fewest == most ? most : fewest " to " most) " rounds" }

# Each chapter and kernel has its colour and mark in all figures; dashed, without a mark, is what was
# not timed. In a file of your own names take turns.
function colour_of(name,    list) {
    if (schema == "chapter") { split(in_turn, list, " "); return list[turn_of(name)] }
    if (name ~ /^prefill /) return RED
    if (name ~ /^decode /) return PINK
    if (name ~ /^0[1-5]/) return BLUE
    if (name ~ /^06/) return SKY
    if (name ~ /^07/) return GREEN
    if (name ~ /^DRAM/) return GREY
    return name ~ /1 thread$/ ? RED : PINK
}

function mark_of(name,    list) {
    split("7 5 9 13 11 4 0", list, " ")
    if (schema == "chapter") return list[turn_of(name)]
    if (name ~ /^prefill /) return list[2]
    if (name ~ /^decode /) return list[4]
    if (name ~ /^0[1-5]/) return list[1]
    if (name ~ /^06/) return list[6]
    if (name ~ /^07/) return list[3]
    if (name ~ /^DRAM/) return list[7]
    return name ~ /1 thread$/ ? list[2] : list[4]
}

function turn_of(name) {
    if (!(name in turns)) turns[name] = taken++ % 6 + 1
    return turns[name]
}

# text_height: a line of text as a part of the diagram's height.
function write_curves(text_height,    c, k, n, i) {
    for (c = 1; c <= curves; c++) {
        k = curve_panel[c] SUBSEP curve[c]
        n = count[k]
        sort_points(k, n)
        for (i = 1; i <= n; i++)
            printf "%s,%.9g,%.9g,%.9g,%.9g,%d,%d\n", curve_panel[c], px[k, i], py[k, i],
                pl[k, i], ph[k, i], colour_of(curve[c]), mark_of(curve[c]) > table
        print "" > table
        label(curve_panel[c], px[k, n], py[k, n], colour_of(curve[c]), curve[c])
    }
    write_ranges()
    write_labels(text_height)
}

function sort_points(k, n,    i, j) {
    for (i = 1; i < n; i++)
        for (j = i + 1; j <= n; j++)
            if (px[k, j] < px[k, i]) {
                swap(px, k, i, j); swap(py, k, i, j); swap(pl, k, i, j); swap(ph, k, i, j)
            }
}

function swap(list, k, i, j,    kept) {
    kept = list[k, i]
    list[k, i] = list[k, j]
    list[k, j] = kept
}

# An axis is at least twelvefold: less might show no tick.
function write_ranges(    panel, wider) {
    for (panel = 1; panel <= 2; panel++) {
        if (!(panel in xmin)) continue
        wider = sqrt(12 * ymin[panel] / ymax[panel])
        if (wider > 1) { ymin[panel] /= wider; ymax[panel] *= wider }
        set_number("XMIN_" panel, xmin[panel])
        set_number("XMAX_" panel, xmax[panel])
        set_number("YMIN_" panel, ymin[panel])
        set_number("YMAX_" panel, ymax[panel])
    }
}

# The name of a curve at its end. In the roofline, where curves are points, names of points that lie
# on one another share a line: "skip, threads".
function label(panel, x, y, colour, text,    i) {
    sub(/^(prefill|decode) |, prefill$/, "", text)
    for (i = 1; i <= texts && figure == "roofline"; i++)
        if (tc[i] == colour && near(x, tx[i], 1.1) && near(y, exp(ty[i]), 1.08)) {
            if (match(text, /, [A-Z]+$/)) sub(substr(text, RSTART) "$", "", tt[i])
            tt[i] = tt[i] ", " text
            return
        }
    texts++
    tp[texts] = panel; tx[texts] = x; ty[texts] = log(y); tc[texts] = colour; tt[texts] = text
}

function near(a, b, factor) { return a < factor * b && b < factor * a }

# Names that would lie on one another are pushed apart, a little at a time. On a logarithmic axis,
# from ymin/1.6 to 1.6 ymax, a line of text is a factor.
function write_labels(text_height,    turn, i, j) {
    for (i = 1; i <= texts; i++)
        gap[i] = text_height * log(ymax[tp[i]] / ymin[tp[i]] * 2.6)
    for (i = 1; i <= texts; i++)
        for (j = 1; j <= texts; j++)
            clear_mark(i, j)
    for (turn = 0; turn < 400; turn++)
        for (i = 1; i <= texts; i++)
            for (j = 1; j <= texts; j++)
                push_apart(i, j)
    for (i = 1; i <= texts; i++)
        printf "%s,%.9g,%.9g,%d,\"%s\"\n", tp[i], tx[i], exp(ty[i]), tc[i], shown(tt[i]) > labels
}

# A name does not begin on a mark to the right of its own.
function clear_mark(i, j,    apart) {
    apart = ty[i] < ty[j] ? ty[j] - ty[i] : ty[i] - ty[j]
    if (tp[i] == tp[j] && tx[j] > tx[i] && tx[j] < 1.5 * tx[i] && apart < 1.5 * gap[i])
        tx[i] = tx[j]
}

# i is the upper one. `highest`, where there is one, is a roof.
function push_apart(i, j,    lack) {
    if (i == j || tp[i] != tp[j] || !near(tx[i], tx[j], 1.9)) return
    if (ty[i] < ty[j] || (ty[i] == ty[j] && i < j)) return
    lack = gap[i] - (ty[i] - ty[j])
    if (lack > 0) { ty[i] += lack * 0.505; ty[j] -= lack * 0.505 }
    if (highest && ty[i] > log(highest)) ty[i] = log(highest)
}
