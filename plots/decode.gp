# How long does one token take, with so many in the cache? A panel for each way to share heads.

W = 1180; H = 560
load "plots/style.gp"
load table . ".gp"
set multiplot
eval headline("Decode: time a token against the context")
eval caption(MACHINE . DATE . ".", \
    sprintf("Timed: median of %s, bars from the fastest to the slowest; chapters on 1 thread. " . \
            "Dashed: K and V read once at the DRAM rate of the same rounds.", ROUNDS))
set logscale x 2; set logscale y 10
set xtics (@TOKENS); set ytics (@SECONDS)
set xlabel "keys M (tokens in the cache)"
do for [panel=1:PANELS] {
    LEFT = panel == 1 ? 0.08 : 0.575; RIGHT = LEFT + (PANELS == 1 ? 0.72 : 0.29); TOP = 0.82
    eval AXES(panel)
    eval FRAME
    eval sprintf("set label 97 SHAPE_%d at graph 0,1.06 left textcolor rgb INK font ',14'", panel)
    eval slope(1, 1, X0 * (X1 / X0)**0.75, Y0 * (Y1 / Y0)**0.12, "slope 1: M")
    eval CURVES
    unset label 98; unset label 99
}
unset multiplot
