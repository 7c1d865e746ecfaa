# A measurement's CSV, read and checked: cell[i, NAME] is what row i has in the column NAME, get(i,
# NAME) the same. The file comes on stdin, its name for complaints in $PLOT_FILE.
#
# Two kinds are known by the first name of their header, which is `schema` then: "suite" (make
# bench) and "chapter" (a chapter's --bench). Headers may come again, as they do where runs were
# appended. Exit 3 and one line where the file is something else.

BEGIN { FS = "," }

function wrong(text) {
    if (failed) return
    failed = 1
    print ENVIRON["PLOT_FILE"] ": " text > "/dev/stderr"
    exit 3
}

{ sub(/\r$/, "") }
/^#/ { comment(); next }
/^[ \t]*$/ { next }
$1 == "suite" || $1 == "chapter" { header(); next }
!columns { wrong("line " FNR ": expected the names of columns, as make bench and --bench write them") }
NF != columns { wrong("line " FNR ": expected " columns " columns, got " NF) }
{ row() }

# Text ends up inside of gnuplot's strings: nothing that would be a command or markup there.
function plain(text) {
    gsub(/[`"'\\{}^@&$]/, " ", text)
    sub(/^ */, "", text)
    return text
}

# The machine is what the first comment says, the date what the first one says that looks like one.
function comment(    text) {
    text = plain(substr($0, 2))
    if (match(text, /^(date: *)?[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]/)) {
        if (date == "") date = substr(text, RSTART + RLENGTH - 10, 10)
        return
    }
    sub(/^(machine|cpu|processor): */, "", text)
    if (machine == "") machine = text
    else if (schema == "chapter" && text != machine) machine = "several machines or compilers"
}

function header(    i) {
    if (schema != "" && schema != $1) wrong("line " FNR ": rows of make bench and of --bench are mixed")
    schema = $1
    columns = NF
    split("", at)
    for (i = 1; i <= NF; i++) at[$i] = i
    need("N M D H G rounds median_s min_s max_s scratch_bytes flops")
    if (schema == "chapter") return
    need("name what kernel isa threads mask kv_dtype moved_bytes kv_bytes gflops gbytes_s")
    need("of_peak of_dram peak_gflops dram_gbytes_s against ratio ratio_min ratio_max")
}

function need(names,    list, n, i) {
    n = split(names, list, " ")
    for (i = 1; i <= n; i++)
        if (!(list[i] in at)) wrong("line " FNR ": expected a column " list[i])
}

function row(    name, text) {
    rows++
    for (name in at) {
        text = " suite name what kernel isa mask kv_dtype against chapter device "
        if (index(text, " " name " ")) cell[rows, name] = plain($at[name])
        else cell[rows, name] = number(name, $at[name])
    }
    if (get(rows, "median_s") == "") return
    if (!(get(rows, "min_s") > 0) || !(get(rows, "max_s") > 0) || !(get(rows, "median_s") > 0))
        wrong("line " FNR ": median_s, min_s, max_s: expected more than 0")
}

# A number, or nothing where nothing was measured.
function number(name, text) {
    if (text != "" && text !~ /^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$/)
        wrong("line " FNR ": " name ": expected a number, got \"" text "\"")
    return text == "" ? "" : text + 0
}

function get(i, name) { return cell[i, name] }

function timed(i) { return get(i, "median_s") != "" }
