# The same bits from every way to build, and no complaint from those that watch: gcc and clang at
# -O0 and -O3, ASan and UBSan, valgrind, and each chapter built alone by its own first comment.

set -u
mkdir -p build
work=$(mktemp -d build/builds.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

passed=0 failed=0 skipped=0
say() { # "ok - …", "not ok - …" or "skip - …"
    case $1 in
    'ok '*) passed=$((passed + 1)) ;;
    'not ok '*) failed=$((failed + 1)) ;;
    *) skipped=$((skipped + 1)) ;;
    esac
    echo "$1"
}

# What is run of every chapter. The numbers are printed whole: %9.4f would hide a last bit.
runs='--example worked
--example fruit --heads 1
--n 13 --dim 7 --heads 4 --scale 3 --mask window=5
--n 17 --dim 5 --prefill 6 --block-size 3
--n 9 --x random --hidden 12
--n 9 --m 13'

# The flags of one run that a chapter takes.
flags_for() { # chapter, flags
    echo " $2 " | case $1 in
    01*) sed 's/ --mask [^ ]*//; s/ --heads [^ ]*//; s/ --prefill [^ ]*//; s/ --block-size [^ ]*//; s/ --x random --hidden 12//' ;;
    02*) sed 's/ --heads [^ ]*//; s/ --prefill [^ ]*//; s/ --block-size [^ ]*//; s/ --x random --hidden 12//' ;;
    03* | 04*) sed 's/ --prefill [^ ]*//; s/ --block-size [^ ]*//' ;;
    05*) sed 's/ --block-size [^ ]*//' ;;
    *) cat ;;
    esac | sed 's/--heads 1 /--heads 1 KV /' | case $1 in 0[4-7]*) sed 's/ KV/ --kv-heads 1/' ;; *) sed 's/ KV//' ;; esac
}

# Every .npy of every step of every run, as one checksum a chapter.
bits_of() { # folder of programs, chapter
    echo "$runs" | while read -r flags; do
        rm -rf "$work/trace"
        "$1/$2" $(flags_for "$2" "$flags") --print none --trace "$work/trace" \
            > "$work/log" 2>&1 || { echo "failed: $flags: $(tail -n 1 "$work/log")"; continue; }
        cat "$work"/trace/p*.npy | cksum
    done
}

same_bits() { # variant
    make -s $(for c in chapters/[0-9]*; do echo "build/$1/${c#chapters/}"; done) > "$work/make.log" 2>&1 || {
        say "not ok - $1: $(grep -m 1 -E 'error|warning' "$work/make.log")"
        return
    }
    ! grep -q warning "$work/make.log" || say "not ok - $1: $(grep -m 1 warning "$work/make.log")"
    for c in chapters/[0-9]*; do
        name=${c#chapters/}
        bits_of build/cpu "$name" > "$work/here"
        bits_of "build/$1" "$name" > "$work/there"
        if grep -q failed "$work/here" || ! cmp -s "$work/here" "$work/there"; then
            say "not ok - $name: $1 gives other bits than the plain build"
            diff "$work/here" "$work/there" | head -n 4
        else
            say "ok - $name: $1 gives the same bits"
        fi
    done
}

# --- watched -------------------------------------------------------------------------------------

watched() { # name of the watcher, its command, folder of programs
    for c in chapters/[0-9]*; do
        name=${c#chapters/} bad=
        for flags in $(echo "$runs" | tr ' ' '~') ~--explain~1 ~--stats ~--nonsense~1 ~--q~missing.npy~--k~missing.npy~--v~missing.npy; do
            flags=$(flags_for "$name" "$(echo "$flags" | tr '~' ' ')")
            $2 "$3/$name" $flags > "$work/log" 2>&1
            code=$?
            if [ $code -gt 6 ] || grep -qE 'Sanitizer|runtime error|ERROR SUMMARY: [1-9]' "$work/log"; then
                bad="$bad [$flags: $(grep -m 1 -E 'Sanitizer|runtime error|ERROR SUMMARY' "$work/log")]"
            fi
        done
        [ -z "$bad" ] && say "ok - $name: clean under $1" || say "not ok - $name: $1:$bad"
    done
}

sanitizers() {
    sh tests/have.sh libasan || { say "skip - sanitizers: libasan is not here (make setup)"; return; }
    make -s $(for c in chapters/[0-9]*; do echo "build/sanitized/${c#chapters/}"; done) > "$work/make.log" 2>&1 || {
        say "not ok - the chapters do not build with sanitizers: $(grep -m 1 error "$work/make.log")"
        return
    }
    watched 'ASan and UBSan' '' build/sanitized
    make -s sanitized-tests > "$work/make.log" 2>&1 || {
        say "not ok - the tests do not build with sanitizers: $(grep -m 1 error "$work/make.log")"
        return
    }
    for run in 'property 200 7' 'model_pages 20000 1'; do
        set -- $run
        if "build/sanitized/tests/$1" "$2" "$3" > "$work/log" 2>&1; then
            say "ok - $1: clean under ASan and UBSan"
        else
            say "not ok - $1: $(grep -m 1 -E 'Sanitizer|runtime error|not ok' "$work/log")"
        fi
    done
}

# Hosts of the kernels, and the emulator, which switches stacks: every kernel of two chapters, with
# enough memory on the device and without.
sanitized_hosts() {
    sh tests/have.sh libasan && sh tests/have.sh g++ || {
        say "skip - sanitizers, hosts of the kernels: libasan or g++ is not here (make setup)"
        return
    }
    for name in 05_kv_cache 07_flash_tiling; do
        program=build/simt-sanitized/$name bad=
        make -s $program > "$work/make.log" 2>&1 || {
            say "not ok - $program: $(grep -m 1 error "$work/make.log")"
            continue
        }
        for kernel in $($program --kernel list | cut -d' ' -f1); do
            for bytes in 9999 1000000; do
                SIMT_MEMORY=$bytes $program --n 9 --batch 2 --stats --kernel "$kernel" \
                    > "$work/log" 2>&1
                code=$?
                if [ $code -gt 6 ] || grep -qE 'Sanitizer|runtime error' "$work/log"; then
                    bad="$bad [$kernel: $(grep -m 1 -E 'Sanitizer|runtime error' "$work/log")]"
                fi
            done
        done
        [ -z "$bad" ] && say "ok - $name on the emulator: clean under ASan and UBSan" ||
            say "not ok - $name on the emulator:$bad"
    done
}

# The fast kernels from clang, under ASan and UBSan, under TSan, and under valgrind, which hides the
# wider instruction sets: random shapes against the oracle, as ever.
fast_kernels() {
    for run in 'fast-clang clang 40' 'fast-sanitized libasan 40' 'fast-tsan libasan 8'; do
        set -- $run
        sh tests/have.sh "$2" || { say "skip - fast kernels, $1: $2 is not here (make setup)"; continue; }
        make -s -j2 "build/$1/tests/fast" > "$work/make.log" 2>&1
        if [ $? != 0 ] || grep -q warning "$work/make.log"; then
            say "not ok - $1: $(grep -m 1 -E 'error|warning' "$work/make.log")"
        elif "build/$1/tests/fast" "$3" 5 > "$work/log" 2>&1; then
            say "ok - fast kernels: $1, $(tail -n 1 "$work/log")"
        else
            say "not ok - $1: $(grep -m 1 -E 'Sanitizer|runtime error|not ok|stopped|^fast: ' "$work/log")"
        fi
    done
    command -v valgrind > /dev/null || { say "skip - fast kernels: valgrind is not here (make setup)"; return; }
    if valgrind -q --error-exitcode=99 --leak-check=full build/tests/fast 2 3 scalar > "$work/log" 2>&1; then
        say "ok - fast kernels: clean under valgrind"
    else
        say "not ok - fast kernels, valgrind: $(grep -m 1 -E '==|not ok' "$work/log")"
    fi
}

fuzzing() {
    sh tests/have.sh libfuzzer || { say "skip - fuzzing: libFuzzer is not here (make setup)"; return; }
    if make -s fuzz RUNS=50000 > "$work/log" 2>&1; then
        say "ok - the .npy reader: 50000 files of noise, no crash, no leak"
    else
        say "not ok - the .npy reader: $(grep -m 1 -E 'ERROR|error' "$work/log")"
    fi
}

memory() {
    command -v valgrind > /dev/null || { say "skip - valgrind is not here (make setup)"; return; }
    watched valgrind 'valgrind --leak-check=full --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=99 -q' build/cpu
}

# --- alone ---------------------------------------------------------------------------------------

# The first comment of a main.c names the one command that builds its chapter.
alone() {
    for c in chapters/[0-9]*; do
        name=${c#chapters/}
        command=$(sed -n 's|^//  *\(cc .*\)|\1|p' "$c/main.c" | head -n 1)
        program=$(echo "$command" | sed 's/.* -o \([^ ]*\) .*/\1/')
        command=$(echo "$command" | sed "s| -o [^ ]* | -o $work/$program |")
        if sh -c "$command" > "$work/log" 2>&1 && "$work/$program" > "$work/alone" 2>&1 &&
            "build/cpu/$name" | cmp -s - "$work/alone"; then
            say "ok - $name: built alone by its own comment, it prints the same"
        else
            say "not ok - $name: its own build command: $command: $(head -n 1 "$work/log")"
        fi
    done
}

for variant in gcc-O0 gcc-O3 clang-O0 clang-O3; do
    command -v "${variant%%-*}" > /dev/null && same_bits "$variant" ||
        say "skip - $variant: ${variant%%-*} is not here (make setup)"
done
alone
sanitizers
sanitized_hosts
memory
make -s build/tests/fast > "$work/make.log" 2>&1
fast_kernels
fuzzing
echo "builds: $passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
