#!/bin/sh
# The emulator's counters: right where they can be counted by hand, and the same from gcc -O0,
# gcc -O1 and clang, with 1 OS thread and with 4. One `ok - ` or `not ok - ` line each.
set -u
cd "$(dirname "$0")/.." || exit 2
build=build/simt_exact
warnings="-Wall -Wextra -Wshadow -Wconversion"
kernel="-x c++ -std=c++17 -g -ffp-contract=off -Wall -Wno-unknown-pragmas
    -fsanitize-coverage=trace-pc -Ikernels/simt/include -Ikernels/cuda"
gcc_flags="-fno-reorder-blocks -fno-tree-ch -fsanitize=thread,bounds-strict
    --param tsan-instrument-func-entry-exit=0"
clang_flags="-fsanitize=thread,bounds -fno-unroll-loops -fno-vectorize -fno-slp-vectorize
    -mllvm -tsan-instrument-read-before-write -mllvm -tsan-instrument-func-entry-exit=0"
failed=0

mkdir -p $build/simt
for file in kernels/simt/*.c; do
    object=$build/simt/$(basename "$file" .c).o
    [ "$object" -nt "$file" ] && [ "$object" -nt kernels/simt/inside.h ] && continue
    ${CC:-gcc} -std=c11 -O2 -g $warnings -c "$file" -o "$object" || exit 1
done

# run NAME COMPILER FLAGS...: leaves what the test says in NAME.1 (1 OS thread) and NAME.4.
run() {
    name=$1
    shift
    "$@" $kernel -c tests/simt_exact.cu -o "$build/$name.o" &&
        g++ -o "$build/$name" "$build/$name.o" $build/simt/*.o -lpthread -lm || return 1
    for threads in 1 4; do
        SIMT_THREADS=$threads "$build/$name" > "$build/$name.$threads" 2>&1
    done
}

same() {
    if cmp -s "$build/O1.1" "$build/$1"; then
        echo "ok - exact: $2 counts what gcc -O1 with one thread counts"
    else
        echo "not ok - exact: $2 counts something else than gcc -O1 with one thread"
        diff "$build/O1.1" "$build/$1" | sed 's/^/    /'
        failed=1
    fi
}

if ! run O1 g++ -O1 $gcc_flags; then
    echo "not ok - exact: it does not compile"
    exit 1
fi
grep -v '^counts' "$build/O1.1"
grep -q '^not ok' "$build/O1.1" && failed=1
same O1.4 "gcc -O1 with 4 threads"
run O0 g++ -O0 $gcc_flags
same O0.1 "gcc -O0"
if command -v clang++ > /dev/null 2>&1; then
    run clang clang++ -O1 $clang_flags
    same clang.1 "clang -O1"
else
    echo "skip - exact: no clang++ here"
fi
exit $failed
