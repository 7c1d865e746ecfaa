#!/bin/sh
# The wrong kernels in tests/gpu_wrong, one by one on the emulator: each must end with the report
# that its first line announces. One `ok - ` or `not ok - ` line each.
#
#     sh tests/simt_wrong.sh [NAME...]      all, or these
set -u
cd "$(dirname "$0")/.." || exit 2
build=build/gpu_wrong
failed=0

. tests/simt_build.sh
mkdir -p $build

# What the first line announces must stand in what the program says, word for word. A report of a
# kernel also has to make the program fail.
check() {
    wanted=$(sed -n '1s|^// Report: ||p' "tests/gpu_wrong/$1.cu")
    if ! simt_compile gcc "tests/gpu_wrong/$1.cu" "$build/$1.o" ||
        ! simt_link "$build/$1" "$build/$1.o"; then
        echo "not ok - gpu_wrong $1: it does not compile"
        return 1
    fi
    SIMT_STEPS=200000 "$build/$1" > "$build/$1.txt" 2>&1
    code=$?
    if [ -z "$wanted" ] || ! grep -qF -- "$wanted" "$build/$1.txt"; then
        echo "not ok - gpu_wrong $1: expected '$wanted'; it said"
        sed 's/^/    /' "$build/$1.txt"
        return 1
    fi
    case $1 in unfreed) good=0 ;; host_reads* | host_copies*) good=139 ;; *) good=1 ;; esac
    if [ $code -ne $good ]; then # 139: dead by SIGSEGV, as with a GPU
        echo "not ok - gpu_wrong $1: exit code $code after a report"
        return 1
    fi
    echo "ok - gpu_wrong $1: $wanted"
}

# Every report that the emulator knows must have its wrong kernel, here or in simt_machine.sh.
check_reports() {
    grep -ohE '"(simt: )?[A-Z]{3,}( [A-Za-z_.]+)*[":]' kernels/simt/*.c | tr -d '":' |
        sed 's/^simt //; /^SIMT /d' | sort -u > $build/reports.txt
    while read -r report; do
        grep -qE "^// Report: $report( at |:|\$)|^[a-z_]+ $report" tests/gpu_wrong/*.cu \
            tests/simt_machine.sh && continue
        echo "not ok - gpu_wrong: no wrong kernel for the report $report"
        return 1
    done < $build/reports.txt
    echo "ok - gpu_wrong: each of $(wc -l < $build/reports.txt) reports has a wrong kernel"
}

[ $# -gt 0 ] || { check_reports || failed=1; }
[ $# -gt 0 ] || set -- $(cd tests/gpu_wrong && ls ./*.cu | sed 's|^\./||; s|\.cu$||')
for name in "$@"; do
    check "$name" || failed=1
done
exit $failed
