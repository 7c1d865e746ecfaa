# The tables of make gpu-check, in Markdown, from what its programs wrote.
#
#     sh tests/gpu_tables.sh prefill|decode|limits TIMINGS.csv    gpu_bench time, and gpu_torch.py
#     sh tests/gpu_tables.sh fragments GPU.txt EMULATOR.txt       ok and not ok lines
#
# Fails, with a line that says so, where there is nothing to show.

set -u
what=$1
shift

# Rows: kernels; columns: N. A table for each head size and mask. TFLOP/s, and the share of the
# fastest matrix product of the same type in the same run.
prefill() {
    awk -F, '
        $1 == "limit" && $9 ~ /cublas|matmul/ && $15 > peak[$10] { peak[$10] = $15 }
        $1 != "prefill" { next }
        { t = "D = " $7 ", " ($8 == "full" ? "every key" : "causal"); k = $9 ", " $10 }
        !(t in tables) { tables[t]; table[++tn] = t }
        !(k in kernels) { kernels[k]; kernel[++kn] = k }
        !($5 in lengths) { lengths[$5]; len[++ln] = $5 + 0 }
        {
            share = peak[$10] > 0 ? sprintf(" (%.0f %%)", 100 * $15 / peak[$10]) : ""
            cell[t, k, $5] = $18 == "ok" ? sprintf("%.4g", $15) share : $18
        }
        END {
            if (!tn) { print "no prefill was timed"; exit 1 }
            for (i = 1; i <= ln; i++) for (j = i + 1; j <= ln; j++)
                if (len[j] < len[i]) { x = len[i]; len[i] = len[j]; len[j] = x }
            for (n = 1; n <= tn; n++) {
                printf "\n%s; TFLOP/s (of the matrix product):\n\n| kernel |", table[n]
                for (i = 1; i <= ln; i++) printf " N = %d |", len[i]
                printf "\n| --- |"
                for (i = 1; i <= ln; i++) printf " ---: |"
                print ""
                for (j = 1; j <= kn; j++) {
                    printf "| %s |", kernel[j]
                    for (i = 1; i <= ln; i++) {
                        c = cell[table[n], kernel[j], len[i]]
                        printf " %s |", c == "" ? "-" : c
                    }
                    print ""
                }
            }
        }' "$1"
}

# The bytes of K and V, each once, over the time; share of the copy's rate of the same run.
decode() {
    awk -F, '
        $1 == "limit" && $9 == "copy" { copy = $16 }
        $1 != "decode" { next }
        !n++ {
            print "\n| B | H | G | M | D | kernel | type | ms | spread | GB/s | of a copy |"
            print "| ---: | ---: | ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: |"
        }
        {
            printf "| %s | %s | %s | %s | %s | %s | %s |", $2, $3, $4, $6, $7, $9, $10
            share = copy > 0 ? sprintf("%.0f %%", 100 * $16 / copy) : "-"
            if ($18 != "ok") printf " %s | | | |\n", $18
            else printf " %.4f | %.1f %% | %.0f | %s |\n", $12, 100 * ($14 - $13) / $12, $16, share
        }
        END { if (!n) { print "no decode was timed"; exit 1 } }' "$1"
}

limits() {
    awk -F, '
        $1 != "limit" { next }
        !n++ { print "\n| limit | type | ms | spread | TFLOP/s | GB/s |"
               print "| --- | --- | ---: | ---: | ---: | ---: |" }
        { printf "| %s | %s | %.4f | %.1f %% | %s | %s |\n", $9, $10, $12,
                 100 * ($14 - $13) / $12, ($15 > 0 ? $15 : "-"), ($16 > 0 ? $16 : "-") }
        END { if (!n) { print "no limit was timed"; exit 1 } }' "$1"
}

# One line a test of tests/gpu_fragments.cu.
fragments() {
    awk -v gpu="$1" '
        function size(x) { return x < 0 ? -x : x }
        { ours[FNR] = $0; name = $1 " " $2 }
        !(name in tests) { tests[name]; order[++count] = name }
        END {
            while ((getline line < gpu) > 0) {
                n++
                if (line == ours[n]) { split(line, g, " "); held[g[1] " " g[2]]++; continue }
                split(line, g, " "); split(ours[n], o, " ")
                name = o[1] " " o[2]
                if (g[1] == "near" && g[2] == o[2] && g[3] == o[3] &&
                    g[4] ~ /^-?[0-9.]+(e[-+][0-9]+)?$/ &&
                    size(g[4] - o[4]) <= size(o[5]) / 1048576) {
                    held[name]++
                    if (size(g[4] - o[4]) / size(o[5]) > off[name])
                        off[name] = size(g[4] - o[4]) / size(o[5])
                } else if (!wrong[name]++)
                    first[name] = "case " o[3] ": " substr(line, 1, 60) " is not " \
                                  substr(ours[n], 1, 60)
            }
            for (i = 1; i <= count; i++) {
                name = order[i]
                verdict = wrong[name] || !held[name] ? "not ok" : "ok"
                printf "%s - fragments %s: %d lines alike", verdict, name, held[name]
                if (off[name]) printf ", off by %.2g", off[name]
                if (wrong[name]) printf ", %d not; %s", wrong[name], first[name]
                print ""
            }
            printf "%s - fragments: %d lines from the device, %d from the emulator\n",
                   (n == FNR && n > 0 ? "ok" : "not ok"), n, FNR
        }' "$2"
}

case $what in
prefill | decode | limits | fragments) "$what" "$@" ;;
*) echo "gpu_tables.sh: there is no table $what" >&2; exit 2 ;;
esac
