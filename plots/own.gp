# What a chapter's own --bench printed, several runs behind each other: time, and scratch memory.

W = 1180; H = 560
load "plots/style.gp"
load table . ".gp"
set multiplot
eval headline("Your runs: time and scratch memory")
eval caption(MACHINE . DATE . ".", \
    sprintf("Timed: median of %s, bars from the fastest to the slowest. Counted: scratch, " . \
            "what a run holds besides its inputs, its cache and its output.", ROUNDS))
set logscale x 2; set logscale y 10
set xtics (@TOKENS)
set xlabel VARIES
do for [panel=1:PANELS] {
    LEFT = panel == 1 ? 0.08 : 0.575; RIGHT = LEFT + (PANELS == 1 ? 0.72 : 0.24); TOP = 0.82
    eval AXES(panel)
    eval FRAME
    set label 97 (panel == 1 ? "time" : "scratch memory") at graph 0,1.06 left \
        textcolor rgb INK font ",14"
    if (panel == 1) { set ytics (@SECONDS) } else { set logscale y 2; set ytics (@BYTES) }
    eval CURVES
    unset label 98; unset label 99
}
unset multiplot
