# make run-real: the chapters on Q, K and V of two trained models, tokens as labels.

set -u
real=${REAL:-../shared/real}
if [ ! -d "$real" ]; then
    echo "skipped: the trained models' arrays are not here (looked in $real; REAL=dir sets another)"
    exit 0
fi
show() {
    echo "\$ $*" | sed "s|$real/|REAL/|g; s/--tokens .*--/--tokens ... --/"
    "$@"
}
one() { # a model, a program and its flags
    model=$1 program=$2
    shift 2
    show "build/cpu/$program" --q "$real/$model/q.npy" --k "$real/$model/k.npy" \
        --v "$real/$model/v.npy" --mask causal --tokens "$(cat "$real/$model/tokens.txt")" "$@"
}
echo "A model that sorts letters: three sequences as a batch, three heads (REAL is $real)"
one nano_sort 03_multi_head --scale 0.25 --print weights
echo "A model that tells stories: five layers as a batch, 8 query heads over 4 KV heads"
one stories260k 04_gqa --print weights
one stories260k 05_kv_cache --prefill 8 --print output
one stories260k 06_paged_blocks --block-size 4 --print output
one stories260k 07_flash_tiling --block-size 4 --tile 4,8 --print output
