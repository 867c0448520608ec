# SPDX-License-Identifier: GPL-2.0
#
# Draw the coverage over time that tests/fuzz/fuzz wrote.
#
# usage: gnuplot -c coverage.gp FORMAT FILE COVERAGE	FORMAT: png or svg
#
# A line of COVERAGE has seconds, programs run, programs kept,
# and blocks and edges of the module's code that were reached.

if (ARG1 eq "png") {
	set terminal pngcairo size 900,500 font "DejaVu Sans,12" linewidth 1.5
} else {
	set terminal svg size 900,500 font "DejaVu Sans,Verdana,sans-serif,15" linewidth 1.5 \
		background "white"
}
set output ARG2

faint = "#a0a0a0"
stats ARG3 using 1:5 nooutput
start = STATS_min_y
end = STATS_max_x

set title "What the fuzzer reaches of the module"
set key bottom right
set border 3 linecolor rgb faint
set tics nomirror out scale 0.5 textcolor rgb "black"
set grid ytics linetype 1 linecolor rgb "#e4e4e4"
set xlabel "time (seconds)"
set xrange [0:end]
set yrange [0:*]
if (start > 0) {
	set arrow from 0, start to end, start nohead linecolor rgb faint dashtype 2
	set label sprintf("%d edges by the corpus alone", start) at end * 0.98, start right \
		offset 0, -0.8 textcolor rgb "#707070"
}

plot ARG3 using 1:5 with steps linewidth 2.5 linecolor rgb "#d55e00" title "edges", \
     ARG3 using 1:4 with steps linewidth 2.5 linecolor rgb "#0072b2" title "blocks"
