# What holds a kernel back, memory or arithmetic? Below the slope memory cannot deliver faster, below
# the flat roof the processor cannot compute faster. One thread.

W = 1000; H = 640
load "plots/style.gp"
load table . ".gp"
set logscale xy
X0 = XMIN_1 / 2 < 0.2 ? XMIN_1 / 2 : 0.2
X1 = (XMAX_1 > PEAK / DRAM ? XMAX_1 : PEAK / DRAM) * 2
Y0 = YMIN_1 / 2; Y1 = PEAK * 2
LEFT = 0.09; RIGHT = 0.84
eval FRAME
set xtics ("1/4" 0.25, "1" 1, "4" 4, "16" 16, "64" 64, "256" 256, "1024" 1024, "4096" 4096)
set ytics ("1/64" 1. / 64, "1/16" 1. / 16, "1/4" 0.25, "1" 1, "4" 4, \
    "16" 16, "64" 64, "256" 256, "1024" 1024)
set xlabel "flops a byte"; set ylabel "GFLOP/s" offset 0,0
roof(x) = DRAM * x < PEAK ? DRAM * x : PEAK
eval headline("Roofline: chapters and kernels, one thread")
eval caption(MACHINE . DATE . \
    ". Counted: flops for each byte that a program loads or stores, from any cache.", \
    sprintf("Timed: median of %s, bars from the slowest to the fastest; " . \
            "both roofs were measured around the same rounds.", ROUNDS))
set object 1 polygon from X0,Y0 to X0,roof(X0) to PEAK/DRAM,PEAK to PEAK/DRAM,Y0 to X0,Y0 \
    fs solid 0.06 noborder fc rgb BLUE behind
set object 2 rectangle from PEAK/DRAM,Y0 to X1,PEAK fs solid 0.06 noborder fc rgb GOLD behind
set label 3 "memory decides" at X0*1.2,Y0*1.4 textcolor rgb BLUE font ",13"
set label 4 "arithmetic decides" at X1/1.2,Y0*1.4 right textcolor rgb "#7d5500" font ",13"
set label 5 sprintf("FMA peak %.0f GFLOP/s", PEAK) at X1/1.2,PEAK right offset 0,0.7 \
    textcolor rgb INK font ",12"
set label 6 sprintf("DRAM %.1f GB/s", DRAM) at X0*2.2,DRAM*X0*2.2 center \
    rotate by angle(1)*180/pi offset screen -0.012,0.014 textcolor rgb INK font ",12"
set label 7 "■ steps of prefill" at graph 0.02,0.97 textcolor rgb RED font ",13"
set label 8 "◆ steps of decode" at graph 0.02,0.92 textcolor rgb PINK font ",13"
plot roof(x) w l lc rgb INK lw 2, \
     table . ".csv" u 2:3:4:5:6 w yerrorbars pt -1 lw 1 lc rgb variable, \
     "" u 2:3:7:6 w p pt variable ps 1.1 lc rgb variable, \
     table . "_labels.csv" u 2:3:5:4 w labels left offset 1.1,0 font ",11" tc rgb variable
