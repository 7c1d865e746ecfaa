#!/bin/sh
# What the emulator's headers take and what they refuse, held against nvcc where there is one: a
# kernel that compiles here has to compile for a GPU. And the runtime's errors, by their codes. One
# `ok - `, `not ok - ` or `skip - ` line each.
set -u
cd "$(dirname "$0")/.." || exit 2
build=build/simt_words
failed=0

. tests/simt_build.sh
mkdir -p $build

bad() { echo "not ok - $*"; failed=1; }

# --- words that both know ----------------------------------------------------------------------

run() { # NAME FLAGS...: tests/simt_words.cu by g++ or clang++
    name=$1 compiler=$2
    shift 2
    said="$build/$name.txt"
    simt_compile "$compiler" tests/simt_words.cu "$build/words.o" "$@" &&
        simt_link $build/words $build/words.o && $build/words > "$said" 2>&1
    if [ "$(grep -c '^ok - ' "$said")" = 6 ] && ! grep -q simt: "$said"; then
        echo "ok - words: all right with $name"
    else
        bad "words, $name: $(grep -v '^ok' "$said")"
    fi
}
run "gcc -O1, counted" gcc
run "gcc -O0, counted" gcc -O0
run "gcc -O2, not counted" gcc -O2 -fno-sanitize=all -fno-sanitize-coverage=trace-pc
if command -v clang++ > /dev/null 2>&1; then
    run "clang, counted" clang
else
    echo "skip - words with clang: no clang++ here"
fi

# --- words that neither knows --------------------------------------------------------------------

# One kernel a line, which must not compile; what it tries, behind //.
cat > $build/refused.txt <<'END'
atomicMax((float *)p, 1.0f);                       // atomicMax of a float
atomicAdd((long *)p, 1L);                          // atomicAdd of a long
atomicAdd((long long *)p, 1LL);                    // atomicAdd of a long long with a sign
atomicAdd((short *)p, (short)1);                   // atomicAdd of 16 bits
atomicSub((float *)p, 1.0f);                       // atomicSub of a float
atomicCAS((float *)p, 0.0f, 1.0f);                 // atomicCAS of a float
atomicExch((double *)p, 1.0);                      // atomicExch of a double
*(float2 *)p = __shfl_sync(~0u, *(float2 *)p, 0);  // a shuffle of a float2
*(int **)p = __shfl_sync(~0u, (int *)p, 0);        // a shuffle of a pointer
*(int *)p = __shfl(n, 0);                          // a shuffle without _sync
*(float *)p = max(*(float *)p, n);                 // max of a float and an int
float x[n]; *(float *)p = x[0];                    // an array as long as n says
__shared__ float x[n]; *(float *)p = x[0];         // a __shared__ array as long as n says
threadIdx.x = 1;                                   // a new threadIdx
END
awk 'BEGIN { print "#include \"gpu.h\"" }
     { print "__global__ void wrong" NR "(void *p, int n) { " $0; print "}" }' \
    $build/refused.txt > $build/refused.cu

# The numbers of the kernels in which a compiler, whose words are on stdin, found an error.
found() { sed -nE 's/.*refused\.cu[:(]([0-9]+)[:)].*/\1/p' | awk '{ print int($1 / 2) }' | sort -nu; }

simt_compile gcc $build/refused.cu $build/refused.o 2>&1 | grep -v warning: | found > $build/here
nvcc=$(command -v nvcc)
by_nvcc() { $nvcc -std=c++17 -arch=sm_90a -Ikernels/cuda -c "$1" -o $build/refused.o 2>&1; }
[ -z "$nvcc" ] || by_nvcc $build/refused.cu | grep -v warning | found > $build/there

# nvcc compiles a file twice, for the host and for the GPU, and what the first run refuses never comes
# to the second: so what was not found in company is tried alone.
nvcc_takes() {
    grep -qx "$1" $build/there && return 1
    sed -n "1p; $((2 * $1)),$((2 * $1 + 1))p" $build/refused.cu > $build/alone.cu
    by_nvcc $build/alone.cu > /dev/null
}

k=0
while read -r line; do
    k=$((k + 1)) what=${line##*// }
    if ! grep -qx $k $build/here; then
        bad "words: the emulator's headers take $what"
    elif [ -n "$nvcc" ] && nvcc_takes $k; then
        bad "words: nvcc takes $what, and the emulator's headers do not"
    else
        echo "ok - words: $what is refused"
    fi
done < $build/refused.txt

if [ -n "$nvcc" ]; then
    $nvcc -std=c++17 -O3 -arch=sm_90a -Ikernels/cuda -c tests/simt_words.cu -o $build/nvcc.o \
        > $build/nvcc.txt 2>&1 && echo "ok - words: nvcc knows them all" ||
        bad "words: nvcc: $(head -n 3 $build/nvcc.txt)"
else
    echo "skip - words: no nvcc here, to hold the two against each other"
fi

# --- the runtime's errors ------------------------------------------------------------------------

${CC:-cc} -std=c11 -Wall -Wextra -Wno-unused-result -Ikernels/simt/include -c tests/simt_api.c \
    -o $build/api.o && simt_link $build/api $build/api.o || bad "simt_api.c does not compile"
$build/api > $build/api.txt 2> $build/api.err
grep -E '^(ok|not ok) - ' $build/api.txt
[ "$(grep -c '^ok - ' $build/api.txt)" = 6 ] && ! grep -q '^not ok' $build/api.txt ||
    bad "api: $(tail -n 2 $build/api.txt $build/api.err)"
exit $failed
