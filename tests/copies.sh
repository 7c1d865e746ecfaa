# The chapters repeat each other on purpose: a function that two neighbouring chapters share is
# the same to the letter in both, comment included, unless tests/changes.txt lists it as what the
# later one changes. A list entry that names no change is stale, and an error too. Headers that
# two neighbours share are the same as a whole, all but attention.h and experiment.h.
#
#     sh tests/copies.sh           check
#     sh tests/copies.sh --count   changed lines of attention.c from chapter to chapter

set -u
cd "$(dirname "$0")/.." || exit 1
chapters=$(ls -d chapters/[0-9]*)

if [ "${1:-}" = --count ]; then
    before=
    for c in $chapters; do
        [ -n "$before" ] && printf '%3d lines  %s -> %s\n' \
            "$(diff "$before/attention.c" "$c/attention.c" | grep -c '^[<>]')" \
            "${before#chapters/}" "${c#chapters/}"
        before=$c
    done
    exit 0
fi

# Every function of a chapter as NAME<tab>TEXT, with the comment above it. Not main, and not
# those of experiments, each of which stands for itself.
functions() {
    cat $(ls "$1"/*.c | grep -vE '(experiment|size|workload)\.c$') | awk '
        /^\/\// { above = above $0 "\\n"; next }
        /^[A-Za-z].*\(/ && !/;$/ && !/^typedef/ && !/=/ {
            text = above; open = 1; name = $0
            sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
        }
        open { text = text $0 "\\n" }
        open && /^}/ { if (name != "main") print name "\t" text; open = 0 }
        { above = "" }'
}

listed() { # is function $2 listed as changed in chapter $1?
    grep -q "^${1%%_*}:.* $2\( .*\)*\$" tests/changes.txt
}

mkdir -p build
work=$(mktemp -d build/copies.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
before= bad=0 checked=0 headers=0
for c in $chapters; do
    functions "$c" > "$work/new"
    if [ -n "$before" ]; then
        while IFS='	' read -r name text; do
            other=$(awk -F '\t' -v n="$name" '$1 == n { print $2 }' "$work/old")
            [ -z "$other" ] && continue
            checked=$((checked + 1))
            if [ "$text" = "$other" ]; then
                listed "${c#chapters/}" "$name" &&
                    { echo "not ok - $c: $name is listed as changed but is not"; bad=1; }
            elif ! listed "${c#chapters/}" "$name"; then
                echo "not ok - $c: $name differs from $before (a copy that drifted?)"
                bad=1
            fi
        done < "$work/new"
    fi
    mv "$work/new" "$work/old"
    # A header is one text: whole, or it is another's. attention.h is the chapter's own contract.
    for header in "$c"/*.h; do
        case ${header##*/} in attention.h | experiment.h) continue ;; esac
        [ -n "$before" ] && [ -f "$before/${header##*/}" ] || continue
        headers=$((headers + 1))
        cmp -s "$before/${header##*/}" "$header" ||
            { echo "not ok - $header differs from $before (a copy that drifted?)"; bad=1; }
    done
    before=$c
done
[ "$bad" = 0 ] && [ "$checked" -gt 0 ] && [ "$headers" -gt 0 ] &&
    echo "ok - what neighbouring chapters share is the same (functions: $checked, headers: $headers)"
exit $bad
