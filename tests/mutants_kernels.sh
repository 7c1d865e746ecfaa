# The CUDA kernels, made wrong one way at a time, in a copy. Two sorts of bugs, tried by
# tests/mutants.sh:
#
#     barriers    every __syncthreads, __syncwarp, asynchronous wait and the like in kernels/cuda
#                 is found and removed. The emulator must report it, naming kernel and line, also
#                 where no number changes; and must have nothing to say before.
#     gallery     every entry of docs/KERNEL_BUGS.md
#
#     sh tests/mutants_kernels.sh            all
#     sh tests/mutants_kernels.sh --some     one kernel's barriers and every sixth bug
#     sh tests/mutants_kernels.sh 12 1001    these; `--list` gives the barriers' numbers

set -u
cd "$(dirname "$0")/.." || exit 2
gallery=docs/KERNEL_BUGS.md some_of=07_8_async first=1001
calls='(__sync(threads|warp)[a-z_]*|cp_async_(wait|commit)|mbarrier_[a-z_]+|named_barrier)[(]'
sh tests/have.sh g++ || {
    echo "skip - mutants-kernels: g++ is not here (make setup)"
    echo "mutants-kernels: 0 passed, 0 failed, 1 skipped"
    exit 0
}
unset MAKEFLAGS MAKELEVEL # of a make that called us
${MAKE:-make} -s all tools simt counted build/tests/kernels || exit 1
work=$(mktemp -d build/mutants-kernels.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# The run in which a file's barriers matter: several tiles of queries and of keys, a group that
# shares its keys, a cut, a mask, and one query alone.
run_for() { # name of a .cu without its ending
    case $1 in
    07_9_*) echo gpu ;; # wgmma and TMA: compiled, never emulated
    07_*) echo "counted 07 ${1#07_?_} --n 70 --prefill 69 --dim 64 --batch 2 --cut 33" ;;
    *) echo "counted ${1%%_*} warp --n 40 --prefill 38 --dim 40 --heads 8" ;;
    esac
}

# One file's synchronising calls, as entries of a gallery. A call becomes nothing; a question
# whether a wait is over is answered with yes. All lines up to the call stand before it, so that
# the place is found once whatever the file repeats.
cut_barriers() { # file, the part that must see it, the first number
    awk -v file="$1" -v part="$2" -v n="$3" '
        # Where the parenthesis that opens at `from` is closed.
        function closed(text, from, at, depth) {
            for (at = from; at <= length(text); at++) {
                if (substr(text, at, 1) == "(") depth++
                if (substr(text, at, 1) == ")" && --depth == 0) return at
            }
            return 0
        }
        function entry(call, with) {
            name = file; sub(/.*\//, "", name)
            print "### " n++ ". " name ":" FNR " without " call "\n\n```diff\n--- " file
            printf "%s-%s\n+%s\n```\n\n", before, $0, with
            print "Caught by `" part "`: the emulator has nothing to say\n"
        }
        /^[ \t]/ { # indented, or it is a definition
            code = $0; sub(/\/\/.*/, "", code)
            for (past = 0; match(substr(code, past + 1), call); past = to) {
                from = past + RSTART
                to = closed(code, from + RLENGTH - 1)
                if (!to) break
                found = substr(code, from, to - from + 1)
                entry(found, substr($0, 1, from - 1) (found ~ /try_wait/ ? "true" : "") \
                    substr($0, to + 1))
            }
        }
        { before = before " " $0 "\n" }' call="$calls" "$1"
}

# Every file's, and then the gallery.
write_entries() {
    for file in kernels/cuda/*.cu kernels/cuda/*.cuh; do
        cut_barriers "$file" "$(run_for "$(basename "$file" .cu)")" "$first"
        first=$((first + $(cut_barriers "$file" x 1 | grep -c '^### ')))
    done
    cat "$gallery"
}

# The numbers of one kernel's barriers and of every sixth bug.
some() {
    sed -nE "s/^### ([0-9]+)\. $some_of\.cu:.*/\1/p" "$work/entries.md"
    sed -nE 's/^### ([0-9]+)\. .*/\1/p' "$gallery" | awk '$1 % 6 == 1'
}

write_entries > "$work/entries.md"
case ${1:-} in
--list) sed -nE 's/^### ([0-9]+)\. (.*)/\1  \2/p' "$work/entries.md"; exit 0 ;;
--some) shift; set -- $(some) ;;
esac
sh tests/mutants.sh --from "$work/entries.md" --as mutants-kernels "$@"
