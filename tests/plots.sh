#!/bin/sh
# The figures are drawn from what the programs print, and nothing in plots/ is older than they are.
# One `ok`, `not ok` or `skip` line each.
#
#     sh tests/plots.sh
#
# Tables: what takes a second is made again and must stand in plots/data. Formulas: what is drawn as
# a line must give each point, to the byte. Pictures: every SVG in plots/figures must be what gnuplot
# draws from plots/data. Traces: what is drawn of a run is what the run computed, whatever its labels
# are. And what `make plots`, `make plot-bench` and `make plot-02` say where they cannot draw.

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

# --- runs: the figures of traces --------------------------------------------------------------------

# Words to the letter, numbers within the last bits, which hang on the C library's expf.
same_run() { # RUN
    awk -F '[][,]' '
        function far(x, y) { return x != y && (x !~ /^-?[0-9.]+(e-?[0-9]+)?$/ || (x - y) ^ 2 > 1e-12) }
        NR == FNR { line[NR] = $0; lines = NR; next }
        { n = split(line[FNR], was, /[][,]/)
          bad = n != NF
          for (i = 1; i <= NF && !bad; i++) bad = far($i, was[i])
          if (bad) { print "line " FNR " is another one (make plot-data)"; exit 1 }
          seen = FNR }
        END { if (!bad && seen != lines) { print seen " lines, not " lines; exit 1 } }' \
        "plots/data/$1.jsonl" "$work/data/$1.jsonl" && [ -s "$work/data/$1.jsonl" ]
}
for run in weights causal heads masks blocks online journey; do
    check "$run.jsonl: its lines are what the programs record" same_run $run
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

# --- a trace ---------------------------------------------------------------------------------------

trace=$work/trace
record() { rm -rf "$trace"; "$@" --print none --trace "$trace"; }
words() { grep '<text' "$1" | sed 's/<[^>]*>//g; s/^[ \t]*//' | sed 's/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g'; }
drawn_heat() { # FLAGS of trace.sh heat: a whole SVG and PNG
    for format in svg png; do
        sh plots/trace.sh heat "$work/heat.$format" "$1" "$trace" > "$work/stdout" 2>&1 &&
            [ -s "$work/heat.$format" ] || { cat "$work/stdout"; return 1; }
    done
    grep -q '^</svg>' "$work/heat.svg" || { echo 'the SVG has no end'; return 1; }
    words "$work/heat.svg" > "$work/words"
}
numbers() { # the cells that were drawn, as they follow each other
    sed -n '/^\(·\|[01]\.[0-9][0-9]\|nan\)$/p' "$work/words" | tr '\n' ' '
}
has_words() { # each argument is a line of the picture
    for word in "$@"; do
        grep -qxF -- "$word" "$work/words" || { echo "no text $word"; return 1; }
    done
}

masked_cells() { # a hidden pair has a dot, what weighs little is 0.00
    record build/cpu/02_masking --example fruit && drawn_heat 'a command' || return 1
    is cells "1.00 · · · · 0.02 0.98 · · · 0.01 0.01 0.98 · · 0.49 0.01 0.01 0.49 · 0.00 0.00 0.00 0.00 1.00" \
        "$(numbers | cut -d ' ' -f -25)" && has_words apple orange 'a command' &&
        grep -q 'hidden by the mask' "$work/words"
}
stacked() { # the rows of all passes, and no cell for a key that came later
    record build/cpu/05_kv_cache --example fruit --heads 1 --kv-heads 1 --prefill 3 &&
        drawn_heat 'a command' || return 1
    is cells "1.00 · · 0.02 0.98 · 0.01 0.01 0.98 0.49 0.01 0.01 0.49 0.00 0.00 0.00 0.00 1.00" \
        "$(numbers | cut -d ' ' -f -18)" && grep -q 'came into the cache after' "$work/words"
}
all_heads() {
    record build/cpu/03_multi_head --example random --n 4 --heads 8 && drawn_heat x || return 1
    is heads 8 "$(grep -c '^head [0-7]$' "$work/words")"
}
second_sequence() { # only the first one is drawn, and the picture says so
    record build/cpu/03_multi_head --example random --n 3 --heads 1 --batch 2 && drawn_heat x || return 1
    is dots 3 "$(grep -c '^·$' "$work/words")" && is ones 2 "$(grep -c '^1.00$' "$work/words")" &&
        grep -q ', sequence 0$' "$work/words"
}
hostile() { # labels and commands are drawn as they are
    record build/cpu/02_masking --example random --n 6 \
        --tokens "a\"b c\\nd it's,f %d_^{x} @~&<i> \`touch\`" || return 1
    said="it's \`touch $work/ran\` \"\$(id)\" \\n %d {/=9 b} @W"
    drawn_heat "$said" && has_words "$said" 'a"b' 'c\nd' "it's,f" '%d_^{x}' '@~&<i>' '`touch`' || return 1
    [ ! -e "$work/ran" ] || { echo 'a command in TEXT was run'; return 1; }
}
long() { # a command that is too long, lines in it, bytes that are no UTF-8
    drawn_heat "$(printf 'first\nsecond \377 %0400d' 1)" &&
        grep -q '^first second ? 000*…$' "$work/words"
}
not_a_number() {
    record build/cpu/02_masking --example random --n 2 || return 1
    sed 's/\("name":"weights".*"data":\).*/\1[1,0,"nan","nan"]}/' "$trace/trace.jsonl" > "$work/line"
    mv "$work/line" "$trace/trace.jsonl"
    drawn_heat x && is cells '1.00 · nan nan' "$(numbers | cut -d ' ' -f -4)"
}
in_pool() { # the picture's blocks are those of trace.txt, in the order of memory
    record build/cpu/06_paged_blocks --example random --n 7 --batch 2 --heads 1 --kv-heads 1 &&
        sh plots/trace.sh blocks "$work/blocks.svg" x "$trace" || return 1
    words "$work/blocks.svg" > "$work/words"
    sed -n '/p3.b0.h0.block_table/,$p' "$trace/trace.txt" > "$work/last"
    is 'blocks and what lies in them' \
        "$(sed -n 's/^block \([0-9]*\) *free/\1 free/p; s/^block \([0-9]*\) *sequence \([0-9]*\):.*/\1 s\2/p' "$work/last" | tr '\n' ' ')" \
        "$(sed -n '/^pool$/,/^the table/p' "$work/words" | sed -n 's/^\(s[0-9]*\) e[0-9]*$/\1/; /^[0-9]*$/p; /^s[0-9]*$/p; /^free$/p' | paste -d ' ' - - | tr '\n' ' ')" &&
        is 'tokens in the first block of sequence 1' 'k0 k1' \
            "$(sed -n '/^s1$/,$p' "$work/words" | sed -n 3p)"
}
in_tiles() { # the last bars are the weights that chapter 03 computes, two keys together
    flags='--example random --n 12 --dim 8 --heads 1 --seed 5 --scale 1'
    record build/cpu/03_multi_head $flags || return 1
    awk '/"weights"/ { sub(/.*"data":\[/, ""); split($0, w, /[],]/)
        for (j = 1; j <= 12; j += 2) printf "%.2f ", w[132 + j] + w[133 + j] }' \
        "$trace/trace.jsonl" > "$work/dense"
    sh plots/draw.sh --into "$work/figures" online > /dev/null &&
        awk -F , '$1 == 6 { printf "%.2f ", $6 - $5 }' build/plots/online_parts.csv > "$work/tiled" || return 1
    is 'shares of the tiles' "$(cat "$work/dense")" "$(cat "$work/tiled")" &&
        is 'a maximum falls in' '' "$(awk -F , 'NR > 2 && $2 < last; { last = $2 }' build/plots/online.csv)"
}
rules() { # a panel a rule: as many seen pairs as mask_allows says
    is 'seen pairs' '64 36 21 39 40 30' "$(awk -F , 'NR > 1 { n = int($1 / 9.5) + 3 * ($2 > 9); if (!$3) seen[n]++ }
        END { for (n = 0; n < 6; n++) printf "%s%d", n ? " " : "", seen[n] }' build/plots/masks.csv)"
}
# What journey.csv draws in a panel, row by row: FROM and TO are its edges, HALF 0 is the upper row.
panel() { # FROM TO HALF DIGITS
    awk -F , -v from=$1 -v to=$2 -v half=$3 -v digits=$4 'NR > 1 && $1 > from && $1 < to && $5 < 2 &&
        ($2 > 340) == half { print $2 "," $1 "," ($5 == 1 ? "·" : sprintf("%.*f", digits, $6)) }' \
        build/plots/journey.csv | sort -t , -k 1,1n -k 2,2n | cut -d , -f 3 | tr '\n' ' '
}
printed() { # HEADS PROGRAM FLAGS: a run's weights as it prints them, the heads beside each other
    heads=$1
    shift
    "$@" --print weights | awk -v heads=$heads '
        /^==/ { head = /\.h1\./ ? 1 : 0 }
        / [0-9.]+$/ && !/ [a-z]/ { sub(/^[a-z]+ +/, ""); gsub(/ +/, " "); gsub(/ [.]/, " ·")
            row[head, ++n[head]] = $0 }
        END { for (i = 1; i <= n[0]; i++) for (h = 0; h < heads; h++) print row[h, i] }'
}
# Of the weights of 5 by 5 pairs what each tile of 2 by 2 has of a row; a tile of hidden pairs is skipped.
in_twos() {
    awk '{ for (k = 1; k <= 5 && k < NR + 2 - (NR - 1) % 2; k += 2) {
            share = $k + (k < 5 ? $(k + 1) : 0) # a dot adds nothing
            printf "%.3f ", share
            if ($(k + 1) == "·") printf "· " } }'
}
in_memory() { # the words in the blocks of a pool, after the last pass
    awk '/^== .*block_table/ { words = "" } /^block [0-9]/ { sub(/.*(: |free)/, ""); words = words " " $0 }
        END { gsub(/-/, "", words); $0 = words; $1 = $1; print }'
}
one_sentence() {
    fruit='--example fruit' shared='--heads 2 --kv-heads 1'
    sh plots/draw.sh --into "$work/figures" journey > "$work/stdout" 2>&1 || { cat "$work/stdout"; return 1; }
    words "$work/figures/journey.svg" > "$work/words"
    is 01 "$(printed 1 build/cpu/01_naive_attention $fruit | tr '\n' ' ')" "$(panel 0 250 0 4)" &&
        is 02 "$(printed 1 build/cpu/02_masking $fruit | tr '\n' ' ')" "$(panel 250 440 0 4)" &&
        is 03 "$(printed 2 build/cpu/03_multi_head $fruit --heads 2 | tr '\n' ' ')" "$(panel 440 650 0 4)" &&
        is 04 "$(printed 2 build/cpu/04_gqa $fruit $shared | tr '\n' ' ')" "$(panel 650 860 0 4)" &&
        is 05 "$(printed 1 build/cpu/05_kv_cache $fruit $shared --prefill 3 | tr '\n' ' ')" "$(panel 0 250 1 4)" &&
        is 07 "$(printed 1 build/cpu/04_gqa $fruit $shared | in_twos)" "$(panel 540 715 1 3)" &&
        is 'tiles skipped' 3 "$(grep -c '^skipped$' "$work/words")" &&
        is 'heads of keys' 'keys of head 0,keys of head 1,keys for both' \
            "$(grep '^keys [of]' "$work/words" | paste -s -d ,)" &&
        is 06 "$(build/cpu/06_paged_blocks $fruit $shared --prefill 3 | in_memory)" \
            "$(sed -n '/^the keys in their order$/,/^the blocks in memory$/p' "$work/words" |
                sed -n 7,11p | paste -s -d ' ')"
}
own_masks() {
    record build/cpu/02_masking --example random --n 4 --mask window=0 &&
        sh plots/trace.sh masks "$work/masks.svg" text "$trace" "one_{a}" "$trace" two || return 1
    words "$work/masks.svg" > "$work/words"
    has_words 'one_{a}' two text
}

# cannot CODE WORDS ARGUMENTS...: trace.sh ends with that code and one line with these words, and
# leaves what was there before
cannot() {
    code=$1 words=$2
    shift 2
    ls "$work" build/plots > "$work.before" 2> /dev/null
    sh plots/trace.sh "$@" > "$work/stdout" 2> "$work/stderr"
    status=$?
    ls "$work" build/plots > "$work.after"
    is 'exit status' "$code" $status && is 'lines on stderr' 1 "$(grep -c '' "$work/stderr")" &&
        is 'files left behind' '' "$(grep -vxFf "$work.before" "$work.after")" || return 1
    grep -qF -- "$words" "$work/stderr" || { echo "no \"$words\" in: $(cat "$work/stderr")"; return 1; }
}
no_gnuplot_heat() { GNUPLOT=no-gnuplot-of-this-name cannot 4 'make setup' heat "$work/none.png" x "$trace"; }
# Without gnuplot a run's weights are still to be seen: as chapters print them with --heat.
in_text() {
    GNUPLOT=no-gnuplot-of-this-name sh plots/trace.sh run build/cpu/02_masking --example fruit \
        > "$work/stdout" 2> "$work/stderr" || return 1
    build/cpu/02_masking --example fruit --print none --heat | cmp - "$work/stdout" &&
        is 'lines on stderr' 1 "$(grep -c 'gnuplot is not here: make setup' "$work/stderr")"
}
: > "$work/stdout"; : > "$work/stderr"; : > "$work/line" # what `cannot` finds before it begins
record build/cpu/02_masking --example fruit
no_gnuplot_tiles() {
    GNUPLOT=no-gnuplot-of-this-name sh plots/trace.sh run build/cpu/07_flash_tiling --tile 1,2 \
        > "$work/stdout" 2> "$work/stderr"
    is 'exit status' 0 $? && is 'lines on stderr' 1 "$(grep -c 'make setup' "$work/stderr")" &&
        grep -q 'p1.b0.h3.q0.k2.state' "$work/stdout"
}
check 'without gnuplot a run of 07 comes as its tiles, in text' no_gnuplot_tiles
check 'without gnuplot trace.sh says how to get it' no_gnuplot_heat
check 'without gnuplot a run shows its weights as text' in_text

if command -v gnuplot > /dev/null 2>&1; then
    check 'a heat map has the weights of the run, and dots where the mask hides' masked_cells
    check 'passes of a cached run are put under each other' stacked
    check 'all heads are drawn' all_heads
    check 'of a batch the first sequence is drawn' second_sequence
    check 'labels and commands that gnuplot or a shell would take for more are drawn as they are' hostile
    check 'a long text is cut' long
    check 'a weight that is not a number says so' not_a_number
    check 'the block table is the one of the run' in_pool
    check "the online softmax ends with chapter 03's weights" in_tiles
    check 'journey.svg shows what the seven chapters print' one_sentence
    check 'masks.svg shows what the rules say' rules
    check 'masks of your own' own_masks

    run_02() { # as a reader types it
        rm -f build/plots/02_masking.*
        ${MAKE:-make} -s plot-02 ARGS='--mask window=1 --tokens "a b c"' > "$work/stdout" 2>&1 ||
            { cat "$work/stdout"; return 1; }
        is 'what it says' 'plots: build/plots/02_masking.heat.svg, build/plots/02_masking.heat.png' \
            "$(grep '^plots' "$work/stdout")" && [ -s build/plots/02_masking.heat.png ] || return 1
        words build/plots/02_masking.heat.svg > "$work/words"
        has_words "build/cpu/02_masking --mask window=1 --tokens 'a b c'"
    }
    check 'make plot-02 draws a run with flags of its own' run_02
    every_chapter() { # PROGRAM FIGURES...
        program=$1 want=
        shift
        for figure in "$@"; do
            want="$want$(basename $program).$figure.svg $(basename $program).$figure.png "
        done
        rm -f build/plots/$(basename $program).*
        sh plots/trace.sh run build/cpu/$program > "$work/stdout" 2>&1 || { cat "$work/stdout"; return 1; }
        for file in $want; do [ -s build/plots/$file ] || { echo "no $file"; return 1; }; done
        is 'files named' "$#" "$(grep -c '^plots: build' "$work/stdout")"
    }
    for run in '01_naive_attention heat' '03_multi_head heat' '04_gqa heat' '05_kv_cache heat' \
        '06_paged_blocks heat blocks' '07_flash_tiling blocks online'; do
        check "a run of ${run%% *} is drawn: ${run#* }" every_chapter $run
    done

    check 'a chapter that refuses its flags' cannot 2 '02_masking: --mask foo' run build/cpu/02_masking --mask foo
    check 'a run that only times' cannot 2 '--bench: such a run' run build/cpu/02_masking --bench
    check 'kernels that record no weights' cannot 3 'holds no weights' run build/fast/02_masking
    check '--trace in a run' cannot 2 'thrown away' run build/cpu/02_masking --trace "$work/t"
    check 'a trace without weights' eval 'record build/cpu/07_flash_tiling && cannot 3 "no weights in it" heat "$work/none.svg" x "$trace"'
    check 'a trace without a block table' eval 'record build/cpu/02_masking && cannot 3 "no block_table in it" blocks "$work/none.svg" x "$trace"'
    check 'a trace without tiles' cannot 3 'no state of an online softmax' online "$work/none.svg" x "$trace"
    check 'more tokens than can be seen' eval 'record build/cpu/02_masking --example random --n 513 && cannot 3 "at most 512 x 512" heat "$work/none.svg" x "$trace"'
    broken() {
        record build/cpu/02_masking && sed 's/\("name":"weights".*\),[^,]*$/\1]}/' "$trace/trace.jsonl" > "$work/line" &&
            cp "$work/line" "$trace/trace.jsonl" &&
            cannot 3 'expected 9 numbers, got 8' heat "$work/none.svg" x "$trace"
    }
    check 'a trace that lacks a number' broken
    check 'a folder that is no trace' cannot 3 'expected a folder that --trace wrote' heat "$work/none.svg" x "$work"
    check 'a name of another format' cannot 2 'ends in .svg or .png' heat "$work/none.gif" x "$trace"
    check 'a folder that is not there' cannot 6 'cannot be written' heat "$work/nowhere/a.svg" x "$trace"
    check 'an unknown figure of a trace' cannot 2 'no such figure' haet "$work/none.svg" x "$trace"
    check 'too few arguments' cannot 2 'expected OUT TEXT DIR' heat "$work/none.svg"
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
