# make gpu-check where there is no GPU: that it says so; that parts can pass, fail, be skipped and
# be stopped, with the emulator in the GPU's place and small programs in the place of NVIDIA's
# tools; that what those print is read.

set -u
cd "$(dirname "$0")/.." || exit 1
mkdir -p build
work=$(mktemp -d build/gpu_self.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$work/bin" "$work/none"
passed=0 failed=0
export LC_ALL=C

expect() { # name, file, a pattern that a line of it must match
    if grep -qE "$3" "$2"; then
        echo "ok - gpu-check: $1"
        passed=$((passed + 1))
    else
        echo "not ok - gpu-check: $1: no line of this is like \"$3\":"
        head -n 8 "$2" | cut -c1-150 | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

# A program called $1 that stands before all others.
stub() { cat > "$work/bin/$1" && chmod +x "$work/bin/$1"; }

rehearse() { # parts
    DEVICE=simt RESULTS=$work/results PATH=$PWD/$work/bin:$PATH sh tests/gpu_check.sh "$@" \
        > "$work/out" 2>&1
    echo "status $?" >> "$work/out"
}

# --- no GPU, no nvcc ------------------------------------------------------------------------------

for tool in sh dirname mkdir date nproc timeout sed grep tail tr cut; do
    ln -s "$(command -v $tool)" "$work/none/$tool"
done
PATH=$work/none sh tests/gpu_check.sh > "$work/out" 2>&1
echo "status $?, $(wc -l < "$work/out") line" >> "$work/out"
expect "without nvcc it says so" "$work/out" '^gpu-check: nvcc is not here'
expect "in one line, and exits with 4" "$work/out" '^status 4, 1 line$'
if command -v nvcc > /dev/null && ! build/cuda/tests/gpu_probe > /dev/null 2>&1; then
    sh tests/gpu_check.sh > "$work/out" 2>&1
    echo "status $?, $(wc -l < "$work/out") line" >> "$work/out"
    expect "without a GPU it says so" "$work/out" '^gpu-check: no GPU that CUDA can use: '
    expect "in one line, and exits with 4, too" "$work/out" '^status 4, 1 line$'
else
    echo "skip - gpu-check without a GPU: nvcc is not here, or a GPU is"
fi

# --- the parts ------------------------------------------------------------------------------------

stub ncu << 'END'
#!/bin/sh
# As ncu prints: what it lists, or the program's own lines and a line for each metric.
case $* in *--query-metrics*)
    echo 'dram__bytes_read     Counter  byte  # of bytes read from DRAM'
    echo 'l1tex__t_sectors_pipe_lsu_mem_global_op_ld     Counter  sector  # of sectors'
    exit ;;
esac
case $* in *'--metrics l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum,dram__bytes_read.sum '*) ;;
*) echo "==ERROR== Failed to find metric"; exit 1 ;; esac
echo '==PROF== Connected to process 1 (gpu_bench)'
echo '"ID","Process ID","Kernel Name","Section Name","Metric Name","Metric Unit","Metric Value"'
line() { echo "\"$1\",\"1\",\"$2\",\"Command line profiler metrics\",\"$3\",\"\",\"$4\""; }
sectors=l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum
line 0 'scores_by_thread(float *, long, DeviceMask)' $sectors 1,097,728
line 0 'scores_by_thread(float *, long, DeviceMask)' dram__bytes_read.sum 98,304
line 1 ampere_sgemm_128x64_nn dram__bytes_read.sum 5
line 2 'void flash_tile<2>(Flash)' $sectors '9,216'
line 3 'void flash_split<2>(Flash)' $sectors n/a
END
stub compute-sanitizer << 'END'
#!/bin/sh
# memcheck finds nothing, racecheck a race, synccheck no device it knows, initcheck ends badly.
case $2 in
memcheck) echo '========= ERROR SUMMARY: 0 errors' ;;
racecheck) echo '========= Error: Race reported between Write access at flash_tile and Read access'
    echo '========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)'; exit 9 ;;
synccheck) echo '========= Error: Device not supported.'; exit 1 ;;
initcheck) echo 'nothing that anybody knows'; exit 3 ;;
esac
END
stub python3 << 'END'
#!/bin/sh
# What tests/gpu_torch.py prints.
cat > /dev/null
echo 'gpu_torch: PyTorch 9.8.7' >&2
echo 'what,B,H,G,N,M,D,mask,kernel,type,rounds,median_ms,min_ms,max_ms,tflops,gbs,off,status'
echo 'limit,,,,8192,,,,torch matmul,bf16,15,1.4,1.3,1.5,800.000,0.0,,ok'
echo 'prefill,2,2,1,33,33,64,causal,torch cudnn,bf16,15,2,1,3,400.000,0.0,0.002,ok'
echo 'prefill,2,2,1,33,33,64,causal,torch flash,bf16,0,,,,,,,not supported'
END
rehearse check fragments repeat timings torch counters sanitizer
page=$work/results/SIMT-emulator.md
logs=build/gpu
expect "kernels are checked" $logs/check.log '^ok - check skip B=1 H=2 G=1 N=64 .*: off by '
expect "what the emulator lacks is skipped" $logs/check.log '^skip - check wgmma .*: not for this '
expect "fragments are compared" $logs/fragments.log '^ok - fragments exact ldmatrix: 4 lines alike'
expect "kernels are repeated" $logs/repeat.log '^ok - repeat tile .*: 0 of 2 runs differ'
expect "kernels are timed" $work/results/SIMT-emulator-timings.csv '^prefill,.*,skip,fp32,1,.*,ok$'
expect "PyTorch is named" "$page" '^\| PyTorch \| 9\.8\.7 \|'
expect "PyTorch's share of a matrix product" "$page" '^\| torch cudnn, bf16 \| 400 \(50 %\) \|'
expect "what PyTorch lacks" "$page" '^\| torch flash, bf16 \| not supported \|'
expect "decode in GB/s" "$page" '^\| 2 \| 4 \| 2 \| 160 \| 32 \| paged128 \| fp32 \| [0-9.]+ \|'
expect "counters that agree" "$page" \
    '^\| scores_by_thread \| 1 \| global loads, sectors \| 1097728 \| 1097728 \| 1\.000 \|'
expect "counters that do not" "$page" \
    '^\| flash_tile \| 1 \| global loads, sectors \| 9216 \| 18432 \| 0\.500 \|'
expect "how many agree" $logs/counters.log '^ok - counters: 2 of 3 numbers are within 1 %'
expect "a tool that finds nothing" $logs/sanitizer.log '^ok - sanitizer memcheck, shapes'
expect "a tool that finds a race" \
    $logs/sanitizer.log '^not ok - sanitizer racecheck, .*Race reported'
expect "a tool that refuses" $logs/sanitizer.log '^skip - sanitizer synccheck, .*not supported'
expect "a tool that breaks off" $logs/sanitizer.log '^not ok - sanitizer initcheck, .*status 3'
expect "a check that failed is in the summary" "$page" '^not ok - sanitizer racecheck'
expect "and in the exit status" "$work/out" '^status 1$'

# --- parts that fail, that are refused, that do not end -------------------------------------------

stub ncu << 'END'
#!/bin/sh
echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU counters'
exit 1
END
stub python3 << 'END'
#!/bin/sh
echo "gpu_torch: no PyTorch: No module named 'torch'" >&2
exit 4
END
rehearse torch counters
expect "counters that nobody may read" $logs/counters.log '^skip - counters: .*ERR_NVGPUCTRPERM'
expect "no PyTorch" $logs/torch.log '^skip - torch: gpu_torch: no PyTorch'
expect "nothing but skipped is no success" "$work/out" '^status 1$'
stub ncu << 'END'
#!/bin/sh
echo 'nothing of use'
END
rehearse counters
expect "ncu's output that is not understood" $logs/counters.log '^not ok - counters: status 0'
cat > "$work/wide.csv" << 'END'
"ID","Process ID","Kernel Name","dram__bytes_read.sum","l1tex__t_sectors_pipe_lsu_mem_global_op_ld.sum"
"","","","byte","sector"
"0","1","void flash_split<2>(Flash)","7","33,024"
"1","1","void flash_split<2>(Flash)","8","32,832"
END
sh tests/gpu_counters.sh table "$work/wide.csv" $logs/simt.csv > "$work/out"
expect "ncu's other table, a launch a line" "$work/out" \
    '^\| flash_split \| 2 \| global loads, sectors \| 32832 \| 32832 \| 1\.000 \|'
stub timeout << 'END'
#!/bin/sh
# Everything that runs tile hangs.
case $* in *'--only tile') echo 'gpu_bench: tile' >&2; exit 124 ;; esac
shift 3
exec "$@"
END
rehearse check same timings
expect "a kernel that hangs is stopped" $logs/check.log '^not ok - check tile: it was stopped'
expect "and left out of what follows" $logs/same.log '^skip - same 07_flash_tiling tile: it failed'
expect "the others are timed all the same" $logs/timings.csv '^prefill,.*,vector,fp32,1,.*,ok$'
if grep -q ',tile,fp32' $logs/timings.csv; then
    echo "not ok - gpu-check: a kernel that hangs was timed"
    failed=$((failed + 1))
fi

# --- what a GPU may print otherwise ---------------------------------------------------------------

build/simt/tests/gpu_fragments > "$work/straight"
sed 's/exact cp_async 0 00/exact cp_async 0 01/; s/near exp 12 [^ ]*/near exp 12 nan/' \
    "$work/straight" > "$work/bent"
sh tests/gpu_tables.sh fragments "$work/bent" "$work/straight" > "$work/out"
expect "a bit that goes astray" "$work/out" \
    '^not ok - fragments exact cp_async: 0 lines alike, 1 not'
expect "a NaN that is no number" "$work/out" '^not ok - fragments near exp: 20 lines alike, 1 not'
head -n 20 "$work/straight" > "$work/bent"
sh tests/gpu_tables.sh fragments "$work/bent" "$work/straight" > "$work/out"
expect "lines that are missing" "$work/out" '^not ok - fragments: 20 lines from the device'

# --- without RESULTS ------------------------------------------------------------------------------

DEVICE=simt sh tests/gpu_check.sh build > "$work/out" 2>&1
expect "a rehearsal is not among the results of GPUs" "$work/out" ' build/gpu/rehearsed/SIMT-emu'

[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
