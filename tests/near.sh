# Two traces whose sums may be reassociated, held against the float64 oracle:
#
#     sh tests/near.sh A B "flags of run A"
#
# Prints what the comparer prints. The oracle needs to know A's mask and scale; B is the naive
# run, the one whose error sets the second rule of docs/TESTING.md.

set -u
a=$1 b=$2
mask=$(echo " $3 " | sed -n 's/.* --mask[ =]\([^ ]*\).*/\1/p')
scale=$(echo " $3 " | sed -n 's/.* \(--scale [^ ]*\).*/\1/p')
case "$3" in 01*) default=none ;; *) default=causal ;; esac
rm -rf "$a.ref"
bound=$(build/tests/oracle "$a" "$a.ref" --mask "${mask:-$default}" $scale | sed 's/bound //')
build/tests/compare "$a" "$b" --ref "$a.ref" --naive "$b" --bound "${bound:-0}"
