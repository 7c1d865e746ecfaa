# make gpu-check: all that a GPU can tell about the kernels, in one command, in under 10 minutes.
#
#     sh tests/gpu_check.sh                    every part
#     sh tests/gpu_check.sh build tests        some; tests stands for check to repeat
#
#     build      compiled for the GPU that is here
#     check      every kernel, each in a process of its own, against float64
#     fragments  mma, ldmatrix and cp.async, bit by bit against the emulator
#     ladder     every equality of the book, with the GPU on the left
#     shapes     a thousand random shapes against the oracle
#     same       each chapter and kernel: the GPU's output beside the emulator's
#     repeat     a thousand runs of each kernel: the same bits
#     timings    milliseconds, TFLOP/s, GB/s; beside cuBLAS
#     torch      the same problems by PyTorch's attention
#     counters   ncu's sectors, wavefronts and bytes beside the emulator's
#     sanitizer  compute-sanitizer's four tools
#
# RESULTS (results/gpu) gets NAME.md and NAME-timings.csv, after the GPU's name; logs stay in
# build/gpu. MINUTES (8) is the time for all: a part that would begin later is
# skipped, one that has not ended then is stopped. A part that fails stops no other. Exits with 1 if
# a check failed, with 4 where no GPU or no nvcc is here. DEVICE=simt rehearses on the emulator, and
# its page stays in build/gpu/rehearsed.

set -u
cd "$(dirname "$0")/.." || exit 1
device=${DEVICE:-cuda} make=${MAKE:-make}
export MAKEFLAGS= # what is built here is built by its own call
programs=build/$device/tests logs=build/gpu
cores=$(nproc 2> /dev/null || echo 2)
began=$(date +%s)
deadline=$((began + 60 * ${MINUTES:-8}))
tiny= results=${RESULTS:-results/gpu}
[ "$device" != simt ] || tiny=--tiny results=${RESULTS:-$logs/rehearsed} # no GPU's results

. tests/gpu_parts.sh

# --- is there a GPU? ----------------------------------------------------------------------------

# name|capability|driver's CUDA|runtime's CUDA|multiprocessors|L2 bytes|memory bytes
find_gpu() {
    [ "$device" = simt ] || command -v nvcc > /dev/null 2>&1 || {
        echo "gpu-check: nvcc is not here: the kernels cannot be compiled for a GPU"
        exit 4
    }
    $make -s "$programs/gpu_probe" > "$logs/probe.log" 2>&1 || {
        echo "gpu-check: the GPU cannot be asked: $(tail -n 1 "$logs/probe.log")"
        exit 4
    }
    gpu=$(limited 60 "$programs/gpu_probe" 2> "$logs/probe.log") || {
        echo "gpu-check: $(sed 's/^gpu_probe: //' "$logs/probe.log" | tail -n 1 | grep . ||
            echo 'the GPU does not answer')"
        exit 4
    }
}

field() { echo "$gpu" | cut -d'|' -f"$1"; }

# As nvidia-smi has it, or the kernel's own file.
driver() {
    version=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2> /dev/null |
        sed -n '1s/^\([0-9.]*\)$/\1/p')
    [ -n "$version" ] || version=$(sed -n 's/.*Module  *\([0-9.]*\) .*/\1/p' \
        /proc/driver/nvidia/version 2> /dev/null)
    echo "${version:-unknown}"
}

# --- one part -------------------------------------------------------------------------------------

left() { echo $((deadline - $(date +%s))); }

# limited SECONDS COMMAND...: no longer than that, nor than the time that is left. 124: stopped.
limited() {
    seconds=$1
    [ "$(left)" -gt "$seconds" ] || seconds=$(left)
    [ "$seconds" -gt 0 ] || return 124
    shift
    timeout -k 5 "$seconds" "$@"
}

# Its lines go to its log, and the verdict of them to the screen and the summary.
run_part() {
    part_began=$(date +%s)
    if [ "$(left)" -gt 5 ]; then
        "part_$1" > "$logs/$1.log" 2>&1 < /dev/null
    else
        echo "skip - $1: no time is left (MINUTES=${MINUTES:-8})" > "$logs/$1.log"
    fi
    ok=$(grep -ac '^ok ' "$logs/$1.log")
    bad=$(grep -ac '^not ok ' "$logs/$1.log")
    skipped=$(grep -ac '^skip ' "$logs/$1.log")
    [ $((ok + bad + skipped)) -gt 0 ] || {
        echo "not ok - $1: no check ran" >> "$logs/$1.log"
        bad=1
    }
    took=$(($(date +%s) - part_began))
    printf '%-10s %5d ok %4d failed %4d skipped %5d s\n' "$1" "$ok" "$bad" "$skipped" "$took"
    grep -aE '^(not ok|skip) ' "$logs/$1.log" | head -n 30
    echo "| $1 | $ok | $bad | $skipped | $took s |" >> "$logs/parts"
    cat "$logs/$1.log" >> "$logs/all.log"
    failed=$((failed + bad)) passed=$((passed + ok))
    summarise > "$logs/summary.md" && cp "$logs/summary.md" "$results/$name.md"
}

# --- the summary ----------------------------------------------------------------------------------

# Written anew after each part: a run that is cut off leaves what it had.
summarise() {
    echo "# $(field 1)"
    echo
    echo "Written by \`make gpu-check\` on $(date -u '+%Y-%m-%d %H:%M UTC')."
    echo
    echo "| | |"
    echo "| --- | --- |"
    echo "| GPU | $(field 1), capability $(field 2), $(field 5) multiprocessors |"
    echo "| memory | $(field 7) bytes, L2 $(field 6) bytes |"
    echo "| driver | $(driver), CUDA $(field 3) |"
    echo "| CUDA | $(field 4) |"
    nvcc=$(nvcc --version 2> /dev/null | sed -n 's/.*release \(.*\), V.*/\1/p')
    echo "| compilers | nvcc ${nvcc:-none}, $(${CC:-cc} --version | head -n 1) |"
    echo "| PyTorch | $(sed -n 's/^gpu_torch: PyTorch //p' "$logs/torch.err" 2> /dev/null |
        grep . || echo none) |"
    echo "| kernels | $(git rev-parse --short HEAD 2> /dev/null || echo 'not in a repository') |"
    echo
    echo "| part | ok | failed | skipped | |"
    echo "| --- | ---: | ---: | ---: | ---: |"
    cat "$logs/parts"
    if grep -aqE '^(not ok|skip) ' "$logs/all.log"; then
        echo
        echo '```'
        grep -aE '^(not ok|skip) ' "$logs/all.log" | cut -c1-200 | head -n 100
        echo '```'
    fi
    table "What the chip does" limits
    table "Prefill" prefill
    table "Decode" decode
    [ ! -s "$logs/counters.md" ] || { echo; echo "## Counters"; cat "$logs/counters.md"; }
    [ ! -s "$logs/same.md" ] || { echo; echo "## GPU and emulator"; cat "$logs/same.md"; }
}

table() { # heading, table
    [ -s "$logs/timings.csv" ] || return 0
    echo
    echo "## $1"
    sh tests/gpu_tables.sh "$2" "$logs/timings.csv"
}

# --- all of it ------------------------------------------------------------------------------------

tests='check fragments ladder shapes same repeat'
parts=${*:-build $tests timings torch counters sanitizer}
parts=$(echo " $parts " | sed "s/ tests / $tests /")
for part in $parts; do
    command -v "part_$part" > /dev/null || {
        echo "gpu-check: PARTS: expected some of build tests $tests timings torch counters" \
            "sanitizer, got \"$part\"" >&2
        exit 2
    }
done
command -v timeout > /dev/null || {
    echo "gpu-check: timeout is not here (coreutils): a kernel that hangs would never be stopped"
    exit 4
}
mkdir -p "$logs" || exit 6
find_gpu
name=$(field 1 | tr -c 'A-Za-z0-9.\n' '-')
echo "gpu-check: $(field 1), driver $(driver), CUDA $(field 4); logs in $logs"
mkdir -p "$results" || exit 6
rm -f "$logs"/*.log "$logs"/*.md "$logs"/*.csv "$logs"/*.err "$logs"/parts "$logs"/broken
: > "$logs/all.log"; : > "$logs/broken"; : > "$logs/parts"
failed=0 passed=0
for part in $parts; do
    run_part "$part"
done
[ ! -s "$logs/timings.csv" ] || cp "$logs/timings.csv" "$results/$name-timings.csv"
echo "gpu-check: $passed passed, $failed failed, in $(($(date +%s) - began)) s; $results/$name.md"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
