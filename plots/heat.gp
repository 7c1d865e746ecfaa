# Attention weights, one panel a head: what plots/heat.awk laid out. A hidden pair is pale and has a
# dot: it is not a weight of 0, it is no weight.
load table . ".gp"
load "plots/style.gp"
# The whole picture in cells, so that they are square: (0, 0) is the first one of the first head.
set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen 1; set bmargin at screen 0
set xrange [X0:X1]; set yrange [Y1:Y0]
unset grid; set border 0; unset xtics; unset ytics
load "plots/viridis.pal"
set cbrange [0:1]; set cbtics BAR_STEP scale 0 format "%.2f"
set colorbox user origin screen BAR + 24. / W, screen BAR_BOTTOM \
    size screen 14. / W, screen BAR_TOP - BAR_BOTTOM noborder
set style fill solid noborder

half = UNIT < 12 ? 0.5 : 0.5 - 0.5 / UNIT
back(kind) = kind == 1 ? 0xeef0f2 : kind == 2 ? 0xf8d7d0 : NaN
ink(kind, w) = kind == 1 ? 0x8a9199 : kind == 2 ? 0x9c2f10 : w < 0.55 ? 0xffffff : 0x202020
plot table . ".csv" u 1:2:(half):(half):(back($4)) w boxxyerror lc rgb variable, \
    "" u 1:2:(half):(half):($4 == 0 ? $3 : NaN) w boxxyerror lc palette, \
    "" u 1:2:(UNIT < 34 ? "" : strcol(5)):(ink($4, $3)) w labels font (UNIT < 44 ? ",10" : ",12") tc rgb variable
