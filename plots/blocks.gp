# The pool and the block table: what plots/blocks.awk laid out, in blocks.
load table . ".gp"
load "plots/style.gp"

set lmargin at screen 0; set rmargin at screen 1; set tmargin at screen 1; set bmargin at screen 0
set xrange [X0:X1]; set yrange [Y1:Y0]
unset grid; set border 0; unset xtics; unset ytics
set style fill solid noborder
array C[6] = [0x0072B2, 0xB84E00, 0x007A5A, 0xB8588F, 0x8F6000, 0x2C7CA8]
colour(s) = s < 0 ? 0xe8ebee : C[1 + int(s) % 6]
plot table . ".csv" u 1:2:(0.47):(0.46):(colour($3)) w boxxyerror lc rgb variable
