# Seeded bugs: each entry of docs/BUGS.md is put into a copy of the sources, one at a time, and
# the check that the entry names must turn red. A bug that nobody catches is a failure, and so is
# an entry whose lines are no longer in the source, or which does not build, or whose check is
# red (or missing) without the bug.
#
#     sh tests/mutants.sh            all
#     sh tests/mutants.sh --some     every eighth, for make test
#     sh tests/mutants.sh 12 13      these
#     sh tests/mutants.sh --stands   no program: do all entries' lines stand in the sources?
#
# --from FILE takes the entries from another gallery, --as NAME closes with that name:
# tests/mutants_kernels.sh does both.

set -u
gallery=docs/BUGS.md closing=mutants
while :; do
    case ${1:-} in
    --from) gallery=$2; shift 2 ;;
    --as) closing=$2; shift 2 ;;
    *) break ;;
    esac
done
mkdir -p build
work=$(mktemp -d build/mutants.XXXXXX) || exit 1
kept=           # yes: the logs of what was not caught stay
trap '[ -n "$kept" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
tree=$work/tree # the sources and what is built from them, never mutated
wanted=" $* "
export CMOCKA_MESSAGE_OUTPUT=TAP
unset MAKEFLAGS MAKELEVEL # of a make that called us
unset ATTENTION_KERNEL    # a part names its own

limit= # a bug may be a loop without end
command -v timeout > /dev/null && limit="timeout 120"

# --- the entries ---------------------------------------------------------------------------------

# Each entry as files in $work/N: title, file, old, new, part, name. A line of its diff
# that begins with a blank stands in both, old and new.
cut_entries() {
    awk -v dir=$work '
        function put(what, text) { printf "%s", text > (to "/" what); close(to "/" what) }
        /^### [0-9]+\. / {
            n = $2 + 0; to = dir "/" n; system("mkdir -p " to)
            sub(/^### [0-9]+\. /, ""); put("title", $0 "\n"); old = new = ""
        }
        /^```diff/ { inside = 1; next }
        /^```/ && inside { inside = 0; put("old", old); put("new", new); next }
        inside && /^--- / { put("file", substr($0, 5) "\n"); next }
        inside && !/^\+/ { old = old substr($0, 2) "\n" }
        inside && !/^-/ { new = new substr($0, 2) "\n" }
        /^Caught by `/ {
            split($0, words, "`"); put("part", words[2] "\n")
            name = $0; sub(/^[^:]*: */, "", name); put("name", name "\n")
        }' "$gallery"
}

# The numbers of the entries that were asked for.
pick_entries() {
    for entry in $(ls $work | grep '^[0-9]' | sort -n); do
        case $wanted in
        *' --some '*) [ $((entry % 8)) = 1 ] || continue ;;
        '  ') ;;
        *" $entry "*) ;;
        *) continue ;;
        esac
        echo "$entry"
    done
}

# Puts the entry's new lines in the place of its old ones, which must stand there exactly once.
mutate() { # entry, file
    awk -v old="$1/old" -v new="$1/new" '
        function slurp(path, all, line) {
            while ((getline line < path) > 0) all = all line "\n"
            return all
        }
        { text = text $0 "\n" }
        END {
            from = slurp(old); to = slurp(new); at = index(text, from)
            if (!at || index(substr(text, at + 1), from)) exit 1
            printf "%s%s%s", substr(text, 1, at - 1), to, substr(text, at + length(from))
        }' "$2"
}

# --- the parts -----------------------------------------------------------------------------------

# What make must have built for a part. "ladder 07 --cut" are the rows that begin with 07 --cut,
# "cli KV" the checks with KV in their names. For the CUDA kernels: "simt skip ladder 07 --cut" are
# the same rows on the emulator, by kernel skip; "kernels 07 skip" random shapes;
# "counted 07 skip --n 9" one run of which every access is watched. For the fast kernels:
# "fast avx2 prefill skip" random shapes by that step, "tsan" some with the threads watched.
targets_of() {
    case $1 in
    ladder* | cli*) echo all tools ;;
    simt*) echo all tools "$(program_of simt "$(echo "$1" | cut -d' ' -f4)")" ;;
    counted*) program_of counted "$(echo "$1" | cut -d' ' -f2)" ;;
    kernels*) echo build/tests/kernels ;;
    fast*) echo build/tests/fast ;;
    tsan) echo build/fast-tsan/tests/fast ;;
    property) echo build/tests/property ;;
    model) echo build/tests/model_pages ;;
    unit_*) echo "build/tests/$1" ;;
    *) echo "no-such-part-$1" ;;
    esac
}

program_of() { # simt or counted, a chapter's number
    echo "build/$1/$(basename chapters/"$2"_*)"
}

# Builds a part and runs it, in this folder.
run_part() {
    make -s $(targets_of "$1") || { echo "it does not build"; return; }
    case $1 in
    ladder*) $limit sh tests/ladder.sh "${1#ladder }" ;;
    simt*) DEVICE=simt ATTENTION_KERNEL=$(echo "$1" | cut -d' ' -f2) \
        $limit sh tests/ladder.sh "${1#* ladder }" ;;
    counted*) watch ${1#counted } ;;
    kernels*) $limit build/tests/kernels 250 1 "${1#kernels }" ;;
    fast*) $limit build/tests/fast 120 1 "${1#fast }" ;;
    tsan) $limit build/fast-tsan/tests/fast 8 5 ;;
    property) $limit build/tests/property 400 1 ;;
    model) $limit build/tests/model_pages 20000 1 ;;
    cli*) $limit sh tests/cli.sh "${1#cli }" ;;
    unit_*) $limit "build/tests/$1" ;;
    esac
}

# One run under the emulator's eyes. It has something to say only if it names the kernel and the
# source line, and the program fails; it has not if the program ends well and in silence.
watch() { # chapter's number, kernel, flags
    program=$(program_of counted "$1") kernel=$2
    shift 2
    ATTENTION_KERNEL=$kernel $limit "$program" "$@" --print none > watched 2>&1
    status=$? report=$(grep -oE '^simt: .* at [^ ]*:[0-9]+, kernel [a-z_]+' watched | head -n 1)
    cat watched
    if [ "$status" = 0 ] && ! grep -q '^simt: ' watched; then
        echo "ok - the emulator has nothing to say"
    elif [ "$status" != 0 ] && [ -n "$report" ]; then
        echo "not ok - the emulator has nothing to say, but: ${report#simt: }"
    fi
}

copy_of_tree() { # name
    rm -rf "$work/$1" && cp -Rp "$tree" "$work/$1"
}

# The emulator's builds are taken along only where an entry asks for them.
make_tree() {
    built="build/cpu build/tests"
    cat "$work"/[0-9]*/part | grep -qE "^(simt|counted|kernels)" &&
        built="$built build/simt build/counted"
    cat "$work"/[0-9]*/part | grep -qE "^(fast|tsan)" &&
        built="$built build/fast build/fast-tsan build/tsan"
    mkdir -p "$tree/build"
    cp -Rp Makefile LICENSE README.md chapters common kernels tests docs "$tree/"
    for folder in $built; do
        [ ! -d "$folder" ] || cp -Rp "$folder" "$tree/build/"
    done
}

# --- what is tried -------------------------------------------------------------------------------

# A part without any bug, which every bug that it is to catch is held against.
try_clean() { # part's number
    copy_of_tree "lane$1"
    (cd "$work/lane$1" && run_part "$(cat "../part$1")") > "$work/part$1.log" 2>&1 < /dev/null
    rm -rf "$work/lane$1"
}

# Is the check of that name among the lines `$3` of a log? As whole words: test_part is not
# test_part_of_row.
says() { # log, name, ok or not ok
    grep "^$3 " "$1" | grep -qwF -- "$2"
}

# Has the check seen the bug? `stops with "TEXT"`: the program said so and reported no more.
is_red() { # log, name
    case $2 in
    'stops with "'*'"') text=${2#*\"} && grep -qF -- "${text%\"}" "$1" ;;
    *) says "$1" "$2" 'not ok' ;;
    esac
}

is_green() { # log, name
    case $2 in
    'stops with "'*'"') ! is_red "$1" "$2" && grep -q '^ok ' "$1" ;;
    *) says "$1" "$2" ok && ! says "$1" "$2" 'not ok' ;;
    esac
}

# A run under the emulator's eyes has told what it saw: better than the check's name.
verdict() { # entry, what went wrong or nothing
    title="bug ${1##*/}, $(cat "$1/title")"
    if [ -z "$2" ]; then
        saw=$(sed -n 's/^not ok - the emulator has nothing to say, but: //p' "$1/log")
        echo "ok - $title: caught by $(cat "$1/part"): ${saw:-$(cat "$1/name")}"
        : > "$1/caught"
    else
        echo "not ok - $title: $2"
    fi
}

try() { # entry's number
    entry=$work/$1 lane=$work/lane$1
    file=$(cat "$entry/file") part=$(cat "$entry/part") name=$(cat "$entry/name")
    clean=$work/$(cd "$work" && grep -lxF -- "$part" part[0-9]* | grep -v log).log
    if ! is_green "$clean" "$name"; then
        verdict "$entry" "$part has no check \"$name\" that is green without the bug"
        return
    fi
    copy_of_tree "lane$1"
    if mutate "$entry" "$lane/$file" > "$entry/mutated"; then
        cat "$entry/mutated" > "$lane/$file"
        (cd "$lane" && run_part "$part") > "$entry/log" 2>&1 < /dev/null
        if grep -q '^it does not build' "$entry/log"; then
            verdict "$entry" 'it does not build'
        elif is_red "$entry/log" "$name"; then
            verdict "$entry" ''
        else
            verdict "$entry" "$part did not turn \"$name\" red; see $entry/log"
        fi
    else
        verdict "$entry" "its lines do not stand once in $file"
    fi
    rm -rf "$lane"
}

# Runs `$1 WORD` for every word behind it, on as many processors as there are.
in_lanes() {
    what=$1 first=1
    shift
    lanes=$(getconf _NPROCESSORS_ONLN)
    while [ "$first" -le "$lanes" ]; do
        (n=0
        for word; do
            n=$((n + 1))
            [ $((n % lanes + 1)) != "$first" ] || "$what" "$word"
        done) &
        first=$((first + 1))
    done
    wait
}

# The gallery against the sources, in a second: nothing stale lands.
stands() {
    stale=0
    for n in $(ls $work | grep '^[0-9]' | sort -n); do
        mutate "$work/$n" "$(cat "$work/$n/file")" > /dev/null && continue
        echo "not ok - $gallery, bug $n: its lines do not stand once in $(cat "$work/$n/file")"
        stale=1
    done
    [ $stale = 1 ] || echo "ok - $gallery: the lines of $(ls $work | grep -c '^[0-9]') bugs stand in the sources"
    return $stale
}

cut_entries
if [ "${1:-}" = --stands ]; then
    stands
    exit
fi
for n in $wanted; do
    [ "$n" = --some ] || [ -d "$work/$n" ] || {
        echo "$closing: there is no bug $n"
        exit 2
    }
done
make_tree
entries= skipped=0 have_cmocka=$(sh tests/have.sh cmocka.h && echo yes)
for n in $(pick_entries); do
    case $(cat $work/$n/part):$have_cmocka in
    gpu:*)
        echo "skip - bug $n, $(cat $work/$n/title): the emulator cannot run it"
        skipped=$((skipped + 1)) ;;
    unit_*:)
        echo "skip - bug $n, $(cat $work/$n/title): cmocka is not here (make setup)"
        skipped=$((skipped + 1)) ;;
    *) entries="$entries $n" ;;
    esac
done
parts=$(for n in $entries; do cat "$work/$n/part"; done | sort -u |
    awk -v dir=$work '{ print > (dir "/part" NR); print NR }')
targets=$(for n in $parts; do targets_of "$(cat "$work/part$n")"; done | sort -u)
if ! (cd "$tree" && make -s $targets > /dev/null); then
    echo "not ok - $closing: the sources do not build without any bug"
    exit 1
fi
in_lanes try_clean $parts
in_lanes try $entries
total=$(echo "$entries" | wc -w) caught=$(ls $work/[0-9]*/caught 2> /dev/null | wc -l)
echo "$closing: $((caught)) passed, $((total - caught)) failed, $skipped skipped"
[ "$caught" = "$total" ] || kept=yes
[ "$caught" = "$total" ] && [ "$total" -gt 0 ]
