# What each step of the prefill ladder takes, as a table: milliseconds, and how much faster than the
# first.
#
#     sh tests/fast_table.sh      after make all fast tools
#
# One quick look: `make bench` is the measurement, of decode, too.

set -u
mkdir -p build
work=$(mktemp -d build/fast_table.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
unset ATTENTION_KERNEL ATTENTION_ISA

milliseconds() { # program and flags, under --bench: the median of 9
    "$@" --threads 1 --bench > "$work/bench" && tail -n 1 "$work/bench" | cut -d, -f10 |
        awk '{ printf "%.3f", $1 * 1000 }'
}

row() { # kernel, milliseconds
    [ "$first" = 0 ] && first=$2
    awk -v k="$1" -v t="$2" -v f="$first" \
        'BEGIN { printf "%-12s %12.3f ms %9.1fx\n", k, t, f / t }'
}

first=0
for kernel in $(build/fast/04_gqa --kernel list | awk '$1 == "prefill" { print $2 }'); do
    row "$kernel" "$(milliseconds build/fast/04_gqa --n 512 --dim 64 --kernel "$kernel")" ||
        exit 1
done
