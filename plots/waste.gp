# What is reserved, used and wasted? Left, one sequence as it grows; right, a thousand requests that
# share one memory.
# From plots/data/room_by_token.csv (05 --cache, 06's block table) and waste.csv (06 --experiment
# waste).

W = 1180; H = 560
load "plots/style.gp"
set multiplot
eval headline("Memory of the KV cache: reserved, used, wasted")
eval caption("Counted, so the same on every machine. Left: one sequence in chapter 05's caches " . \
             "and in chapter 06's blocks of 16 tokens. Right: 1,000 requests in", \
             "a memory of 65,536 tokens, averaged over the steps in which one had to wait " . \
             "(06 --experiment waste); oracle knows each length; T: tokens in a block.")

LEFT = 0.075; RIGHT = 0.40
X0 = 0; X1 = 104; Y0 = 0; Y1 = 140
eval FRAME
set xtics 0, 20, 100; set ytics 0, 32, 128
set xlabel "tokens in the sequence"; set ylabel "tokens reserved" offset 1,0
room = "plots/data/room_by_token.csv"
TOKEN = 32. # bytes: 4 floats of K and of V
plot room u 2:(only("paged", $4 / TOKEN)) w filledcurves y=0 lc rgb "#e8eef2", \
     room u 2:(only("prealloc", $3 / TOKEN)) w l lc rgb RED lw 2, \
     room u 2:(only("grow", $3 / TOKEN)) w steps lc rgb BLUE lw 2, \
     room u 2:(only("paged", $3 / TOKEN)) w steps lc rgb GREEN lw 2, \
     room u 2:(last("prealloc", $2, 100, 134)):("prealloc: 128 at once") @NAMED tc rgb RED, \
     room u 2:(last("grow", $2, 100, 125)):("grow: doubles, copies") @NAMED tc rgb BLUE, \
     room u 2:(last("paged", $2, 100, 112)):("paged: a block more") @NAMED tc rgb GREEN, \
     room u 2:(last("paged", $2, 100, 99)):("used") @NAMED tc rgb FAINT

unset label 98; unset label 99; unset ylabel
LEFT = 0.655; RIGHT = 0.965
X0 = 0; X1 = 100; Y0 = 5.6; Y1 = -1.6
eval FRAME
unset ytics; unset grid; set border 1
set xtics 0, 25, 100 format "%g %%"
set xlabel "percent of the memory"
set style fill solid noborder
waste = "plots/data/waste.csv"
row(name) = (name eq "prealloc" ? 0 : name eq "oracle" ? 1 : name eq "grow" ? 2 : \
    name eq "paged:1" ? 3 : name eq "paged:16" ? 4 : name eq "paged:256" ? 5 : NaN)
named(way) = (way[1:6] eq "paged:" ? "paged, T = " . way[7:*] : way)
# A part of a bar, from where the parts before it end.
part(sum, width) = sprintf("waste u (%s + 0.5 * %s):(row(strcol(1))):(0.5 * %s):(0.36) ", \
    sum, width, width) . "w boxxyerror lc rgb"
USED = part("0", "$2"); LATER = part("$2", "$3"); NEVER = part("$2+$3", "$4")
HOLES = part("$2+$3+$4", "$5"); FREE = part("$2+$3+$4+$5", "$6")
set label 5 "used" at 1,-0.85 textcolor rgb GREEN font ",13"
set label 6 "for later" at 15,-0.85 textcolor rgb GOLD font ",13"
set label 7 "never used" at 33,-0.85 textcolor rgb RED font ",13"
set label 8 "holes" at 58,-0.85 textcolor rgb PINK font ",13"
set label 9 "free" at 72,-0.85 textcolor rgb FAINT font ",13"
plot @USED GREEN, @LATER "#E6B84A", @NEVER RED, @HOLES PINK, @FREE "#c9ced3", \
     waste u (0):(row(strcol(1))):(named(strcol(1))) w labels right offset -1,0 font ",13" tc rgb INK, \
     waste u ($2 / 2):(row(strcol(1))):(sprintf("%.1f %%", $2)) w labels font ",13" tc rgb "white"
unset multiplot
