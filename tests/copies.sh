# The chapters repeat each other on purpose, and so do the kernels: a function that two neighbours
# share is the same to the letter in both, comment included, unless tests/changes.txt lists it as
# what the later one changes. A list entry that names no change is stale, and an error too. Headers that
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

# Every function of some files as NAME<tab>TEXT, with the comment above it; an overload is NAME/2.
# Not main, which is each chapter's own.
functions() {
    cat "$@" | awk '
        /^\/\/|^template/ { above = above $0 "\\n"; next }
        /^[A-Za-z_].*\(/ && !/;$/ && !/^typedef/ && !/=/ {
            text = above; open = 1; name = $0
            sub(/__launch_bounds__\([^)]*\) */, "", name)
            if (sub(/.*KERNEL\(/, "", name)) sub(/\).*/, "", name)
            sub(/\(.*/, "", name); sub(/.*[ *&]/, "", name)
        }
        open { text = text $0 "\\n" }
        open && /^}/ {
            if (++seen[name] > 1) name = name "/" seen[name]
            if (name != "main") print name "\t" text
            open = 0
        }
        { above = "" }'
}

listed() { # is function $2 listed as changed under $1?
    grep -q "^$1:.* $2\( .*\)*\$" tests/changes.txt
}

mkdir -p build
work=$(mktemp -d build/copies.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
bad=0 checked=0 headers=0 kernels=0

# Holds the functions in $work/new against those in $work/old.
hold() { # the key in changes.txt, what is new, what is old
    while IFS='	' read -r name text; do
        other=$(awk -F '\t' -v n="$name" '$1 == n { print $2 }' "$work/old")
        [ -z "$other" ] && continue
        checked=$((checked + 1))
        if [ "$text" = "$other" ]; then
            listed "$1" "$name" &&
                { echo "not ok - $2: $name is listed as changed but is not"; bad=1; }
        elif ! listed "$1" "$name"; then
            echo "not ok - $2: $name differs from $3 (a copy that drifted?)"
            bad=1
        fi
    done < "$work/new"
}

before=
for c in $chapters; do
    name=${c#chapters/}
    # Experiments stand for themselves.
    functions $(ls "$c"/*.c | grep -vE '(experiment|size|workload)\.c$') > "$work/new"
    [ -n "$before" ] && hold "${name%%_*}" "$c" "$before"
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

# The kernels are ladders of the same kind: for a GPU a file a chapter, and a file a step of chapter
# 07; for a CPU a file a step of prefill, of which there are ten, and one a step of decode.
climb() { # cuda or cpu, the files in their order
    device=$1
    shift
    before=
    for k; do
        [ -f "$k" ] || continue
        name=$(basename "$k")
        functions "$k" > "$work/new"
        [ -n "$before" ] && hold "$device/${name%.*}" "$k" "$before" && kernels=$((kernels + 1))
        mv "$work/new" "$work/old"
        before=$k
    done
}
climb cuda kernels/cuda/0[1-6]_*.cu
climb cuda kernels/cuda/07_*.cu
climb cpu kernels/cpu/prefill_[0-9]_*.c kernels/cpu/prefill_[0-9][0-9]_*.c
climb cpu kernels/cpu/decode_[0-9]_*.c kernels/cpu/decode_[0-9][0-9]_*.c
[ "$bad" = 0 ] && [ "$checked" -gt 0 ] && [ "$headers" -gt 0 ] && [ "$kernels" -gt 0 ] &&
    echo "ok - what neighbours share is the same (functions: $checked, headers: $headers)"
exit $bad
