# What a GPU's kernels ask for, and what a cache lets through. Points were counted by the emulator
# (make counts), lines are the formulas of docs/COUNTS.md.
# From plots/data/bytes_by_length.csv and bytes_by_tile.csv.

W = 1180; H = 560
load "plots/style.gp"
D = 64.
# One head, N = M: what naive's three kernels ask for, and how much of it is distinct.
naive(n) = 16 * n * n * D + 24 * n * n + 8 * n * D + 4 * n
naive_distinct(n) = 16 * n * D + 16 * n * n + 8 * n
# Flash with R queries to a tile; all of Q, K, V and the output once.
flash(n, r) = 4 * (2 * n * D + 2 * n * n * D / r + n)
flash_distinct(n) = 4 * (n * D + 2 * n * D + n * (D + 1))

set multiplot
eval headline("CUDA kernels: bytes of global memory, points counted and lines by formula")
eval caption("Counted by the emulator, so the same on every machine: every load and store of " . \
             "every lane; distinct is what a cache without limits would move.", \
             "One head of size D = 64, no mask, float32. naive: 16N²D + 24N² + 8ND + 4N.  " . \
             "flash, R queries a tile: 4(2ND + 2N²D/R + N); at the left R = 32.")

set logscale x 2; set logscale y 2
LEFT = 0.08; RIGHT = 0.40
X0 = 56; X1 = 590; Y0 = 2**15.5; Y1 = 2**28.6
eval FRAME
set xtics (@TOKENS); set ytics (@BYTES)
set xlabel "queries N = keys M (tokens)"
lengths = "plots/data/bytes_by_length.csv"
is(name, y) = (strcol(1) eq name && strcol(4) eq "none" ? y : NaN)
ends(name, y) = (column(2) == 512 ? is(name, y) : NaN)
plot sample [64:512] naive(x) w l lc rgb BLUE dt 2 lw 1.2, \
     [64:512] naive_distinct(x) w l lc rgb SKY dt 2 lw 1.2, \
     [64:512] flash(x, 32) w l lc rgb GREEN dt 2 lw 1.2, \
     [64:512] flash_distinct(x) w l lc rgb GOLD dt 2 lw 1.2, \
     lengths u 2:(is("naive_warp", $5)) w p lt 1, lengths u 2:(is("naive_warp", $6)) w p lt 6, \
     lengths u 2:(is("flash_tile", $5)) w p lt 3, lengths u 2:(is("flash_tile", $6)) w p lt 5, \
     lengths u 2:(ends("naive_warp", $5)):("naive, asked for") @NAMED tc rgb BLUE, \
     lengths u 2:(ends("naive_warp", $6) / 1.3):("naive, distinct") @NAMED tc rgb SKY, \
     lengths u 2:(ends("flash_tile", $5) * 1.3):("flash, asked for") @NAMED tc rgb GREEN, \
     lengths u 2:(ends("flash_tile", $6)):("flash, distinct") @NAMED tc rgb GOLD

unset label 98; unset label 99
LEFT = 0.60; RIGHT = 0.87
X0 = 7; X1 = 73; Y0 = 2**18.4; Y1 = 2**26.6
eval FRAME
set xtics (8, 16, 32, 64)
set xlabel "R, queries in a tile (N = 1024)"
tiles = "plots/data/bytes_by_tile.csv"
at(y) = (column(2) == 1024 ? y : NaN)
ends(y) = (column("R") == 64 ? at(y) : NaN)
plot sample [8:64] flash(1024., x) w l lc rgb GREEN dt 2 lw 1.2, \
     [8:64] flash_distinct(1024.) w l lc rgb GOLD dt 2 lw 1.2, \
     tiles u 4:(at($5)) w p lt 3, tiles u 4:(at($8)) w p lt 4 pt 12 ps 2.2, \
     tiles u 4:(at($6)) w p lt 5, tiles u 4:(at($9)) w p lt 2 pt 12 ps 2.2, \
     tiles u 4:(ends($5)):("▲ asked for\n◇ past a cache\n    of 256 KiB") @NAMED tc rgb GREEN, \
     tiles u 4:(ends($6)):("▼ distinct\n◇ past 1 MiB") @NAMED tc rgb GOLD
unset multiplot
