# Which key may be seen from which query, laid out for plots/masks.gp: one panel a run, of its pass 0,
# batch 0, head 0. What `masked` holds as -inf is hidden. The first "# " line is the picture's, the
# next ones are the panels' titles.

/^\{"step":"p0\.b0\.h0\.masked",/ {
    shape_of()
    n = data_of()
    N = shape[1] > N ? shape[1] : N
    M = shape[2] > M ? shape[2] : M
    panels++
    rows[panels] = shape[1]
    columns[panels] = shape[2]
    title[panels] = cut(said[runs], int(M * 4) + 4)
    for (i = 0; i < n; i++)
        hidden[panels, int(i / shape[2]), i % shape[2]] = list[i + 1] ~ /-inf/
}

END {
    if (!panels)
        stop(9, "no masked scores in it")
    across = panels < 3 ? panels : 3
    down = int((panels + across - 1) / across)
    unit = clamp(int(780 / (across * (M + 1.5))), 4, 34)
    gap = 1.5
    above = 34 / unit
    below = 28 / unit
    left = 34
    top = 46
    width = left + unit * (across * (M + gap) - gap) + 24
    height = top + unit * down * (N + above + below) + 56
    file = base ".gp"
    printf "W = %d; H = %d; UNIT = %d\n", width, height, unit > file
    printf "X0 = %g; X1 = %g; Y0 = %g; Y1 = %g\n", -0.5 - left / unit, -0.5 + (width - left) / unit,
           -0.5 - top / unit, -0.5 + (height - top) / unit > file
    print "x,y,hidden" > (base ".csv")
    for (p = 1; p <= panels; p++) {
        x0 = (p - 1) % across * (M + gap)
        y0 = int((p - 1) / across) * (N + above + below) + above
        word(title[p], x0 - 0.5, y0 - 0.5 - 15 / unit, "left", 13)
        for (i = 0; i < rows[p]; i++)
            for (j = 0; j < columns[p]; j++)
                print x0 + j "," y0 + i "," hidden[p, i, j] > (base ".csv")
        if (p > 1)
            continue
        word("k0", x0, y0 - 0.5 + rows[p] + 11 / unit, "center", 11, "#6b737b")
        word("k" columns[p] - 1, x0 + columns[p] - 1, y0 - 0.5 + rows[p] + 11 / unit, "center", 11,
             "#6b737b")
        word("q0", x0 - 0.5 - 6 / unit, y0, "right", 11, "#6b737b")
        word("q" rows[p] - 1, x0 - 0.5 - 6 / unit, y0 + rows[p] - 1, "right", 11, "#6b737b")
    }
    header("Masks: which key (column) may be seen from which query (row)")
    footer("blue: may be seen; pale, with a dot: hidden")
    exit 0
}
