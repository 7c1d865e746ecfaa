#!/bin/sh
# The emulator as a machine: its tensor cores, copies and conversions against plain loops and
# NVIDIA's own headers, its fast build, its other ways to switch stacks. One `ok - `, `not ok - `
# or `skip - ` line each.
set -u
cd "$(dirname "$0")/.." || exit 2
build=build/simt_machine
failed=0

. tests/simt_build.sh
mkdir -p $build/ucontext $build/arm

bad() { echo "not ok - $*"; failed=1; }

# said FILE: passes on what a program said; a program that says nothing has failed.
said() {
    grep -E '^(ok|not ok) - ' "$1"
    grep -q '^ok - ' "$1" && ! grep -q '^not ok' "$1" || bad "$1: $(tail -n 1 "$1")"
}

# --- orders and tensor cores, counted; then without the hooks --------------------------------

for test in orders tensor; do
    simt_compile gcc tests/simt_$test.cu $build/$test.o && simt_link $build/$test $build/$test.o ||
        bad "simt_$test.cu does not compile"
    $build/$test > $build/$test.txt 2>&1
    said $build/$test.txt
done

fast() { g++ -x c++ -std=c++17 -g -O2 -ffp-contract=off -Wall -Wno-unknown-pragmas \
    -Ikernels/simt/include -Ikernels/cuda -c "$1" -o "$build/fast.o" &&
    simt_link $build/fast $build/fast.o; }

for test in orders tensor; do
    fast tests/simt_$test.cu && SIMT_SECONDS=5 $build/fast > $build/fast.txt 2>&1 &&
        ! grep -q '^not ok' $build/fast.txt && echo "ok - $test: the fast build says the same" ||
        bad "$test: the fast build says something else: $(grep '^not ok' $build/fast.txt)"
done

# What needs no hooks is found in the fast build, too.
while read -r kernel report; do
    fast tests/gpu_wrong/$kernel.cu && SIMT_SECONDS=1 $build/fast > $build/fast.txt 2>&1
    if grep -qF "$report" $build/fast.txt; then
        echo "ok - the fast build, $kernel: $report"
    else
        bad "the fast build, $kernel: expected $report; it said: $(cat $build/fast.txt)"
    fi
done <<END
null_pointer BAD ADDRESS
stack_overflow STACK OVERFLOW
endless_loop NEVER ENDS
waiting_for_a_block NEVER ENDS
barrier_and_shuffle DEADLOCK
divergent_barrier DIVERGENT
too_many_threads LAUNCH REFUSED
unfreed UNFREED
END

# A kernel in a shared library, where its __shared__ arrays could not be told from other memory.
g++ -x c++ -std=c++17 -fPIC -shared -Ikernels/simt/include -Ikernels/cuda \
    tests/gpu_wrong/missing_barrier.cu -o $build/kernel.so &&
    g++ -rdynamic -o $build/library -Wl,-rpath,"$PWD/$build" -x none $simt_objects \
        $build/kernel.so -lpthread -lm && $build/library > $build/library.txt 2>&1
if grep -q 'LAUNCH REFUSED: kernel .* lies in a shared library' $build/library.txt; then
    echo "ok - a kernel in a shared library is refused"
else
    bad "a kernel in a shared library: $(cat $build/library.txt)"
fi

# --- numbers -----------------------------------------------------------------------------------

# All 2^32 floats, with the emulator's headers and with NVIDIA's.
nvidia=$(dirname "$(dirname "$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)")")/include
if [ -f "$nvidia/cuda_bf16.h" ]; then
    floats="g++ -x c++ -std=c++17 -O2 tests/simt_floats.cu"
    $floats -c -Ikernels/simt/include -o $build/floats.o &&
        simt_link $build/floats $build/floats.o && $floats -I"$nvidia" -o $build/floats_nvidia ||
        bad "simt_floats.cu does not compile"
    $build/floats > $build/floats.txt &
    $build/floats_nvidia > $build/floats_nvidia.txt
    wait
    if [ -s $build/floats.txt ] && cmp -s $build/floats.txt $build/floats_nvidia.txt; then
        echo "ok - bf16 and fp16 from all 2^32 floats, and back, as NVIDIA's headers have it"
    else
        bad "bf16 or fp16 differ from NVIDIA's: $(diff $build/floats.txt $build/floats_nvidia.txt |
            head -n 2)"
    fi
else
    echo "skip - bf16 and fp16 against NVIDIA's headers: cuda_bf16.h is not here"
fi

# --- other switches of stacks ------------------------------------------------------------------

# same NAME PROGRAM...: the program's checks pass.
same() {
    name=$1
    shift
    "$@" > $build/other.txt 2>&1
    if grep -q '^ok' $build/other.txt && ! grep -q '^not ok' $build/other.txt; then
        echo "ok - $name: $(grep -c '^ok' $build/other.txt) checks"
    else
        bad "$name: $(grep -v '^ok' $build/other.txt | head -n 3)"
    fi
}

emulator="-std=c11 -O2 -g -ffp-contract=off -Wall -Wextra -Ikernels/simt/include"
for file in kernels/simt/*.c; do
    ${CC:-cc} $emulator -DFIBER_UCONTEXT -c "$file" -o "$build/ucontext/$(basename "$file" .c).o" ||
        bad "$file does not compile with -DFIBER_UCONTEXT"
done
simt_compile gcc tests/simt_exact.cu $build/exact.o
for test in exact orders tensor; do
    g++ -o $build/other $build/$test.o $build/ucontext/*.o -lpthread -lm &&
        same "simt_$test with the C library's ucontext" $build/other
done

# On another kind of processor: run it where an emulator of that is, assemble it where clang is.
arm=aarch64-linux-gnu
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64)
if command -v $arm-g++ > /dev/null && [ -n "$qemu" ]; then
    for file in kernels/simt/*.c; do
        $arm-gcc $emulator -c "$file" -o "$build/arm/$(basename "$file" .c).o" ||
            bad "$file does not compile for aarch64"
    done
    for test in exact orders tensor; do
        $arm-g++ ${simt_gcc#g++ } -c tests/simt_$test.cu -o $build/$test.arm.o &&
            $arm-g++ -static -o $build/other $build/$test.arm.o $build/arm/*.o -lpthread -lm &&
            same "simt_$test on aarch64 (qemu)" "$qemu" $build/other
    done
elif command -v clang > /dev/null && clang --target=$arm -ffreestanding -c kernels/simt/fiber.c \
    -o $build/fiber.arm.o 2> $build/fiber.arm.txt; then
    echo "ok - the switch for aarch64 assembles"
    echo "skip - the emulator on aarch64: no $arm-g++ and qemu-aarch64 here"
else
    echo "skip - the emulator on aarch64: no $arm-g++ and qemu-aarch64, and no clang that knows it"
fi
exit $failed
