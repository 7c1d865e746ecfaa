# The state of a row of the online softmax after each tile of keys: what plots/online.awk laid out.
load table . ".gp"
load "plots/style.gp"
load "plots/viridis.pal"
unset colorbox
set cbrange [0.2:TILES + 1.2]
set style fill solid noborder
set multiplot
LEFT = 0.1; RIGHT = 0.965
X0 = 0.4; X1 = TILES + 0.6
wide = 0.36
ink(i) = (i - 0.2) / (TILES + 1) < 0.6 ? 0xffffff : 0x202020
few = TILES <= 16

# frame(n): the nth of four panels, from above
frame(n) = sprintf("BOTTOM = %g; TOP = %g", 0.7765 - 0.2163 * n, 0.7765 - 0.2163 * n + 0.145)
parts = table . "_parts.csv"
unset xtics
# A step of the axis: 1, 2 or 5 of a power of ten, three to five in x.
ten(x) = 10**floor(log10(x / 3))
stride(x) = (x / 3 / ten(x) < 2 ? 1 : x / 3 / ten(x) < 5 ? 2 : 5) * ten(x)
NAME(text) = sprintf("set label 90 \"%s\" at graph 0,graph 1.12 left font \",13\" textcolor rgb INK", text)

eval frame(0); Y0 = LEAST; Y1 = MOST
eval FRAME; eval NAME("maximum m: the largest score so far")
set ytics stride(MOST - LEAST)
plot table . ".csv" u ($1 - 0.5):2:(1):(0) w vectors nohead lc rgb BLUE lw 1.8, \
    "" u 1:2 w p pt 7 ps 0.8 lc rgb BLUE, \
    "" u 1:2:(few ? sprintf("%.2f", $2) : "") w labels offset 0,0.8 font ",12" tc rgb BLUE

unset label
eval frame(1); Y0 = 0; Y1 = 1.25
eval FRAME; eval NAME("rescale exp(m' − m): multiplies all that came before; 1 where m stays")
set ytics 0, 0.5, 1
plot table . ".csv" u 1:($3 / 2):(wide):($3 / 2) w boxxyerror lc rgb "#E69F00", \
    "" u 1:3:(few ? sprintf("%.2f", $3) : "") w labels offset 0,0.6 font ",12" tc rgb INK

eval frame(2); Y0 = 0; Y1 = HIGHEST
eval FRAME; eval NAME("sum l = rescale · l' + exp(S − m) of the tile's keys")
set ytics stride(HIGHEST)
plot parts u 1:(($3 + $4) / 2):(wide):(($4 - $3) / 2):2 w boxxyerror lc palette, \
    table . ".csv" u 1:4:(few ? sprintf("%.2f", $4) : "") w labels offset 0,0.6 font ",12" tc rgb INK

eval frame(3); Y0 = 0; Y1 = 1
eval FRAME; eval NAME("weights of the tiles so far: their parts of the sum, divided by it")
set ytics 0, 0.5, 1
set xtics nomirror out scale 0.6 textcolor rgb INK font ",13" (@TICKS)
set xlabel "after the tile that begins with key" offset 0,0.6
plot parts u 1:(($5 + $6) / 2):(wide):(($6 - $5) / 2):2 w boxxyerror lc palette, \
    "" u 1:(($5 + $6) / 2):(few && $6 - $5 > 0.13 ? sprintf("%.2f", $6 - $5) : ""):(ink($2)) \
        w labels font ",11" tc rgb variable
unset multiplot
