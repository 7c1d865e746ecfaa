# make test: every check, one line a part, what failed in full, and at the end the plain line
# `N passed, N failed, N skipped`. Each part prints `ok - …`, `not ok - …` or `skip - …` lines
# (cmocka's TAP among them); its whole output is kept in build/test/PART.log. What a program prints
# is believed only if it also ends well.
#
#     sh tests/run.sh              all parts
#     sh tests/run.sh units cli    some

set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build/test
work=$(mktemp -d build/test/run.XXXXXX) || exit 1 # two runs at once do not meet
trap 'rm -rf "$work"' EXIT
trap 'trap "" TERM; kill 0; exit 130' INT TERM HUP # both lanes, and what they run
export CMOCKA_MESSAGE_OUTPUT=TAP
make=${MAKE:-make}
export MAKEFLAGS= # what is built from here on is built by its own call

# Builds what needs a library only now: `make setup test` may just have installed it.
build() {
    $make -s -k -j "$(getconf _NPROCESSORS_ONLN)" "$@" > "$work/make.out" 2>&1 || {
        sed 's/^/# /' "$work/make.out"
        echo "not ok - make $*: $(grep -m 1 -E 'error|undefined|\*\*\*' "$work/make.out")"
    }
    grep -m 3 'warning:' "$work/make.out" | sed 's/^/not ok - a warning: /'
}

# one NAME COMMAND...: runs one program and prints what it prints. A program that ends badly, or
# that has no failure to report and yet breaks off, is a failure itself: dead by a signal, stopped
# by a sanitizer, or ended by an exit() on the way. $closing tells which line must come last, or
# `plan`: cmocka says first how many checks there will be, "1..12". Empty: neither.
one() {
    name=$1
    shift
    "$@" > "$work/one.out" 2>&1
    status=$?
    cat "$work/one.out"
    grep -aq '^not ok' "$work/one.out" && return
    if [ "$status" != 0 ]; then
        echo "not ok - $name: exit status $status"
    elif ! is_complete "$work/one.out"; then
        echo "not ok - $name: it ended on the way"
    fi
}

is_complete() { # what a program printed; reads $closing
    case $closing in
    '') ;;
    plan) [ "$(sed -n 's/^1\.\.//p' "$1")" = "$(grep -ac '^ok' "$1")" ] ;;
    *) tail -n 1 "$1" | grep -q "^$closing: [0-9]* passed, [0-9]* failed, [0-9]* skipped\$" ;;
    esac
}

# --- the parts -------------------------------------------------------------------------------

units() {
    sh tests/have.sh cmocka.h || { echo "skip - unit tests: cmocka is not here (make setup)"; return; }
    build units
    closing=plan
    for test in tests/unit_*.c; do
        program=$(basename "$test" .c)
        [ -x "build/tests/$program" ] || { echo "not ok - $program was not built"; continue; }
        one "$program" "build/tests/$program" | sed -E "s/^(ok|not ok) [0-9]+ - /\1 - $program: /"
    done
}

ladder() { closing=ladder; one ladder sh tests/ladder.sh | sed -E 's/^(ok|not ok) +/\1 - /'; }

# Each part of the model and property tests names its own checks.
model() { closing=model_pages; one model_pages build/tests/model_pages 200000 3; }
property() { closing=property; one property build/tests/property 3000 1; }
cli() { closing=cli; one cli.sh sh tests/cli.sh; }
real() { closing=real; one real build/tests/real; }

onnx() {
    sh tests/have.sh cjson/cJSON.h || { echo "skip - onnx: cJSON is not here (make setup)"; return; }
    build build/tests/onnx
    closing=onnx
    one onnx build/tests/onnx
}

# Text that must be what its commands print, and copies that must be copies.
text() {
    documents=$(ls docs/*.md)
    command -v git > /dev/null || {
        echo "skip - docs/ADD_A_MASK.md: git is not here (make setup)"
        documents=$(ls docs/*.md | grep -v ADD_A_MASK)
    }
    one transcript.sh sh tests/transcript.sh --check traces/[0-9]*.txt README.md \
        chapters/*/README.md kernels/cpu/README.md $documents
    one copies.sh sh tests/copies.sh
    one mutants.sh sh tests/mutants.sh --stands
    one mutants.sh sh tests/mutants.sh --from docs/KERNEL_BUGS.md --stands
    one mutants.sh sh tests/mutants.sh --from docs/FAST_BUGS.md --stands
    one style.sh sh tests/style.sh
}

# Sanitizers, valgrind, both compilers, each program built alone by its own first comment.
builds() { closing=builds; one builds.sh sh tests/builds.sh; }

# The fast CPU kernels: the ladder again, random shapes by every step on every instruction set that
# this processor has, the build's flags, others' cases.
fast() {
    build fast build/tests/fast
    closing=ladder DEVICE=fast one ladder sh tests/ladder.sh | sed -E 's/^(ok|not ok) +/\1 - fast /'
    closing=fast one fast build/tests/fast 250 1
    closing=fast_cli one fast_cli.sh sh tests/fast_cli.sh
    sh tests/have.sh cjson/cJSON.h && build build/tests/onnx
    for isa in $(build/fast/04_gqa --isa list | awk '!/not here/ { print $1 }'); do
        export OUTPUT_ONLY=1 BUILD=build/fast ATTENTION_ISA="$isa"
        closing=real one real build/tests/real | sed -E "s/^(ok|not ok|skip) - /&$isa: /"
        [ ! -x build/tests/onnx ] ||
            closing=onnx one onnx build/tests/onnx | sed -E "s/^(ok|not ok|skip) - /&$isa: /"
        unset OUTPUT_ONLY BUILD ATTENTION_ISA
    done
}

# Figures are what gnuplot draws from the committed tables, and those what programs count.
plots() {
    build all tools fast
    closing=plots one plots.sh sh tests/plots.sh
}

# The book's pages and links; the book itself where Sphinx is.
book() { closing=book; one book.sh sh tests/book.sh; }

# The notebooks say today what they said when they were committed.
notebooks() {
    build all tools fast
    closing=notebooks one notebooks.sh sh tests/notebooks.sh
}

# The trace viewer: what it is put together from; clicked through where a browser is.
viewer() { closing=viewer; one viewer.sh sh tests/viewer.sh; }

# The benchmark with tiny sizes: its rows, its refusals, its arithmetic.
bench() {
    build build/tests/bench
    closing=bench_self one bench_self.sh sh tests/bench_self.sh
}

# The CUDA kernels on the emulator: the ladder again, random shapes against the oracle, wrong
# kernels that must be reported.
kernels() {
    ls kernels/cuda/[0-9]*.cu > /dev/null 2>&1 || return 0
    sh tests/have.sh g++ || { echo "skip - CUDA kernels: g++ is not here (make setup)"; return; }
    build simt counted build/tests/kernels
    sh tests/transcript.sh --check kernels/README.md
    if command -v gdb > /dev/null; then
        sh tests/transcript.sh --check kernels/simt/README.md
    else
        echo "skip - kernels/simt/README.md: gdb is not here"
    fi
    DEVICE=simt ladder
    closing=kernels one kernels build/tests/kernels 200 1
    closing=device_cli one device_cli.sh sh tests/device_cli.sh
    sh tests/have.sh cjson/cJSON.h && build build/tests/onnx
    closing=device_cases one device_cases.sh sh tests/device_cases.sh
    closing= one wrong sh tests/simt_wrong.sh
    closing= one exact sh tests/simt_exact.sh
    closing= one stats sh tests/simt_stats.sh
    closing= one same sh tests/simt_same.sh
    closing= one machine sh tests/simt_machine.sh
    closing= one words sh tests/simt_words.sh
    closing= one gdb sh tests/simt_gdb.sh
    closing= one counts sh tests/counts.sh
    build build/counted/tests/gpu_bench $(printf 'build/simt/tests/gpu_%s ' bench fragments probe)
    closing= one gpu sh tests/gpu_self.sh
    closing= one tables sh tests/counts_tables.sh --check
}

# The same of the fast kernels; make mutants-fast tries all.
mutants_fast() {
    closing=mutants-fast
    one mutants.sh sh tests/mutants.sh --from docs/FAST_BUGS.md --as mutants-fast --some
}

# A fixed part of the seeded bugs; make mutants runs all.
mutants() {
    closing=mutants
    one mutants.sh sh tests/mutants.sh --some
    case $(sh tests/mutants.sh 9999) in
    *'there is no bug 9999') echo "ok - mutants: a number that no bug has is refused" ;;
    *) echo "not ok - mutants: 9999 is no bug, and nobody says so" ;;
    esac
}

# The same of the CUDA kernels; make mutants-kernels tries all.
mutants_kernels() { closing=mutants-kernels; one mutants_kernels.sh sh tests/mutants_kernels.sh --some; }

# The recipe of docs/YOUR_ARRAYS.md, where numpy is.
arrays() { one arrays.sh sh tests/arrays.sh; }

# --- running them ------------------------------------------------------------------------------

run_part() {
    began=$(date +%s) closing=
    "$1" > "$work/$1.log" 2>&1 < /dev/null
    ended=$(date +%s)
    ok=$(grep -ac '^ok' "$work/$1.log")
    bad=$(grep -ac '^not ok' "$work/$1.log")
    skipped=$(grep -ac '^skip' "$work/$1.log")
    # A part that says nothing has not run: that is a failure, not a pass.
    if [ $((ok + bad + skipped)) = 0 ]; then
        echo "not ok - $1: no check ran" >> "$work/$1.log"
        bad=1
    fi
    echo "$ok $bad $skipped" > "$work/$1.count"
    mv "$work/$1.log" "build/test/$1.log"
    printf '%-15s %5d ok %4d failed %4d skipped %5d s\n' "$1" "$ok" "$bad" "$skipped" $((ended - began))
    grep -a -A 3 -E '^(not ok|skip)' "build/test/$1.log" | grep -v '^ok' | head -n 60
}

run_parts() {
    for part; do
        said=$(run_part "$part") # said at once: two lanes print here
        echo "$said"
    done
}

# Two lanes side by side: the parts of each keep one processor busy. What both would build is built
# before, so that they never write the same file; what cannot be built is reported by the part that
# needs it.
if [ $# = 0 ]; then
    build all tools tests units fast simt counted build/tests/kernels build/tests/fast \
        build/tests/onnx build/tests/bench > /dev/null
    mkdir "$work/beside"
    (work=$work/beside && run_parts kernels mutants mutants_fast mutants_kernels) &
    set -- units ladder model property cli real onnx text arrays fast bench plots notebooks viewer book builds
fi
run_parts "$@"
wait
set -- $(cat "$work"/*.count "$work"/beside/*.count 2> /dev/null | awk '{ p += $1; f += $2; s += $3 } END { print p, f, s }')
echo
echo "$1 passed, $2 failed, $3 skipped"
[ "$2" = 0 ] && [ "$1" -gt 0 ]
