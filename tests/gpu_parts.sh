# The parts of make gpu-check; tests/gpu_check.sh runs them and says what each is for. Each prints
# `ok - `, `not ok - ` and `skip - ` lines, and keeps what its programs said in $logs.

# A program's own lines, and one more where it ended badly without having said so.
tell() { # name, exit status, its output
    grep -aE '^(ok|not ok|skip) ' "$3"
    case $2 in
    0) grep -aqE '^(ok|skip) ' "$3" || echo "not ok - $1: it said nothing" ;;
    124 | 137) echo "not ok - $1: it was stopped after its time: $(tail -n 1 "$3" | cut -c1-100)" ;;
    *) grep -aq '^not ok ' "$3" ||
        echo "not ok - $1: exit status $2: $(tail -n 1 "$3" | cut -c1-150)" ;;
    esac
}

# Kernels that failed, separated by commas: what comes later does without them.
broken() { sort -u "$logs/broken" | tr '\n' ',' | sed 's/,$//'; }
without() { [ ! -s "$logs/broken" ] || echo "--without $(broken)"; }

# --- built ----------------------------------------------------------------------------------------

# For the GPU that is here and no other: an sm_90a has instructions of its own.
architecture() {
    capability=$(field 2 | tr -d .)
    [ "$capability" = 90 ] && capability=90a
    echo "-std=c++17 -O3 -Xptxas -v -gencode=arch=compute_$capability,code=sm_$capability"
}

build() { # name, targets
    what=$1
    shift
    limited 240 $make -s -k -j"$cores" NVCCFLAGS="$(architecture)" "$@" > "$logs/make.$what" 2>&1
    status=$?
    if [ $status = 0 ]; then
        echo "ok - build: $what"
    else
        echo "not ok - build: $what: status $status:" \
            "$(grep -m 1 -E 'error|undefined|\*\*\*' "$logs/make.$what" | cut -c1-150)"
    fi
    grep -m 3 -iE 'warning' "$logs/make.$what" | sed 's/^/not ok - build: /'
}

part_build() {
    if [ "$device" = cuda ]; then
        build kernels build/cuda/tests/gpu_bench build/cuda/tests/gpu_fragments cuda
        build 'random shapes' build/cuda/tests/kernels
        spilled=$(cat build/cuda/obj/kernels/cuda/*.log | grep -c '[1-9][0-9]* bytes spill')
        word=ok
        [ "$spilled" = 0 ] || word='not ok'
        echo "$word - build: $spilled kernels spill registers (build/cuda/obj/kernels/cuda/*.log)"
    fi
    build 'the CPU and the tools' all tools
    build 'the emulator' simt build/simt/tests/gpu_bench build/simt/tests/gpu_fragments \
        build/counted/tests/gpu_bench
    [ "$device" = cuda ] || build 'random shapes' build/tests/kernels
}

# --- right ----------------------------------------------------------------------------------------

# A process for each kernel: one that hangs or breaks the device takes no other with it.
part_check() {
    for kernel in $("$programs/gpu_bench" names); do
        limited 30 "$programs/gpu_bench" check $tiny --only "$kernel" > "$logs/check.$kernel" 2>&1
        tell "check $kernel" $? "$logs/check.$kernel" | tee "$logs/check.lines"
        grep -q '^not ok' "$logs/check.lines" && echo "$kernel" >> "$logs/broken"
    done
}

part_fragments() {
    build/simt/tests/gpu_fragments > "$logs/fragments.simt" 2>&1
    limited 30 "$programs/gpu_fragments" > "$logs/fragments.gpu" 2>&1 ||
        echo "not ok - fragments: $(tail -n 1 "$logs/fragments.gpu" | cut -c1-100)"
    sh tests/gpu_tables.sh fragments "$logs/fragments.gpu" "$logs/fragments.simt"
}

# Chapter by chapter, all at once.
part_ladder() {
    for c in 01 02 03 04 05 06 07; do
        (
            DEVICE=$device limited 150 sh tests/ladder.sh $c > "$logs/ladder.$c" 2>&1
            echo $? > "$logs/ladder.$c.status"
        ) &
    done
    wait
    for c in 01 02 03 04 05 06 07; do
        sed -E 's/^(ok|not ok) +/\1 - ladder: /' "$logs/ladder.$c" > "$logs/ladder.lines"
        tell "ladder $c" "$(cat "$logs/ladder.$c.status")" "$logs/ladder.lines"
    done
}

# The thousand as four processes, so that four of the host's cores ask the oracle.
part_shapes() {
    [ "$device" = cuda ] && each=250 program=build/cuda/tests/kernels ||
        each=3 program=build/tests/kernels
    for quarter in 0 1 2 3; do
        (
            limited 150 $program $each $((1 + quarter * each)) > "$logs/shapes.$quarter" 2>&1
            echo $? > "$logs/shapes.$quarter.status"
        ) &
    done
    wait
    for quarter in 0 1 2 3; do
        tell "shapes $quarter" "$(cat "$logs/shapes.$quarter.status")" "$logs/shapes.$quarter"
    done
}

# --- the same as on the emulator? -----------------------------------------------------------------

kernels_of() { # chapter
    case $1 in
    07*) echo tile vector banks skip split paged mma async wgmma ;;
    *) echo thread warp cublas ;;
    esac
}

# Inputs of every chapter, and a few tokens that come one by one where there is a cache.
flags_of() { # chapter
    size="--n $([ -n "$tiny" ] && echo 40 || echo 150) --dim 64"
    case $1 in
    01* | 02*) echo "$size" ;;
    03*) echo "$size --heads 2 --batch 1" ;;
    04*) echo "$size --heads 4 --kv-heads 2 --batch 1" ;;
    *) echo "$size --heads 4 --kv-heads 2 --batch 1 --prefill 38" ;;
    esac
}

# The comparer's last line. fp32 against the oracle's bound; bf16 against 8 bits of mantissa.
verdict_of() { # chapter, kernel, the two traces
    case $2 in
    mma | async | wgmma) build/tests/compare "$3" "$4" --steps output --ref "$4" --bound 0.05 ;;
    *) sh tests/near.sh "$3" "$4" "${1%%_*} $(flags_of "$1")" --steps output ;;
    esac 2>&1 | tail -n 1
}

same() { # chapter, kernel
    other=$2
    [ "$2" = wgmma ] && other=mma # the emulator knows no wgmma
    own=$logs/same.$1
    rm -rf "$own"
    mkdir -p "$own" || return
    set -- "$1" "$2" $(flags_of "$1") --print none
    chapter=$1 kernel=$2
    shift 2
    ATTENTION_KERNEL=$kernel limited 30 "build/$device/$chapter" "$@" --trace "$own/here" \
        > "$own/out" 2>&1 || {
        word='not ok'
        [ "$kernel" != wgmma ] || ! grep -q 'not supported' "$own/out" || word=skip
        echo "$word - same $chapter $kernel: $(tail -n 1 "$own/out")"
        return
    }
    ATTENTION_KERNEL=$other limited 60 "build/simt/$chapter" "$@" --trace "$own/there" \
        > "$own/out" 2>&1 || {
        echo "not ok - same $chapter $kernel, on the emulator: $(tail -n 1 "$own/out")"
        return
    }
    said=$(verdict_of "$chapter" "$kernel" "$own/here" "$own/there")
    case $said in
    BIT-EXACT* | REASSOCIATED*) word=ok ;;
    *) word='not ok' ;;
    esac
    echo "$word - same $chapter $kernel: $said"
}

same_chapter() {
    for kernel in $(kernels_of "$1"); do
        case ",$(broken)," in
        *",$kernel,"*) echo "skip - same $1 $kernel: it failed its check" ;;
        *) same "$1" "$kernel" ;;
        esac
    done
}

# All chapters at once.
part_same() {
    for c in chapters/[0-9]*; do
        same_chapter "${c#chapters/}" > "$logs/same.${c#chapters/}.lines" 2>&1 &
    done
    wait
    cat "$logs"/same.*.lines
    printf '\n| chapter | kernel | verdict |\n| --- | --- | --- |\n' > "$logs/same.md"
    sed -nE 's/^(not )?ok - same ([^ ]*) ([^:]*): (.*)/| \2 | \3 | \4 |/p' "$logs"/same.*.lines \
        >> "$logs/same.md"
    for c in chapters/[0-9]*; do
        rm -rf "$logs/same.${c#chapters/}"
    done
}

part_repeat() {
    limited 90 "$programs/gpu_bench" repeat $tiny $(without) > "$logs/repeat.out" 2>&1
    tell repeat $? "$logs/repeat.out"
}

# --- how fast -------------------------------------------------------------------------------------

# A kernel that breaks the device is left out, and the others are timed anew.
part_timings() {
    for attempt in 1 2 3; do
        limited 150 "$programs/gpu_bench" time $tiny --seconds 80 $(without) \
            > "$logs/bench.csv" 2> "$logs/bench.err"
        status=$?
        culprit=$(awk -F, '$18 == "failed" { print $9 }' "$logs/bench.csv" | tail -n 1)
        case $status in
        124 | 137) culprit=$(sed -n 's/^gpu_bench: \([a-z0-9]*\)$/\1/p' "$logs/bench.err" |
            tail -n 1) ;;
        esac
        [ -n "$culprit" ] || break
        echo "not ok - timings: $culprit failed or did not end (attempt $attempt)"
        echo "$culprit" >> "$logs/broken"
    done
    awk -F, '$18 == "wrong" { print "not ok - timings: " $9 " is wrong by " $17 ": " $0 }' \
        "$logs/bench.csv"
    rows=$(awk -F, '$18 == "ok"' "$logs/bench.csv" | wc -l)
    if [ "$rows" -gt 3 ]; then
        echo "ok - timings: $rows rows"
        cp "$logs/bench.csv" "$logs/timings.csv"
    else
        echo "not ok - timings: status $status, $rows rows: $(tail -n 1 "$logs/bench.err")"
    fi
}

part_torch() {
    place=cuda
    [ "$device" = cuda ] || place=cpu
    command -v python3 > /dev/null || { echo 'skip - torch: python3 is not here'; return; }
    "$programs/gpu_bench" shapes $tiny |
        limited 150 python3 tests/gpu_torch.py --device $place --seconds 70 \
            > "$logs/torch.csv" 2> "$logs/torch.err"
    status=$?
    rows=$(awk -F, '$18 == "ok"' "$logs/torch.csv" | wc -l)
    case $status in
    4) echo "skip - torch: $(tail -n 1 "$logs/torch.err")"; return ;;
    0) echo "ok - torch: $rows rows" ;;
    1) awk -F, '$18 == "wrong" { print "not ok - torch: wrong by " $17 ": " $0; bad = 1 }
            END { exit !bad }' "$logs/torch.csv" ||
        echo "not ok - torch: $(tail -n 1 "$logs/torch.err")" ;;
    *) echo "not ok - torch: status $status after $rows rows: $(tail -n 1 "$logs/torch.err")" ;;
    esac
    [ -s "$logs/timings.csv" ] || head -n 1 "$logs/torch.csv" > "$logs/timings.csv"
    tail -n +2 "$logs/torch.csv" >> "$logs/timings.csv"
}

# --- counted, and watched -------------------------------------------------------------------------

# A counter that this GPU or this ncu does not know would stop it: those that it lists are asked.
known_metrics() {
    limited 60 ncu --query-metrics > "$logs/ncu.metrics" 2>&1
    for metric in $(sh tests/gpu_counters.sh metrics); do
        if grep -q "^$metric " "$logs/ncu.metrics" || ! grep -q '^dram__' "$logs/ncu.metrics"; then
            printf '%s.sum,' "$metric"
        fi
    done | sed 's/,$//'
}

part_counters() {
    command -v ncu > /dev/null || { echo 'skip - counters: ncu is not here'; return; }
    SIMT_COUNTS=$logs/simt.csv build/counted/tests/gpu_bench once > "$logs/simt.out" 2>&1 ||
        echo "not ok - counters: the emulator: $(tail -n 1 "$logs/simt.out")"
    limited 120 ncu --clock-control none --csv --print-units base --metrics "$(known_metrics)" \
        "$programs/gpu_bench" once $(without) > "$logs/ncu.csv" 2> "$logs/ncu.err"
    status=$?
    refused=$(cat "$logs/ncu.csv" "$logs/ncu.err" |
        grep -am 1 -E 'ERR_NVGPUCTRPERM|LibraryNotLoaded|permission' | cut -c1-150)
    if [ -n "$refused" ]; then
        echo "skip - counters: $refused"
    elif sh tests/gpu_counters.sh table "$logs/ncu.csv" "$logs/simt.csv" > "$logs/counters.md"; then
        echo "ok - counters: $(tail -n 1 "$logs/counters.md")"
    else
        echo "not ok - counters: status $status: $(cat "$logs/ncu.err" "$logs/ncu.csv" |
            grep -a . | tail -n 1 | cut -c1-150)"
        rm -f "$logs/counters.md"
    fi
}

# Every kernel of chapters 01 to 07 on random shapes, and those of 07 and 04 on small problems.
watch() { # tool, name, command
    tool=$1 what=$2
    shift 2
    log=$logs/sanitizer.$tool.$what
    limited 120 compute-sanitizer --tool "$tool" --error-exitcode 9 "$@" > "$log" 2>&1
    status=$?
    summary=$(grep -a 'SUMMARY' "$log" | tail -n 1 | sed 's/=*//')
    case $status:$summary in
    0:*' 0 errors'* | 0:*' 0 hazards'*) echo "ok - sanitizer $tool, $what:$summary" ;;
    124:* | 137:*) echo "skip - sanitizer $tool, $what: stopped after its time" ;;
    *:*SUMMARY*) echo "not ok - sanitizer $tool, $what: status $status:$summary;" \
        "$(grep -a -m 1 -E '=========.*(Invalid|Race|hazard|Barrier|Uninitialized|error)' "$log" |
            cut -c1-150)" ;;
    *) if grep -aqiE 'not supported|insufficient|permission|unable to' "$log"; then
            echo "skip - sanitizer $tool, $what: $(grep -aiE -m 1 \
                'not supported|insufficient|permission|unable to' "$log" | cut -c1-150)"
        else
            echo "not ok - sanitizer $tool, $what: status $status:" \
                "$(tail -n 1 "$log" | cut -c1-150)"
        fi ;;
    esac
}

# The four tools at once: each is a process of its own, and mostly waits.
part_sanitizer() {
    command -v compute-sanitizer > /dev/null ||
        { echo 'skip - sanitizer: compute-sanitizer is not here'; return; }
    random=build/cuda/tests/kernels
    [ "$device" = cuda ] || random=build/tests/kernels
    for tool in memcheck racecheck synccheck initcheck; do
        (
            watch $tool problems "$programs/gpu_bench" check --tiny $(without)
            watch $tool shapes $random 2 5
        ) > "$logs/sanitizer.$tool" 2>&1 &
    done
    wait
    cat "$logs/sanitizer.memcheck" "$logs/sanitizer.racecheck" "$logs/sanitizer.synccheck" \
        "$logs/sanitizer.initcheck"
}
