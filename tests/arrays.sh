# The recipe of docs/YOUR_ARRAYS.md, run as it stands there, where numpy is. Every line that it
# prints is a check that held; and with another mask on NumPy's side alone it must fail.

set -u
cd "$(dirname "$0")/.." || exit 1
doc=docs/YOUR_ARRAYS.md
python=$(sh tests/python.sh) || { echo "skip - numpy is not here (make setup)"; exit 0; }
mkdir -p build
work=$(mktemp -d build/arrays.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

blocks=$(grep -c '^```python$' "$doc")
if [ "$blocks" != 1 ]; then
    echo "not ok - $doc: expected one python block, the tested recipe, got $blocks"
    exit 1
fi
sed -n '/^```python$/,/^```$/{/^```/d;p;}' "$doc" | sed "s|build/arrays|$work|g" > "$work/recipe.py"

"$python" "$work/recipe.py" > "$work/log" 2> "$work/errors"
code=$?
sed 's/^/ok - recipe: /' "$work/log"
if [ "$code" != 0 ]; then
    echo "not ok - recipe: $(tail -n 1 "$work/errors")"
    exit 1
fi
[ -s "$work/log" ] || { echo "not ok - recipe: it checked nothing"; exit 1; }

sed 's/np\.tril(/np.triu(/' "$work/recipe.py" > "$work/wrong.py"
if cmp -s "$work/recipe.py" "$work/wrong.py"; then
    echo "not ok - recipe: no np.tril left to turn around"
    exit 1
elif "$python" "$work/wrong.py" > /dev/null 2> "$work/errors"; then
    echo "not ok - recipe: it holds with the mask turned around, too"
    exit 1
elif grep -q '^AssertionError: .*: off by' "$work/errors"; then
    echo "ok - recipe: with NumPy's mask turned around it fails"
else
    echo "not ok - recipe: with the mask turned around: $(tail -n 1 "$work/errors")"
    exit 1
fi
