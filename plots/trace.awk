# What the figures of traces share: reading a line of trace.jsonl, and putting words into a gnuplot
# script so that they are drawn as they are. Runs in the C locale, a byte a character.
#
#     awk -v base=B -f plots/trace.awk -f plots/heat.awk < RUN
#
# RUN is what plots/data/*.jsonl hold and plots/trace.sh puts together: a line "# the command", then
# lines of trace.jsonl. It may hold several such runs. Each figure writes B.csv, numbers only, and
# B.gp, sizes and words.

function clamp(x, least, most) { return x < least ? least : x > most ? most : x }
/^# / { said[++runs] = substr($0, 3) }

function stop(code, text) {
    print text > "/dev/stderr"
    exit stopped = code
}
END {
    if (stopped)
        exit stopped
}

# --- a line: {"step":..,"pass":0,"batch":0,"head":0,"name":"..","shape":[..],"rows":[..],
#     "columns":[..],"data":[..]}. A quote inside a label has a backslash before it, so no label can
#     look like a key.

function behind(key,   at) {
    at = index($0, "\"" key "\":")
    return at ? substr($0, at + length(key) + 3) : ""
}
function number(key) { return substr(behind(key), 1, 20) + 0 }
function shape_of(   text) { # into shape; one number a row: [n] is [n, 1]
    text = behind("shape")
    if (split(substr(text, 2, index(text, "]") - 2), shape, ",") < 2)
        shape[2] = 1
    step = behind("name")
    step = substr(step, 2, index(substr(step, 2), "\"") - 1)
}
function data_of(   text, n) { # into list, from 1; how many
    text = behind("data")
    n = split(substr(text, 2, index(text, "]") - 2), list, ",")
    if (n == 0 || n != shape[1] * shape[2])
        stop(3, substr($0, 1, 30) "...: expected " shape[1] * shape[2] " numbers, got " n)
    return n
}
function labels_of(key,   text, n, c, inside) { # into list, from 1; how many
    text = substr(behind(key), 2)
    for (n = 0; text != "" && (inside || substr(text, 1, 1) != "]"); ) {
        c = substr(text, 1, 1)
        if (c == "\"") {
            inside = !inside
            if (inside)
                list[++n] = ""
        } else if (c == "\\" && substr(text, 2, 1) == "u") {
            list[n] = list[n] "?" # a sign that cannot be drawn
            text = substr(text, 6)
        } else if (c == "\\") {
            list[n] = list[n] substr(text, 2, 1)
            text = substr(text, 2)
        } else if (inside) {
            list[n] = list[n] c
        }
        text = substr(text, 2)
    }
    return n
}

# --- words

# The first character of text, which may take up to four bytes; "" where it is none of UTF-8.
function character(text) {
    if (match(text, /^([\001-\177]|[\302-\337][\200-\277])/) ||
        match(text, /^[\340-\357][\200-\277][\200-\277]/) ||
        match(text, /^[\360-\364][\200-\277][\200-\277][\200-\277]/))
        return substr(text, 1, RLENGTH)
    return ""
}
# The first `most` characters, with a mark where there were more. What no font draws is a ?.
function cut(text, most,   out, n, c) {
    for (n = 0; text != "" && n < most; n++) {
        c = character(text)
        text = substr(text, c == "" ? 2 : length(c) + 1)
        out = out (c == "" || c ~ /[\001-\037\177]/ ? c == "\n" ? " " : "?" : c)
    }
    return text == "" ? out : substr(out, 1, length(out) - length(last_of(out))) "…"
}
function last_of(text) { return match(text, /[^\200-\277][\200-\277]*$/) ? substr(text, RSTART) : "" }
function wide(text) { # characters
    gsub(/[\200-\277]/, "", text)
    return length(text)
}
# In single quotes gnuplot looks for nothing but their end, and noenhanced draws what it got.
function quoted(text) {
    gsub(/'/, "''", text)
    return "'" text "'"
}
function word(text, x, y, how, size, colour) {
    printf "set label %s at %g,%g %s front noenhanced font ',%d' textcolor rgb '%s'\n",
        quoted(cut(text, 100)), x, y, how, size, (colour == "" ? "#33383d" : colour) > file
}
# As much of text as goes into that many pixels, in the small font of the lines below a picture.
function fit(text, pixels,   out, at, c, w) {
    text = cut(text, 1000)
    for (at = 1; at <= length(text); at += length(c)) {
        c = character(substr(text, at))
        w = c ~ /^[-ijltfr.,:;|!'"`()\[\]{}\/\\ ]/ ? 4.8 : c ~ /^[mwA-Z@%]/ ? 10 : 7.8
        w = length(c) > 2 ? 14 : w
        pixels -= w
        if (pixels < 0)
            return substr(out, 1, length(out) - length(last_of(out))) "…"
        out = out c
    }
    return out
}
# Above a picture what it shows; below it what was run, and how to read it. In pixels.
function header(text) {
    printf "set label %s at screen 0.02,screen 1 - 25. / H left noenhanced font ',17' " \
        "textcolor rgb '#33383d'\n", quoted(fit(text, (width - 20) / 1.35)) > file
}
function footer(lines,   n, i, list) {
    n = split(fit(said[1], width - 34) "\n" lines, list, "\n")
    for (i = 1; i <= n; i++)
        printf "set label %s at screen 0.02,screen %d. / H left noenhanced font ',12' " \
            "textcolor rgb '#6b737b'\n", quoted(list[i]), 14 + 18 * (n - i) > file
}
