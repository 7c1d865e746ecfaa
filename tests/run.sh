# make test: every check, one line a part, what failed in full, and at the end the plain line
# `N passed, N failed, N skipped`. Each part prints `ok - …`, `not ok - …` or `skip - …` lines
# (cmocka's TAP among them); its whole output is kept in build/test/PART.log.
#
#     sh tests/run.sh              all parts
#     sh tests/run.sh units cli    some

set -u
cd "$(dirname "$0")/.." || exit 1
logs=build/test
mkdir -p "$logs"
rm -f "$logs"/*.log "$logs"/*.count
export CMOCKA_MESSAGE_OUTPUT=TAP
make=${MAKE:-make}
export MAKEFLAGS= # what is built from here on is built by its own call

# Builds what needs a library only now: `make setup test` may just have installed it.
build() {
    $make -s -k "$@" > "$logs/make.out" 2>&1 || sed 's/^/# /' "$logs/make.out"
    grep -m 3 'warning:' "$logs/make.out" | sed 's/^/not ok - a warning: /'
}

# --- the parts -------------------------------------------------------------------------------

units() {
    sh tests/have.sh cmocka.h || { echo "skip - unit tests: cmocka is not here (make setup)"; return; }
    build units
    for test in tests/unit_*.c; do
        program=$(basename "$test" .c)
        [ -x "build/tests/$program" ] || { echo "not ok - $program was not built"; continue; }
        "build/tests/$program" 2>&1 | sed "s/^\(ok\|not ok\) [0-9]* - /\1 - $program: /"
    done
}

ladder() { sh tests/ladder.sh | sed 's/^ok  */ok - /; s/^not ok  */not ok - /'; }

# Each part of the model and property tests names its own checks.
model() { build/tests/model_pages 200000 3; }
property() { build/tests/property 3000 1; }
cli() { sh tests/cli.sh; }
real() { build/tests/real; }

onnx() {
    sh tests/have.sh cjson/cJSON.h || { echo "skip - onnx: cJSON is not here (make setup)"; return; }
    build build/tests/onnx
    build/tests/onnx
}

# Text that must be what its commands print, and copies that must be copies.
text() {
    documents=$(ls docs/*.md)
    command -v git > /dev/null || {
        echo "skip - docs/ADD_A_MASK.md: git is not here (make setup)"
        documents=$(ls docs/*.md | grep -v ADD_A_MASK)
    }
    sh tests/transcript.sh --check traces/[0-9]*.txt README.md chapters/*/README.md $documents
    sh tests/copies.sh
    sh tests/style.sh
}

# Sanitizers, valgrind, both compilers, each program built alone by its own first comment.
builds() { sh tests/builds.sh; }

# A fixed part of the seeded bugs; make mutants runs all.
mutants() { sh tests/mutants.sh --some; }

# The recipe of docs/YOUR_ARRAYS.md, where numpy is.
arrays() { sh tests/arrays.sh; }

# --- running them ------------------------------------------------------------------------------

run_part() {
    began=$(date +%s)
    "$1" > "$logs/$1.log" 2>&1 < /dev/null
    ended=$(date +%s)
    ok=$(grep -c '^ok' "$logs/$1.log")
    bad=$(grep -c '^not ok' "$logs/$1.log")
    skipped=$(grep -c '^skip' "$logs/$1.log")
    # A part that says nothing has not run: that is a failure, not a pass.
    if [ $((ok + bad + skipped)) = 0 ]; then
        echo "not ok - $1: no check ran" >> "$logs/$1.log"
        bad=1
    fi
    # So is one that died, by a signal or a sanitizer, behind its last line.
    if grep -qE '^(Segmentation fault|Aborted|.*ERROR: (Address|Leak|Undefined)Sanitizer)' "$logs/$1.log" && [ "$bad" = 0 ]; then
        echo "not ok - $1: a program died" >> "$logs/$1.log"
        bad=1
    fi
    echo "$ok $bad $skipped" > "$logs/$1.count"
    printf '%-10s %5d ok %4d failed %4d skipped %5d s\n' "$1" "$ok" "$bad" "$skipped" $((ended - began))
    grep -A 3 -E '^(not ok|skip)' "$logs/$1.log" | grep -v '^ok' | head -n 60
}

parts=${*:-units ladder model property cli real onnx text arrays builds mutants}
for part in $parts; do
    run_part "$part"
done
set -- $(cat "$logs"/*.count | awk '{ p += $1; f += $2; s += $3 } END { print p, f, s }')
echo
echo "$1 passed, $2 failed, $3 skipped"
[ "$2" = 0 ] && [ "$1" -gt 0 ]
