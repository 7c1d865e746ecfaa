# make run-real: the chapters on Q, K and V of two trained models, tokens as labels, each result
# held against what the model itself computed.

set -u
real=${REAL:-../shared/real}
if [ ! -d "$real" ]; then
    echo "skipped: the trained models' arrays are not here (looked in $real; REAL=dir sets another)"
    exit 0
fi
mkdir -p build
work=$(mktemp -d build/real.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
failed=0

# a model, how far its recorded output may be, a program and what else it is told
one() {
    model=$real/$1 within=$2 program=$3
    shift 3
    echo "\$ build/cpu/$program --q $model/q.npy --k $model/k.npy --v $model/v.npy --mask causal \\"
    echo "      --tokens \"\$(cat $model/tokens.txt)\" $*"
    "build/cpu/$program" --q "$model/q.npy" --k "$model/k.npy" --v "$model/v.npy" --mask causal \
        --tokens "$(cat "$model/tokens.txt")" --output "$work/output.npy" "$@" || failed=1
    echo "beside the output that the model computed, allowed to be $within apart:"
    build/tests/compare "$work/output.npy" "$model/output.npy" --bound "$within" || failed=1
    echo
}

echo "== A model that sorts letters: three sequences as a batch, three heads =="
one nano_sort 1e-6 03_multi_head --scale 0.25 --print weights
echo "== A model that tells stories: five layers as a batch, 8 query heads over 4 KV heads =="
one stories260k 1e-6 04_gqa --print weights
echo "== The last token, looked at by chapters 05, 06 and 07 =="
one stories260k 1e-6 05_kv_cache --prefill 8 --explain 15,3
one stories260k 1e-6 06_paged_blocks --block-size 4 --explain 15,3
one stories260k 3e-6 07_flash_tiling --block-size 4 --tile 4,8 --explain 15,3
exit $failed
