# How many bytes does it move? Points were counted by chapters 06 and 07, lines are the formulas of
# chapter 07's page; they meet to the byte, which tests/plots.sh checks.
# From plots/data/moved_by_length.csv and moved_by_tile.csv.

W = 1180; H = 560
load "plots/style.gp"
D = 64.
# Naive: Q, K, V and the output, the cache, and N×N scores, which four steps write or read.
naive(n) = 32 * n * n + 32 * n * D + 4 * n
# Flash: the cache; queries once, keys and values once for each of N/R rows of tiles; the output.
flash(n, r) = 16 * n * D + 4 * (n * D + n / r * n * 2 * D) + 4 * (n * D + n)

set multiplot
eval headline("Bytes moved, read and written: points are counted, lines are the formulas")
eval caption("Counted, so the same on every machine; every load and store of the program, " . \
             "however near the memory. One head of size D = 64, no mask, float32.", \
             "naive: 32N² + 32ND + 4N.  flash: 16ND + 4(ND + N/R · N · 2D) + 4(ND + N), " . \
             "with the cache that both fill.")

set logscale x 2; set logscale y 2
LEFT = 0.08; RIGHT = 0.42
X0 = 56; X1 = 2350; Y0 = 2**16.6; Y1 = 2**28.4
eval FRAME
set xtics (@TOKENS); set ytics (@BYTES)
set xlabel "queries N = keys M (tokens)"
eval slope(1, 2, 240., 2.5e7, "slope 2: N²")
lengths = "plots/data/moved_by_length.csv"
tile(r, y) = (strcol(1) eq "07" && column("R") == r ? y : NaN)
plot sample [64:2048] naive(x) w l lc rgb BLUE dt 2 lw 1.2, \
     [64:2048] flash(x, 8.) w l lc rgb RED dt 2 lw 1.2, \
     [64:2048] flash(x, 16.) w l lc rgb GOLD dt 2 lw 1.2, \
     [64:2048] flash(x, 64.) w l lc rgb GREEN dt 2 lw 1.2, \
     lengths u 2:(only("06", $6)) w p lt 1, lengths u 2:(tile(8, $6)) w p lt 2, \
     lengths u 2:(tile(16, $6)) w p lt 5, lengths u 2:(tile(64, $6)) w p lt 3, \
     lengths u 2:($2 == 2048 ? tile(8, $6) : NaN):("07, R = 8") @NAMED tc rgb RED, \
     lengths u 2:($2 == 2048 ? only("06", $6) * 1.12 : NaN):("06 naive") @NAMED tc rgb BLUE, \
     lengths u 2:($2 == 2048 ? tile(16, $6) / 1.35 : NaN):("07, R = 16") @NAMED tc rgb GOLD, \
     lengths u 2:($2 == 2048 ? tile(64, $6) : NaN):("07, R = 64") @NAMED tc rgb GREEN

unset arrow 1; unset label 1; unset label 98; unset label 99
LEFT = 0.60; RIGHT = 0.90
X0 = 3.1; X1 = 300; Y0 = 2**21.6; Y1 = 2**27.4
eval FRAME
set xtics (2, 4, 8, 16, 32, 64, 128, 256)
set xlabel "R, queries in a tile (N = 1024)"
tiles = "plots/data/moved_by_tile.csv"
set arrow 3 from 16,Y0 to 16,naive(1024.) nohead dt 3 lc rgb FAINT
set label 3 "R < D/4:\nflash\nmoves more" at 16,2**22.9 right offset -0.8,0 \
    textcolor rgb FAINT font ",12"
set label 4 "06 naive" at 256,naive(1024.) offset 1.2,0 textcolor rgb BLUE font ",13"
plot sample [4:256] naive(1024.) w l lc rgb BLUE dt 2 lw 1.2, \
     [4:256] flash(1024., x) w l lc rgb GREEN dt 2 lw 1.2, \
     tiles u 4:(only("07", $6)) w p lt 3, \
     tiles u 4:($4 == 256 && $5 == 64 ? $6 : NaN):("07 flash") @NAMED tc rgb GREEN
unset multiplot
