# The fast build as a user meets it: its flags, what it refuses and why, what --stats says.
#
#     sh tests/fast_cli.sh        after make all tools fast

set -u
LC_ALL=C
export LC_ALL
unset ATTENTION_KERNEL ATTENTION_ISA
mkdir -p build
work=$(mktemp -d build/fast_cli.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
. tests/checks.sh
flash=fast/07_flash_tiling

# --- --kernel, --isa, --threads, --kv-dtype --------------------------------------------------------

last_of() { "build/$flash" --kernel list | sed -n "s/^$1 *\([a-z]*\) *(usual.*/\1/p"; }
prefill=$(last_of prefill) decode=$(last_of decode)
usual() { [ -n "$prefill" ] || { echo "--kernel list marks no usual step of prefill"; return 1; }; }
check '--kernel list marks the usual steps' usual
check '--isa list marks one that is here' prints '(usual)' $flash --isa list
check '--isa list: scalar is always here' prints '^scalar *1 float' $flash --isa list
check 'several queries are computed by prefill' \
    shows kernel "prefill-$prefill" $flash --n 5 --prefill 5
for kernel in $("build/$flash" --kernel list | awk '$1 == "prefill" { print $2 }'); do
    check "--kernel $kernel is what --stats names" \
        shows kernel "prefill-$kernel" $flash --n 5 --prefill 5 --kernel "$kernel"
done
if [ -n "$decode" ]; then
    check 'one query is computed by decode' \
        shows kernel "prefill-$prefill+decode-$decode" $flash --n 5 --prefill 4
    for kernel in $("build/$flash" --kernel list | awk '$1 == "decode" { print $2 }'); do
        "build/$flash" --n 5 --prefill 4 --kernel "$kernel" --stats --print none > "$work/out"
        named() { grep -q "decode-$kernel\$" "$work/out" || cat "$work/out"; }
        check "--kernel $kernel computes one query" test -z "$(named)"
    done
fi
for isa in $("build/$flash" --isa list | awk '!/not here/ { print $1 }'); do
    check "--isa $isa is what --stats names" shows instructions "$isa" $flash --isa "$isa"
    same() { # instruction sets and numbers of threads: within the bound, and the same bits
        run fast/04_gqa --n 97 --dim 24 --isa "$isa" --threads 1 --output "$work/one.npy" --print none
        is status 0 "$status" || return 1
        run fast/04_gqa --n 97 --dim 24 --isa "$isa" --threads 5 --output "$work/five.npy" --print none
        is status 0 "$status" && cmp "$work/one.npy" "$work/five.npy"
    }
    check "--isa $isa: one thread and five write the same file" same
done
check '--threads is what --stats says' shows threads 3 $flash --threads 3
bench_names() { # the columns device and kernel of --bench
    run $flash --n 5 --threads 2 --isa scalar --bench
    is status 0 "$status" && tail -n 1 "$work/stdout" | grep -q ',fast-scalar-2,prefill-'
}
check '--bench names the instruction set, the threads and the kernel' bench_names
environment() { # ATTENTION_KERNEL and ATTENTION_ISA are defaults, which flags override
    ATTENTION_ISA=scalar ATTENTION_KERNEL=$prefill run $flash --n 5 --stats --print none
    is instructions scalar "$(stat instructions)" || return 1
    ATTENTION_ISA=scalar run $flash --n 5 --stats --print none --isa base
    is instructions base "$(stat instructions)"
}
check 'ATTENTION_ISA is a default, which --isa overrides' environment
kept() { # K and V in 16 bits give other numbers, close by
    for dtype in f32 bf16 f16; do
        run fast/04_gqa --n 33 --kv-dtype $dtype --output "$work/$dtype.npy" --print none
        is status 0 "$status" || return 1
    done
    build/tests/compare "$work/bf16.npy" "$work/f32.npy" > "$work/out" && { echo "bf16 is f32"; return 1; }
    build/tests/compare "$work/f16.npy" "$work/f32.npy" > "$work/out" && { echo "f16 is f32"; return 1; }
    ! cmp -s "$work/bf16.npy" "$work/f16.npy"
}
check '--kv-dtype bf16 and f16 round what is kept' kept

# --- what is refused -------------------------------------------------------------------------------

out="--output $work/left/o.npy"
check 'an unknown kernel' refuses 2 '--kernel: there is no kernel "quick"' $flash --kernel quick $out
check 'an empty kernel' refuses 2 'kernel' $flash --kernel '' $out
check 'an unknown instruction set' refuses 2 '"sse9"' $flash --isa sse9 $out
wrong_environment() { ATTENTION_ISA=sse9 refuses 2 ATTENTION_ISA $flash $out; }
check 'an unknown instruction set in the environment is named by its variable' wrong_environment
for threads in 0 -1 x 1e9 257 99999999999999; do
    check "--threads $threads" refuses 2 --threads $flash --threads $threads $out
done
check 'an unknown dtype' refuses 2 'expected f32, bf16 or f16' $flash --kv-dtype q4 $out
check 'an experiment' refuses 2 "make run-07" $flash --experiment io
for flag in '--sites' '--trace-warp 0,0' "--counts $work/left/c.csv" '--cache-bytes 64'; do
    check "${flag%% *} belongs to another device" refuses 2 'DEVICE=counted' $flash $flag $out
done
for flag in '--isa base' '--threads 2' '--kv-dtype bf16'; do
    check "${flag%% *} belongs to the fast build" refuses 2 'DEVICE=fast' cpu/04_gqa $flag $out
done
missing=$("build/$flash" --isa list | awk '/not here/ { print $1; exit }')
if [ -n "$missing" ]; then
    check 'an instruction set that is not here' refuses 4 "$missing" $flash --isa "$missing" $out
else
    skip 'an instruction set that is not here' 'this processor has all that were compiled'
fi
memory() { ( ulimit -v 400000 && refuses 5 'out of memory' $flash --n 600000 --dim 64 --print none $out ); }
check 'what does not fit the memory is refused with the estimate' memory

echo "fast_cli: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
