# Transcripts: text files that hold commands and what they printed. A line that begins with
# "$ " is a command, what follows it is its output, up to the next command or, in Markdown, to
# the end of the ```console block. Nothing else in the file is touched.
#
#     sh tests/transcript.sh --write FILE...   run the commands again, write the outputs anew
#     sh tests/transcript.sh --check FILE...   say which files would change; 1 if any would

set -u
mode=${1:-}
case $mode in --write | --check) shift ;; *) echo "usage: transcript.sh --write|--check FILE..." >&2; exit 2 ;; esac
stale=0

refresh() {
    awk -v markdown="$(case $1 in *.md) echo 1 ;; *) echo 0 ;; esac)" '
        markdown && /^ *```console/ { inside = 1; print; next }
        markdown && /^ *```/        { inside = 0; skip = 0; print; next }
        (inside || !markdown) && /^\$ / {
            if (skip) print ""
            print
            command = substr($0, 3) " 2>&1"
            blank = "" # blank lines at the end of an output are dropped
            while ((command | getline line) > 0) {
                if (line == "") { blank = blank "\n"; continue }
                printf "%s", blank
                blank = ""
                print line
            }
            close(command)
            skip = 1
            next
        }
        !skip { print }
    ' "$1"
}

mkdir -p build
new=$(mktemp build/transcript.XXXXXX) || exit 1
trap 'rm -f "$new"' EXIT
trap 'exit 130' INT TERM HUP
for file; do
    [ -f "$file" ] || continue
    refresh "$file" > "$new"
    if [ "$mode" = --write ]; then
        cmp -s "$new" "$file" || { cat "$new" > "$file"; echo "wrote $file"; }
    elif cmp -s "$new" "$file"; then
        echo "ok - $file is what its commands print"
    else
        echo "not ok - $file is stale (make trace):"
        diff "$file" "$new" | head -n 12
        stale=1
    fi
done
exit $stale
