# The benchmark itself, in seconds: what it writes, what it refuses, what an interruption leaves, that
# a round that went wrong is left out and counted, and that its arithmetic is right.
#
#     sh tests/bench_self.sh        after make build/tests/bench

set -u
cd "$(dirname "$0")/.." || exit 2
LC_ALL=C
export LC_ALL
mkdir -p build
work=$(mktemp -d build/bench_self.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
. tests/checks.sh
bench=tests/bench

# --- what it writes ----------------------------------------------------------------------------------

columns=suite,name,what,kernel,isa,threads,B,H,G,N,M,D,Dv,mask,kv_dtype,block_size,tile,rounds
columns=$columns,left_out,median_s,min_s,max_s,flops,moved_bytes,scratch_bytes,peak_bytes,kv_bytes
columns=$columns,gflops,gbytes_s,of_peak,of_dram,peak_gflops,dram_gbytes_s,against,ratio,ratio_min
columns=$columns,ratio_max

# Rows of FILE that are wrong: another number of columns, a number that is none or not finite, a
# median outside of its spread, times without rounds or rounds without times.
wrong_rows() {
    grep -v '^#' "$1" | awk -F, -v header="$columns" '
        NR == 1 { if ($0 != header) print "header: " $0; next }
        NF != 37 { print NF " columns: " $0; next }
        { for (i = 18; i <= 37; i++)
              if (i != 34 && $i !~ /^([0-9.]+(e[-+]?[0-9]+)?)?$/) print "column " i ": " $0 }
        $18 > 0 && !($21 <= $20 && $20 <= $22 && $21 > 0) { print "spread: " $0 }
        ($18 > 0) != ($20 != "") { print "times: " $0 }
        $35 != "" && !($36 <= $35 && $35 <= $37 && $34 != "") { print "ratio: " $0 }
        END { if (NR < 2) print "no row" }' | head -n 3
}

tiny() { # more flags: writes $work/tiny.csv
    run $bench --tiny --no-peers --out "$work/tiny.csv" "$@"
    is "exit status" 0 "$status" && is "wrong rows" "" "$(wrong_rows "$work/tiny.csv")"
}

rows() { grep -v '^#' "$work/tiny.csv" | sed 1d | grep -c "$1"; }

whole() {
    tiny || return 1
    for suite in $("build/$bench" --help | sed -n '/--suite/,/--quick/s/^\([a-z_0-9]*\) .*/\1/p'); do
        [ "$suite" = peers ] || [ "$(rows "^$suite,")" != 0 ] || { echo "no row of $suite"; return 1; }
    done
}
check 'every suite writes rows of the schema' whole
machine() {
    for word in threads compiler flags load peak DRAM cache; do
        grep -q "^# .*$word" "$work/tiny.csv" || { echo "no comment with \"$word\""; return 1; }
    done
}
sees_wrong() { # an awk program that spoils one row
    awk -F, -v OFS=, "$1" "$work/tiny.csv" > "$work/spoilt" && [ -n "$(wrong_rows "$work/spoilt")" ]
}
check 'a row with nan in it would be seen' sees_wrong '/^tile/ { $20 = "nan" } 1'
check 'a row that is cut off would be seen' sees_wrong '/^tile/ { NF = 20 } 1'
check 'a median beyond its spread would be seen' sees_wrong '/^tile/ { $20 = 2 * $22 } 1'
check 'another header would be seen' sees_wrong '/^suite/ { $1 = "sweet" } 1'
check 'the machine stands in front' machine
check 'no unfinished file is left' is files tiny.csv "$(ls "$work" | grep csv)"
one_thread() { tiny --suite prefill,threads --threads 1 && is "other threads" 0 "$(rows ',-t,2,')"; }
check 'one thread is enough' one_thread
scratch() { # of NAME at N: column 25
    awk -F, -v name="$1" -v n="$2" '$1 == "memory" && $2 == name && $10 == n { print $25 }' "$work/tiny.csv"
}
counted() {
    tiny --suite memory --lengths 64,128 &&
        is "naive, N = 64" $((64 * 64 * 4)) "$(scratch naive 64)" &&
        is "naive, N = 128" $((128 * 128 * 4)) "$(scratch naive 128)" &&
        is "flash, N = 128" "$(scratch flash 64)" "$(scratch flash 128)"
}
check 'scratch: N by N in chapter 01, the same for any N in 07' counted
no_python() {
    PYTHON='' "build/$bench" --tiny --suite peers --lengths 64 --out "$work/tiny.csv" > "$work/stdout" 2> "$work/stderr" &&
        grep -q '^skip - peers, peer-torch: ' "$work/stderr" && is "wrong rows" "" "$(wrong_rows "$work/tiny.csv")"
}
check 'a peer that is not here is skipped by name' no_python

# --- what it refuses ---------------------------------------------------------------------------------

left=$work/left/bench.csv
check 'an unknown flag' refuses 2 --fast $bench --out "$left" --fast
check 'a flag without its value' refuses 2 --rounds $bench --out "$left" --rounds
check 'no number' refuses 2 '"many"' $bench --out "$left" --rounds many
check 'too few rounds' refuses 2 'from 1 to' $bench --out "$left" --rounds 0
check 'a suite that is none' refuses 2 '"speed"' $bench --out "$left" --suite prefill,speed
check 'lengths that are none' refuses 2 --lengths $bench --out "$left" --lengths 64,x
check '--check with a suite' refuses 2 --check $bench --out "$left" --check --suite prefill
check 'what does not fit in memory' refuses 5 GiB $bench --out "$left" --suite prefill --lengths 100000000
check 'a folder that is not there' refuses 6 none/bench.csv $bench --tiny --suite simt --out "$work/left/none/bench.csv"

# --- interrupted ---------------------------------------------------------------------------------------

interrupted() { # signal
    rm -f "$work/cut.csv"
    "build/$bench" --suite chapters --lengths 16,32,512,1024 --rounds 2 --out "$work/cut.csv" \
        > "$work/stdout" 2> "$work/stderr" &
    id=$!
    for i in $(seq 120); do # a minute, where much else is running
        sleep 0.5
        grep -qs '^chapters,' "$work"/cut.csv.partial-* && break
    done
    kill -s "$1" $id
    wait $id
    is "exit status" 130 $? && is "wrong rows" "" "$(wrong_rows "$work/cut.csv")" &&
        is "unfinished files" "" "$(ls "$work" | grep partial)"
}
check 'SIGTERM leaves whole rows' interrupted TERM
nothing_yet() {
    echo old > "$work/old.csv"
    "build/$bench" --suite chapters --lengths 1024 --out "$work/old.csv" > "$work/stdout" 2>&1 &
    id=$!
    sleep 1
    kill -s TERM $id
    wait $id
    is "exit status" 130 $? && is "the file" old "$(cat "$work/old.csv")"
}
check 'before the first row, what was there stays' nothing_yet

# --- noise and arithmetic ------------------------------------------------------------------------------

# Calibrations 1 to 6 look for the best of one and of two threads; 7 is the first round's.
spoilt() { # calibration, rows that leave out a round
    tiny --suite tile --lengths 16 --threads 2 --spoil "$1" &&
        is "rounds left out" "$2" "$(awk -F, '$1 == "tile" { n += $19 } END { print n }' "$work/tiny.csv")" &&
        is "rows with too few rounds" "" "$(awk -F, '$1 == "tile" && $18 < 2' "$work/tiny.csv")"
}
left_out() { spoilt 7 1 && spoilt 1000 0; }
check 'a round that was spoilt is left out and counted' left_out

# Three entries, two calibrations a turn: 7 spoils the first round of the first, 13 the second of the
# second. Each then has two rounds that stand of three, but the ratio of the two has only one: there
# must be a fourth round.
in_pairs() {
    tiny --suite kv_dtype --lengths 16 --threads 2 --spoil 7 --spoil 13 &&
        is "rounds, left out" "3 1,3 1,4 0" \
            "$(awk -F, '$1 == "kv_dtype" { print $18, $19 }' "$work/tiny.csv" | head -n 3 | paste -sd ,)"
}
check 'a ratio has as many rounds in which both sides stand' in_pairs

# Four rounds; peak 80 in the second is under 85 % of 100, memory 8 in the third under that of 10.
# flops 100, bytes 10: shares 100/2/100, 100/5/100, ..; ratios 4/2, 6/8, 9/4.
canned() {
    printf '%s\n' '100 10 100 10' '2 4 100 96 10 10' '5 5 100 80 10 10' '8 6 99 100 8 10' \
        '4 9 100 100 10 9' | "build/$bench" --canned > "$work/stdout"
    is "by the peak" "3 1 4 2 8 0.25 0.25 2 0.75 2.25" "$(sed -n 1p "$work/stdout")" &&
        is "by memory" "3 1 4 2 5 0.25 0.25 2 1 2.25" "$(sed -n 2p "$work/stdout")"
}
check 'medians, shares and ratios of rounds worked out by hand' canned
none_stands() {
    printf '%s\n' '100 10 100 10' '2 4 10 10 1 1' | "build/$bench" --canned > "$work/stdout"
    is "rounds" "0 1 nan" "$(sed -n 1p "$work/stdout" | cut -d ' ' -f 1-3)"
}
check 'where no round stands there is no number' none_stands

echo
echo "bench_self: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
