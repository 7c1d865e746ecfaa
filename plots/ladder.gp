# What does each step of a ladder bring? Bars in percent of a limit that was measured in the same
# rounds: multiply-adds in registers for prefill, reading memory for decode.

W = 1180; H = 560
load "plots/style.gp"
load table . ".gp"
set multiplot
eval headline(TITLE)
eval caption(sprintf("%s; %s unless said.", MACHINE . DATE, ISA), \
    sprintf("Timed: median of %s, whiskers from the slowest to the fastest. " . \
            "Each bar as a share of %s, measured around every round.", ROUNDS, LIMIT))
unset grid; set grid x lc rgb GRID lt 1 lw 0.8; set border 1
unset ytics; set xtics 0, 25, 100 format "%g %%"
set style fill solid noborder
do for [panel=1:PANELS] {
    LEFT = panel == 1 ? 0.115 : 0.615; RIGHT = LEFT + (PANELS == 1 ? 0.72 : 0.33)
    TOP = 0.82; BOTTOM = 0.18
    X0 = 0; X1 = 108; Y0 = LINES + 0.6; Y1 = 0.4
    eval FRAME
    eval sprintf("set label 97 SHAPE_%d at screen LEFT-0.075,0.857 left " . \
        "textcolor rgb INK font ',14'", panel)
    here(y) = column("panel") == panel ? y : NaN
    plot table . ".csv" u (here($2) / 2):3:(here($2) / 2):(0.34):6 w boxxyerror lc rgb variable, \
         "" u (here($2)):3:4:5 w xerrorbars pt -1 lc rgb INK lw 1, \
         "" u (here($5)):3:(sprintf("%.0f %%", $2)) w labels left offset 0.6,0 font ",12" tc rgb INK, \
         table . "_labels.csv" u (here($2)):3:5 w labels right offset -0.8,0 font ",13" tc rgb INK
    unset label 98; unset label 99
}
unset multiplot
