# How long a chapter takes to read, as README.md says it: the words of its README.md at 200 a minute
# and the lines of its attention.c at 20, rounded up to five minutes. make minutes
#
#     sh tests/minutes.sh [FOLDER...]     default: all chapters

set -u
LC_ALL=C
export LC_ALL
[ $# -gt 0 ] || set -- chapters/[0-9]*
for chapter; do
    for file in README.md attention.c; do
        [ -r "$chapter/$file" ] || { echo "minutes: $chapter/$file: cannot be read" >&2; exit 3; }
    done
    awk -v name="$(basename "$chapter")" '
        FILENAME ~ /README.md$/ { words += NF; next }
        { lines++ }
        END { fives = (words / 200 + lines / 20) / 5
            printf "%3d minutes  %s: %d words, %d lines\n", 5 * (int(fives) + (fives > int(fives))),
                name, words, lines }' "$chapter/README.md" "$chapter/attention.c"
done
