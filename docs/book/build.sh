# make book: the project's pages as one searchable book that opens from disk,
# build/book/html/index.html. Every warning is an error. Exit: 0, 1 it could not be built, 4 what
# builds it is not here.

set -u
cd "$(dirname "$0")/../.." || exit 2
export KATEX="${KATEX:-/usr/share/javascript/katex}"
for need in sphinx pandoc katex; do
    sh tests/have.sh $need && continue
    echo "book: $need is not here: make setup-book installs it" \
        "(Debian: $(awk -F '|' -v n=$need '$1 ~ "^" n { gsub(/^ +| +$/, "", $2); print $2 }' docs/book/packages.txt))" >&2
    exit 4
done
python=$(sh tests/python.sh sphinx myst_parser furo nbsphinx)
made=build/book
export VIEWER="$PWD/$made/viewer"
rm -rf "$made/html"
mkdir -p "$made"
"$python" docs/book/stage.py "$made/source" || exit 1
sh traces/viewer/build.sh --into "$VIEWER" > /dev/null || exit 1
if "$python" -m sphinx -q -W --keep-going -c docs/book "$made/source" "$made/new" 2> "$made/log"; then
    mv "$made/new" "$made/html" && rm -rf "$made/html/.doctrees"
    echo "book: $made/html/index.html"
else
    sed "s|$PWD/$made/source/||" "$made/log" >&2
    rm -rf "$made/new"
    exit 1
fi
