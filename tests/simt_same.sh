#!/bin/sh
# Every kernel of every chapter, one by one: the counters of gcc -O1 must be those of gcc -O0 and of
# clang, with 1 OS thread and with 4. A kernel that reads x[i] twice where its source could name it
# once is read twice at -O0 and once at -O1: this test says so. One `ok - ` or `not ok - ` line each.
#
#     sh tests/simt_same.sh [CHAPTER...]      all, or these: 06 07
set -u
cd "$(dirname "$0")/.." || exit 2
work=build/simt_same
mkdir -p $work
failed=0
builds="counted counted-O0" others="counted:4 counted-O0:4" # BUILD:OS threads
if command -v clang++ > /dev/null 2>&1; then
    builds="$builds counted-clang" others="$others counted-clang:1"
else
    echo "skip - same counters: no clang++ here"
fi
${MAKE:-make} -s $builds || { echo "not ok - same counters: they do not compile"; exit 1; }

# The runs of a chapter: its own sizes, one of several tiles and no multiples, a trace (which
# starts the kernels for single steps), and masks that are read from memory.
build/cpu/01_naive_attention --example random --n 37 --dim 37 --print none --output $work/bias.npy
runs() {
    sizes='--n 37 --dim 20' lengths=30
    case $1 in 0[3-7]) sizes="$sizes --heads 4 --batch 2" lengths=30,36 ;; esac
    case $1 in 0[4-7]) sizes="$sizes --kv-heads 2" ;; esac
    case $1 in 0[5-7]) sizes="$sizes --prefill 36" ;; esac
    echo "$sizes --print all"
    echo "$sizes --print none --dim-v 33"
    [ "$1" = 01 ] || echo "$sizes --print none --mask causal+window=9+padding=$lengths"
    [ "$1" = 01 ] || echo "$sizes --print all --mask $work/bias.npy+causal"
}

# count BUILD THREADS PROGRAM KERNEL ARGS...: a line a launch.
count() {
    SIMT_COUNTS=$work/counts.csv SIMT_THREADS=$2 ATTENTION_KERNEL=$4 SIMT_CACHE=16384
    binary=build/$1/$3
    export SIMT_COUNTS SIMT_THREADS ATTENTION_KERNEL SIMT_CACHE
    shift 4
    "$binary" --example random "$@" > $work/out.txt 2>&1 || { tail -n 3 $work/out.txt; return 1; }
    cat $work/counts.csv
}

# The columns that differ between two tables, a line each: kernel, column, here, there.
differences() {
    awk -F , 'NR == FNR { for (i = 1; i <= NF; i++) a[FNR, i] = $i; lines = FNR; next }
        FNR == 1 { for (i = 1; i <= NF; i++) name[i] = $i }
        { for (i = 1; i <= NF; i++)
            if ($i != a[FNR, i]) print "    " $1 " " name[i] ": " a[FNR, i] ", here " $i }
        END { if (FNR != lines) print "    " lines " lines, here " FNR }' "$1" "$2" | sort -u
}

# compare PROGRAM KERNEL: over all runs, against gcc -O1 with 1 OS thread
compare() {
    launches=0 bad=0
    runs "${1%%_*}" > $work/runs
    while read -r args; do
        count counted 1 "$1" "$2" $args > $work/want.csv || { cat $work/want.csv; bad=1; continue; }
        launches=$((launches + $(wc -l < $work/want.csv) - 1))
        for other in $others; do
            build=${other%:*} threads=${other#*:}
            count $build $threads "$1" "$2" $args > $work/got.csv
            cmp -s $work/want.csv $work/got.csv && continue
            bad=1
            echo "# $build, $threads OS threads: $args"
            differences $work/want.csv $work/got.csv
        done
    done < $work/runs > $work/report
    if [ $bad = 0 ] && [ $launches -gt 0 ]; then
        echo "ok - same counters: $1 $2, $launches launches"
    else
        echo "not ok - same counters: $1 $2"
        head -n 20 $work/report
        failed=1
    fi
}

[ $# -gt 0 ] || set -- $(cd kernels/cuda && ls 0*.c | cut -c 1-2)
for chapter in "$@"; do
    program=$(cd build/counted && ls -d "$chapter"_*)
    names=$(build/counted/$program --kernel list) || failed=1
    for kernel in $(echo "$names" | sed 's/ .*//'); do
        case $kernel in
        wgmma) echo "skip - same counters: $program wgmma: the emulator cannot run it" ;;
        *) compare "$program" "$kernel" ;;
        esac
    done
done
exit $failed
