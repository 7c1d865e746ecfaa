#!/bin/sh
# Draws what a trace holds (docs/TRACES.md).
#
#     sh plots/trace.sh FIGURE OUT TEXT DIR
#
# FIGURE is heat (attention weights, all heads of batch 0; the passes of a cached run under each
# other), blocks (the block table of 06 and 07) or online (the online softmax of 07, last query, head
# 0). OUT ends in .svg or .png (twice the size). TEXT, the command say, stands below the picture. DIR
# is what --trace DIR wrote.
#
#     sh plots/trace.sh masks OUT TEXT DIR TITLE [DIR TITLE]...
#
# which keys may be seen: a panel for each trace.
#
#     sh plots/trace.sh run build/cpu/02_masking FLAGS...       (make plot-02 ARGS="FLAGS")
#
# runs a chapter and draws all that its trace holds, into build/plots. Without gnuplot it says so, and
# the weights come as a heat map in text, those of 07, which holds none, as its tiles.
#
# A picture is whole or not there. Exit: 0 drawn, 1 gnuplot failed, 2 usage, 3 DIR holds no such trace,
# 4 no gnuplot, 6 could not write; each says why in one line. run: the chapter's own where it refuses.

set -u
LC_ALL=C
export LC_ALL
from=$(pwd)
cd "$(dirname "$0")/.." || exit 2
gnuplot=${GNUPLOT:-gnuplot} lacks='no valid points' new=build/plots/new.$$ whole=
. plots/picture.sh
fail() { code=$1; shift; echo "plots: $*" >&2; exit "$code"; }
here() { case $1 in /*) echo "$1" ;; *) echo "$from/$1" ;; esac; }
has_gnuplot() { command -v "$gnuplot" > /dev/null 2>&1; }
trap 'rm -rf "$new" "$new".* "$whole"' EXIT
trap 'exit 130' INT TERM HUP

# said TEXT: as a line of its own; trace DIR: what the figures' awk reads of it
said() { printf '# %s\n' "$(printf %s "$1" | tr '\n' ' ')"; }
trace() {
    cat "$1/trace.jsonl"
    [ ! -f "$1/trace.txt" ] || grep '^block [0-9]' "$1/trace.txt"
}

# draw FIGURE OUT: what $new.run holds. 9: it holds nothing for this figure, and $new.log says so.
draw() {
    awk -v base="$new" -f plots/trace.awk -f "plots/$1.awk" < "$new.run" 2> "$new.log"
    case $? in
    0) ;;
    9) return 9 ;;
    *) fail 3 "$1: $(head -n 1 "$new.log")" ;;
    esac
    whole=$2.new.$$
    picture "$1" "$1" "${2##*.}" "$whole" "$new"
    mv "$whole" "$2" 2> /dev/null || fail 6 "$2: cannot be written"
}

# --- a chapter's run ------------------------------------------------------------------------------

# shell WORDS...: as one would type them
shell() {
    for word in "$@"; do
        case $word in
        '' | *[!A-Za-z0-9_./=:,+@%-]*) word=\'$(printf %s "$word" | sed "s/'/'\\\\''/g")\' ;;
        esac
        printf '%s ' "$word"
    done | sed 's/ $//'
}

# What the run itself prints is not the point here, unless it is asked for.
quiet() { case " $* " in *' --print '*) ;; *) echo '--print none' ;; esac; }

nothing() { fail 3 "$1: its trace holds no weights and no tiles to draw; without DEVICE it does"; }

run_chapter() { # PROGRAM FLAGS...
    name=$(basename "$1") device=$(basename "$(dirname "$1")")
    place=build/plots/$name
    [ "$device" = cpu ] || place=${place}_$device
    for flag in "$@"; do
        case $flag in
        --trace) fail 2 '--trace: not here, where the trace is thrown away; sh plots/trace.sh heat draws one of yours' ;;
        --bench | --experiment | --size | --help | --version) fail 2 "$flag: such a run has no trace to draw" ;;
        esac
    done
    if ! has_gnuplot; then
        echo 'plots: gnuplot is not here: make setup installs it (Debian: gnuplot-nox, Homebrew: gnuplot)' >&2
        case $name in
        07*) "$@" --print all --trace "$new.trace"; exit ;; # it holds no weights: tile by tile, as text
        esac
        case " $* " in *' --heat '*) ;; *) set -- "$@" --heat ;; esac
        "$@" $(quiet "$@") --trace "$new.trace" || exit
        grep -q '"name":"weights"' "$new.trace/trace.jsonl" || nothing "$1"
        exit 0
    fi
    "$@" $(quiet "$@") --trace "$new.trace" || exit
    { said "$(shell "$@")"; trace "$new.trace"; } > "$new.run"
    drawn=
    for figure in heat blocks online; do
        draw $figure "$place.$figure.svg" && draw $figure "$place.$figure.png" || continue
        echo "plots: $place.$figure.svg, $place.$figure.png"
        drawn=yes
    done
    [ -n "$drawn" ] || nothing "$1"
}

# --- what is asked --------------------------------------------------------------------------------

[ $# -gt 0 ] || fail 2 'expected a figure or run; the first lines of plots/trace.sh list them'
mkdir -p build/plots || exit 6
figure=$1
shift
case $figure in
run)
    [ $# -gt 0 ] || fail 2 'run: expected a program and its flags'
    run_chapter "$@"
    exit ;;
heat | blocks | online) [ $# = 3 ] || fail 2 "$figure: expected OUT TEXT DIR, got $# arguments" ;;
masks) [ $# -ge 4 ] && [ $(($# % 2)) = 0 ] || fail 2 'masks: expected OUT TEXT DIR TITLE [DIR TITLE]...' ;;
*) fail 2 "$figure: no such figure; there are heat, blocks, online and masks" ;;
esac
case $1 in
*.svg | *.png) ;;
*) fail 2 "$1: expected a name that ends in .svg or .png" ;;
esac
has_gnuplot ||
    fail 4 'gnuplot is not here: make setup installs it (Debian: gnuplot-nox, Homebrew: gnuplot)'
out=$(here "$1") named=$1
[ -d "$(dirname "$out")" ] && [ ! -d "$out" ] || fail 6 "$named: cannot be written"
said "$2" > "$new.run" || exit 6
shift 2
while [ $# -gt 0 ]; do
    dir=$(here "$1")
    [ -f "$dir/trace.jsonl" ] && [ -r "$dir/trace.jsonl" ] ||
        fail 3 "$1: expected a folder that --trace wrote, with a trace.jsonl"
    [ $# = 1 ] || said "$2" >> "$new.run"
    trace "$dir" >> "$new.run"
    last=$1
    [ $# = 1 ] || shift
    shift
done
draw "$figure" "$out" || fail 3 "$last: $(cat "$new.log")"
