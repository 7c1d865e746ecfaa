# How far from exact is float32? The largest difference of an output from float64, against the number
# of keys and against the size of the logits.
# From plots/data/error_by_length.csv and error_by_logit.csv.

W = 1180; H = 560
load "plots/style.gp"
set multiplot
eval headline("Rounding: the largest error of an output, held against float64")
machine = system("sed -n '1s/^# //p' plots/data/error_by_length.csv | sed 's/ (.*) / /; s/_/-/g'")
eval caption("Measured on " . machine . "; elsewhere the last bits may differ.", \
             "One head of size 64, no mask, Q, K and V in [-1, 1), scale 1/8 on the left; " . \
             "flash in tiles of 64 by 64, fast with vectors of 4. " . \
             "Dashed: the bound for any order.")
set logscale x 2; set logscale y 10
set format y "10^{%T}"

LEFT = 0.08; RIGHT = 0.42
X0 = 14; X1 = 2400; Y0 = 1e-8; Y1 = 1e-2
eval FRAME
set xtics (@TOKENS)
set xlabel "queries N = keys M (tokens)"
lengths = "plots/data/error_by_length.csv"
plot lengths u 2:(only("bound", $5)) w l lc rgb FAINT dt 2 lw 1.2, \
     lengths u 2:(only("01 naive", $5)) w lp lt 1, lengths u 2:(only("fast", $5)) w lp lt 2, \
     lengths u 2:(only("07 flash", $5)) w lp lt 3, \
     lengths u 2:(last("bound", $2, 2048, $5)):("bound") @NAMED tc rgb FAINT, \
     lengths u 2:(last("01 naive", $2, 2048, $5 * 1.4)):("01 naive") @NAMED tc rgb BLUE, \
     lengths u 2:(last("fast", $2, 2048, $5 / 1.3)):("fast") @NAMED tc rgb RED, \
     lengths u 2:(last("07 flash", $2, 2048, $5)):("07 flash") @NAMED tc rgb GREEN

unset label 98; unset label 99
LEFT = 0.57; RIGHT = 0.90
X0 = 0.06; X1 = 600
eval FRAME
set xtics ("0.1" 0.1, "1" 1, "10" 10, "100" 100)
set xlabel "largest logit |q · k| · scale (N = 256)"
logits = "plots/data/error_by_logit.csv"
plot logits u 4:(only("bound", $5)) w l lc rgb FAINT dt 2 lw 1.2, \
     logits u 4:(only("01 naive", $5)) w lp lt 1, logits u 4:(only("fast", $5)) w lp lt 2, \
     logits u 4:(only("07 flash", $5)) w lp lt 3, \
     logits u 4:(last("bound", $3, 32, $5)):("bound") @NAMED tc rgb FAINT, \
     logits u 4:(last("01 naive", $3, 32, $5)):("all three") @NAMED tc rgb INK
unset multiplot
