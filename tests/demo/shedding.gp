# SPDX-License-Identifier: GPL-2.0
#
# Draw the samples of tests/demo/shedding; run it in the directory of its results.
#
# usage: gnuplot -c shedding.gp FORMAT FILE	FORMAT: png or svg
#
# The upper graph has the level and the limits, the lower one the records admitted in
# each class. The limits and the rates repeat those of tests/demo/shedding.

if (ARG1 eq "png") {
	set terminal pngcairo size 1000,760 font "DejaVu Sans,13" linewidth 1.5
} else {
	set terminal svg size 1000,760 font "DejaVu Sans,Verdana,sans-serif,17" linewidth 1.5 \
		background "white"
}
set output ARG2

# Colours that colour-blind readers can distinguish.
array colour[3] = ["#0072b2", "#e69f00", "#d55e00"]
array name[3] = ["class 0", "class 4", "class 7"]
faint = "#a0a0a0"

mib(bytes) = bytes / 1048576.0
stats "shedding.tsv" using 1 nooutput
end = ceil(STATS_max)

set border 3 linecolor rgb faint
set tics nomirror out scale 0.5 textcolor rgb "black"
set grid ytics linetype 1 linecolor rgb "#e4e4e4"
set xrange [0:end]
set lmargin at screen 0.11
set rmargin at screen 0.97

set multiplot
set label 100 "{/*1.35 Three classes write 1 MB/s each, and 1 MB/s can be read}" \
	at screen 0.5, 0.96 center

unset key
set tmargin at screen 0.90
set bmargin at screen 0.53
set ylabel "level (MiB)"
set yrange [0:4.4]
set format x ""
set arrow 1 from 0, 2 to end, 2 nohead linecolor rgb colour[3] dashtype 2
set arrow 2 from 0, 3 to end, 3 nohead linecolor rgb colour[2] dashtype 2
set arrow 3 from 0, 4 to end, 4 nohead linecolor rgb colour[1] dashtype 2
set label 1 "limit of class 7" at end, 2.12 right textcolor rgb colour[3]
set label 2 "limit of class 4" at end, 3.12 right textcolor rgb colour[2]
set label 3 "size" at end, 4.12 right textcolor rgb colour[1]
plot "shedding.tsv" using 1:(mib($2)) with filledcurves y1=0 fillcolor rgb "#505050" \
		fillstyle transparent solid 0.15 noborder, \
     "shedding.tsv" using 1:(mib($2)) with lines linewidth 2 linecolor rgb "#505050"
unset label
unset arrow

set tmargin at screen 0.47
set bmargin at screen 0.10
set ylabel "records admitted per second"
set yrange [0:1300]
set xlabel "time (seconds); the producers stop after 6"
set format x "%g"
set key top right samplen 2
plot for [i = 1:3] "shedding.tsv" using 1:i + 2 with lines linewidth 2.5 \
	linecolor rgb colour[i] title name[i]
unset multiplot
