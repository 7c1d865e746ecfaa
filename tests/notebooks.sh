# The notebooks of traces/: each executed again, and held against what is committed. Then that this
# check can fail: in copies, a stale source, a stale output, a cell that fails, a notebook that no
# source describes; and that a failing cell leaves the committed notebook alone.

set -u
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0
pass() { echo "ok - notebooks: $1"; passed=$((passed + 1)); }
fail() { echo "not ok - notebooks: $1"; failed=$((failed + 1)); }
skip() { echo "skip - notebooks: $1"; skipped=$((skipped + 1)); }
close() { echo "notebooks: $passed passed, $failed failed, $skipped skipped"; exit; }

python=$(sh tests/python.sh nbformat nbconvert ipykernel numpy) || {
    skip 'nbconvert or ipykernel is not here (make setup)'
    close
}
command -v "${GNUPLOT:-gnuplot}" > /dev/null 2>&1 || {
    skip 'gnuplot is not here, and their pictures are its (make setup)'
    close
}
mkdir -p build/test
work=$(mktemp -d build/test/notebooks.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

# --- what is committed ---------------------------------------------------------------

"$python" traces/notebooks.py --check > "$work/out" 2>&1
status=$?
sed -E 's/^(ok|not ok) - /&notebooks: /' "$work/out"
passed=$(grep -c '^ok - ' "$work/out") failed=$(grep -c '^not ok - ' "$work/out")
sources=$(ls traces/source/[0-9]*.md | wc -l)
[ $((passed + failed)) = $((sources)) ] ||
    fail "$((passed + failed)) of $((sources)) notebooks were looked at"
[ "$status" = 0 ] || [ "$failed" != 0 ] || fail "exit status $status, and no failure named"

# --- that it can fail ---------------------------------------------------------------

# A project of one small notebook, in a folder of its own.
copy=$work/copy
mkdir -p "$copy/traces/source"
cp traces/notebooks.py "$copy/traces"
printf '# One\n\n```python\nprint(1 + 1)\n```\n' > "$copy/traces/source/01_one.md"
notebooks() { "$python" "$copy/traces/notebooks.py" "$@" > "$work/out" 2>&1; }
again() { notebooks && cp "$copy/traces/01_one.ipynb" "$work/good"; }
# expect NAME STATUS TEXT ARGUMENT...: what a run must end with, and say
expect() {
    name=$1 want=$2 text=$3
    shift 3
    notebooks "$@"
    got=$?
    if [ "$got" = "$want" ] && grep -q -e "$text" "$work/out"; then
        pass "$name"
    else
        fail "$name: expected exit status $want and '$text', got $got and $(head -n 3 "$work/out")"
    fi
}

again || fail "a small notebook cannot be made: $(cat "$work/out")"
expect 'what was just made is what it was' 0 '^ok - 01_one: 2 cells' --check
notebooks && cmp -s "$copy/traces/01_one.ipynb" "$work/good" &&
    pass 'made twice, the same bytes' || fail 'made twice, it is another file'

sed 's/1 + 1/1 + 2/' "$copy/traces/source/01_one.md" > "$work/other"
cp "$copy/traces/source/01_one.md" "$work/source"
cp "$work/other" "$copy/traces/source/01_one.md"
expect 'a source that has changed since is reported' 1 'its source has changed since' --check
cp "$work/source" "$copy/traces/source/01_one.md"

sed 's/"2\\n"/"3\\n"/' "$work/good" > "$copy/traces/01_one.ipynb"
expect 'an output that is not today'"'"'s is reported' 1 'cell 01-02 says something else' --check
sed 's/"execution_count": 1/"execution_count": 7/' "$work/good" > "$copy/traces/01_one.ipynb"
expect 'a notebook that was executed by hand is reported' 1 'executed by hand' --check
cp "$work/good" "$copy/traces/01_one.ipynb"

cp "$work/good" "$copy/traces/02_two.ipynb"
expect 'a notebook without a source is reported' 1 'traces/02_two.ipynb: it has no source' --check
rm "$copy/traces/02_two.ipynb"

sed 's/1 + 1/1 \/ 0/' "$work/source" > "$copy/traces/source/01_one.md"
expect 'a cell that fails is reported, with what it said' 1 'ZeroDivisionError'
cmp -s "$copy/traces/01_one.ipynb" "$work/good" && [ "$(ls "$copy/traces" | wc -l)" -eq 3 ] &&
    pass 'and the notebook is left as it was' || fail 'a cell that failed changed the notebook'
cp "$work/source" "$copy/traces/source/01_one.md"

rm "$copy/traces/01_one.ipynb"
expect 'a notebook that is not there is reported' 1 'is not there' --check
expect 'a name that no notebook has is refused' 2 '09: expected --check or one of 01_one' 09
printf '#!/bin/sh\nexec "%s" -S "$@"\n' "$python" > "$work/bare" # -S: without what is installed
chmod +x "$work/bare"
python=$work/bare
expect 'a Python that lacks a package says which' 4 'nbformat is not here: make setup'
close
