# --stats on a device counts by formula (kernels/cuda/flash_count.c); the counted build counts what
# the kernels of chapter 07 really ask global memory for. The same bytes, for every kernel.
#
# The formula speaks of floats. What says where they lie is 8 bytes long and taken off here: to
# append and to gather, a number or two for each float; 2048 bytes of cuts a block of a kernel that
# splits the keys; and a key's block in `paged`, whose tiles are all full in the shapes below.

set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
work=$(mktemp -d build/stats.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
bad=0

# Bytes read and written by all launches of a run, which --stats makes twice: once to warm up.
counted() { # tiles of paged
    sed 's/^"\([^",]*\)[^"]*"/\1/' "$work/counts.csv" | awk -F , -v tiles="$1" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        {
            split($at["grid"], g, "x")
            load = $at["load_global_bytes"]; stored = $at["store_global_bytes"]
            if ($1 ~ /append/) load -= 4 * stored
            if ($1 ~ /gather/) load -= 2 * stored
            if ($1 ~ /flash_(split|paged)/) load -= 2048 * g[1] * g[2] * g[3]
            read += load; written += stored
        }
        END { print read / 2 - 8 * 32 * tiles, written / 2 }'
}

stats() { awk '/^bytes read/ { r = $3 } /^bytes written/ { w = $3 } END { print r, w }' "$work/out"; }

check() { # kernel, flags
    rm -f "$work/counts.csv"
    ATTENTION_KERNEL=$1 SIMT_COUNTS=$work/counts.csv build/counted/07_flash_tiling $2 \
        --example random --print none --stats > "$work/out" 2>&1
    tiles=0
    [ "$1" = paged ] && tiles=$(awk '/^tiles  / { print $2 }' "$work/out")
    want=$(counted "$tiles") got=$(stats)
    if [ "$got" = "$want" ] && [ "${got%% *}" -gt 0 ]; then
        echo "ok - stats: $1 $2: $got bytes read and written"
    else
        echo "not ok - stats: $1 $2: --stats says $got bytes, the emulator counted $want"
        bad=1
    fi
}

for kernel in tile vector banks skip split paged mma async; do
    check $kernel "--n 64 --dim 16 --mask none --prefill 64 --cut 32"
    [ $kernel = paged ] || check $kernel "--n 70 --dim 12 --mask window=20 --prefill 66 --cut 13,50"
done
exit $bad
