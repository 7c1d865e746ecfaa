# The devices' builds as a user meets them: their flags, what they refuse and why, what --stats says.
#
#     sh tests/device_cli.sh        after make all tools simt counted
#
# Every check prints one line, `ok`, `not ok` or `skip`.

set -u
LC_ALL=C
export LC_ALL
unset ATTENTION_KERNEL SIMT_DEVICES SIMT_MEMORY SIMT_THREADS SIMT_CACHE SIMT_SITES SIMT_TRACE_WARP SIMT_COUNTS SIMT_TABLE
mkdir -p build
work=$(mktemp -d build/device_cli.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
chapters=$(cd chapters && ls -d [0-9]*)
. tests/checks.sh

# --- --kernel ------------------------------------------------------------------------------------

# Names alone, the usual one marked: nothing is computed, and no device is needed.
lists() { # program
    SIMT_DEVICES=0 run "$1" --kernel list --n 4
    is "exit status" 0 "$status" && is stderr "" "$(cat "$work/stderr")" &&
        is "usual ones" 1 "$(grep -c '^[a-z]* (usual)$' "$work/stdout")" &&
        is "lines that are no names" "" "$(grep -v '^[a-z]*\( (usual)\)*$' "$work/stdout")"
}
obeys() { # program: each name that it lists is the one that --stats says was used
    run "$1" --kernel list
    names=$(cut -d' ' -f1 "$work/stdout")
    [ -n "$names" ] || return 1
    for kernel in $names; do
        run "$1" --kernel "$kernel" --stats --print none
        # What only another GPU can do says so (4), and is no other kernel's work.
        [ "$status" = 4 ] && grep -q 'not supported' "$work/stderr" && continue
        is "exit status of $kernel" 0 "$status" && is kernel "$kernel" "$(stat kernel)" || return 1
    done
}
flag_wins() { # the environment says one thing, the flag another
    export ATTENTION_KERNEL=$1
    shift
    "$@"
    code=$?
    unset ATTENTION_KERNEL
    return $code
}

for c in $chapters; do
    check "--kernel on the CPU ($c)" refuses 2 "--kernel: this is the CPU's build" "cpu/$c" \
        --kernel list
    for build in simt counted; do
        check "--kernel list ($build/$c)" lists "$build/$c"
        check "--kernel unknown ($build/$c)" refuses 2 '--kernel: expected one of ' "$build/$c" \
            --kernel nonsense --output "$work/left/out.npy" --trace "$work/left/trace"
    done
    check "--kernel: every name is obeyed ($c)" obeys "simt/$c"
    check "ATTENTION_KERNEL unknown ($c)" flag_wins nonsense refuses 2 \
        'ATTENTION_KERNEL: expected one of ' "simt/$c"
done
check "ATTENTION_KERNEL is a default" flag_wins thread shows kernel thread simt/01_naive_attention
check "--kernel wins over ATTENTION_KERNEL" flag_wins thread \
    shows kernel cublas simt/01_naive_attention --kernel cublas
check "--kernel wins over an unknown ATTENTION_KERNEL" flag_wins nonsense \
    shows kernel warp simt/01_naive_attention --kernel warp
for c in $chapters; do
    for name in $(build/simt/$c --help | sed -n 's/^  --experiment NAME  *//p' | tr '|' ' '); do
        check "--experiment $name is the CPU's ($c)" refuses 2 "it belongs to the CPU's: make run-" \
            "simt/$c" --experiment "$name"
    done
done
check "07 computes a prompt and one token by two kernels" shows kernel skip+paged \
    simt/07_flash_tiling
check "--kernel without a name" refuses 2 "--kernel: expected NAME, got nothing" \
    simt/01_naive_attention --kernel
check "--kernel twice" refuses 2 "--kernel stands there twice" simt/01_naive_attention \
    --kernel warp --kernel warp

# --- no device -----------------------------------------------------------------------------------

without_device() {
    export SIMT_DEVICES=0
    "$@"
    code=$?
    unset SIMT_DEVICES
    return $code
}
for c in $chapters; do
    check "84. no such device ($c)" without_device refuses 4 "no such device: expected a GPU" \
        "simt/$c" --output "$work/left/out.npy" --trace "$work/left/trace"
done
check "84. without a device --help answers" without_device prints '^  --kernel NAME' \
    simt/01_naive_attention --help
cuda=build/cuda/01_naive_attention
built= # an old program would answer for sources that are no more
[ -x $cuda ] && make -q $cuda > /dev/null 2>&1 && built=yes
if [ -z "$built" ]; then
    skip "84. no such device (build/cuda)" "it is not built, or not anew (make cuda)"
elif $cuda --print none > /dev/null 2>&1; then
    skip "84. no such device (build/cuda)" "there is one"
else
    check "84. no such device (build/cuda)" refuses 4 "no such device" cuda/01_naive_attention
fi
for flag in '--trace-warp 0,0' --sites '--counts left/c.csv' '--cache-bytes 64'; do
    word=${flag%% *}
    [ "$built" ] || { skip "$word on a GPU" "it is not built, or not anew (make cuda)"; continue; }
    check "$word on a GPU" refuses 2 "$word: a GPU counts" cuda/01_naive_attention $flag
done

# --- what a device has no room for ---------------------------------------------------------------

with() { # NAME=VALUE of the environment, command
    export "$1"
    name_of=${1%%=*}
    shift
    "$@"
    code=$?
    unset "$name_of"
    return $code
}
for c in $chapters; do
    # Nothing fits; then the inputs do, and not all that is computed from them.
    for bytes in 0 20000; do
        check "84. out of memory, $bytes bytes on the device ($c)" with SIMT_MEMORY=$bytes \
            refuses 5 "out of memory on the device: " "simt/$c" --example random --n 64 --m 64 \
            --dim 8 --output "$work/left/out.npy"
    done
done
check "a device with just enough memory" with SIMT_MEMORY=20000 shows "device live" 0 \
    simt/01_naive_attention --n 8 --dim 4
check "SIMT_MEMORY is no number" with SIMT_MEMORY=some refuses 2 "SIMT_MEMORY: expected a number" \
    simt/01_naive_attention
for c in $(echo "$chapters" | sed -n '3,$p'); do
    shared=$(echo "$c" | sed -n 's/^0[4-7].*/--kv-heads 1/p')
    check "more heads than a grid has rows ($c)" refuses 2 "1 sequences of 65536 heads: the kernels" \
        "simt/$c" --example random --n 1 --dim 1 --heads 65536 $shared --print none
    check "more sequences than a grid is deep ($c)" refuses 2 "65536 sequences of 1 heads: the ker" \
        "simt/$c" --example random --n 1 --dim 1 --batch 65536 --heads 1 $shared --print none
done
check "as many heads as a grid has rows" shows kernel paged simt/07_flash_tiling \
    --example random --n 1 --dim 1 --heads 65535 --kv-heads 1
check "--kernel wgmma on another device says what it needs" refuses 4 "it needs an H100 (sm_90a)" \
    simt/07_flash_tiling --kernel wgmma --print none

# --- watching ------------------------------------------------------------------------------------

for c in 01_naive_attention 05_kv_cache 07_flash_tiling; do
    for flag in '--trace-warp 0,0' --sites "--counts $work/left/c.csv" '--cache-bytes 64'; do
        word=${flag%% *}
        check "$word on the CPU ($c)" refuses 2 "$word: this is the CPU's build" "cpu/$c" $flag
        check "$word in the fast build ($c)" refuses 2 "$word: this is the emulator's fast build" \
            "simt/$c" $flag
        check "$word does not go with --bench ($c)" refuses 2 "$word does not go with --bench" \
            "counted/$c" $flag --bench
    done
    check "--sites names source lines ($c)" prints "^${c%%_*}_.*\.cu:[0-9]* .*load global " \
        "counted/$c" --sites
done

traced() { # one warp's accesses, on stderr, and the rest as ever
    run counted/01_naive_attention
    cp "$work/stdout" "$work/plain"
    run counted/01_naive_attention --trace-warp 0,1
    is "exit status" 0 "$status" && cmp "$work/plain" "$work/stdout" &&
        is notes "" "$(grep '^note' "$work/stderr")" &&
        is "other warps" "" "$(grep '^warp' "$work/stderr" | grep -v '^warp 1 of block 0: ')" &&
        grep -q '^warp 1 of block 0: load global, 4 bytes a lane, at 01_naive_attention.cu:' \
            "$work/stderr"
}
untraced() { # a warp that no launch has is worth a word
    run counted/01_naive_attention --trace-warp 999,0
    is "exit status" 0 "$status" &&
        is stderr 'note: --trace-warp 999,0: no launch had that warp' "$(cat "$work/stderr")"
}
check "--trace-warp shows one warp" traced
check "--trace-warp of a warp that is not there" untraced
for text in 0 , 0, ,0 -1,0 0,32 0,0,0 x,y ' 0,0' 0,0x 12345678901,0; do
    check "--trace-warp '$text'" refuses 2 "--trace-warp: expected BLOCK,WARP" \
        counted/01_naive_attention --trace-warp "$text"
done
check "--cache-bytes 0" refuses 2 "--cache-bytes: expected a whole number from 1" \
    counted/01_naive_attention --cache-bytes 0

counts_file() { # a line for each launch of the run, and one for the heading
    prints . counted/01_naive_attention --print output --counts "$work/c.csv" || return 1
    is "lines of launches" "scores softmax output" \
        "$(echo $(sed -n 's/^"\([a-z]*\)_by_warp",.*/\1/p' "$work/c.csv"))" &&
        is "the first line" kernel,grid,block "$(head -n 1 "$work/c.csv" | cut -d, -f1-3)"
}
check "--counts writes a line a launch" counts_file
check "--counts into a missing folder" refuses 6 "missing/c.csv: cannot be written" \
    counted/01_naive_attention --counts "$work/missing/c.csv"
check "--counts leaves no half file where the run is refused" refuses 2 "--example: expected" \
    counted/01_naive_attention --counts "$work/left/c.csv" --example nonsense

check "--counts onto a full disk" refuses 6 "/dev/full: cannot be written" \
    counted/01_naive_attention --counts /dev/full --print none
check "SIMT_COUNTS onto a full disk" with SIMT_COUNTS=/dev/full \
    refuses 6 "SIMT_COUNTS: cannot write /dev/full" counted/01_naive_attention --print none
for text in 0 0,0junk -1,0 0,0,0 ''; do
    check "SIMT_TRACE_WARP='$text'" with SIMT_TRACE_WARP="$text" refuses 2 \
        "SIMT_TRACE_WARP: expected BLOCK,WARP" counted/01_naive_attention --print none
done

# --- --stats and --bench -------------------------------------------------------------------------

# By hand: Q, K, V of 8 x 4 floats go there, 8 x 4 and 8 come back; beside them 8 x 8 scores.
one='simt/01_naive_attention --n 8 --dim 4'
check "--stats names the device" shows device "SIMT emulator" $one
check "--stats: bytes uploaded" shows "bytes uploaded" 384 $one
check "--stats: bytes downloaded" shows "bytes downloaded" 160 $one
check "--stats: device peak" shows "device peak" 800 $one
check "--stats: device live" shows "device live" 0 $one
check "--stats: the fast build counts no accesses" shows "bytes requested" "" $one
for line in "bytes requested" "bytes distinct" sectors/ideal wavefronts/ideal barriers races; do
    check "--stats of the counted build: $line" prints "^$line  *[0-9]" \
        counted/01_naive_attention --stats --print none
done
check "--stats: races" shows races 0 counted/07_flash_tiling
check "--stats: bytes cached, where a cache is given" prints \
    '^bytes cached  *[0-9]*   behind a cache of 4096 bytes' counted/01_naive_attention --stats \
    --print none --cache-bytes 4096
check "--stats: no bytes cached without one" shows "bytes cached" "" counted/01_naive_attention
check "--stats on the CPU says nothing of a device" shows device "" cpu/01_naive_attention

# One round is counted, whatever was traced before: the traced one runs another kernel, too.
counted_once() {
    run counted/01_naive_attention --stats --print none
    alone=$(stat 'bytes requested')
    run counted/01_naive_attention --stats --print all
    [ -n "$alone" ] && is "bytes requested beside a trace" "$alone" "$(stat 'bytes requested')"
}
check "--stats counts one round" counted_once

benched() { # the last two columns, program, flags
    wanted=$1
    shift
    run "$@" --bench
    is "exit status" 0 "$status" &&
        is heading device,kernel "$(sed -n 2p "$work/stdout" | cut -d, -f19-)" &&
        is columns "$wanted" "$(sed -n 3p "$work/stdout" | cut -d, -f19-)"
}
check "--bench on the CPU" benched cpu,- cpu/01_naive_attention
check "--bench on a device" benched 'SIMT emulator,thread' simt/01_naive_attention --kernel thread
check "--bench with two kernels" benched 'SIMT emulator,skip+paged' simt/07_flash_tiling

# --- --help, make --------------------------------------------------------------------------------

helps() { # program, the flags of a device that it lists
    run "$1" --help
    is "flags" "$2" "$(echo $(sed -n 's/^  \(--[a-z-]*\).*/\1/p' "$work/stdout" |
        grep -xE -- '--(kernel|trace-warp|sites|counts|cache-bytes)'))"
}
for c in $chapters; do
    check "--help ($c, CPU)" helps "cpu/$c" ""
    check "--help ($c, fast)" helps "simt/$c" --kernel
    check "--help ($c, counted)" helps "counted/$c" \
        "--kernel --trace-warp --sites --counts --cache-bytes"
done

makes() { # what make -n would run at last, DEVICE
    is "make run-07" "$1" "$(make -sn run-07 DEVICE="$2" 2>&1 | tail -n 1 | sed 's/ *$//')"
}
for device in cpu simt counted; do
    check "make run-07 DEVICE=$device" makes "build/$device/07_flash_tiling" $device
done
check "make run-07 DEVICE=" makes build/cpu/07_flash_tiling ""
for device in gpu 'cpu gpu' 'cpu simt'; do
    check "make DEVICE='$device' is refused" is "make says" \
        "*** DEVICE=$device: expected cpu, fast, simt, counted or cuda.  Stop." \
        "$(make -sn run-07 DEVICE="$device" 2>&1 | sed 's/^[^*]*//')"
done

# The table at the end of make run DEVICE=simt: as many rows as names, each of them verified.
table() {
    sh tests/kernel_table.sh 01 > "$work/table" || { cat "$work/table"; return 1; }
    is rows "$(build/simt/01_naive_attention --kernel list | grep -c '')" \
        "$(grep -cE '^01 .* 0  (verified|bit-exact)$' "$work/table")"
}
check "the table of kernels has a row for each, verified and without races" table

echo "device_cli: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
