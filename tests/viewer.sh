# The trace viewer: what make viewer puts together, what it refuses, and where a browser is, all that
# tests/viewer.py clicks through; then that those clicks notice a viewer that is wrong. One `ok`,
# `not ok` or `skip` line each.

set -u
cd "$(dirname "$0")/.." || exit 2
which=${1:-} # --all: with every mistake that the clicks must notice
mkdir -p build
work=$(mktemp -d build/viewer_test.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
. tests/checks.sh
page=$work/page

made() { # the usual runs, each by its name; twice the same bytes
    sh traces/viewer/build.sh --into "$page" > "$work/said" 2> "$work/skipped" || { cat "$work/skipped"; return 1; }
    runs=$(sed -n "/^    cat <<'RUNS'/,/^RUNS/p" traces/viewer/build.sh | grep -cE '^(cpu|simt) ')
    is 'runs made or skipped' "$runs" "$(($(grep -c skipped "$work/skipped") + $(grep -c '^{"name":' "$page/viewer.js")))" || return 1
    cp "$page/index.html" "$work/first.html"
    sh traces/viewer/build.sh --into "$page" > /dev/null 2>&1 && cmp "$work/first.html" "$page/index.html"
}
check 'the usual runs, twice the same bytes' made
alone() { # all that the page needs is in it
    ! grep -nE '(src|href)=|@import|url\(|fetch\(|XMLHttp|https?://' "$page/index.html" | head -n 3 | grep .
}
check 'one file, that asks for nothing else' alone
whole() { # every file of traces/viewer is on the page, none is forgotten
    for file in traces/viewer/*.js; do
        grep -qF "$(sed -n 1p "$file")" "$page/index.html" || { echo "$file is not in it"; return 1; }
    done
}
check 'every script of traces/viewer is in it' whole

own() { # labels that are markup; what the page is made of is closed once
    build/cpu/02_masking --example random --n 2 --tokens '</script><i> "\' --print none --trace "$work/own" > /dev/null &&
        sh traces/viewer/build.sh --into "$work/mine" "$work/own" > /dev/null || return 1
    is 'ends of scripts' 1 "$(grep -c '</script' "$work/mine/index.html")" &&
        is 'traces' 1 "$(grep -c '^{"name":' "$work/mine/viewer.js")"
}
check 'a trace of your own, its labels kept from the page' own
two() {
    build/cpu/01_naive_attention --print none --trace "$work/o t" > /dev/null &&
        sh traces/viewer/build.sh --into "$work/mine" "$work/own" "$work/o t" > /dev/null &&
        is 'traces' 2 "$(grep -c '^{"name":' "$work/mine/viewer.js")"
}
check 'two traces, a space in a name' two

# refused CODE WORDS ARGUMENTS...: one line, the exit code, and the page that was there still is
refused() {
    code=$1 words=$2
    shift 2
    cp "$work/mine/index.html" "$work/before"
    sh traces/viewer/build.sh "$@" > "$work/stdout" 2> "$work/stderr"
    is 'exit status' "$code" $? && is 'lines on stderr' 1 "$(grep -c '' "$work/stderr")" &&
        is 'on stdout' '' "$(cat "$work/stdout")" && cmp "$work/before" "$work/mine/index.html" || return 1
    grep -qF -- "$words" "$work/stderr" || { echo "no \"$words\" in: $(cat "$work/stderr")"; return 1; }
}
mkdir "$work/empty"
: > "$work/empty/trace.jsonl"
check 'a folder that is not there' refused 3 'expected a folder that --trace wrote' --into "$work/mine" "$work/nowhere"
check 'a file' refused 3 'expected a folder that --trace wrote' --into "$work/mine" README.md
check 'a folder that is no trace' refused 3 'expected a folder that --trace wrote' --into "$work/mine" docs
check 'an empty trace' refused 3 'is empty' --into "$work/mine" "$work/empty"
head -c 200 "$work/own/trace.jsonl" > "$work/empty/trace.jsonl"
check 'a trace that breaks off' refused 3 'breaks off' --into "$work/mine" "$work/empty"
check 'an unknown flag' refused 2 'no such flag' --out "$work/mine"
check '--into without a folder' refused 2 'expected a folder' --into
check 'a place that cannot be written' refused 6 'cannot be written' --into /dev/null/viewer "$work/own"

browser=$(command -v chromedriver > /dev/null && sh tests/python.sh selenium) || {
    skip 'clicking through it in a browser' 'Chromium or selenium is not here (make setup-book)'
    echo "viewer: $passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
    exit
}
"$browser" tests/viewer.py "$page" > "$work/clicked" 2>&1
status=$?
grep -E '^(ok|not ok|skip) - ' "$work/clicked"
grep -A 20 '^Traceback' "$work/clicked"
passed=$((passed + $(grep -c '^ok - ' "$work/clicked"))) failed=$((failed + $(grep -c '^not ok - ' "$work/clicked")))
finished() { tail -n 1 "$work/clicked" | grep -q '^viewer: [0-9]* passed, 0 failed' && is 'exit status' 0 "$status"; }
check 'the clicks went to the end' finished

# A viewer with one thing wrong, and the part of the clicks that must see it.
wrong() { # FILE SED PART
    rm -rf "$work/copy" && mkdir -p "$work/copy/traces" "$work/copy/plots" &&
        cp -r traces/viewer "$work/copy/traces/" && cp plots/viridis.pal "$work/copy/plots/" || return 1
    sed "$2" "traces/viewer/$1" > "$work/copy/traces/viewer/$1"
    ! cmp -s "traces/viewer/$1" "$work/copy/traces/viewer/$1" || { echo "nothing changed in $1"; return 1; }
    sh "$work/copy/traces/viewer/build.sh" --into "$work/wrong" "$page"/runs/* > /dev/null || return 1
    VIEWER_BUILD=$work/copy/traces/viewer/build.sh "$browser" tests/viewer.py "$work/wrong" "$3" > "$work/seen" 2>&1
    is 'exit status' 1 $? && grep -q '^not ok' "$work/seen"
}
# Each takes seconds, and there are many: make test tries every sixth.
seeds=0
seed() { # NAME FILE SED PART
    seeds=$((seeds + 1))
    [ "$which" = --all ] || [ $((seeds % 6)) = 1 ] || return 0
    check "$1" wrong "$2" "$3" "$4"
}
seed 'a formula that adds the scale is noticed' formula.js 's/at(s, c.i, c.j) \* scale/at(s, c.i, c.j) + scale/' numbers
seed 'a lit row that is the wrong one' formula.js 's/rowOfPanel(c, "k", j)/rowOfPanel(c, "k", i)/' cells
seed 'a hidden key that is lit' formula.js 's/cells: read.map((j) => \[j, c.j\])/cells: p.columns.map((_, j) => [j, c.j])/' inputs
seed 'a click that holds nothing' app.js 's/cell: { panel, i, j }, locked: true/cell: { panel, i, j }, locked: false/' cells
seed 'a hidden weight in the colour of 0' read.js 's/=> !rule.sees(matrix.first/=> false \&\& !rule.sees(matrix.first/' cells
seed 'a key that does nothing' app.js 's/ArrowRight: () => this.go(/ArrowRight: () => (/' keys
seed 'arrows that leave the matrix' matrix.js 's/event.stopPropagation()/event.preventDefault()/' keys
seed 'a difference the wrong way round' compare.js 's/by = y - x/by = x - y/' pairs
seed 'a mask that hides what the other trace shows' compare.js 's/hidden: theirs.hidden \&\& .*/};/' pairs
seed 'rows of passes that stand beside the wrong ones' compare.js 's/ours.first - theirs.first + below/below/' pairs
seed 'rows behind a past that do' compare.js 's/: a.offset - b.offset/: 0/' words
seed 'a block table read one slot beside' blocks.js 's/ + slot) \* pool.D/ + slot + 1) * pool.D/' blocks
seed 'a token that loses the focus' blocks.js 's/this.drawn !== pool/pool/' blocks
seed 'tiles that are never gone' tiles.js 's/n < reached ? GONE/n < reached ? NOW/' tiles
seed 'counters of another step' moments.js 's/return found;/return trace.counts.last;/' counters
seed 'a picture painted at every move' matrix.js 's/this.painted !== matrix/matrix/' wide
seed 'counters that fall' moments.js 's/WHEN_OVER.includes(names\[0\])/false/' counters
seed 'a formula that pushes the counters down' viewer.css 's/min-height: 18rem/min-height: 1rem/' still
seed 'a frame of the focus that is cut off' viewer.css 's/outline-offset: -3px/outline-offset: 1px/' focus
seed 'a control without one' viewer.css 's/^.viewer :focus-visible { outline: 3px/.viewer .none { outline: 3px/' focus
seed 'a head that loses the focus' app.js 's/this.heads.children\[focused\]?.focus();//' focus
seed 'a name that turns the brackets around' numbers.js 's/`\\u2068/`/' long
seed 'a formula out of sight on a phone' viewer.css 's/position: fixed/position: static/' pages

echo "viewer: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
