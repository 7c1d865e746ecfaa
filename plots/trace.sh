#!/bin/sh
# Draws what a trace holds (docs/TRACES.md).
#
#     sh plots/trace.sh heat OUT TEXT DIR     attention weights, all heads of batch 0; passes of a
#                                             cached run under each other
#
# OUT ends in .svg or .png (twice the size). TEXT, the command say, stands below the picture. DIR is
# what --trace DIR wrote. OUT is whole or not there. Exit: 0 drawn, 1 gnuplot failed, 2 usage, 3 DIR
# holds no such trace, 4 no gnuplot, 6 could not write. Each says why in one line.

set -u
LC_ALL=C
export LC_ALL
from=$(pwd)
cd "$(dirname "$0")/.." || exit 2
fail() { code=$1; shift; echo "plots: $*" >&2; exit "$code"; }
here() { case $1 in /*) echo "$1" ;; *) echo "$from/$1" ;; esac; }

[ $# = 4 ] || fail 2 "expected heat OUT TEXT DIR, got $# arguments"
figure=$1 said=$3 lacks='degree sign'
case $figure in
heat) ;;
*) fail 2 "$figure: no such figure; there is heat" ;;
esac
case $2 in
*.svg) format=svg ;;
*.png) format=png ;;
*) fail 2 "$2: expected a name that ends in .svg or .png" ;;
esac
out=$(here "$2") dir=$(here "$4")
gnuplot=${GNUPLOT:-gnuplot}
command -v "$gnuplot" > /dev/null 2>&1 ||
    fail 4 'gnuplot is not here: make setup installs it (Debian: gnuplot-nox, Homebrew: gnuplot)'
[ -f "$dir/trace.jsonl" ] && [ -r "$dir/trace.jsonl" ] ||
    fail 3 "$4: expected a folder that --trace wrote, with a trace.jsonl"
[ -d "$(dirname "$out")" ] && [ ! -d "$out" ] || fail 6 "$2: cannot be written"

mkdir -p build/plots || exit 6
new=build/plots/new.$$ whole=$out.new.$$
trap 'rm -f "$new" "$new".* "$whole"' EXIT
trap 'exit 130' INT TERM HUP
SAID=$said awk -v base="$new" -f plots/trace.awk -f "plots/$figure.awk" < "$dir/trace.jsonl" 2> "$new.log"
case $? in
0) ;;
9) fail 3 "$4: $(cat "$new.log")" ;;
*) fail 3 "$4: $(head -n 1 "$new.log")" ;;
esac
. plots/picture.sh
picture "$figure" "$figure" "$format" "$whole" "$new"
mv "$whole" "$out" 2> /dev/null || fail 6 "$2: cannot be written"
