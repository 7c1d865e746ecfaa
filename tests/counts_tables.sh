#!/bin/sh
# The tables behind the figures: bytes that the kernels ask for, bytes that are distinct, and bytes
# that a cache of 64 KiB, 256 KiB and 1 MiB would let through, one head without a mask unless the
# table says otherwise. Counts, not times: the same on every machine.
#
#     sh tests/counts_tables.sh --write    all, into plots/data (make counts)
#     sh tests/counts_tables.sh --check    the small ones anew, against what lies there
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/counted.sh
. tests/simt_build.sh
mode=${1:-}
case $mode in --write | --check) ;; *) echo "usage: counts_tables.sh --write|--check" >&2; exit 2 ;; esac
into=plots/data
[ "$mode" = --write ] || into=build/counts
mkdir -p $into
columns=requested,distinct,cache_64K,cache_256K,cache_1M,sectors,sectors_ideal,wavefronts,wavefronts_ideal

# A kernel's name is its chapter's or, in 07, its file's; naive is one head's three kernels together.
#
# row FILE PREFIX CHAPTER KERNEL ARGS...: all launches of a run as one line of a table
row() {
    file=$into/$1.csv prefix=$2
    shift 2
    for cache in 65536 262144 1048576; do
        SIMT_CACHE=$cache
        export SIMT_CACHE
        counted "$@" || exit 1
        echo next
    done > build/counts.runs
    awk -v prefix="$prefix" '
        BEGIN { run = 0 }
        $1 == "next" { run++; next }
        /^(append|gather|scatter)_/ { next }
        run == 0 { asked += $2 + $3; distinct += $4; for (i = 6; i <= 9; i++) sum[i] += $i }
        { cached[run] += $5 }
        END { printf "%s,%.0f,%.0f,%.0f,%.0f,%.0f,%.0f,%.0f,%.0f,%.0f\n", prefix, asked, distinct,
                  cached[0], cached[1], cached[2], sum[6], sum[7], sum[8], sum[9] }' build/counts.runs >> "$file"
}

table() { # FILE LETTERS: begins a table
    echo "kernel,$2,$columns" > $into/$1.csv
}

flash='tile vector banks skip mma async' # the last two: with the rounding to bf16
by_length() {
    table bytes_by_length N,D,mask
    for n in $1; do
        one="--n $n --dim 64"
        head="$one --heads 1 --kv-heads 1 --prefill $n"
        for k in thread warp; do
            row bytes_by_length "naive_$k,$n,64,none" 01 $k $one
        done
        for k in $flash; do
            row bytes_by_length "flash_$k,$n,64,none" 07 $k $head --mask none
        done
        row bytes_by_length "naive_warp,$n,64,causal" 02 warp $one --mask causal
        row bytes_by_length "flash_skip,$n,64,causal" 07 skip $head --mask causal
    done
}

by_head_size() {
    table bytes_by_head_size N,D
    for d in $1; do
        row bytes_by_head_size "naive_warp,128,$d" 01 warp --n 128 --dim $d
        row bytes_by_head_size "flash_skip,128,$d" 07 skip --n 128 --dim $d --heads 1 \
            --kv-heads 1 --prefill 128 --mask none
    done
}

# The tile of 07_1_tile.cu with R queries in place of 32: the same source with another R.
build_tile() {
    there=build/tile/$1/source
    mkdir -p "$there"
    cp kernels/cuda/07_1_tile.cu kernels/cuda/*.h kernels/cuda/*.cuh "$there"
    sed -i "s/FLASH_ROWS = 32/FLASH_ROWS = $1/" "$there/07_flash_tiling.h"
    others=$(ls build/counted/obj/kernels/cuda/*.o | grep -E '/(07_|pages)' | grep -v 07_1_tile)
    host=$(ls build/simt/obj/common/*.o build/simt/obj/chapters/07_flash_tiling/*.o |
        grep -vE '/(attention|backend)\.o')
    for file in 07_flash_tiling device mirror flash_count backend probe_simt; do
        host="$host build/simt/obj/kernels/cuda/$file.o"
    done
    simt_compile gcc "$there/07_1_tile.cu" "$there/tile.o" &&
        simt_link "build/tile/$1/07_flash_tiling" "$there/tile.o" $others $host
}

by_tile() {
    table bytes_by_tile N,D,R
    for r in 8 16 32 64; do
        build_tile $r || exit 1
        for n in $1; do
            COUNTED=build/tile/$r
            row bytes_by_tile "flash_tile,$n,64,$r" 07 tile --n $n --dim 64 --heads 1 \
                --kv-heads 1 --prefill $n --mask none
            COUNTED=
        done
    done
}

# Decode: one query a head, 8 heads over G of keys and values, M keys.
by_cache() {
    table bytes_by_cache M,G,D
    for m in $1; do
        for g in 8 2; do
            row bytes_by_cache "naive_warp,$m,$g,64" 05 warp --n 1 --m $m --dim 64 --heads 8 \
                --kv-heads $g --mask none
            row bytes_by_cache "paged_warp,$m,$g,64" 06 warp --n 1 --m $m --dim 64 --heads 8 \
                --kv-heads $g --mask none
            for k in skip split paged; do
                row bytes_by_cache "flash_$k,$m,$g,64" 07 $k --n 1 --m $m --dim 64 --heads 8 \
                    --kv-heads $g --mask none
            done
        done
    done
}

if [ "$mode" = --write ]; then
    by_length '64 128 256 512'
    by_head_size '16 32 64 128 256'
    by_tile '64 128 256 512 1024'
    by_cache '128 256 512 1024'
    echo "wrote $(echo $into/bytes_by_*.csv)"
    exit
fi
by_length 64
by_head_size 16
by_tile 64
by_cache 128
failed=0
for file in $into/bytes_by_*.csv; do
    kept=plots/data/${file##*/}
    # Every line counted now must stand in the table, the one with the names included.
    : > build/counts/stale
    if [ -s "$kept" ] && [ "$(wc -l < "$file")" -gt 1 ] &&
        ! grep -vxFf "$kept" "$file" > build/counts/stale; then
        echo "ok - counts: $kept, $(($(wc -l < "$file") - 1)) lines counted again"
    else
        echo "not ok - counts: $kept is stale (make counts)"
        sed 's/^/    /' build/counts/stale
        failed=1
    fi
done
exit $failed
