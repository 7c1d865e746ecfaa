# The block table of a paged cache, laid out for plots/blocks.gp: above the pool as it lies in memory,
# below the table, a row for each sequence. After the last pass of the trace. How many blocks the pool
# has, and which tokens lie in one, stands in trace.txt: "block 3   sequence 1: to be".

/^\{"step":"p[0-9]+\.b0\.h0\.block_table",/ {
    shape_of()
    data_of()
    sequences = shape[1]
    entries = shape[2]
    for (s = 0; s < sequences; s++)
        for (e = 0; e < entries; e++)
            table[s, e] = list[s * entries + e + 1] + 0
}
/^block [0-9]+ +(free$|sequence [0-9]+:)/ {
    blocks = $2 + 1 > blocks ? $2 + 1 : blocks
    inside[$2 + 0] = $3 == "free" ? "" : substr($0, index($0, ":") + 2)
}

# A block in the pool or the table: a box in its sequence's colour, its number, and below that.
function box(x, y, s, name, note) {
    print x "," y "," s > (base ".csv")
    word(name, x, y - 0.13, "center", 14, s < 0 ? "#8a9199" : "#ffffff")
    word(note, x, y + 0.24, "center", 10, s < 0 ? "#8a9199" : "#ffffff")
}

END {
    if (!sequences)
        stop(9, "no block_table in it")
    for (s = 0; s < sequences; s++)
        for (e = 0; e < entries; e++) {
            owner[table[s, e]] = s
            entry[table[s, e]] = e
            blocks = table[s, e] >= blocks ? table[s, e] + 1 : blocks
        }
    if (blocks > 512 || sequences > 64)
        stop(3, blocks " blocks of " sequences " sequences: " \
            "expected at most 512 of 64, more cannot be seen")
    across = blocks < 8 ? 8 : blocks <= 12 ? blocks : blocks <= 24 ? int((blocks + 1) / 2) : 16
    lines = int((entries + across - 1) / across) # of the table, for one sequence
    down = int((blocks + across - 1) / across)
    unit_x = across > 12 ? 54 : 64
    unit_y = 50
    width = unit_x * across + 112
    width = width < 640 ? 640 : width
    table_y = down + 0.85
    height = int(unit_y * (table_y + sequences * lines)) + 160
    file = base ".gp"
    printf "W = %d; H = %d\n", width, height > file
    printf "X0 = %g; X1 = %g; Y0 = %g; Y1 = %g\n", -0.5 - 88 / unit_x, -0.5 + (width - 88) / unit_x,
           -0.5 - 84 / unit_y, -0.5 + (height - 84) / unit_y > file
    print "x,y,sequence" > (base ".csv")
    word("the pool, in the order of memory", -0.5, -0.5 - 12 / unit_y, "left", 12, "#6b737b")
    word("pool", -0.5 - 12 / unit_x, 0, "right", 13)
    for (b = 0; b < blocks; b++)
        if (b in owner)
            box(b % across, int(b / across), owner[b], b, "s" owner[b] " e" entry[b])
        else
            box(b % across, int(b / across), -1, b, "free")
    word("the table: entry e of a sequence is this block, and these tokens lie in it", -0.5,
         table_y - 0.5 - 12 / unit_y, "left", 12, "#6b737b")
    for (s = 0; s < sequences; s++) {
        word("s" s, -0.5 - 12 / unit_x, table_y + s * lines, "right", 13)
        for (e = 0; e < entries; e++)
            box(e % across, table_y + s * lines + int(e / across), s, table[s, e],
                wide(inside[table[s, e]]) * 6 < unit_x - 2 ? inside[table[s, e]] : "")
    }
    header("Block table: " (sequences == 1 ? "a sequence" : sequences " sequences") \
        " in one pool of " blocks " blocks")
    footer("s: sequence, e: entry of its table; -: a slot that no token has filled yet; pale: free")
    exit 0
}
