# make run: every chapter in order. Its idea, its matrices on the built-in input, its verdict
# against the chapter before; at the end a table of what each costs on one larger input.

set -u
build=build/cpu rows=build/tour.rows
mkdir -p build
: > "$rows"

size='--n 256 --dim 32'          # what the closing table measures
heads='--heads 4 --batch 1'
failed=0

flags_of() { # what the table's run of a chapter is given
    case $1 in
    01* | 02*) echo "$size" ;;
    06*) echo "$size $heads --block-size 16" ;;
    07*) echo "$size $heads --block-size 16 --tile 32,32" ;;
    *) echo "$size $heads" ;;
    esac
}

for chapter in chapters/[0-9]*; do
    name=${chapter#chapters/} number=${name%%_*}
    echo "================================================================================"
    "$build/$name" --help | head -n 2
    echo "================================================================================"
    echo
    "$build/$name" || failed=1
    sh tests/ladder.sh "$number" > build/tour.ladder
    [ $? = 0 ] && verdict=verified || { verdict=FAILED failed=1; }
    kinds=$(awk '/^ok/ { if (/BIT-EXACT/) e++; else if (/REASSOCIATED/) r++; else if (/DIFFERS/) d++ }
                 END { if (e) printf "%d bit-exact", e; if (r) printf ", %d reassociated", r
                       if (d) printf ", %d differ as they must", d }' build/tour.ladder)
    grep '^not ok' build/tour.ladder
    echo "verdict: $verdict, $kinds (make verify-$number)"
    echo
    title=$("$build/$name" --help | sed -n '1s/^Chapter [0-9]*, \([^:]*\):.*/\1/p')
    exact=$(echo "$kinds" | sed 's/ differ as they must/ must differ/')
    "$build/$name" $(flags_of "$name") --bench | tail -n 1 |
        awk -F, -v n="$number" -v t="$title" -v v="$exact" \
            '{ printf "%s|%s|%s|%d|%d|%.3f\n", n, t, v, $16, $18, $10 * 1000 }' >> "$rows"
done

echo "================================================================================"
echo "What each chapter costs: N = M = 256, D = 32, four heads (01 and 02: one), 04 to 07 two KV heads"
echo
printf '%-3s %-24s %-44s %9s %8s %9s\n' '' idea 'verdict, by rows of the ladder' scratch KV time
printf '%-3s %-24s %-44s %9s %8s %9s\n' '' '' '' bytes bytes ms
while IFS='|' read -r number title verdict scratch kv ms; do
    printf '%-3s %-24s %-44s %9s %8s %9s\n' "$number" "$title" "$verdict" "$scratch" "$kv" "$ms"
done < "$rows"
echo
echo "scratch: held beyond inputs, output and cache; KV: keys and values held; time: median of 9"
[ "$failed" = 0 ]
