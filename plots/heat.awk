# Attention weights of a trace, laid out for plots/heat.gp: one panel a head, tokens on both axes.
# Passes of decode are put under each other: their rows are the next rows of the same matrix. Batch 0.
#
# A hidden pair weighs exactly 0, as a seen one may: which it is, `masked` tells. A key that came into
# the cache in a later pass has no cell in the rows before it.

/^\{"step":"p[0-9]+\.b[0-9]+\.h[0-9]+\.(masked|weights)",/ {
    if (number("batch") > 0) {
        batches = 1
        next
    }
    pass = number("pass")
    head = number("head")
    shape_of()
    n = data_of()
    if (!((head, pass) in first))
        first[head, pass] = rows[head] + 0
    for (i = 1; i <= n; i++)
        value[step, head, first[head, pass] + int((i - 1) / shape[2]), (i - 1) % shape[2]] = list[i]
    if (step == "masked")
        next
    rows[head] += shape[1]
    heads = head >= heads ? head + 1 : heads
    labels_of("rows")
    for (i = 1; i <= shape[1]; i++)
        row[first[head, pass] + i - 1] = cut(list[i], 20)
    labels_of("columns")
    for (j = 1; j <= shape[2]; j++)
        column[j - 1] = cut(list[j], 20)
    N = rows[head] > N ? rows[head] : N
    M = shape[2] > M ? shape[2] : M
    later = pass > 0 ? 1 : later
}

function longest_of(names, count,   i, most) {
    most = 2
    for (i = 0; i < count; i++)
        most = wide(names[i]) > most ? wide(names[i]) : most
    return most
}

# What stands in a cell, and its kind: 0 a weight, 1 hidden, 2 not a number.
function cell(h, i, j,   w) {
    w = value["weights", h, i, j]
    if (value["masked", h, i, j] ~ /-inf/)
        return "0,1,·"
    if (w ~ /[a-z]/ && w !~ /^[-0-9.]+e[-+][0-9]+$/)
        return "0,2,nan"
    return w ",0," sprintf("%.2f", w)
}

END {
    if (!heads)
        stop(9, "no weights in it")
    if (N > 512 || M > 512)
        stop(3, N " x " M " weights: expected at most 512 x 512, more cannot be seen")
    across = heads <= 3 ? heads : heads == 4 ? 2 : 4
    down = int((heads + across - 1) / across)
    unit = clamp(int(680 / (across * (M + 1))), 2, 62) # pixels of a cell
    unit = clamp(int(1200 / (down * (N + 1))), 2, unit)
    every = unit < 14 ? int((13 + unit) / unit) : 1    # a label for each, or for some
    tall = 8.4 * longest_of(column, M) + 6
    turned = every > 1 || tall > unit + 6
    above = ((turned ? tall + 8 : 24) + (heads > 1 ? 38 : 0)) / unit
    gap = heads > 1 ? clamp(26 / unit, 0.5, 99) : 0
    left = 8.4 * longest_of(row, N) + 34
    panels = unit * (across * (M + gap) - gap)
    width = left + panels + 100
    width = width < 560 ? 560 : width
    top = 50
    height = top + unit * down * (N + above) + 74 + (later ? 18 : 0)

    file = base ".gp"
    printf "W = %d; H = %d; UNIT = %d\n", width, height, unit > file
    printf "X0 = %g; X1 = %g; Y0 = %g; Y1 = %g\n", -0.5 - left / unit, -0.5 + (width - left) / unit,
           -0.5 - top / unit, -0.5 + (height - top) / unit > file
    bar = unit * N + (down - 1) * unit * (N + above)
    printf "BAR_STEP = %g\n", (bar < 90 ? 1 : bar < 170 ? 0.5 : 0.25) > file
    printf "BAR = %g; BAR_TOP = %g; BAR_BOTTOM = %g\n", (left + panels) / width,
           1 - (top + unit * above) / height,
           1 - (top + unit * (down * (N + above))) / height > file
    heat_table()
    for (h = 0; h < heads; h++) {
        x0 = h % across * (M + gap)
        y0 = int(h / across) * (N + above) + above
        if (heads > 1)
            word("head " h, x0 + (M - 1) / 2, y0 - above - 0.5 + 24 / unit, "center", 13)
        for (j = 0; j < M; j += every)
            word(column[j], x0 + j, y0 - 0.5 - 13 / unit, turned ? "left rotate by 90" : "center", 12)
        for (i = 0; i < N && h % across == 0; i += every)
            word(row[i], -0.5 - 8 / unit, y0 + i, "right", 12)
    }
    header("Attention weights: row q attends to column k" (batches ? ", sequence 0" : ""))
    footer((seen_hidden ? "each row sums to 1; pale" (unit < 34 ? "" : ", with a dot") \
        ": hidden by the mask" : "each row sums to 1") \
        (later ? "\nwhite: a key that came into the cache after that row" : ""))
    exit 0
}

function heat_table(   h, i, j, out, c) {
    out = base ".csv"
    print "x,y,value,kind,text" > out
    for (h = 0; h < heads; h++)
        for (i = 0; i < N; i++)
            for (j = 0; j < M; j++)
                if (("weights", h, i, j) in value) {
                    c = cell(h, i, j)
                    seen_hidden = c ~ /,1,/ ? 1 : seen_hidden
                    print h % across * (M + gap) + j "," int(h / across) * (N + above) + above + i \
                        "," (unit < 34 ? substr(c, 1, index(c, ",") + 2) : c) > out
                }
}
