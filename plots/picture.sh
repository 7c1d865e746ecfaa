# What plots/draw.sh and plots/trace.sh share. They set gnuplot, new (a name to work under), lacks (a
# complaint to leave unheard) and fail.
#
# picture NAME SCRIPT FORMAT PLACE TABLE: a script that complains has drawn nothing. But of a degree
# sign, which this locale has not and no figure needs; and a measurement may lack a curve that a figure
# can have. The reader's browser picks the font; names that it may have come first.
picture() {
    "$gnuplot" -e "fmt='$3'; out='$new'; table='$5'" "plots/$2.gp" > "$new.all" 2>&1 < /dev/null &&
        ! grep -v -e 'degree sign' -e '^ *$' -e "$lacks" "$new.all" > "$new.log" && [ -s "$new" ] || {
        sed 's/^/    /' "$new.all" >&2
        fail 1 "$1: gnuplot could not draw it"
    }
    if [ "$3" = svg ]; then
        sed 's/font-family="sans-serif"/font-family="Helvetica, Arial, sans-serif"/g' "$new" > "$new.svg" &&
            mv "$new.svg" "$new" || exit 6
    fi
    mv "$new" "$4" 2> /dev/null || fail 6 "$4: cannot be written"
}
