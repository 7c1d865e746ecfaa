# The online softmax of one query over its tiles of keys, laid out for plots/online.gp: batch 0, head
# 0, the last query of the last pass. A tile adds to the sum what the next ones rescale.

/^\{"step":"p[0-9]+\.b0\.h0\.q[0-9]+\.k[0-9]+\.state",/ {
    shape_of()
    data_of()
    key = step
    sub(/.*\.k/, "k", key)
    sub(/\.state/, "", key)
    here = number("pass") step
    sub(/\.k.*/, "", here)
    if (here != query) # the next rows of tiles begin
        tiles = 0
    query = here
    tiles++
    if (tiles == 1)
        anew = 0
    begins[tiles] = key
    for (i = 1; i <= 4; i++)
        state[tiles, i] = list[(shape[1] - 1) * 4 + i]
    if (tiles > 1 && finite(state[tiles - 1, 2]) && !finite(state[tiles, 1]))
        anew = 1 # --cut: another part
    labels_of("rows")
    name = cut(list[shape[1]], 20)
}

function finite(x) { return x !~ /[a-df-z"]/ }

END {
    if (!tiles)
        stop(9, "no state of an online softmax in it")
    if (tiles > 64)
        stop(3, tiles " tiles: expected at most 64, more cannot be seen")
    width = 800
    height = 860
    file = base ".gp"
    printf "W = %d; H = %d; TILES = %d\n", width, height, tiles > file
    least = most = highest = ""
    print "tile,max,rescale,sum" > (base ".csv")
    print "tile,part,low,high,share_low,share_high" > (base "_parts.csv")
    for (t = 1; t <= tiles; t++) {
        for (i = 1; i <= 4; i++)
            if (!finite(state[t, i]))
                state[t, i] = i == 2 ? "NaN" : 0
        print t "," state[t, 2] "," state[t, 3] "," state[t, 4] > (base ".csv")
        if (state[t, 2] != "NaN") {
            least = least == "" || state[t, 2] + 0 < least ? state[t, 2] + 0 : least
            most = most == "" || state[t, 2] + 0 > most ? state[t, 2] + 0 : most
        }
        highest = state[t, 4] + 0 > highest + 0 ? state[t, 4] + 0 : highest
        for (i = 1; i < t; i++)
            part[i] *= state[t, 3]
        part[t] = state[t, 4] - state[t, 3] * (t > 1 ? state[t - 1, 4] : 0)
        low = 0
        for (i = 1; i <= t; i++) {
            if (state[t, 4] > 0)
                print t "," i "," low "," low + part[i] "," low / state[t, 4] "," \
                    (low + part[i]) / state[t, 4] > (base "_parts.csv")
            low += part[i]
        }
        every = int((tiles + 15) / 16)
        if ((t - 1) % every == 0)
            ticks = ticks (ticks == "" ? "" : ", ") quoted(begins[t]) " " t
    }
    spread = most - least > 0 ? most - least : 1
    printf "LEAST = %g; MOST = %g; HIGHEST = %g\n", least - 0.3 * spread, most + 0.35 * spread,
        (highest > 0 ? highest * 1.22 : 1) > file
    printf "TICKS = \"%s\"\n", ticks > file
    header("Online softmax: query " name ", head 0, tile by tile")
    footer("A colour is a tile" (anew ? "; where rescale is 0 again, the next part of --cut begins" \
        : ": what it added to the sum, less what was rescaled; last bar: its weight"))
    exit 0
}
