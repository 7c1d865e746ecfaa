#!/bin/sh
# The emulator's counters: right where they can be counted by hand, and the same from gcc -O0,
# gcc -O1 and clang, with 1 OS thread and with 4. One `ok - ` or `not ok - ` line each.
set -u
cd "$(dirname "$0")/.." || exit 2
build=build/simt_exact
failed=0

. tests/simt_build.sh
mkdir -p $build

# run NAME COMPILER FLAGS...: leaves what the test says in NAME.1 (1 OS thread) and NAME.4.
run() {
    name=$1 compiler=$2
    shift 2
    simt_compile "$compiler" tests/simt_exact.cu "$build/$name.o" "$@" &&
        simt_link "$build/$name" "$build/$name.o" || return 1
    for threads in 1 4; do
        SIMT_THREADS=$threads "$build/$name" > "$build/$name.$threads" 2>&1
    done
    return 0 # it ran; what it found is in the files
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

if ! run O1 gcc; then
    echo "not ok - exact: it does not compile"
    exit 1
fi
grep -v '^counts' "$build/O1.1"
grep -q '^not ok' "$build/O1.1" && failed=1
same O1.4 "gcc -O1 with 4 threads"
run O0 gcc -O0
same O0.1 "gcc -O0"
if command -v clang++ > /dev/null 2>&1; then
    run clang clang
    same clang.1 "clang -O1"
else
    echo "skip - exact: no clang++ here"
fi
exit $failed
