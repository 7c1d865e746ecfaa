# What does a KV cache save? 1,000 tokens through a model of GPT-2 small's shape, with a cache and
# without one; three ratios, since it depends on what recomputes.

W = 860; H = 460
load "plots/style.gp"
load table . ".gp"
LEFT = 0.20; RIGHT = 0.80; BOTTOM = 0.28; TOP = 0.80
set logscale x 10
X0 = 0.999 * 10**floor(log10(XMIN) - 0.3); X1 = XMAX * 1.5; Y0 = LINES + 0.5; Y1 = 0.5
eval FRAME
unset grid; set grid x lc rgb GRID lt 1 lw 0.8; set border 1
unset ytics; set xtics (@SECONDS)
set xlabel "seconds for 1,000 tokens, 12 layers"
set style fill solid noborder
eval headline("1,000 tokens with and without a KV cache: ratios, each with its name")
eval caption(MACHINE . DATE . "; 1 thread.", \
    sprintf("Timed on a part of the way and multiplied up; median of %s, " . \
            "whiskers from the fastest to the slowest.", ROUNDS))
set label 1 "without a cache" at graph 0,1.05 left textcolor rgb BLUE font ",13"
set label 2 "with one" at graph 0.25,1.05 left textcolor rgb RED font ",13"
plot table . ".csv" u 2:3:(X0):2:($3 - 0.17):($3 + 0.17):6 w boxxyerror lc rgb variable, \
     "" u 2:3:4:5 w xerrorbars pt -1 lc rgb INK lw 1, \
     table . "_labels.csv" u ($1 == 1 ? $2 : NaN):3:5 w labels left offset 0.8,0 font ",13" tc rgb INK, \
     "" u ($1 == 2 ? X0 : NaN):3:5 w labels right offset -1,0 font ",13" tc rgb INK
