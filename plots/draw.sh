#!/bin/sh
# Draws figures: SVG into plots/figures, where pages show it, and PNG at twice the size into
# build/plots.
#
#     sh plots/draw.sh                     all of them
#     sh plots/draw.sh scratch time        some
#     sh plots/draw.sh --data mine.csv     what a file of your own holds, both kinds into build/plots
#     sh plots/draw.sh --into DIR          SVG elsewhere (tests/plots.sh)
#     sh plots/draw.sh --list
#
# A picture comes into being under another name: there is a whole one or none. Exit: 0 drawn, 2 usage,
# 3 a file that holds something else, 4 no gnuplot, 6 could not write.

set -u
cd "$(dirname "$0")/.." || exit 2
LC_ALL=C
export LC_ALL
counted='scratch moved kernels kv waste error'
traced='journey weights causal heads masks blocks online'
timed='time decode cached prefill_ladder decode_ladder roofline'
into=plots/figures data= names= lacks='degree sign'
say() { echo "plots: $*"; }
fail() { code=$1; shift; say "$@" >&2; exit "$code"; }

while [ $# -gt 0 ]; do
    case $1 in
    --data | --into) [ $# -gt 1 ] || fail 2 "$1: expected a value" ;;
    esac
    case $1 in
    --data)
        data=$2
        shift
        [ -n "$data" ] || fail 2 '--data: expected a file: make plot-bench DATA=mine.csv' ;;
    --into) into=$2; shift ;;
    --list) echo $counted $traced $timed; exit 0 ;;
    -*) fail 2 "$1: no such flag; the first lines of plots/draw.sh list them" ;;
    *) case " $counted $traced $timed " in
        *" $1 "*) names="$names $1" ;;
        *) fail 2 "$1: no such figure; there are $counted $traced $timed" ;;
        esac ;;
    esac
    shift
done
gnuplot=${GNUPLOT:-gnuplot}
command -v "$gnuplot" > /dev/null 2>&1 ||
    fail 4 'gnuplot is not here: make setup installs it (Debian: gnuplot-nox, Homebrew: gnuplot)'

work=build/plots
mkdir -p "$work" "$into" || exit 6
new=$work/new.$$
trap 'rm -f "$new" "$new".*' EXIT
trap 'exit 130' INT TERM HUP

. plots/picture.sh
draw() { # NAME SCRIPT FOLDER: SVG there, PNG into build/plots
    picture "$1" "$2" svg "$3/$1.svg" "$work/$1"
    picture "$1" "$2" png "$work/$1.png" "$work/$1"
    say "$3/$1.svg, $work/$1.png"
}

# prepare FIGURE CSV: the tables that its script draws. The awk may be any, and any name a file's.
prepare() {
    PLOT_FILE=$2 awk -v figure="$1" -v base="$work/$1" -f plots/read.awk -f plots/curves.awk \
        -f plots/bench.awk < "$2"
}

# from_trace NAME: lines of traces in plots/data, laid out by the awk of its figure
from_trace() {
    case $1 in
    weights | causal | heads) figure=heat ;;
    *) figure=$1 ;;
    esac
    lacks='no valid points' # a run may hide no key
    awk -v base="$work/$1" -f plots/trace.awk -f "plots/$figure.awk" < "plots/data/$1.jsonl" 2> "$new.awk" ||
        fail 3 "plots/data/$1.jsonl: $(head -n 1 "$new.awk")"
    draw "$1" "$figure" "$into"
}

# from_bench NAME SCRIPT CSV FOLDER: drawn, or skipped by name where the file has no such suite
from_bench() {
    lacks='no valid points'
    prepare "$1" "$3" 2> "$new.awk"
    case $? in
    0) draw "$1" "$2" "$4" ;;
    9) say "$1: skipped, $3 has no rows for it" ;;
    *) fail 3 "$(cat "$new.awk")" ;;
    esac
}

# A file of your own is looked through whole before anything is drawn.
if [ -n "$data" ]; then
    [ -f "$data" ] && [ -r "$data" ] ||
        fail 3 "$data: cannot be read: expected a CSV of make bench or of --bench"
    schema=$(prepare check "$data" 2> "$new.awk") || fail 3 "$(cat "$new.awk")"
    if [ "$schema" = chapter ]; then
        from_bench own own "$data" "$work"
    else
        for name in ${names:-$timed}; do from_bench "$name" "$name" "$data" "$work"; done
    fi
    exit 0
fi

for name in ${names:-$counted $traced $timed}; do
    case " $counted / $traced " in
    *" $name "*/*) draw "$name" "$name" "$into" ;;
    */*" $name "*) from_trace "$name" ;;
    *) if [ -f plots/data/bench.csv ]; then
        from_bench "$name" "$name" plots/data/bench.csv "$into"
    else
        say "$name: skipped, plots/data/bench.csv is not here: make bench OUT=plots/data/bench.csv"
    fi ;;
    esac
done
