# Climbs tests/ladder.txt: runs both sides of each row, compares them, and says whether the
# verdict is the one that the row claims.
#
#     sh tests/ladder.sh           every row
#     sh tests/ladder.sh 05        one chapter's
#     sh tests/ladder.sh --quiet   only the rows that fail, and the count
#
# DEVICE=simt: the left side runs on that device, the right one on the CPU. Kernels add in an
# order of their own, so that what was exact is near: within the oracle's bound.

set -u
only=; quiet=
for word; do
    case $word in --quiet) quiet=yes ;; *) only=$word ;; esac
done
device=${DEVICE:-cpu} passed=0 failed=0
mkdir -p build
work=$(mktemp -d build/ladder.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# "05 --n 9" -> the program and its flags; Q4 and the like are arrays of this folder
command_of() { # device, words
    build=build/$1
    set -- $2
    program=$(echo "$build/$1"_*)
    shift
    for word; do
        case $word in
        [QKV][0-9]*) word=$work/$word.npy ;;
        @h*) continue ;;
        esac
        program="$program $word"
    done
    echo "$program"
}

# "@h2": only head 2 of the run is compared, as if it were the only one.
keep_head() { # the run's words, its trace
    head=$(echo " $1 " | sed -n 's/.* @\(h[0-9]*\) .*/\1/p')
    [ -n "$head" ] || return 0
    mkdir -p "$2.kept"
    for file in "$2"/p*."$head".*.npy; do
        mv "$file" "$2.kept/$(basename "$file" | sed "s/\.$head\./.h0./")"
    done
    rm -rf "$2"
    mv "$2.kept" "$2"
}

# Q of four heads, K and V of two; the same K and V repeated per head (0 0 1 1) and tiled
# (0 1 0 1); each head of them as an array of its own.
make_inputs() {
    arrays=build/tests/make_arrays
    $arrays "$work/Q4.npy" random 1,4,6,5 11 &&
    $arrays "$work/K2.npy" random 1,2,6,5 12 &&
    $arrays "$work/V2.npy" random 1,2,6,5 13 || exit 1
    for letter in K V; do
        $arrays "$work/${letter}2x2.npy" pick "$work/${letter}2.npy" 1 0,0,1,1 &&
        $arrays "$work/${letter}2tiled.npy" pick "$work/${letter}2.npy" 1 0,1,0,1 || exit 1
    done
    for name in Q4 K2x2 V2x2; do
        for h in 0 1 2 3; do
            $arrays "$work/${name}h$h.npy" pick "$work/$name.npy" 1 $h || exit 1
        done
    done
}

# Which of the fast kernels a row is for: what the user said, but where outputs have two shapes only
# weights can tell, and the first step shows them.
kernel_of() { # left, right
    case "$device:$1|$2" in
    fast:'03 --heads 2 @h0|02') echo naive ;;
    *) echo "${ATTENTION_KERNEL:-}" ;;
    esac
}

# The steps whose values tell two runs apart. Chapter 07 and most of the fast kernels never hold the
# weights.
telling_steps() { # left, right
    case "$device-$(kernel_of "$1" "$2"):$1|$2" in
    *:07* | *'|07'*) echo output ;;
    fast-naive:* | fast-order:* | fast-blas:*) echo weights,output ;;
    fast-*) echo output ;;
    *) echo weights,output ;;
    esac
}

# Runs both sides; leaves the comparer's verdict in $got. An exact row must not lose a step: what
# the left side no longer shows was not compared.
climb() { # left, right, wanted verdict
    rm -rf "$work/a" "$work/b"
    ATTENTION_KERNEL=$(kernel_of "$1" "$2") $(command_of "$device" "$1") --print none \
        --trace "$work/a" > "$work/log" 2>&1 &&
    $(command_of cpu "$2") --print none --trace "$work/b" >> "$work/log" 2>&1 || {
        got="a run failed: $(tail -n 1 "$work/log")"
        return
    }
    keep_head "$1" "$work/a"
    keep_head "$2" "$work/b"
    case $3 in
    exact) got=$(build/tests/compare "$work/a" "$work/b" --complete 2>&1 | tail -n 1) ;;
    near) got=$(sh tests/near.sh "$work/a" "$work/b" "$1" 2>&1 | tail -n 1) ;;
    differ) got=$(build/tests/compare "$work/a" "$work/b" --steps "$(telling_steps "$1" "$2")" \
        2>&1 | tail -n 1) ;;
    apart) got=$(sh tests/near.sh "$work/a" "$work/b" "$1" --steps "$(telling_steps "$1" "$2")" \
        2>&1 | tail -n 1) ;;
    *) got="there is no verdict $3" ;;
    esac
}

# Is it the verdict that the row claims? Runs that must not be alike must not be so in a number of
# the arithmetic: another shape, another input or a NaN shows nothing.
holds() { # wanted; reads $got
    case $1:$got in
    *' 0 values'* | *'not a number'*) false ;;
    exact:BIT-EXACT* | near:BIT-EXACT* | near:REASSOCIATED*) true ;;
    differ:FAIL*' step p'*.weights', worst at '* | differ:FAIL*' step p'*.output', worst at '*) true ;;
    apart:FAIL*' step p'*.weights', worst at '* | apart:FAIL*' step p'*.output', worst at '*) true ;;
    *) false ;;
    esac
}

report() { # left, right, wanted, reason; reads $got
    holds "$3" && word=ok || word='not ok'
    [ "$word" = ok ] && passed=$((passed + 1)) || failed=$((failed + 1))
    [ "$word" = ok ] && [ -n "$quiet" ] && return
    verdict=$(echo "$got" | cut -d' ' -f1)
    case $word:$3 in ok:differ | ok:apart) verdict=DIFFERS ;; esac
    printf '%-6s %-13s %s  =  %s   (%s)\n' "$word" "$verdict" "$1" "$2" "$4"
    [ "$word" = ok ] || printf '       wanted %s, got: %s\n' "$3" "$got"
}

make_inputs
while IFS='|' read -r left right wanted reason; do
    case $left in '#'* | '') continue ;; esac
    left=$(echo $left) right=$(echo $right) wanted=$(echo $wanted) reason=$(echo $reason)
    case $left in "$only"*) ;; *) continue ;; esac
    case $device:$wanted in
    cpu:*) ;;
    *:exact) wanted=near ;;
    *:differ) wanted=apart ;;
    esac
    climb "$left" "$right" "$wanted"
    report "$left" "$right" "$wanted" "$reason"
done < tests/ladder.txt
echo "ladder: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
