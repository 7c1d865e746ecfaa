# The front page's table; and the book: every link of every page leads to a file, every answer is on
# the page of answers, and where Sphinx is here it builds without a warning and asks no server. A
# browser looks at it in `make book-check`. One `ok`, `not ok` or `skip` line each.

set -u
cd "$(dirname "$0")/.." || exit 2
mkdir -p build
work=$(mktemp -d build/book_test.XXXXXX) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
. tests/checks.sh

finish() {
    echo "book: $passed passed, $failed failed, $skipped skipped"
    [ $failed = 0 ]
    exit
}

# --- the front page's table -----------------------------------------------------------------------

rows() { sed -n 's,^| \[.*(chapters/\([^/]*\)/README.md),\1 ,p' README.md; }
minutes() { # the last column is what arithmetic says
    is minutes "$(sh tests/minutes.sh | sed 's/^ *\([0-9]*\) minutes  \([^:]*\):.*/\2 \1/')" \
        "$(rows | sed 's/ .* | \([0-9]*\) |$/ \1/')"
}
check "README's minutes are those of make minutes" minutes
commands() { # a row's commands are its own chapter's
    is commands "$(ls chapters | awk '{ n = substr($0, 1, 2)
            print "run-" n (before ? " A=" before " B=" n : ""); before = n }')" \
        "$(rows | sed 's/.*make \(run-[0-9]*\)[^A]*\(A=[0-9]* B=[0-9]*\)*.*/\1 \2/; s/ $//')"
}
check "README's commands are those of each row's chapter" commands
mkdir "$work/chapter"
counted() { # WORDS LINES MINUTES
    awk -v n="$1" 'BEGIN { while (n-- > 0) printf "word%s", n % 7 ? " " : "\n" }' > "$work/chapter/README.md"
    awk -v n="$2" 'BEGIN { while (n-- > 0) print "line;" }' > "$work/chapter/attention.c"
    is minutes "$(printf '%3d minutes  chapter: %d words, %d lines' "$3" "$1" "$2")" \
        "$(sh tests/minutes.sh "$work/chapter")"
}
check 'minutes that need no rounding' counted 800 20 5
check 'a line more is five minutes more' counted 800 21 10
unread() {
    said=$(sh tests/minutes.sh "$work/nowhere" 2>&1)
    is 'exit status' 3 $? && is 'what it says' "minutes: $work/nowhere/README.md: cannot be read" "$said"
}
check 'a folder that is no chapter' unread

# --- pages and links ------------------------------------------------------------------------------

command -v python3 > /dev/null 2>&1 || { skip 'the pages of the book' 'python3 is not here'; finish; }

staged() { python3 docs/book/stage.py "$work/source" > "$work/said" 2>&1 || { cat "$work/said"; return 1; }; }
check 'every link leads to a page, a file or a folder' staged
answered() { # as many as the chapters ask
    is 'answers' "$(cat chapters/*/README.md | grep -c '<summary>')" \
        "$(grep -c '^\*\*.*\*\*$' "$work/source/docs/book/answers.md")"
}
check 'the page of answers has all of them' answered
listed() { # the pages of docs and of the chapters are in a table of contents
    for page in chapters/*/README.md docs/*.md docs/book/*.md kernels/README.md kernels/*/README.md; do
        [ $page = docs/book/index.md ] || grep -qx "${page%.md}" docs/book/index.md ||
            { echo "$page is in no part of docs/book/index.md"; return 1; }
    done
}
check 'every page is in a part of the book' listed
printed() { sh tests/transcript.sh --check docs/book/*.md > "$work/said" || { cat "$work/said"; return 1; }; }
check 'its own pages are what their commands print' printed
own_lines() { # a page of code includes the file, and nothing is lost on the way
    cmp chapters/01_naive_attention/attention.c "$work/source/code/chapters/01_naive_attention/attention.c" &&
        grep -q '{literalinclude} attention.c' "$work/source/code/chapters/01_naive_attention/attention.c.md"
}
check "code on a page is the file's own" own_lines

# A small project with one page, whose link is wrong, then right, then within code.
mkdir -p "$work/small/docs/book/_static" "$work/small/chapters/01_a"
cp docs/book/stage.py "$work/small/docs/book/"
echo '# Index' > "$work/small/docs/book/index.md"
printf '# A\n\n<details><summary>Why?</summary>\n\nSo.\n</details>\n' > "$work/small/chapters/01_a/README.md"
small() { # text of the page, exit code, words
    printf '# Front\n\n%s\n' "$1" > "$work/small/README.md"
    python3 "$work/small/docs/book/stage.py" "$work/small/out" > "$work/said" 2>&1
    is 'exit status' "$2" $? || return 1
    [ -z "$3" ] || grep -qF -- "$3" "$work/said" || { echo "no \"$3\" in: $(cat "$work/said")"; return 1; }
}
check 'a link into nothing is refused' small '[x](no/where.c)' 1 'README.md: links to no/where.c, which is not there'
: > "$work/small/docs/book/x.bin"
check 'a link to what no page can show' small '[x](docs/book/x.bin)' 1 'x.bin: no page can show it'
check 'a link to a page' small '[x](chapters/01_a/README.md#questions)' 0 ''
check 'brackets within code are no link' small 'of `a[i](j)`' 0 ''

if sh tests/have.sh sphinx && sh tests/have.sh pandoc && sh tests/have.sh katex; then
    built() { sh docs/book/build.sh > "$work/said" 2>&1 || { cat "$work/said"; return 1; }; }
    check 'Sphinx builds it without a warning' built
    alone() { # nothing that a page loads lies elsewhere
        ! grep -rnoE --include='*.html' --include='*.css' '(src="|<link[^>]*href="|url\()["]?(https?:)?/[^")]*' \
            build/book/html | head -n 3 | grep .
    }
    check 'it opens from disk and asks no server' alone
    check 'the index of its search is there' test -s build/book/html/searchindex.js
else
    skip 'the book itself' 'Sphinx with its parts is not here (make setup-book)'
fi

# --- the browser's check, shown one fault of each kind ------------------------------------------------

# page NAME TEXT: a page of the site, day and night
page() {
    printf '<!doctype html><meta charset="utf-8"><style>body { background: #fff; color: #111 }
        body[data-theme="dark"] { background: #111; color: #eee }
        body[data-theme="dark"] .pale { color: #555 } a { color: inherit }</style><body><article>%s</article></body>\n' \
        "$2" > "$work/site/$1.html"
}
site() {
    mkdir -p "$work/site"
    page fine '<p>Nothing is wrong here. <a href="search.html">Search</a></p>'
    page picture '<img src="gone.png" alt="">'
    page formula '<div class="formula">x^2</div>'
    page wide '<p style="width: 600px">wider than a phone</p>'
    page pale '<p class="pale">grey in the dark</p>'
    page dead '<a href="nowhere.html">away</a>'
    page empty '<a href="">' # a link to the page itself: fine
    page loud '<p>See the console.</p><script>console.error("out of ink")</script>'
    page search '<div id="search-results"></div>'
}
found() { # in three pages nothing, in six and in the search one fault each
    is 'exit status' 1 $looked && is 'last line' 'book-check: 3 passed, 7 failed' \
        "$(tail -n 1 "$work/looked")" || { cat "$work/looked"; return 1; }
}
faulty() { # NAME WORDS: that page's first fault has these words
    awk -v name="not ok - $1" '$0 == name { here = 1; next } here { print; exit }' "$work/looked" |
        grep -qF -- "$2" || { cat "$work/looked"; return 1; }
}
no_pages() {
    mkdir -p "$work/nothing"
    said=$("$browser" docs/book/check.py "$work/nothing" 2>&1)
    is 'exit status' 1 $? && echo "$said" | grep -q 'holds no pages'
}
looked=4
if browser=$(sh tests/python.sh selenium); then
    site
    "$browser" docs/book/check.py "$work/site" > "$work/looked" 2>&1
    looked=$?
fi
if [ $looked != 4 ]; then
    check "the browser's check finds faults, and only where they are" found
    check 'it names a picture that is not there' faulty picture.html 'a picture is not there'
    check 'it names a formula that was not drawn' faulty formula.html 'a formula is not drawn: x^2'
    check 'it names text that is wider than a phone' faulty wide.html '390: it is '
    check 'it names text that is pale in the dark' faulty pale.html 'to 1, dark, pale "grey in the dark"'
    check 'it names a link into nothing' faulty dead.html 'a link into nothing: '
    check "it names the console's errors" faulty loud.html 'out of ink'
    check 'it names a search that finds nothing' faulty search '"online softmax" does not lead to'
    check 'it refuses a folder without pages' no_pages
else
    skip "the browser's check" 'Chromium or selenium is not here (make setup-book)'
fi
finish
