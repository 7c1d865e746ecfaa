# Cases that others made, through every kernel: the ONNX operator's own and trained models'. Kernels
# that round to bf16 cannot meet their tolerances; build/tests/kernels holds those to their own.
#
#     sh tests/device_cases.sh      after make all tools tests counted build/tests/onnx
#
# The counted build, whose programs fail at whatever the emulator has to report.

set -u
mkdir -p build
work=$(mktemp -d build/device_cases.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
unset ATTENTION_KERNEL SIMT_THREADS

# A folder of programs named like the chapters': each computes by that kernel alone.
only() { # kernel of chapters 01 to 06, of 07
    for program in build/counted/[0-9]*; do
        case $program in */07*) kernel=$2 ;; *) kernel=$1 ;; esac
        printf '#!/bin/sh\nexec %s "$@" --kernel %s\n' "$program" "$kernel" > "$work/${program##*/}"
        chmod +x "$work/${program##*/}"
    done
}

# Passes on what a test says, with the kernels' names; its closing line and hints stay away.
said() { # kernels, test
    BUILD=$work "$2" > "$work/out" 2>&1
    code=$?
    sed -nE "s/^(ok|not ok|skip) - (.*)/\1 - \2 ($1)/p; s/^# /&($1) /p" "$work/out"
    grep -q '^ok' "$work/out" || grep -q '^skip' "$work/out" || echo "not ok - $2 ($1) says nothing"
    [ "$code" = 0 ] || grep -q '^not ok' "$work/out" || echo "not ok - $2 ($1): exit status $code"
}

for pair in 'thread tile' 'warp vector' 'cublas banks' 'warp skip' 'warp split' 'warp paged'; do
    only $pair
    said "$pair" build/tests/real
    if [ -x build/tests/onnx ]; then
        said "$pair" build/tests/onnx
    else
        echo "skip - onnx ($pair): cJSON is not here (make setup)"
    fi
done > "$work/all"
cat "$work/all"
count() { grep -c "^$1 - " "$work/all"; }
echo "device_cases: $(count ok) passed, $(count 'not ok') failed, $(count skip) skipped"
[ "$(count 'not ok')" = 0 ] && [ $(($(count ok) + $(count skip))) -gt 0 ]
