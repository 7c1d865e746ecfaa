# Seeded bugs: each entry of docs/BUGS.md is put into a copy of the sources, one at a time, and
# the check that the entry names must turn red. A bug that nobody catches is a failure, and so is
# an entry whose lines are no longer in the source, or which does not build.
#
#     sh tests/mutants.sh            all
#     sh tests/mutants.sh --some     every eighth, for make test
#     sh tests/mutants.sh 12 13      these

set -u
root=$(pwd) tree=build/mutants/tree
wanted=" $* "
caught=0 missed=0
export CMOCKA_MESSAGE_OUTPUT=TAP

# Each entry of docs/BUGS.md as files in build/mutants/N: title, file, old, new, part, name.
cut_entries() {
    awk -v dir=build/mutants '
        function put(what, text) { printf "%s", text > (to "/" what); close(to "/" what) }
        /^### [0-9]+\. / {
            n = $2 + 0; to = dir "/" n; system("mkdir -p " to)
            sub(/^### [0-9]+\. /, ""); put("title", $0 "\n"); old = new = ""
        }
        /^```diff/ { inside = 1; next }
        /^```/ && inside { inside = 0; put("old", old); put("new", new); next }
        inside && /^--- / { put("file", substr($0, 5) "\n"); next }
        inside && /^-/ { old = old substr($0, 2) "\n" }
        inside && /^\+/ { new = new substr($0, 2) "\n" }
        /^Caught by `/ {
            split($0, words, "`"); put("part", words[2] "\n")
            name = $0; sub(/^[^:]*: */, "", name); put("name", name "\n")
        }' docs/BUGS.md
}

make_tree() {
    rm -rf build/mutants
    mkdir -p "$tree/build"
    cut_entries
    cp -Rp Makefile LICENSE README.md chapters common tests docs traces "$tree/"
    cp -Rp build/cpu build/tests "$tree/build/"
    [ -d ../shared ] && ln -s "$(cd .. && pwd)/shared" build/mutants/shared
}

# Puts the entry's new lines in the place of its old ones, which must stand there exactly once.
mutate() { # entry, file
    awk -v old="$1/old" -v new="$1/new" '
        function slurp(path, all, line) { while ((getline line < path) > 0) all = all line "\n"; return all }
        { text = text $0 "\n" }
        END {
            from = slurp(old); to = slurp(new); at = index(text, from)
            if (!at || index(substr(text, at + 1), from)) exit 1
            printf "%s%s%s", substr(text, 1, at - 1), to, substr(text, at + length(from))
        }' "$2"
}

# Runs a part of the checks inside the tree.
run_check() {
    case $1 in
    ladder*) make -s all tools && sh tests/ladder.sh ${1#ladder} | sed 's/^not ok */not ok - /' ;;
    property) make -s build/tests/property && build/tests/property 400 1 ;;
    model) make -s build/tests/model_pages && build/tests/model_pages 20000 1 ;;
    cli*) make -s all tools && sh tests/cli.sh ${1#cli} ;;
    unit_*) make -s "build/tests/$1" && "build/tests/$1" ;;
    *) echo "no such part: $1" ;;
    esac 2>&1
}

try() { # number
    entry=build/mutants/$1
    file=$(cat "$entry/file") part=$(cat "$entry/part") name=$(cat "$entry/name")
    title="bug $1, $(cat "$entry/title")"
    cp -p "$tree/$file" "$entry/kept"
    if ! mutate "$root/$entry" "$tree/$file" > "$entry/mutated"; then
        echo "not ok - $title: its lines do not stand once in $file"
        missed=$((missed + 1))
        return
    fi
    cp "$entry/mutated" "$tree/$file"
    (cd "$tree" && run_check "$part") > "$entry/log"
    if grep -qE '(error:|make: \*\*\*)' "$entry/log"; then
        echo "not ok - $title: it does not build"
        missed=$((missed + 1))
    elif grep '^not ok' "$entry/log" | grep -qF -- "$name"; then
        echo "ok - $title: caught by $part: $name"
        caught=$((caught + 1))
    else
        echo "not ok - $title: $part did not turn \"$name\" red"
        grep -m 3 '^not ok' "$entry/log"
        missed=$((missed + 1))
    fi
    # a second later than the mutant, or make would keep the mutant's object
    cp "$entry/kept" "$tree/$file"
    find "$tree/build" -newer "$entry/mutated" -type f -name '*.o' -exec rm -f {} +
}

make_tree
for entry in $(ls build/mutants | grep '^[0-9]' | sort -n); do
    case $wanted in
    *' --some '*) [ $((entry % 8)) = 1 ] || continue ;;
    '  ') ;;
    *" $entry "*) ;;
    *) continue ;;
    esac
    try "$entry"
done
echo "mutants: $caught passed, $missed failed, 0 skipped"
[ "$missed" = 0 ] && [ "$caught" -gt 0 ]
