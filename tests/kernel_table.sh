# A row for every kernel that --kernel list shows, of every chapter: what it asked of the memory
# in the counted build, and whether its result holds against the CPU's chapter.
#
#     sh tests/kernel_table.sh         all chapters
#     sh tests/kernel_table.sh 07      one

set -u
only=${1:-} failed=0 seen=0
mkdir -p build
work=$(mktemp -d build/kernels.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cache=8192

# What a chapter is given: all tokens of a prompt at once, or one new token against as many keys,
# which is a matter of the chapters with a cache. Nothing: not this chapter's matter.
flags_of() { # prompt or decode, the chapter's number
    case $1:$2 in
    prompt:01 | prompt:02) echo --n 64 --dim 32 ;;
    prompt:03) echo --n 64 --dim 32 --heads 4 ;;
    prompt:04) echo --n 64 --dim 32 --heads 4 --kv-heads 2 ;;
    prompt:05) echo --n 64 --dim 32 --heads 4 --kv-heads 2 --prefill 64 ;;
    prompt:*) echo --n 64 --dim 32 --heads 4 --kv-heads 2 --prefill 64 --block-size 16 ;;
    decode:0[1-4]) ;;
    decode:05) echo --n 1 --m 64 --dim 32 --heads 4 --kv-heads 2 --mask none ;;
    decode:*) echo --n 1 --m 64 --dim 32 --heads 4 --kv-heads 2 --mask none --block-size 16 ;;
    esac
}

stat() { sed -n "s,^$1  *\([0-9.x]*\).*,\1,p" "$work/stats"; } # one number of --stats

# Kernels in bf16 round Q, K, V and the weights to 8 bits, 2^-9 of each: a score moves by 2 * 2^-9 A
# (A = sum of |q k| scale), a weight by twice that part of itself, and an output, whose values lie
# below 1, by 2^-9 (4 A + 2). With |q|, |k| < 1 and D = 32, A < sqrt(32): 0.0481.
verdict_of() { # kernel, number and flags; its steps in $work/a, the CPU's in $work/b
    came=$(sh tests/near.sh "$work/a" "$work/b" "$2" 2>&1 | tail -n 1)
    case $1 in
    mma | async | wgmma)
        came=$(build/tests/compare "$work/a" "$work/b" --ref "$work/a.ref" --bound 0.0481 \
            --steps output 2>&1 | tail -n 1) ;;
    esac
    case $came in
    BIT-EXACT*) echo bit-exact ;;
    REASSOCIATED*) echo verified ;;
    *) echo FAILED ;;
    esac
}

# One run is verified and counted: the first round is traced, the second one counted.
row() { # number, name, kernel, flags
    rm -rf "$work/a"
    if "build/counted/$2" $4 --print none --kernel "$3" --trace "$work/a" --cache-bytes $cache \
        --stats > "$work/stats" 2> "$work/errors"; then
        verdict=$(verdict_of "$3" "$1 $4")
    elif grep -q 'not supported' "$work/errors"; then
        printf '%-3s %-12s %s\n' "$1" "$3" 'not on this device'
        return
    else
        verdict=FAILED
        head -n 2 "$work/errors"
    fi
    seen=$((seen + 1))
    [ "$verdict" != FAILED ] || failed=1
    star=; case $3 in cublas) star='*' ;; esac
    printf '%-3s %-12s %10s %10s %10s %8s %11s %6s  %s\n' "$1" "$3$star" \
        "$(stat 'bytes requested')" "$(stat 'bytes distinct')" "$(stat 'bytes cached')" \
        "$(stat sectors/ideal)" "$(stat wavefronts/ideal)" "$(stat races)" "$verdict"
}

rows() { # prompt or decode
    for chapter in chapters/"$only"*; do
        name=${chapter#chapters/} number=${name%%_*}
        flags=$(flags_of "$1" "$number")
        [ -n "$flags" ] && [ -x "build/counted/$name" ] || continue
        rm -rf "$work/b"
        "build/cpu/$name" $flags --print none --trace "$work/b" || failed=1
        for kernel in $("build/counted/$name" --kernel list | cut -d' ' -f1); do
            row "$number" "$name" "$kernel" "$flags"
        done
    done
}

printf '%-3s %-12s %10s %10s %10s %8s %11s %6s  %s\n' '' kernel requested distinct cached \
    sectors wavefronts races verdict
rows prompt
rows decode > "$work/decode"
if [ -s "$work/decode" ]; then
    echo 'and one new token against 64 keys:'
    cat "$work/decode"
fi
echo
echo 'requested: bytes of global memory that the kernels asked for; distinct: the different ones, in'
echo "sectors of 32; cached: what comes and goes behind a cache of $cache bytes, half of one head's"
echo 'K and V; sectors and wavefronts (shared memory): those that it took over those it needed'
echo '* without the two products, which are cuBLAS'"'"'s own and not counted'
[ "$failed" = 0 ] && [ "$seen" -gt 0 ]
