# One sentence through seven chapters: what plots/journey.awk laid out, in pixels.
load table . ".gp"
load "plots/style.gp"
load "plots/viridis.pal"

set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen 1; set bmargin at screen 0
set xrange [0:W]; set yrange [H:0]
unset grid; set border 0; unset xtics; unset ytics
set cbrange [0:1]; unset colorbox
set style fill solid noborder
array C[3] = [0x0072B2, 0x007A5A, 0xA8487F]
back(kind, v) = kind == 1 || kind == 3 ? 0xe8ebee : kind == 2 ? C[1 + int(v)] : NaN
plot table . ".csv" u 1:2:3:4:(back($5, $6)) w boxxyerror lc rgb variable, \
    "" u 1:2:3:4:($5 == 0 ? $6 : NaN) w boxxyerror lc palette
