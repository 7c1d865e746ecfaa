# Climbs tests/ladder.txt: runs both sides of each row, compares them, and says whether the
# verdict is the one that the row claims.
#
#     sh tests/ladder.sh           every row
#     sh tests/ladder.sh 05        one chapter's
#     sh tests/ladder.sh --quiet   only the rows that fail, and the count

set -u
only=; quiet=
for word; do
    case $word in --quiet) quiet=yes ;; *) only=$word ;; esac
done
build=${BUILD:-build/cpu} work=build/ladder passed=0 failed=0
mkdir -p "$work"

# "05 --n 9" -> the program and its flags; Q4 and the like are arrays of this folder
command_of() {
    set -- $1
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

climb() { # left, right, wanted verdict, reason
    rm -rf "$work/a" "$work/b"
    $(command_of "$1") --print none --trace "$work/a" > "$work/log" 2>&1 &&
    $(command_of "$2") --print none --trace "$work/b" >> "$work/log" 2>&1 || {
        got="a run failed: $(tail -n 1 "$work/log")"
        return
    }
    keep_head "$1" "$work/a"
    keep_head "$2" "$work/b"
    if [ "$3" = near ]; then
        got=$(sh tests/near.sh "$work/a" "$work/b" "$1" 2>&1 | tail -n 1)
    else
        got=$(build/tests/compare "$work/a" "$work/b" 2>&1 | tail -n 1)
    fi
}

report() { # left, right, wanted, reason; reads $got
    case $3:$got in
    exact:BIT-EXACT* | near:BIT-EXACT* | near:REASSOCIATED* | differ:FAIL*) word=ok ;;
    *) word='not ok' ;;
    esac
    [ "$word" = ok ] && passed=$((passed + 1)) || failed=$((failed + 1))
    [ "$word" = ok ] && [ -n "$quiet" ] && return
    verdict=$(echo "$got" | cut -d' ' -f1)
    [ "$3" = differ ] && [ "$word" = ok ] && verdict=DIFFERS
    printf '%-6s %-13s %s  =  %s   (%s)\n' "$word" "$verdict" "$1" "$2" "$4"
    [ "$word" = ok ] || printf '       wanted %s, got: %s\n' "$3" "$got"
}

make_inputs
while IFS='|' read -r left right wanted reason; do
    case $left in '#'* | '') continue ;; esac
    left=$(echo $left) right=$(echo $right) wanted=$(echo $wanted) reason=$(echo $reason)
    case $left in "$only"*) ;; *) continue ;; esac
    climb "$left" "$right" "$wanted" "$reason"
    report "$left" "$right" "$wanted" "$reason"
done < tests/ladder.txt
echo "ladder: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
