# Runs a chapter's kernels in the counted build and adds up what they did. To be sourced.
#
#     counted 07 tile --n 64 --dim 32      a line a launch:
#         KERNEL read written distinct cached sectors ideal wavefronts ideal requests
#
# Bytes of global memory read and written as asked for, distinct (32-byte sectors touched, read and
# written), and moved behind a cache of SIMT_CACHE bytes (0: not asked); sectors and wavefronts
# with the fewest that these requests could take; requests that load from shared memory.
# COUNTED is the build, build/counted unless set.

counted() {
    counted_program=$(echo "${COUNTED:-build/counted}"/"$1"_*)
    counted_file=build/counts.$$.csv
    SIMT_COUNTS=$counted_file ATTENTION_KERNEL=$2
    export SIMT_COUNTS ATTENTION_KERNEL
    shift 2
    "$counted_program" --example random --print none "$@" > build/counts.$$.txt 2>&1 ||
        { cat build/counts.$$.txt >&2; rm -f build/counts.$$.*; return 1; }
    awk -F , 'FNR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        function sum(name) { return $at["load_" name] + $at["store_" name] }
        { gsub(/"|<[^>]*>/, "") # flash_mma<64, 8>: a comma that parts no columns
          printf "%s %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f\n", $1, $at["load_global_bytes"],
              $at["store_global_bytes"], $at["distinct_read"] + $at["distinct_written"],
              $at["cache_read"] + $at["cache_written"], sum("global_sectors"),
              sum("global_ideal"), sum("shared_wavefronts"), sum("shared_ideal"),
              $at["load_shared_requests"] }' "$counted_file"
    rm -f build/counts.$$.*
}
