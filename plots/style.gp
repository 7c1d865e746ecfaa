# The look that all figures share. A figure sets its size, then loads this file:
#
#     W = 860; H = 560
#     load "plots/style.gp"
#
# fmt (svg or png) and out (the file) come from the command line: plots/draw.sh. SVG is for pages,
# where it stays sharp; PNG, at twice the size, for what cannot show SVG. Needs gnuplot 5.4.

if (!exists("fmt")) fmt = "svg"
if (!exists("W")) W = 860
if (!exists("H")) H = 560
# sans-serif is whatever the reader's browser has: text keeps its distance from everything else.
if (fmt eq "svg") set terminal svg size W,H enhanced \
    font "sans-serif,15" fontscale 1.15 background rgb "white" linewidth 1.4
if (fmt eq "png") set terminal pngcairo size 2*W,2*H enhanced \
    font "Arial,15" fontscale 1.75 linewidth 2.8 pointscale 2 background rgb "white"
set encoding utf8
set output out

# Tables are CSV with names in their first line. A cell that is not a number ends no line: the curve
# goes on to the next one, so that one table can hold many curves.
set datafile separator comma
set datafile columnheaders
set datafile missing NaN

# Frame and text are grey, only data is coloured.
INK = "#33383d"; FAINT = "#6b737b"; GRID = "#e3e6ea"
set border 3 lc rgb "#8a9199" lw 1
set tics nomirror out scale 0.6 textcolor rgb INK font ",13"
set grid lc rgb GRID lt 1 lw 0.8
set xlabel textcolor rgb INK font ",14" offset 0,0.3; set ylabel textcolor rgb INK font ",14"
set samples 400
unset key # curves are named where they end

# The colours of Okabe and Ito, which colour-blind readers can tell apart, each with a marker of its
# own. Dashes are for what was not measured: formulas and slopes.
BLUE = "#0072B2"; RED = "#D55E00"; GREEN = "#009E73"
PINK = "#B8588F"; GOLD = "#B57B00"; SKY = "#3A96C8"
set linetype 1 lc rgb BLUE  lw 2 pt 7  ps 0.9 dt 1
set linetype 2 lc rgb RED   lw 2 pt 5  ps 0.8 dt 1
set linetype 3 lc rgb GREEN lw 2 pt 9  ps 1.1 dt 1
set linetype 4 lc rgb PINK  lw 2 pt 13 ps 1.2 dt 1
set linetype 5 lc rgb GOLD  lw 2 pt 11 ps 1.1 dt 1
set linetype 6 lc rgb SKY   lw 2 pt 4  ps 0.9 dt 1
set linetype cycle 6

# Ticks as a reader says them: set xtics (@TOKENS).
TOKENS = '"1" 1, "2" 2, "4" 4, "8" 8, "16" 16, "32" 32, "64" 64, ' . \
    '"128" 128, "256" 256, "512" 512, "1k" 1024, "2k" 2048, ' . \
    '"4k" 4096, "8k" 8192, "16k" 16384, "32k" 32768, "64k" 65536, "128k" 131072, "256k" 262144'
BYTES = '"16 B" 16, "256 B" 256, "4 KiB" 2**12, "16 KiB" 2**14, "64 KiB" 2**16, "256 KiB" 2**18, ' . \
    '"1 MiB" 2**20, "4 MiB" 2**22, "16 MiB" 2**24, "64 MiB" 2**26, "256 MiB" 2**28, ' . \
    '"1 GiB" 2**30, "4 GiB" 2**32, "16 GiB" 2**34, "64 GiB" 2**36'
SECONDS = '"1 µs" 1e-6, "10 µs" 1e-5, "100 µs" 1e-4, "1 ms" 1e-3, ' . \
    '"10 ms" 1e-2, "100 ms" 0.1, "1 s" 1, "10 s" 10, "100 s" 100, "1000 s" 1000'

# Above a figure what it shows; below it, in two lines, how its numbers were got.
headline(text) = sprintf("set label 98 \"%s\" at screen 0.02,0.955 left ", text) . \
    "textcolor rgb INK font \",18\""
caption(one, two) = sprintf("set label 99 \"%s\\n%s\" at screen 0.02,%g left ", one, two, 32. / H) . \
    "textcolor rgb FAINT font \",12\""

# The part of the picture that is the diagram, and its axes: LEFT to Y1 first, then eval FRAME.
LEFT = 0.11; RIGHT = 0.76; BOTTOM = 0.225; TOP = 0.88
FRAME = "set lmargin at screen LEFT; set rmargin at screen RIGHT; set bmargin at screen BOTTOM; " . \
    "set tmargin at screen TOP; set xrange [X0:X1]; set yrange [Y0:Y1]"

# A dashed line of slope s through (x, y) on axes that are both logarithmic, a quarter of the diagram
# long, and its name along it: slope 2 means that twice the N is four times the y.
angle(s) = atan(s * H * (TOP - BOTTOM) / log(1. * Y1 / Y0) / \
    (W * (RIGHT - LEFT) / log(1. * X1 / X0)))
span(s) = (1. * X1 / X0)**(0.13 * cos(angle(s)))
slope(tag, s, x, y, name) = sprintf("set arrow %d from %g,%g to %g,%g ", \
        tag, x / span(s), y / span(s)**s, x * span(s), y * span(s)**s) . \
    "nohead dt 3 lc rgb FAINT lw 1.2; " . \
    sprintf("set label %d \"%s\" at %g,%g center rotate by %g offset screen %g,%g ", \
        tag, name, x, y, angle(s) * 180 / pi, -11 * sin(angle(s)) / W, 11 * cos(angle(s)) / H) . \
    "textcolor rgb FAINT font \",12\""

# For plot: y where the table's first column says `name`, nothing elsewhere; and that at one x alone,
# where the curve ends and its name belongs.
only(name, y) = (strcol(1) eq name ? y : NaN)
last(name, x, at, y) = (strcol(1) eq name && x == at ? y : NaN)
NAMED = 'w labels left offset 1.2,0 font ",13"'

# Curves that plots/bench.awk made: bars from the least to the most, lines (dashed where there is no
# mark: a limit), marks, and names at the ends. Only those of one panel of several: panel = 2.
AXES(panel) = sprintf("X0 = XMIN_%d / 1.2; X1 = XMAX_%d * 1.2; ", panel, panel) . \
    sprintf("Y0 = YMIN_%d / 1.6; Y1 = YMAX_%d * 1.6", panel, panel)
panel = 1
inside(y) = (column("panel") == panel ? y : NaN)
CURVES = 'plot table . ".csv" u 2:($7 == 0 ? NaN : inside($3)):4:5:6 ' . \
    'w yerrorbars pt -1 lw 1 lc rgb variable, ' . \
    '"" u 2:($7 == 0 ? NaN : inside($3)):6 w l lw 2 lc rgb variable, ' . \
    '"" u 2:($7 == 0 ? inside($3) : NaN) w l lw 1.4 dt 2 lc rgb FAINT, ' . \
    '"" u 2:($7 == 0 ? NaN : inside($3)):7:6 w p pt variable ps 1 lc rgb variable, ' . \
    'table . "_labels.csv" u 2:(inside($3)):5:4 w labels left offset 1.2,0 font ",13" ' . \
    'tc rgb variable'
