# make viewer: a page that shows traces (docs/TRACES.md), with all it needs inside.
#
#     sh traces/viewer/build.sh                      the chapters' own runs, listed below
#     sh traces/viewer/build.sh DIR [DIR]...         your own: folders that --trace DIR wrote
#     sh traces/viewer/build.sh --into OUT ...       the page elsewhere than in build/viewer
#
# Writes build/viewer/index.html, which opens from disk; and for a page of the book the same in two
# files, viewer.js and viewer.css. A page opened from disk may fetch nothing, so traces come as a script.
#
# Exit: 0, 2 usage, 3 a folder holds no trace, 6 could not write, else the exit status of the chapter
# that refused its flags.

set -u
LC_ALL=C
export LC_ALL
from=$(pwd)
cd "$(dirname "$0")/../.." || exit 2
here=traces/viewer out=build/viewer
SCRIPTS='numbers read moments tiles formula compare panels matrix blocks side address app'
fail() { code=$1; shift; echo "viewer: $*" >&2; exit "$code"; }
case ${1:-} in
--into)
    [ $# -ge 2 ] && [ -n "$2" ] || fail 2 '--into: expected a folder'
    case $2 in /*) out=$2 ;; *) out=$from/$2 ;; esac
    shift 2 ;;
esac
case ${1:-} in -*) fail 2 "$1: no such flag; there is --into" ;; esac
mkdir -p "$out/runs" 2> /dev/null && [ -w "$out" ] || fail 6 "$out: cannot be written"
new=$out/new.$$
trap 'rm -f "$new".*' EXIT
trap 'exit 130' INT TERM HUP

# The runs that a reader finds: one sentence through all chapters, each idea on and off; several
# sequences in one pool; tiles that show more than the sentence; two by the CUDA kernels. A row is a
# folder below build/, a program and its flags.
usual() {
    cat <<'RUNS'
cpu  01_naive_attention --example fruit
cpu  02_masking --example fruit
cpu  02_masking --example fruit --mask window=1
cpu  03_multi_head --example fruit --heads 1
cpu  03_multi_head --example fruit --heads 2
cpu  04_gqa --example fruit --heads 2 --kv-heads 1
cpu  05_kv_cache --example fruit --heads 2 --kv-heads 1 --prefill 3
cpu  06_paged_blocks --example fruit --heads 2 --kv-heads 1 --prefill 3
cpu  06_paged_blocks --example random --n 7 --dim 4 --batch 3 --block-size 3 --prefill 4
cpu  07_flash_tiling --example fruit --heads 2 --kv-heads 1 --prefill 5
cpu  07_flash_tiling --example random --n 12 --dim 8 --tile 4,4 --prefill 12
cpu  07_flash_tiling --example random --n 12 --dim 8 --tile 64,64 --prefill 12
simt 02_masking --example fruit
simt 07_flash_tiling --example random --n 12 --dim 8 --tile 4,4 --prefill 12
RUNS
}

# Runs one and says its folder.
record() { # N DEVICE PROGRAM FLAGS...
    dir=$out/runs/$1 program=build/$2/$3
    shift 3
    "$program" "$@" --print none --trace "$dir" > /dev/null || exit
    echo "$dir"
}

runs() {
    usual | { n=0
        while read -r device program flags; do
            n=$((n + 1))
            [ -x "build/$device/$program" ] || { echo "viewer: build/$device/$program is not here: skipped" >&2; continue; }
            # shellcheck disable=SC2086 # flags are words
            record $n "$device" "$program" $flags || exit
        done; }
}

# A file as one JSON string. A < would let a label close the script that it stands in.
string() {
    awk 'BEGIN { printf "\"" }
        { gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); gsub(/\t/, "\\t"); gsub(/[\001-\037]/, "?")
          gsub(/</, "\\u003c"); printf "%s\\n", $0 }
        END { printf "\"" }' "$1"
}

# How many blocks the pool has, by pass: {"p0":4,"p1":4}
blocks() {
    awk '/^== p[0-9]+\./ { split($2, part, "."); pass = part[1] }
        /^block [0-9]+ / { if (!count[pass]++) order[++n] = pass }
        END { printf "{"
            for (i = 1; i <= n; i++)
                printf "%s\"%s\":%d", (i > 1 ? "," : ""), order[i], count[order[i]]
            printf "}" }' "$1"
}

# One trace as JSON: its folder's name, what was run, its counters, its steps.
trace() { # DIR
    printf '{"name":'
    basename "$1" > "$new.name" && string "$new.name" | sed 's/\\n"$/"/'
    printf ',"run":'
    if [ -f "$1/run.json" ]; then sed 's/</\\u003c/g' "$1/run.json"; else printf null; fi
    printf ',"counts":'
    if [ -f "$1/counts.csv" ]; then string "$1/counts.csv"; else printf null; fi
    printf ',"pool":'
    if [ -f "$1/trace.txt" ]; then blocks "$1/trace.txt"; else printf '{}'; fi
    printf ',"steps":[\n'
    sed -e 's/</\\u003c/g' -e '$!s/$/,/' "$1/trace.jsonl"
    printf ']}'
}

if [ $# = 0 ]; then
    dirs=$(runs) || exit
    # shellcheck disable=SC2086 # names without spaces, made here
    set -- $dirs
    [ $# -gt 0 ] || fail 3 'no chapter is built: make all'
else
    cd "$from" || exit 2
    n=0 given=$#
    for dir in "$@"; do
        [ -f "$dir/trace.jsonl" ] && [ -r "$dir/trace.jsonl" ] ||
            fail 3 "$dir: expected a folder that --trace wrote, with a trace.jsonl"
        [ -s "$dir/trace.jsonl" ] || fail 3 "$dir: its trace.jsonl is empty; a batch of none has no steps"
        bad=$(grep -vnE '^\{"step":".*\]\}$' "$dir/trace.jsonl" | sed 's/:.*//; q') # lines may be long
        [ -z "$bad" ] || fail 3 "$dir: trace.jsonl: line $bad breaks off; expected a step, whole"
        case $dir in /*) ;; *) dir=$from/$dir ;; esac
        set -- "$@" "$dir"
    done
    shift "$given"
    cd - > /dev/null || exit 2
fi

{
    awk '/"#/ { n = split($0, part, "\""); for (i = 2; i <= n; i += 2) list = list "\"" part[i] "\"," }
        END { print "const VIRIDIS = [" list "].map((c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16)));" }' plots/viridis.pal
    echo 'const TRACES = ['
    for dir in "$@"; do trace "$dir"; echo ','; done
    echo '];'
} > "$new.traces"
{
    echo '(() => {'
    echo '"use strict";'
    cat "$new.traces"
    for script in $SCRIPTS; do cat "$here/$script.js"; done
    echo '})();'
} > "$new.js"
while IFS= read -r line; do
    case $line in
    '<!--style-->') echo '<style>' && cat "$here/viewer.css" && echo '</style>' ;;
    '<!--scripts-->') echo '<script>' && cat "$new.js" && echo '</script>' ;;
    *) printf '%s\n' "$line" ;;
    esac
done < "$here/page.html" > "$new.html"
cp "$here/viewer.css" "$new.css"
mv "$new.css" "$out/viewer.css" && mv "$new.js" "$out/viewer.js" && mv "$new.html" "$out/index.html" ||
    fail 6 "$out: cannot be written"
echo "viewer: $out/index.html ($# traces)"
