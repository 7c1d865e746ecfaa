#!/bin/sh
# The figures are drawn from what the programs print, and nothing in plots/ is older than they are.
# One `ok`, `not ok` or `skip` line each.
#
#     sh tests/plots.sh
#
# Tables: what takes a second is made again and must stand in plots/data. Formulas: what is drawn as
# a line must give each point, to the byte. Pictures: every SVG in plots/figures must be what gnuplot
# draws from plots/data. And what `make plots` and `make plot-bench` say where they cannot draw.

set -u
cd "$(dirname "$0")/.." || exit 2
LC_ALL=C
export LC_ALL
mkdir -p build
work=$(mktemp -d build/plots_test.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
. tests/checks.sh

# --- tables ----------------------------------------------------------------------------------------

stands() { # TABLE: every line counted now is a line of the table, and there are some
    [ "$(grep -cv '^#' "$work/data/$1")" -gt 1 ] || { echo "nothing was counted"; return 1; }
    stale=$(grep -vxFf "plots/data/$1" "$work/data/$1" | head -n 3)
    [ -z "$stale" ] || { echo "it lacks $stale (make plot-data)"; return 1; }
}
check 'data.sh makes its tables' sh plots/data.sh "$work/data" some
for table in scratch_by_length moved_by_length moved_by_tile kv_by_context room_by_token waste; do
    check "$table.csv: its lines are what the programs count" stands $table.csv
done
# Errors hang on the last bits of expf, and on the compiler.
for table in error_by_length error_by_logit; do
    if [ "$(head -n 1 "$work/data/$table.csv")" = "$(head -n 1 plots/data/$table.csv)" ]; then
        check "$table.csv: its lines are what the comparer prints" stands $table.csv
    else
        skip "$table.csv" "made on another machine: $(head -n 1 plots/data/$table.csv)"
    fi
done
within() { # the largest error is below the bound of the same run
    awk -F , '/^(#|program)/ { next }
        $1 == "bound" { n++; if (!(most < $5) || !(most > 0)) bad = bad " " $0; most = 0; next }
        $5 > most { most = $5 }
        END { if (bad || !n) { print "not within:" bad; exit 1 } }' "$1"
}
for table in error_by_length error_by_logit; do
    check "$table.csv: no error beyond its bound" within plots/data/$table.csv
    check "$table.csv, made again: no error beyond its bound" within "$work/data/$table.csv"
done

# --- formulas: the lines in moved.gp and kernels.gp ---------------------------------------------

moved() { # 06 and 07: N, D, R, bytes
    awk -F , 'NR == 1 { next } { N = $2; D = $3; R = $4
        want = $1 == "06" ? 32*N*N + 32*N*D + 4*N \
            : 16*N*D + 4*(N*D + N/R*N*2*D) + 4*(N*D + N)
        if (want != $6) { print $0 ": the formula gives " want; bad = 1 } else n++ }
        END { exit bad || n < 10 }' "$1"
}
check 'moved_by_length.csv: to the byte what the formula gives' moved plots/data/moved_by_length.csv
check 'moved_by_tile.csv: to the byte what the formula gives' moved plots/data/moved_by_tile.csv
kernels_moved() {
    awk -F , 'FNR == 1 { next } { N = $2; D = $3; asked = "" }
        $1 == "naive_warp" {
            asked = 16*N*N*D + 24*N*N + 8*N*D + 4*N
            distinct = 16*N*D + 16*N*N + 8*N }
        $1 == "flash_tile" {
            R = $4 == "none" ? 32 : $4
            asked = 4*(2*N*D + 2*N*N*D/R + N)
            distinct = 4*(3*N*D + N*(D+1)) }
        asked == "" || $4 == "causal" { next }
        asked == $5 && distinct == $6 { n++; next }
        { print $0 ": the formulas give " asked ", " distinct; bad = 1 }
        END { exit bad || n < 10 }' plots/data/bytes_by_length.csv plots/data/bytes_by_tile.csv
}
check 'bytes_by_length.csv, bytes_by_tile.csv: to the byte what kernels.gp draws' kernels_moved
formula_drawn() { # the same letters in the script as here
    grep -qF 'naive(n) = 32 * n * n + 32 * n * D + 4 * n' plots/moved.gp &&
        grep -qF 'flash(n, r) = 16 * n * D + 4 * (n * D + n / r * n * 2 * D) + 4 * (n * D + n)' plots/moved.gp &&
        grep -qF 'naive(n) = 16 * n * n * D + 24 * n * n + 8 * n * D + 4 * n' plots/kernels.gp &&
        grep -qF 'flash(n, r) = 4 * (2 * n * D + 2 * n * n * D / r + n)' plots/kernels.gp
}
check 'moved.gp and kernels.gp draw these formulas' formula_drawn

# --- pictures --------------------------------------------------------------------------------------

names=$(sh plots/draw.sh --list)
if ! command -v gnuplot > /dev/null 2>&1; then
    skip figures 'gnuplot is not here (make setup)'
else
    have=$(gnuplot --version | sed 's/ *$//')
    drawn() {
        sh plots/draw.sh --into "$work/figures" > "$work/drawn" 2>&1 || { cat "$work/drawn"; return 1; }
    }
    check 'make plots draws all figures' drawn
    for figure in $names; do
        svg=plots/figures/$figure.svg
        if grep -q "^plots: $figure: skipped" "$work/drawn"; then
            skip "$figure.svg" "$(sed -n "s/^plots: $figure: skipped, //p" "$work/drawn")"
            continue
        fi
        check "$figure.png is drawn, too" test -s "build/plots/$figure.png"
        # Where gnuplot's version is another one, so may be the text that it writes.
        made=$(sed -n 's/.*Produced by GNUPLOT \(.*[0-9]\) *<.*/gnuplot \1/p' "$svg" 2> /dev/null | head -n 1)
        if [ "$have" = "$made" ] || [ ! -s "$svg" ]; then
            check "$figure.svg is what gnuplot draws from plots/data" cmp "$svg" "$work/figures/$figure.svg"
        else
            skip "$figure.svg is what gnuplot draws" "it was drawn by $made, here is $have"
        fi
    done
    nothing_else() { # a picture that nobody draws
        for file in plots/figures/*; do
            case " $(echo $names) " in
            *" $(basename "$file" .svg) "*) ;;
            *) echo "$file"; return 1 ;;
            esac
        done
    }
    check 'plots/figures holds nothing else' nothing_else
fi

# --- your own data ---------------------------------------------------------------------------------

# bad CODE WORDS ARGUMENTS...: draw.sh ends with that code and one line with these words, and leaves no
# picture and nothing half done
bad() {
    code=$1 words=$2
    shift 2
    ls build/plots > "$work/before" 2> /dev/null
    touch "$work/now"
    sh plots/draw.sh "$@" > "$work/stdout" 2> "$work/stderr"
    is 'exit status' "$code" $? &&
        is 'lines on stderr' 1 "$(grep -c '' "$work/stderr")" &&
        is 'pictures drawn' '' "$(find build/plots -name '*.[sp][vn]g' -newer "$work/now")" &&
        is 'files left behind' '' "$(ls build/plots | grep -vxFf "$work/before" | grep new)" || return 1
    grep -qF -- "$words" "$work/stderr" || { echo "no \"$words\" in: $(cat "$work/stderr")"; return 1; }
}
no_gnuplot() { GNUPLOT=no-gnuplot-of-this-name bad 4 'make setup' scratch; }
check 'without gnuplot make plots says how to get it' no_gnuplot
check 'an unknown figure' bad 2 'no such figure' scrtch
check 'an unknown flag' bad 2 'no such flag' --fast
check '--data without a file' bad 2 'expected a file' --data ''

if command -v gnuplot > /dev/null 2>&1; then
    check 'a file that is not there' bad 3 'cannot be read' --data "$work/nowhere.csv"
    check 'a folder' bad 3 'cannot be read' --data "$work"
    : > "$work/bad.csv"
    check 'an empty file' bad 3 'no rows' --data "$work/bad.csv"
    printf 'a,b\n1,2\n' > "$work/bad.csv"
    check 'a file of something else' bad 3 'line 1: expected the names' --data "$work/bad.csv"

    # Two chapters' own --bench, one behind the other, headers and comments included.
    for n in 16 32; do
        build/cpu/04_gqa --example random --n $n --bench
        build/cpu/07_flash_tiling --example random --n $n --bench
    done > "$work/own.csv" 2> "$work/stderr"
    own() { # FILE: draws both kinds, names them, and with each chapter's name in the picture
        rm -f build/plots/own.*
        sh plots/draw.sh --data "$1" > "$work/stdout" 2>&1 || { cat "$work/stdout"; return 1; }
        is 'what it says' 'plots: build/plots/own.svg, build/plots/own.png' \
            "$(cat "$work/stdout")" || return 1
        for word in '04 gqa' '07 flash tiling' 'median of 9 rounds' 'tokens'; do
            grep -qF -- "$word" build/plots/own.svg || { echo "no $word in it"; return 1; }
        done
        test -s build/plots/own.png
    }
    check "chapters' --bench, appended, are drawn" own "$work/own.csv"
    sed 's/$/\r/' "$work/own.csv" > "$work/n=1.csv"
    check 'with lines that end as on Windows, from a file whose name holds a =' own "$work/n=1.csv"
    # What a file says is text, never a command: the first line would make a file.
    sed "1s|.*|# \`touch $work/made\` \" . system('touch $work/made') . \"|; 3q" "$work/own.csv" \
        > "$work/sly.csv"
    harmless() {
        sh plots/draw.sh --data "$work/sly.csv" > "$work/stdout" 2>&1 || { cat "$work/stdout"; return 1; }
        grep -q made build/plots/own.svg && [ ! -e "$work/made" ]
    }
    check "a comment that holds a command is drawn, not run" harmless
    sed '$s/,[^,]*$//' "$work/own.csv" > "$work/bad.csv"
    check 'a row that lacks a column' bad 3 'expected 20 columns, got 19' --data "$work/bad.csv"
    sed '$s/,9,[0-9.]*,/,9,soon,/' "$work/own.csv" > "$work/bad.csv"
    check 'a time that is no number' bad 3 'median_s: expected a number, got "soon"' --data "$work/bad.csv"
    sed 's/median_s/median/' "$work/own.csv" > "$work/bad.csv"
    check 'a header that lacks a column' bad 3 'expected a column median_s' --data "$work/bad.csv"

    # make bench's columns, with numbers that are made up: all figures of clocks are drawn.
    sed -n '/^    "suite,/,/;$/p' tests/bench_rows.c | tr -d ' \n;"' | sed 's/\\n$//' > "$work/bench.csv"
    echo >> "$work/bench.csv"
    awk -v OFS=, '
        function row(suite, name, what, kernel, threads, H, G, N, M, mask, s, against, ratio) {
            print suite, name, what, kernel, "base", threads, 1, H, G, N, M, 64, 64, mask, "f32", 0, 0,
                9, 0, s, s * .9, s * 1.2, H * N * M * 256, H * (N + M) * 512, 1, 1, G * M * 512,
                H * N * M * 2.56e-7 / s, H * (N + M) * 5e-7 / s, .5, .5, 100, 20,
                against, ratio, ratio, ratio
        }
        BEGIN { print "# numbers made up by tests/plots.sh"; print "# 2000-01-01"
            for (N = 64; N <= 1024; N *= 4) {
                row("prefill", "a", "chapter", "04_gqa", 1, 12, 12, N, N, "none", N * N * 1e-6)
                row("prefill", "b", "fast", "threads", 1, 12, 12, N, N, "none", N * N * 1e-8)
                row("decode", "c", "fast", "threads", 1, 12, 12, 1, N, "none", N * 1e-6) }
            row("prefill_ladder", "d", "fast", "naive", 1, 12, 12, 64, 64, "none", .01)
            row("decode_ladder", "e", "fast", "group", 1, 12, 12, 1, 64, "none", .001)
            row("gpt2", "slow-1-of-10", "fast", "gpt2", 1, 12, 12, 1, 64, "causal", 10)
            row("gpt2", "cached-1-of-10-against-slow", "fast", "gpt2", 1, 12, 12, 1, 64, "causal", 1,
                "slow-1-of-10", 10) }' >> "$work/bench.csv"
    timed() {
        sh plots/draw.sh --data "$work/bench.csv" > "$work/stdout" 2>&1 || { cat "$work/stdout"; return 1; }
        for figure in time decode cached prefill_ladder decode_ladder roofline; do
            grep -qF "plots: build/plots/$figure.svg, build/plots/$figure.png" "$work/stdout" ||
                { cat "$work/stdout"; return 1; }
            for word in 'made up' '9 rounds' 2000-01-01; do
                grep -q "$word" "build/plots/$figure.svg" || { echo "$figure: no $word"; return 1; }
            done
        done
    }
    check "make bench's columns: each figure is drawn, with machine, date and rounds" timed
    grep -v '^decode' "$work/bench.csv" > "$work/some.csv"
    fewer() {
        sh plots/draw.sh --data "$work/some.csv" > "$work/stdout" 2>&1 || { cat "$work/stdout"; return 1; }
        for word in 'decode: skipped' 'decode_ladder: skipped' time.svg; do
            grep -q "$word" "$work/stdout" || { echo "no $word"; return 1; }
        done
    }
    check 'a suite that is missing is skipped by name' fewer
    cat "$work/own.csv" "$work/bench.csv" > "$work/bad.csv"
    check 'both kinds in one file' bad 3 'are mixed' --data "$work/bad.csv"
    sed '$s/,9,0,[0-9.]*,/,9,0,0,/' "$work/bench.csv" > "$work/bad.csv"
    check 'a time of 0' bad 3 'expected more than 0' --data "$work/bad.csv"
fi

echo "plots: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
