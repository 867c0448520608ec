# SPDX-License-Identifier: GPL-2.0
#
# Draw the samples of tests/demo/payments; run it in the directory of its results.
#
# usage: gnuplot -c payments.gp FORMAT FILE LOST	FORMAT: png or svg
#
# One column for each half, with memory above and rates below, on the same scales.
# The limit and the rates in the labels repeat those of tests/demo/payments.

if (ARG1 eq "png") {
	set terminal pngcairo size 1200,760 font "DejaVu Sans,13" linewidth 1.5
} else {
	set terminal svg size 1200,760 font "DejaVu Sans,Verdana,sans-serif,17" linewidth 1.5 \
		background "white"
}
set output ARG2

# Colours that colour-blind readers can distinguish.
producer = "#d55e00"
consumer = "#0072b2"
memory = "#505050"
faint = "#a0a0a0"

mib(bytes) = bytes / 1048576.0
stats "bpipe.tsv" using (mib($2)) nooutput
flat = STATS_max
stats "queue.tsv" using 1:(mib($2)) nooutput
killed = STATS_pos_max_y

unset key
set border 3 linecolor rgb faint
set tics nomirror out scale 0.5 textcolor rgb "black"
set grid ytics linetype 1 linecolor rgb "#e4e4e4"
set xrange [0:ceil(killed) + 1]
set xtics 4

set multiplot
set label 100 "{/*1.35 Payments: 50 per second arrive, 10 per second can be processed}" \
	at screen 0.5, 0.96 center

do for [half in "queue bpipe"] {
	file = half.".tsv"
	queue = half eq "queue"
	x = queue ? 0.075 : 0.57
	set lmargin at screen x
	set rmargin at screen x + 0.415

	set tmargin at screen 0.85
	set bmargin at screen 0.51
	set title (queue ? "{/:Bold Unbounded queue in memory}" : "{/:Bold /dev/bpipe, 512 KiB}") \
		offset 0, 0.3
	set ylabel (queue ? "memory (MiB)" : "")
	set yrange [0:52]
	set ytics 10
	set xlabel ""
	set format x ""
	set arrow 1 from graph 0, first 40 to graph 1, first 40 nohead \
		linecolor rgb faint dashtype 2
	set label 1 "limit" at 0.3, 43 left textcolor rgb "#707070"
	if (queue) {
		set label 2 sprintf("out of memory, killed: %s payments lost", ARG3) \
			at killed, 46.5 right
		set label 3 "" at killed, 40 point pointtype 2 pointsize 1.5 linewidth 2
	} else {
		set label 2 sprintf("at most %.1f MiB, nothing lost", flat) at 2, flat + 4 left
	}
	plot file using 1:(mib($2)) with filledcurves y1=0 fillcolor rgb memory \
			fillstyle transparent solid 0.15 noborder, \
	     file using 1:(mib($2)) with lines linewidth 2 linecolor rgb memory
	unset label
	unset arrow

	set tmargin at screen 0.455
	set bmargin at screen 0.11
	unset title
	set ylabel (queue ? "payments per second" : "")
	set yrange [0:70]
	set xlabel "time (seconds)"
	set format x "%g"
	set label 1 queue ? "producer" : "producer, slowed to the consumer's pace" \
		at 2, (queue ? 64 : 16) left textcolor rgb producer
	set label 2 "consumer" at 2, (queue ? 15 : 5) left textcolor rgb consumer
	if (queue) {
		set arrow 1 from killed, graph 0 to killed, graph 1 nohead linecolor rgb faint dashtype 3
	}
	plot file using 1:($1 <= killed ? $3 : NaN) with lines linewidth 3.5 linecolor rgb producer, \
	     file using 1:($1 <= killed ? $4 : NaN) with lines linewidth 2 linecolor rgb consumer
	unset label
	unset arrow
}
unset multiplot
