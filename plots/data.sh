#!/bin/sh
# The tables behind the figures of what is counted, each line taken from what a program prints; and the
# runs behind the figures of traces, each line one of trace.jsonl.
#
#     sh plots/data.sh DIR            all of them into DIR (make plot-data: into plots/data)
#     sh plots/data.sh DIR some       what takes a second: tests/plots.sh compares it
#
# Counts are the same on every machine. Errors are not, quite: they hang on the C library's expf and
# on whether the processor fuses a product with a sum; their tables say which one it was.

set -u
cd "$(dirname "$0")/.." || exit 2
LC_ALL=C
export LC_ALL
unset ATTENTION_KERNEL ATTENTION_ISA
into=${1:-} part=${2:-all}
case $into:$part in :* | *:*[!a-z]*) echo "usage: data.sh DIR [all|some]" >&2; exit 2 ;; esac
mkdir -p "$into" build || exit 6
work=$(mktemp -d build/plot_data.XXXXXX) || exit 6
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# stats PROGRAM FLAGS...: what --stats says of a run on random numbers, into $work/stats
stats() {
    program=$1
    shift
    "build/$program" --example random --print none --stats "$@" > "$work/stats" || exit 1
}
stat() { awk -v name="$1" 'index($0, name) == 1 { print $3; exit }' "$work/stats"; }

# One head, no mask, and all tokens in one pass. The fast kernel packs keys as wide as its vectors
# are: its line is of the instruction set that every processor of its kind has.
one_head() { # PROGRAM N: its flags
    case $1 in
    *01_*) echo "--n $2 --dim 64" ;;
    *04_*) echo "--n $2 --dim 64 --heads 1 --kv-heads 1 --mask none" ;;
    *) echo "--n $2 --dim 64 --heads 1 --kv-heads 1 --mask none --prefill $2 --block-size 16" ;;
    esac
}

scratch_by_length() { # the lengths
    echo 'program,N,D,scratch_bytes'
    for n in $1; do
        for program in cpu/01_naive_attention cpu/04_gqa cpu/06_paged_blocks; do
            stats $program $(one_head $program $n)
            echo "$program,$n,64,$(stat 'bytes scratch')"
        done
        stats cpu/07_flash_tiling $(one_head 07_ $n) --tile 64,64
        echo "cpu/07_flash_tiling,$n,64,$(stat 'bytes scratch')"
        stats fast/07_flash_tiling $(one_head 07_ $n) --threads 1 --isa base
        echo "fast/07_flash_tiling,$n,64,$(stat 'bytes scratch')"
    done
}

moved() { # CHAPTER N D R C: read and written
    echo "$1,$2,$3,$4,$5,$(($(stat 'bytes read') + $(stat 'bytes written')))"
}

moved_by_length() {
    echo 'chapter,N,D,R,C,moved_bytes'
    for n in $1; do
        stats cpu/06_paged_blocks $(one_head 06_ $n)
        moved 06 $n 64 0 0
        for r in 8 16 64; do
            stats cpu/07_flash_tiling $(one_head 07_ $n) --tile $r,$r
            moved 07 $n 64 $r $r
        done
    done
}

moved_by_tile() { # LENGTH, rows of a tile
    echo 'chapter,N,D,R,C,moved_bytes'
    stats cpu/06_paged_blocks $(one_head 06_ $1)
    moved 06 $1 64 0 0
    for r in $2; do
        for c in 16 64; do
            stats cpu/07_flash_tiling $(one_head 07_ $1) --tile $r,$c
            moved 07 $1 64 $r $c
        done
    done
}

# Models as published, and Mistral-7B's layers with as many KV heads as query heads, and with one.
kv_by_context() {
    echo 'model,layers,heads,kv_heads,head_dim,longest,context,fp16_bytes'
    for model in gpt2-small gpt2-large llama-7b mistral-7b llama-70b qwen2.5-0.5b mha mqa; do
        case $model in
        mha) name=mistral-7b kv='--kv-heads 32' ;;
        mqa) name=mistral-7b kv='--kv-heads 1' ;;
        *) name=$model kv= ;;
        esac
        for context in $1; do
            build/cpu/05_kv_cache --size --config $name $kv --context $context > "$work/size" || exit 1
            awk -v model=$model -v context=$context '
                BEGIN { OFS = "," }
                /query heads over/ {
                    gsub(/[,;]/, "")
                    layers = $1; heads = $3; kv = $7; dim = $12; longest = $15
                }
                /^the model/ { print model, layers, heads, kv, dim, longest, context, $3 }
                ' "$work/size"
        done
    done
}

# One sequence that grows token by token: 2 . 4 floats of a byte a token, 32 bytes. What 05's caches
# say of themselves; of pages, the blocks that the table lists, 16 tokens each.
room_by_token() { # tokens, and what prealloc reserves
    echo 'way,tokens,reserved_bytes,used_bytes,copied_bytes'
    run="--example random --n $1 --dim 4 --heads 1 --kv-heads 1 --prefill 1 --print all"
    for way in prealloc grow; do
        flags="--cache $way"
        [ $way = grow ] || flags="$flags --capacity $2"
        build/cpu/05_kv_cache $run $flags > "$work/cache" || exit 1
        awk -v way=$way '/^==/ { here = /\.cache / }
            here && /^p[0-9]/ { printf "%s,%d,%d,%d,%d\n", way, ++t, $2, $3, $5 }' "$work/cache"
    done
    build/cpu/06_paged_blocks $run --block-size 16 > "$work/pages" || exit 1
    awk '/\.block_table / { t++; printf "paged,%d,%d,%d,0\n", t, $5 * 16 * 32, t * 32 }' "$work/pages"
}

# 1,000 requests and one memory, as 06 --experiment waste tells it: percent of the memory.
waste() {
    echo 'way,used,later,never,holes,free,useful'
    build/cpu/06_paged_blocks --experiment waste > "$work/waste" || exit 1
    awk '/^(prealloc|oracle|grow|paged:[0-9]+) .*[0-9]$/ && NF == 14 {
        print $1 "," $2 "," $3 "," $4 "," $5 "," $6 "," $7 }' "$work/waste"
}

# --- errors ------------------------------------------------------------------------------------

# The oracle reads Q, K and V as a trace has them: numbers of our own, in [-1, 1).
inputs() { # N
    rm -rf "$work/run" && mkdir "$work/run"
    for letter in q k v; do
        case $letter in q) seed=1 ;; k) seed=2 ;; v) seed=3 ;; esac
        build/tests/make_arrays "$work/run/p0.b0.h0.$letter.npy" random "$1,64" $seed || exit 1
    done
    given="--q $work/run/p0.b0.h0.q.npy --k $work/run/p0.b0.h0.k.npy --v $work/run/p0.b0.h0.v.npy"
}

# The largest difference of a program's output from float64, as the comparer prints it.
error() { # PROGRAM FLAGS...
    program=$1
    shift
    "build/$program" $given --print none --output "$work/output.npy" "$@" || exit 1
    build/tests/compare --quiet --bound 9 "$work/output.npy" "$work/oracle/p0.b0.h0.output.npy" |
        sed -n 's/.*largest difference \([^ ]*\) .*/\1/p'
}

errors() { # N SCALE: a line of a table each
    rm -rf "$work/oracle"
    build/tests/oracle "$work/run" "$work/oracle" --scale "$2" > "$work/bound" || exit 1
    echo "01 naive,$1,$2,$3,$(error cpu/01_naive_attention --scale $2)"
    all="--scale $2 --mask none --heads 1 --kv-heads 1 --prefill $1"
    echo "07 flash,$1,$2,$3,$(error cpu/07_flash_tiling $all --tile 64,64)"
    echo "fast,$1,$2,$3,$(error fast/07_flash_tiling $all --isa base)"
    echo "bound,$1,$2,$3,$(sed 's/bound //' "$work/bound")"
}

largest_score() { # the largest |q . k|, from what chapter 01 prints
    build/cpu/01_naive_attention $given --print all | awk '/^==/ { here = /\.scores / }
        here && /^q/ { for (i = 2; i <= NF; i++) { x = $i < 0 ? -$i : $i; if (x > most) most = x } }
        END { print most }'
}

error_head() { # all that the last bits hang on
    echo "# $(uname -m), $(sed -n 's/^model name.*: //p' /proc/cpuinfo 2> /dev/null | head -n 1)," \
        "$(getconf GNU_LIBC_VERSION 2> /dev/null), $(${CC:-cc} --version | head -n 1)"
    echo 'program,N,scale,logit,error'
}

error_by_length() { # the lengths
    error_head
    for n in $1; do
        inputs $n
        errors $n 0.125 0
    done
}

error_by_logit() { # the scales
    error_head
    inputs 256
    score=$(largest_score)
    for scale in $1; do
        errors 256 $scale "$(awk -v s=$scale -v q=$score 'BEGIN { printf "%.4g", s * q }')"
    done
}

# --- traces ------------------------------------------------------------------------------------

# What a figure needs of a run's trace: behind the command, the lines of those steps, and of 06's
# drawing of the pool.
recorded() { # STEPS PROGRAM FLAGS...
    steps=$1
    shift
    "$@" --print none --trace "$work/trace" || exit 1
    echo "# $*"
    grep -E "\"name\":\"($steps)\"" "$work/trace/trace.jsonl"
    [ $steps != block_table ] || # the last pass has the last word
        awk '/^== .*block_table/ { pool = "" } /^block [0-9]/ { pool = pool $0 "\n" }
            END { printf "%s", pool }' "$work/trace/trace.txt"
}
weights() { recorded 'masked|weights' build/cpu/01_naive_attention --example fruit; }
causal() { recorded 'masked|weights' build/cpu/02_masking --example fruit; }
heads() { recorded 'masked|weights' build/cpu/03_multi_head --example fruit --heads 2 --mask none; }
masks() {
    echo '# build/cpu/02_masking --example random --n 8 --mask ...'
    for rule in none causal window=2 prefix=3 padding=5 causal+padding=5; do
        recorded masked build/cpu/02_masking --example random --n 8 --mask $rule |
            sed "s/^# .*/# --mask $rule/"
    done
}
blocks() {
    recorded block_table build/cpu/06_paged_blocks --example random --n 7 --batch 3 --prefill 4
}
online() {
    recorded 'q10.k[0-9]*.state' build/cpu/07_flash_tiling --example random --n 12 --dim 8 --heads 1 \
        --kv-heads 1 --prefill 12 --seed 5 --scale 1
}
journey() { # one sentence; from 03 on an idea that is on stays on
    echo '# --example fruit; 03: --heads 2; from 04 on --kv-heads 1, too; 05, 06: --prefill 3; 07: --prefill 5'
    sentence='--example fruit'
    recorded 'masked|weights' build/cpu/01_naive_attention $sentence
    recorded 'masked|weights' build/cpu/02_masking $sentence
    recorded 'k|masked|weights' build/cpu/03_multi_head $sentence --heads 2
    sentence="$sentence --heads 2 --kv-heads 1"
    recorded 'k|masked|weights' build/cpu/04_gqa $sentence
    recorded 'masked|weights' build/cpu/05_kv_cache $sentence --prefill 3
    recorded block_table build/cpu/06_paged_blocks $sentence --prefill 3
    recorded 'q[0-9]*.k[0-9]*.state' build/cpu/07_flash_tiling $sentence --prefill 5 |
        grep -v '"head":1'
}

write() { # TABLE ARGUMENTS...: whole, or not at all
    "$@" > "$work/table" || exit 1
    cp "$work/table" "$into/$1.$kind" || exit 6
}
kind=csv

lengths='64 128 256 512 1024 2048 4096 8192' shorter='16 32 64 128 256 512 1024 2048'
tiles='4 8 16 32 64 128 256' contexts='128 256 512 1024 2048 4096 8192 16384 32768'
scales='0.0078125 0.03125 0.125 0.5 2 8 32'
case $part in
all) ;;
some) lengths='64 128' shorter='16 64' tiles=64 contexts=1024 scales='0.125 8' ;;
*) echo "data.sh: expected all or some, got $part" >&2; exit 2 ;;
esac
write scratch_by_length "$lengths"
write moved_by_length "$(echo $lengths | cut -d ' ' -f -6)"
write moved_by_tile 1024 "$tiles"
write kv_by_context "$contexts"
write room_by_token 100 128
write waste
write error_by_length "$shorter"
write error_by_logit "$scales"
kind=jsonl
for run in weights causal heads masks blocks online journey; do
    write $run
done
