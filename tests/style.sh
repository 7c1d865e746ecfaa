# What docs/STYLE.md asks and a script can see.

set -u
bad=0
say() { # name, offending lines
    if [ -z "$2" ]; then
        echo "ok - style: $1"
    else
        echo "not ok - style: $1"
        echo "$2" | head -n 5
        bad=1
    fi
}
sources=$(ls common/*.[ch] chapters/*/*.[ch] tests/*.[ch] kernels/*/*.[ch] kernels/cuda/*.cu)
scripts=$(ls traces/viewer/*.js)

# In characters, not bytes: comments may hold a sign that takes two.
say 'lines of at most 100 columns' "$(LC_ALL=C awk '{ gsub(/[\200-\277]/, "") }
    length > 100 { print FILENAME ":" FNR ": " length " columns" }' $sources $scripts)"
say 'no tabs, no space at the end of a line' "$(grep -nE "	| +\$" $sources $scripts)"
say 'no #if beyond include guards in common, chapters and tests' "$(grep -nE '^#(if|elif)' $(ls common/*.[ch] chapters/*/*.[ch] tests/*.[ch]) | grep -vE '#ifndef [A-Z_]+_H$')"
say 'no chapter includes another' "$(grep -nE '#include ".*chapters/' chapters/*/*.[ch] common/*.[ch])"
say 'common includes nothing of a chapter' "$(grep -nE '#include "(\.\./)' common/*.[ch])"
say 'every function of attention.c opens with a comment' "$(awk '
    FNR == 1 { above = "" }
    /^(static )?[A-Za-z].*\(/ && !/;$/ && above !~ /^\/\// && !/ attention\(/ { print FILENAME ":" FNR ": " $0 }
    { above = $0 }' chapters/*/attention.c)"
say 'comments are 12 to 30 % of every attention.c' "$(for f in chapters/*/attention.c; do
    awk -v f="$f" '/\/\// { c++ } END { p = 100 * c / NR; if (p < 12 || p > 30) print f ": " p " %" }' "$f"
done)"
exit $bad
