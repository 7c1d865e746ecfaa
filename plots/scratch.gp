# How much memory does attention need besides Q, K, V and the output?
# From plots/data/scratch_by_length.csv, which --stats counted.

W = 860; H = 560
load "plots/style.gp"
set logscale x 2; set logscale y 2
X0 = 56; X1 = 9400; Y0 = 2**13; Y1 = 2**29
eval FRAME
set xtics (@TOKENS); set ytics (@BYTES)
set xlabel "queries N = keys M (tokens)"
eval headline("Scratch memory: what a run holds besides Q, K, V and its output")
eval caption("Counted, so the same on every machine. " . \
             "One head of size 64, no mask, float32; flash in tiles of 64 by 64;", \
             "fast on 1 thread with vectors of 4 floats, wider ones take a little more.")
eval slope(1, 2, 1100., 3e7, "slope 2: N²")
eval slope(2, 1, 3000., 2.6e6, "slope 1: N")

table = "plots/data/scratch_by_length.csv"
plot table u 2:(only("cpu/04_gqa", $4)) w lp lt 1, \
     table u 2:(only("cpu/06_paged_blocks", $4)) w p lt 6 ps 1.6, \
     table u 2:(only("fast/07_flash_tiling", $4)) w lp lt 2, \
     table u 2:(only("cpu/07_flash_tiling", $4)) w lp lt 3, \
     table u 2:(last("cpu/04_gqa", $2, 8192, $4)): \
         ("01 and 04 naive,\n06 paged:\nN×M scores") @NAMED tc rgb BLUE, \
     table u 2:(last("fast/07_flash_tiling", $2, 8192, $4)): \
         ("fast: packed keys,\na strip of scores") @NAMED tc rgb RED, \
     table u 2:(last("cpu/07_flash_tiling", $2, 8192, $4)): \
         ("07 flash: one tile") @NAMED tc rgb GREEN
