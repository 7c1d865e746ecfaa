#!/bin/sh
# The bytes that the kernels move are those of the formulas in docs/COUNTS.md, to the byte, over the
# shapes in tests/counts.txt; and what the headers of 07_*.cu say was counted is counted again. One
# `ok - ` or `not ok - ` line each.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/counted.sh
failed=0
say() { # ok or not ok, what, details
    echo "$1 - counts: $2"
    [ "$1" = ok ] || { failed=1; echo "$3" | sed 's/^/    /'; }
}

# --- formulas --------------------------------------------------------------------------------

# The formula in column $3 (3 reads, 4 writes, 5 distinct) for kernel $1 of chapter $2, as
# arithmetic for the shell.
formula() {
    grep "^| \`$1\` |.* $2 " docs/COUNTS.md | cut -d '|' -f $(($3 + 1)) | sed 's/`//g; s/·/*/g
        s/⌈\([^/⌉]*\)\/\([0-9]*\)⌉/(((\1)+\2-1)\/\2)/g; s/^ *//; s/ *$//'
}

# A, K, J and L of docs/COUNTS.md by asking for every pair whether the mask allows it.
sums() { # N M S mask
    awk -v N="$1" -v M="$2" -v S="$3" -v mask="$4" '
        function sees(i, j) { return (!causal || j <= i) && (window == "" || i - window <= j) }
        function keys(rows, share, tile,    r, sum, first, last, i, j) { # of the tiles of rows
            for (r = 0; r < rows; r += tile) {
                first = -1
                last = -1
                for (i = int(r / share); i <= int((r + tile - 1) / share) && i < N; i++)
                    for (j = 0; j < M; j++)
                        if (sees(i, j)) {
                            if (first < 0 || j < first) first = j
                            if (j > last) last = j
                        }
                if (first >= 0) sum += last + 1 - int(first / tile) * tile
            }
            return sum
        }
        BEGIN {
            causal = mask ~ /causal/
            if (mask ~ /window=/) { window = mask; sub(/.*window=/, "", window) }
            for (i = 0; i < N; i++)
                for (j = 0; j < M; j++) A += sees(i, j)
            print A, keys(N, 1, 32), keys(N * S, S, 32), keys(N, 1, 64)
        }'
}

# compare CHAPTER KERNEL FUNCTION COLUMN WHAT COUNTED: held, or what is wrong
compare() {
    text=$(formula "$3" "$1" "$4")
    [ "$text" = - ] && return
    [ -n "$text" ] || { echo "$3: docs/COUNTS.md has no row for it"; return; }
    wanted=$(($text))
    [ "$wanted" = "$6" ] && echo held || echo "$3 $5: counted $6, $text = $wanted"
}

check() { # CHAPTER KERNEL LETTERS... MASK
    chapter=$1 kernel=$2 B=1 H=1 G=0 M=0 Dv=0
    shift 2
    for letter in "$@"; do
        case $letter in [A-Z]*=*) eval "$letter" ;; *) mask=$letter ;; esac
    done
    [ $M != 0 ] || M=$N
    [ $Dv != 0 ] || Dv=$D
    [ $G != 0 ] || G=$H
    S=$((H / G)) C=$(((M + 127) / 128))
    set -- --n $N --m $M --dim $D --dim-v $Dv
    case $chapter in 0[3-7]) set -- "$@" --heads $H --batch $B ;; esac
    case $chapter in 0[4-7]) set -- "$@" --kv-heads $G ;; esac
    case $chapter in 0[5-7]) set -- "$@" --prefill $N ;; esac
    [ "$mask" = none ] && [ $chapter = 01 ] || set -- "$@" --mask "$mask"
    read -r A K J L << END
$(sums $N $M $S "$mask")
END
    counted $chapter $kernel "$@" > build/counts.lines || return 1
    whole=0
    [ "$mask" = none ] && [ $((N % 8 + M % 8 + D % 8 + Dv % 8)) = 0 ] && whole=1
    # Appending and gathering are not the chapter's arithmetic. A kernel's launches add up.
    grep -vE '^(append|gather|scatter)_' build/counts.lines |
        awk '{ read[$1] += $2; written[$1] += $3; distinct[$1] += $4 }
            END { for (f in read) printf "%s %.0f %.0f %.0f\n", f, read[f], written[f], distinct[f] }' |
        while read -r function read written distinct rest; do
            compare $chapter $kernel $function 3 read $read
            compare $chapter $kernel $function 4 written $written
            [ $whole = 0 ] || compare $chapter $kernel $function 5 distinct $distinct
        done > build/counts.verdicts
    shape="$chapter $kernel, N=$N M=$M D=$D Dv=$Dv B=$B H=$H G=$G $mask"
    launches=$(grep -vE '^(append|gather|scatter)_' build/counts.lines | cut -d ' ' -f 1 | sort -u |
        wc -l)
    if grep -qv '^held' build/counts.verdicts ||
        [ "$(wc -l < build/counts.verdicts)" -lt $((2 * launches)) ] || [ "$launches" = 0 ]; then
        say 'not ok' "$shape" "$(grep -v '^held' build/counts.verdicts)"
    else
        say ok "$shape: to the byte, $launches kernels"
    fi
}

kernels_of() { # a chapter's own kernels: what its program lists, without cuBLAS
    "$(echo build/counted/"$1"_*)" --kernel list | sed 's/ .*//; /cublas/d; /wgmma/d'
}

# --- what the headers say --------------------------------------------------------------------

# claim FILE WHAT NUMBER...: each number stands behind "Counted" in the file's header.
claim() {
    header=$(sed -n '1,/^$/p' "kernels/cuda/$1.cu" | tr '\n/' '  ' | sed 's/.*Counted//')
    what=$2 missing=
    name=$1
    shift 2
    for number in "$@"; do
        echo "$header" | grep -qwF -- "$number" || missing="$missing $number"
    done
    if [ -z "$missing" ] && [ $# -gt 0 ]; then
        say ok "$name.cu says what is counted: $what $*"
    else
        say 'not ok' "$name.cu: $what" "its header does not say$missing"
    fi
}

# Bytes read and written by FUNCTION; FUNCTION's wavefronts, or requests, a warp and tile, that
# load from shared memory.
bytes() { counted 07 "$1" $3 | awk -v f="$2" '$1 == f { n += $2 + $3 } END { print n }'; }

headers() {
    square='--n 256 --dim 64 --heads 1 --kv-heads 1 --prefill 256'
    decode='--n 1 --m 1024 --dim 64 --heads 8 --kv-heads 2 --mask none'
    for step in 1_tile 2_vector; do
        k=${step#*_}
        claim 07_$step bytes "$(bytes $k flash_$k "$square --mask none")"
        claim 07_$step 'wavefronts a warp and tile' $(loads $k flash_$k)
    done
    claim 07_3_banks 'wavefronts a warp and tile' $(loads banks flash_banks | cut -d ' ' -f 1)
    claim 07_4_skip bytes "$(bytes skip flash_skip "$square --mask causal")"
    claim 07_5_split bytes "$(bytes split flash_split "$decode")" \
        "$(bytes split merge_parts "$decode")" "$(bytes skip flash_skip "$decode")"
    claim 07_6_paged bytes "$(bytes paged flash_paged "$decode")"
    for step in 7_mma 8_async; do
        k=${step#*_}
        claim 07_$step bytes "$(bytes $k flash_$k "$square --mask causal")"
    done
    claim 07_7_mma 'bytes of rounding' "$(bytes mma round_to_bf16 "$square --mask causal")"
}

loads() { # wavefronts that load from shared memory, and requests, for each warp and tile
    SIMT_COUNTS=build/counts.loads ATTENTION_KERNEL=$1 build/counted/07_flash_tiling \
        --example random $square --mask none --print none > /dev/null
    awk -F , -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        $1 ~ "flash_" name {
          n = 8 * 8 * 4 # tiles of queries, tiles of keys, warps
          print $at["load_shared_wavefronts"] / n, $at["load_shared_requests"] / n }' \
        build/counts.loads
}

[ $# = 0 ] || exec < /dev/null
while read -r chapter kernel rest; do
    case $chapter in '' | '#'*) continue ;; esac
    [ "$kernel" != all ] || kernel=$(kernels_of $chapter)
    for k in $kernel; do
        check $chapter $k $rest || say 'not ok' "$chapter $k $rest" 'it did not run'
    done
done < tests/counts.txt
headers
exit $failed
