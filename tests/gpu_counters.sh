# What a GPU's counters say of the kernels, beside what the emulator counts.
#
#     sh tests/gpu_counters.sh metrics                  the counters' names, one a line
#     sh tests/gpu_counters.sh table NCU.csv SIMT.csv   kernel | launch | metric | GPU | emulator
#
# NCU.csv is what `ncu --csv` printed, SIMT.csv what SIMT_COUNTS wrote, of the same program. Fails,
# with a line that says so, where no kernel was counted by both.

set -u

# ncu's name | ours | columns of the emulator's table: a sum, - takes away; - alone: it has none.
# LOADS and STORES are wavefronts of shared memory, LEAST and FEWEST what they would be at best.
metrics() {
    sed 's/ *| */|/g' << 'END'
l1tex__t_requests_pipe_lsu_mem_global_op_ld | global loads, requests | load_global_requests
l1tex__t_sectors_pipe_lsu_mem_global_op_ld | global loads, sectors | load_global_sectors
l1tex__t_requests_pipe_lsu_mem_global_op_st | global stores, requests | store_global_requests
l1tex__t_sectors_pipe_lsu_mem_global_op_st | global stores, sectors | store_global_sectors
l1tex__data_pipe_lsu_wavefronts_mem_shared_op_ld | shared loads, wavefronts | LOADS
l1tex__data_pipe_lsu_wavefronts_mem_shared_op_st | shared stores, wavefronts | STORES
l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_ld | shared loads, conflicts | LOADS -LEAST
l1tex__data_bank_conflicts_pipe_lsu_mem_shared_op_st | shared stores, conflicts | STORES -FEWEST
l1tex__t_sectors_pipe_lsu_mem_local_op_ld | spilled, sectors read | -
l1tex__t_sectors_pipe_lsu_mem_local_op_st | spilled, sectors written | -
sm__inst_executed_pipe_tensor_op_hmma | tensor cores, mma | mmas
dram__bytes_read | DRAM, bytes read (emulator: distinct) | distinct_read
dram__bytes_write | DRAM, bytes written (emulator: distinct) | distinct_written
END
}

# ncu prints a line a metric, or a line a launch with a column a metric and a line of units under
# the names; numbers with commas, in quotes; lines of the program, and its own, among them. Launch
# n of a kernel is held against launch n of that kernel.
table() { # NCU.csv, SIMT.csv
    metrics | sed 's/LOADS/load_shared_wavefronts/; s/LEAST/load_shared_ideal/
        s/STORES/store_shared_wavefronts/; s/FEWEST/store_shared_ideal/' |
    awk -v gpu="$1" -v simt="$2" '
        function split_csv(line, f,    n, i, c, quoted, text) {
            n = 0; text = ""; quoted = 0
            for (i = 1; i <= length(line); i++) {
                c = substr(line, i, 1)
                if (c == "\"") quoted = !quoted
                else if (c == "," && !quoted) { f[++n] = text; text = "" }
                else if (c != "\r") text = text c
            }
            f[++n] = text
            return n
        }
        # void flash_tile<(int)2>(Flash) and (flash_tile<COLUMNS>) are both flash_tile
        function bare(name) {
            sub(/^\(+/, "", name); sub(/^void /, "", name); sub(/[<(].*/, "", name)
            sub(/\).*/, "", name); sub(/.*::/, "", name); gsub(/ /, "", name)
            return name
        }
        function put(launch, metric, value) {
            sub(/\.sum$/, "", metric); gsub(/[, ]/, "", value)
            if (value ~ /^[0-9.]+(e[+]?[0-9]+)?$/) seen[launch, metric] = value + 0
        }
        function launch_of(name, id) {
            if (!((name, id) in launches)) launches[name, id] = ++turn[name]
            return name SUBSEP launches[name, id]
        }
        function read_gpu(    line, n, f, at, i, m, l, long, units) {
            while ((getline line < gpu) > 0) {
                if (line !~ /^"/) continue
                n = split_csv(line, f)
                if (f[1] == "ID") {
                    for (i = 1; i <= n; i++) at[f[i]] = i
                    long = ("Metric Name" in at); units = !long
                    continue
                }
                if (!("Kernel Name" in at)) continue
                if (units && f[1] == "") { units = 0; continue }
                l = launch_of(bare(f[at["Kernel Name"]]), f[1])
                if (long) put(l, f[at["Metric Name"]], f[at["Metric Value"]])
                else for (m in at) put(l, m, f[at[m]])
            }
        }
        function columns_sum(list, f,    k, i, part, sum) {
            k = split(list, part, " ")
            for (i = 1; i <= k; i++)
                sum += part[i] ~ /^-/ ? -f[column[substr(part[i], 2)]] : f[column[part[i]]]
            return sum + 0
        }
        function show(name, launch, metric, g, sum) {
            if (!rows++)
                print "\n| kernel | launch | metric | GPU | emulator | ratio |\n" \
                      "| --- | ---: | --- | ---: | ---: | ---: |"
            near = g == sum || (sum > 0 && g / sum > 0.99 && g / sum < 1.01)
            alike += near
            if (g == 0 && sum == 0) return # nothing of the kind in either
            ratio = sum > 0 ? sprintf("%.3f", g / sum) : "-"
            printf "| %s | %d | %s | %.0f | %.0f | %s |\n", name, launch, metric, g, sum, ratio
        }
        function read_simt(    line, n, f, i, w, name, launch) {
            while ((getline line < simt) > 0) {
                n = split_csv(line, f)
                if (f[1] == "kernel") { for (i = 1; i <= n; i++) column[f[i]] = i; continue }
                name = bare(f[1]); launch = ++ours[name]
                for (w = 1; w <= wanted; w++)
                    if ((name, launch, metric[w]) in seen)
                        show(name, launch, word[w], seen[name, launch, metric[w]],
                             list[w] == "-" ? 0 : columns_sum(list[w], f))
            }
        }
        { split($0, m, "|"); metric[++wanted] = m[1]; word[wanted] = m[2]; list[wanted] = m[3] }
        END {
            read_gpu()
            read_simt()
            if (!rows) { print "no kernel was counted by both"; exit 1 }
            printf "\n%d of %d numbers are within 1 %% of each other; what is 0 in both is not" \
                   " shown.\n", alike, rows
        }'
}

case ${1:-} in
metrics) metrics | cut -d'|' -f1 ;;
table) shift; table "$@" ;;
*) echo "usage: gpu_counters.sh metrics|table NCU.csv SIMT.csv" >&2; exit 2 ;;
esac
