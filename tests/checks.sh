# What the tests of the builds' command lines have in common; to be read in by `.`, with $work set to
# a folder of their own. Every check prints one line, `ok`, `not ok` or `skip`.

passed=0 failed=0 skipped=0

check() { # name, command
    name=$1
    shift
    if came=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name: $(echo "$came" | tr '\n' ' ')"
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "skip - $1: $2"
}

# run PROGRAM FLAGS...: leaves $status and the files stdout and stderr.
run() {
    program=$1
    shift
    "build/$program" "$@" > "$work/stdout" 2> "$work/stderr" < /dev/null
    status=$?
}

is() { # what, expected, came
    [ "$2" = "$3" ] || { echo "$1: expected $2, got $3"; return 1; }
}

# refuses CODE WORDS PROGRAM FLAGS...: that code, one line with these words, nothing on stdout, and
# no file in the folder where it was asked to write.
refuses() {
    code=$1 words=$2
    shift 2
    rm -rf "$work/left" && mkdir "$work/left"
    run "$@"
    is "exit status" "$code" "$status" &&
        is "lines on stderr" 1 "$(grep -c '' "$work/stderr")" &&
        is "bytes on stdout" 0 "$(wc -c < "$work/stdout" | tr -d ' ')" &&
        is "files left behind" "" "$(ls -A "$work/left")" || return 1
    grep -qF -- "$words" "$work/stderr" || { echo "no \"$words\" in:"; cat "$work/stderr"; return 1; }
}

prints() { # pattern, program, flags: ends well, nothing on stderr, and a line like this
    pattern=$1
    shift
    run "$@"
    is "exit status" 0 "$status" && is stderr "" "$(cat "$work/stderr")" || return 1
    grep -q -- "$pattern" "$work/stdout" || { echo "no line like $pattern"; return 1; }
}

stat() { sed -n "s,^$1   *\([^ ].*\),\1,p" "$work/stdout"; } # what --stats says

shows() { # a word of --stats, what must stand there, program, flags
    word=$1 wanted=$2
    shift 2
    run "$@" --stats --print none
    is "exit status" 0 "$status" && is "$word" "$wanted" "$(stat "$word")"
}
