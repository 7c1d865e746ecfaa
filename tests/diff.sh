# make diff A=02 B=03, or A="04 --kv-heads 4" B="04 --kv-heads 2": what changed in the code,
# then in the printed matrices, side by side; the numbers, and the comparer's verdict last.

set -u
usage() {
    echo 'usage: make diff A=02 B=03      or: make diff A="04 --kv-heads 4" B="04 --kv-heads 2"' >&2
    exit 2
}
[ -n "${1:-}" ] && [ -n "${2:-}" ] || usage
work=$(mktemp -d build/diff.XXXXXX) || exit 1
compare=$PWD/build/tests/compare
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# Colour on a terminal only: removed lines red, added green, headings bold.
paint() {
    if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
        esc=$(printf '\033')
        sed -E "s/^-.*/$esc[31m&$esc[0m/; s/^\+.*/$esc[32m&$esc[0m/
                s/^.*  [|<>](	| .*)?\$/$esc[33m&$esc[0m/; s/^== .*/$esc[1m&$esc[0m/"
    else
        cat
    fi
}

chapter_of() {
    set -- $1
    found=$(echo chapters/"$1"_*)
    [ -d "$found" ] || { echo "diff: there is no chapter $1" >&2; exit 2; }
    echo "${found#chapters/}"
}

# All matrices, also of runs too large to be printed unasked, unless --print says otherwise.
run() { # "04 --kv-heads 4" into $2.txt and the trace directory $2
    name=$(chapter_of "$1") || exit 2
    set -- "$2" $1
    to=$1
    shift 2
    case " $* " in *' --print '* | *' --print='*) ;; *) set -- "$@" --print all ;; esac
    "build/cpu/$name" "$@" --trace "$to" > "$to.log" 2>&1 || { cat "$to.log" >&2; exit 2; }
    mv "$to.log" "$to.txt"
}

a=$(chapter_of "$1") || exit 2
b=$(chapter_of "$2") || exit 2
if [ "$a" != "$b" ]; then
    echo "== the code: chapters/$a/attention.c -> chapters/$b/attention.c =="
    diff -u "chapters/$a/attention.c" "chapters/$b/attention.c" | tail -n +3 | paint
    echo
fi
run "$1" "$work/a"
run "$2" "$work/b"
columns=$( (stty size < /dev/tty) 2> /dev/null | cut -d' ' -f2)
[ "${columns:-0}" -gt 20 ] || columns=150
echo "== the matrices: $1 | $2 =="
diff -y -t -W "$columns" "$work/a.txt" "$work/b.txt" | paint
echo
echo "== the numbers =="
(cd "$work" && "$compare" --text a.txt b.txt)
echo "(FAIL here says that the two runs differ, as two chapters or two flags may)"
case "$a$b" in
*07*) sh tests/near.sh "$work/b" "$work/a" "$2" ;; # from here on sums are reassociated
*) (cd "$work" && "$compare" a b) ;;
esac
exit 0
