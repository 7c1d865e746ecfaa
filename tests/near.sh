# Two traces whose sums may be reassociated, held against the float64 oracle:
#
#     sh tests/near.sh A B "flags of run A" [the comparer's own flags]
#
# Prints what the comparer prints. The oracle needs to know A's mask and scale; B is the naive
# run, the one whose error sets the second rule of docs/TESTING.md.

set -u
a=$1 b=$2 flags=" $3 "
shift 3

# "--mask causal" or "--mask=causal" -> causal; nothing where the flag was not given
value_of() { echo "$flags" | sed -n "s/.* $1[ =]\([^ ]*\).*/\1/p"; }

case $flags in ' 01'*) default=none ;; *) default=causal ;; esac
mask=$(value_of --mask) scale=$(value_of --scale)
rm -rf "$a.ref"
bound=$(build/tests/oracle "$a" "$a.ref" --mask "${mask:-$default}" ${scale:+--scale "$scale"} |
    sed -n 's/^bound //p')
[ -n "$bound" ] || { echo 'FAIL          the oracle gave no bound'; exit 1; }
build/tests/compare "$a" "$b" --ref "$a.ref" --naive "$b" --bound "$bound" "$@"
