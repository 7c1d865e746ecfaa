#!/bin/sh
# The recipe for gdb in kernels/simt/README.md: stop one thread of one block in a kernel, print its
# variables, go on line by line. One `ok - `, `not ok - ` or `skip - ` line each.
set -u
cd "$(dirname "$0")/.." || exit 2
command -v gdb > /dev/null || { echo "skip - gdb: it is not here"; exit 0; }
said=build/test/gdb.txt
failed=0

mkdir -p build/test
${MAKE:-make} -s debug-01 || { echo "not ok - gdb: make debug-01"; exit 1; }
ATTENTION_KERNEL=thread gdb -q -batch -nx -x kernels/simt/simt.gdb \
    -ex 'at scores_by_thread 0 7' -ex run -ex who -ex next -ex next -ex next -ex 'print j' \
    -ex 'next 4' -ex 'print sum' -ex who -ex 'info threads' -ex delete -ex continue \
    --args build/debug/01_naive_attention --print none > $said 2>&1 < /dev/null

# has WHAT PATTERN: a line of what gdb said.
has() {
    if grep -qE "$2" $said; then
        echo "ok - gdb: $1"
    else
        echo "not ok - gdb: $1; it said"
        sed 's/^/    /' $said
        failed=1
    fi
}

# Thread 7 of a [3 x 3] matrix computes S[2,1], j = 1. Four lines are two turns of its loop:
# Q[2,0] K[1,0] + Q[2,1] K[1,1] = 1 * 0 + 1 * 1.
if grep -q 'ptrace: Operation not permitted\|Could not trace' $said; then
    echo "skip - gdb: it may not trace programs here"
    exit 0
fi
has "it stops in the kernel" 'Breakpoint 1, scores_by_thread .*M=3, D=4'
has "in the right thread" '^block \(0,0,0\), thread \(7,0,0\) = warp 0 lane 7$'
has "and prints a variable" '^\$1 = 1$'
has "steps stay in the thread" '^\$2 = 1$'
[ "$(grep -c '^block (0,0,0), thread (7,0,0)' $said)" = 2 ] || {
    echo "not ok - gdb: another thread after some steps"; failed=1; }
# Beside a second one, gdb may miss the end of the program.
[ "$(grep -c '^[* ] *[0-9]* *Thread ' $said)" = 1 ] && echo "ok - gdb: one OS thread" || {
    echo "not ok - gdb: one OS thread"; failed=1; }
has "the program goes on to its end" 'exited normally'
exit $failed
