# Masks, one panel a rule: what plots/masks.awk laid out, in cells.
load table . ".gp"
load "plots/style.gp"

set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen 1; set bmargin at screen 0
set xrange [X0:X1]; set yrange [Y1:Y0]
unset grid; set border 0; unset xtics; unset ytics
set style fill solid noborder
half = UNIT < 12 ? 0.5 : 0.5 - 0.6 / UNIT
plot table . ".csv" u 1:2:(half):(half):($3 > 0 ? 0xe8ebee : 0x0072B2) w boxxyerror lc rgb variable, \
    "" u 1:2:($3 > 0 && UNIT >= 12 ? "·" : "") w labels font ",12" tc rgb "#8a9199"
