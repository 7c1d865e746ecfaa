# make run: every chapter in order. Its idea, its matrices on the built-in input, its verdict
# against the chapter before; at the end a table of what each costs on one larger input.

set -u
device=${DEVICE:-cpu} build=build/${DEVICE:-cpu}
mkdir -p build
work=$(mktemp -d build/tour.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

n=256                            # what the closing table measures; the emulator takes its time
case $device in simt | counted) n=64 ;; esac
size="--n $n --dim 32"
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

# Its scratch bytes, KV bytes and milliseconds, joined by |. Fails where --bench does, or prints
# another line than it should.
costs_of() { # chapter
    "$build/$1" $(flags_of "$1") --bench > "$work/bench" || return 1
    tail -n 1 "$work/bench" | awk -F, '
        NF == 20 { printf "%d|%d|%.3f\n", $16, $18, $10 * 1000; row = 1 }
        END { exit !row }'
}

for chapter in chapters/[0-9]*; do
    name=${chapter#chapters/} number=${name%%_*}
    echo "================================================================================"
    "$build/$name" --help | head -n 2
    echo "================================================================================"
    echo
    "$build/$name" || failed=1
    sh tests/ladder.sh "$number" > "$work/ladder"
    [ $? = 0 ] && verdict=verified || { verdict=FAILED failed=1; }
    kinds=$(awk '/^ok/ { if (/BIT-EXACT/) e++; else if (/REASSOCIATED/) r++; else if (/DIFFERS/) d++ }
                 function say(n, what) { if (n) { printf "%s%d %s", comma, n, what; comma = ", " } }
                 END { say(e, "bit-exact"); say(r, "reassociated"); say(d, "differ as they must")
                 }' "$work/ladder")
    grep '^not ok' "$work/ladder"
    echo "verdict: $verdict, $kinds (make verify-$number)"
    echo
    title=$("$build/$name" --help | sed -n '1s/^Chapter [0-9]*, \([^:]*\):.*/\1/p')
    exact=$(echo "$kinds" | sed 's/ differ as they must/ must differ/')
    [ "$verdict" = verified ] || exact="FAILED, $exact"
    costs=$(costs_of "$name") || { costs='FAILED|FAILED|FAILED' failed=1; }
    echo "$number|$title|$exact|$costs" >> "$work/rows"
done

echo "================================================================================"
echo "What each chapter costs: N = M = $n, D = 32, four heads (01 and 02: one), 04 to 07 two KV heads"
echo
printf '%-3s %-24s %-44s %9s %8s %9s\n' '' idea 'verdict, by rows of the ladder' scratch KV time
printf '%-3s %-24s %-44s %9s %8s %9s\n' '' '' '' bytes bytes ms
while IFS='|' read -r number title verdict scratch kv ms; do
    printf '%-3s %-24s %-44s %9s %8s %9s\n' "$number" "$title" "$verdict" "$scratch" "$kv" "$ms"
done < "$work/rows"
echo
echo "scratch: held beyond inputs, output and cache; KV: room for keys and values; time: median of 9"
half=$((n / 2))
echo "05 to 07 make $((half + 1)) passes, a prompt of $half tokens and then one for each; 05 reserves twice the run"
case $device in
cpu) ;;
fast)
    echo "on fast: verdicts against the chapters' own code; $(build/fast/04_gqa --isa list | sed -n 's/ .*(usual)//p'), $(getconf _NPROCESSORS_ONLN) threads"
    echo
    echo "================================================================================"
    echo "What each step of the prefill ladder takes: N = M = 512, D = 64, four heads over two, causal, one"
    echo "thread; make bench measures it, and decode, with care"
    echo
    sh tests/fast_table.sh || failed=1
    ;;
cuda) echo "on cuda: verdicts against the CPU; scratch and KV are the host's; the time includes copies" ;;
*)
    echo "on $device: verdicts against the CPU; scratch and KV are the host's; its time is no GPU's"
    echo
    echo "================================================================================"
    echo "What each kernel asks of the memory: N = M = 64, D = 32, four heads (01 and 02: one), 04 to 07"
    echo "two KV heads; a chapter's kernels are those of --kernel list"
    echo
    sh tests/kernel_table.sh || failed=1
    ;;
esac
[ "$failed" = 0 ]
