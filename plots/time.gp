# How long does it take? Time against N, from a benchmark's CSV: plots/bench.awk has brought it to
# points, names and ranges.

W = 860; H = 600
load "plots/style.gp"
load table . ".gp"
set logscale x 2; set logscale y 10
LEFT = 0.10
eval AXES(1)
eval FRAME
set xtics (@TOKENS); set ytics (@SECONDS)
set xlabel "queries N = keys M (tokens)"
eval headline("Time against N: " . SHAPE)
eval caption(MACHINE . DATE . ".", \
    sprintf("Timed: median of %s, bars from the fastest to the slowest; chapters on 1 thread.", ROUNDS))
# Reference lines in the middle of the empty corners, wherever the curves run.
eval slope(1, 2, X0 * (X1 / X0)**0.28, Y0 * (Y1 / Y0)**0.85, "slope 2: N²")
eval slope(2, 1, X0 * (X1 / X0)**0.80, Y0 * (Y1 / Y0)**0.10, "slope 1: N")
@CURVES
