# The programs as a user meets them: arrays in files, flags on a command line, a result back.
#
#     BUILD=build/cpu TOOLS=build/tests sh tests/cli.sh
#     sh tests/cli.sh KV calculator       only the checks with "KV calculator" in their names
#
# BUILD holds the seven chapters, TOOLS make_arrays, expect, compare and oracle. Every check
# prints one line, `ok`, `not ok` or `skip`. The numbers in the names are those of the hard
# cases; what cannot be asked from outside is in tests/unit_numerics.c (12, 13, 17, 25, 41, 42)
# and tests/unit_pages.c (45 to 60).

set -u
LC_ALL=C
export LC_ALL
build=$(cd "${BUILD:-build/cpu}" && pwd) || exit 2
tools=$(cd "${TOOLS:-build/tests}" && pwd) || exit 2
work=$(mktemp -d /tmp/attention-cli.XXXXXX) || exit 2
trap 'chmod -R u+rwx "$work"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work" || exit 2
mkdir left # where programs that fail are asked to write: it must stay empty
topic=     # the hard case, or cases, that `refused` speaks of

chapters="01_naive_attention 02_masking 03_multi_head 04_gqa 05_kv_cache 06_paged_blocks
07_flash_tiling"
masking="02_masking 03_multi_head 04_gqa 05_kv_cache 06_paged_blocks 07_flash_tiling"
headed="03_multi_head 04_gqa 05_kv_cache 06_paged_blocks 07_flash_tiling"
grouped="04_gqa 05_kv_cache 06_paged_blocks 07_flash_tiling"
cached="05_kv_cache 06_paged_blocks 07_flash_tiling"
passed=0 failed=0 skipped=0 only=$*

for program in $chapters; do
    [ -x "$build/$program" ] || { echo "cli.sh: no $build/$program: build it first" >&2; exit 2; }
done
for tool in make_arrays expect compare oracle; do
    [ -x "$tools/$tool" ] || { echo "cli.sh: no $tools/$tool: build it first" >&2; exit 2; }
done

# --- checking ------------------------------------------------------------------------------------

# A program that hangs fails its check instead of stopping all of them.
limit=
command -v timeout >/dev/null && limit="timeout 20"

# check NAME COMMAND...: one check, good if the command is; what it prints says what came.
check() {
    name=$1
    shift
    case $name in *"$only"*) ;; *) return ;; esac
    if came=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name: $(echo "$came" | tr '\n' ' ')"
    fi
}

skip() {
    case $1 in *"$only"*) ;; *) return ;; esac
    skipped=$((skipped + 1))
    echo "skip - $1: $2"
}

# make NAME ...: the file NAME.npy, by tests/make_arrays.c.
make() {
    array=$1
    shift
    "$tools/make_arrays" "$array.npy" "$@" 2>make.err || { cat make.err >&2; exit 2; }
}

# run PROGRAM FLAGS...: leaves $status and the files stdout and stderr. Nobody types into it.
run() {
    program=$1
    shift
    $limit "$build/$program" "$@" >stdout 2>stderr </dev/null
    status=$?
}

# is WHAT EXPECTED CAME
is() {
    [ "$2" = "$3" ] || { echo "$1: expected $2, got $3"; return 1; }
}

# The run that was just made is over, well and silently.
ended_well() {
    is "exit status" 0 "$status" && is stderr "" "$(cat stderr)" || { cat stderr; return 1; }
}

# answers OUT LSE PROGRAM FLAGS...: the result and the log-sum-exps are as these predicates of
# tests/expect.c say. Old results are taken away first, or they would answer.
answers() {
    wanted=$1 wanted_lse=$2
    shift 2
    rm -f out.npy lse.npy
    run "$@" --print none --output out.npy --lse lse.npy
    ended_well && "$tools/expect" out.npy $wanted &&
        "$tools/expect" lse.npy ${wanted_lse:-elements 0 0}
}

# same_bits WAY WAY FLAGS...: the two ways give one result.
same_bits() {
    one=$1 other=$2
    shift 2
    rm -f one.npy one.lse.npy other.npy other.lse.npy
    run $one --print none --output one.npy --lse one.lse.npy "$@"
    ended_well || return 1
    run $other --print none --output other.npy --lse other.lse.npy "$@"
    ended_well && "$tools/compare" --nan-ok one.npy other.npy &&
        "$tools/compare" --nan-ok one.lse.npy other.lse.npy
}

# refuses CODE WORDS PROGRAM FLAGS...: ends with that code and says why in one line with these
# words in it, and nothing else is printed or left behind.
refuses() {
    code=$1 words=$2 line= more=
    shift 2
    run "$@"
    behind=$(echo left/*)
    rm -rf left/* # or every check after this one would fail, too
    { IFS= read -r line; IFS= read -r more; } <stderr
    is "exit status" "$code" "$status" || { cat stderr; return 1; }
    case $line in *"$words"*) ;; *) is stderr "a line with $words" "$line" || return 1 ;; esac
    is "a second line on stderr" "" "$more" && is stdout "" "$(head -n 1 stdout)" &&
        is "files left behind" "left/*" "$behind"
}

# refused CODE WORDS PROGRAM FLAGS...: as a check, named by the case in $topic and the command.
refused() {
    code=$1 words=$2
    shift 2
    check "$topic refused: $*" refuses "$code" "$words" "$@"
}

# --- the same question to every chapter ----------------------------------------------------------

# Cut finer than, into, and not at all: for arrays of up to a dozen tokens.
tiles="1,1 2,2 64,64" blocks="1 3"

# whole MASK: a command for each way to compute all queries in one pass over all keys.
whole() {
    [ "$1" != none ] || echo 01_naive_attention
    for program in 02_masking 03_multi_head 04_gqa; do
        echo "$program --mask $1"
    done
    echo "05_kv_cache --mask $1 --prefill 9999"
    for T in $blocks; do
        echo "06_paged_blocks --mask $1 --prefill 9999 --block-size $T"
    done
    for tile in $tiles; do
        echo "07_flash_tiling --mask $1 --prefill 9999 --tile $tile"
    done
}

# steps MASK: the same token by token, for rules under which nobody looks ahead.
steps() {
    echo "05_kv_cache --mask $1 --prefill 1"
    echo "05_kv_cache --mask $1 --cache grow --layout tokens"
    echo "06_paged_blocks --mask $1 --prefill 1 --block-size 3"
    echo "06_paged_blocks --mask $1 --block-size 1"
    echo "07_flash_tiling --mask $1 --prefill 1 --tile 1,2"
    echo "07_flash_tiling --mask $1 --block-size 3 --tile 2,1"
}

# each NAME OUT LSE WAYS FLAGS...: what q, k and v.npy give in each of the ways, one a line.
each() {
    case_name=$1 out=$2 lse=$3
    echo "$4" >ways
    shift 4
    while read -r way; do
        check "$case_name ($way)" answers "$out" "$lse" $way --q q.npy --k k.npy --v v.npy "$@"
    done <ways
}

# every NAME MASK OUT [LSE]: in one pass, in every chapter that takes the mask.
every() {
    each "$1" "$3" "${4-}" "$(whole "$2")"
}

# causally: and token by token as well.
causally() {
    each "$1" "$3" "${4-}" "$(whole "$2"; steps "$2")"
}

# alike NAME MASK MASK FLAGS...: two masks with one meaning, each in every way.
alike() {
    case_name=$1 mask=$2 other_mask=$3
    shift 3
    whole "$mask" >ways
    while read -r way; do
        case $way in 01*) continue ;; esac
        other=$(echo "$way" | sed "s/--mask [^ ]*/--mask $other_mask/")
        check "$case_name ($way)" same_bits "$way" "$other" "$@"
    done <ways
}

# --- 1 to 15: large, small and missing scores ----------------------------------------------------

# With D = 1 the scale is 1: a query of 1 makes the keys the scores. The values are chosen so
# that the answer is exact: whole numbers whose weights are powers of two.
make q values 2,1 100 -100
make k values 4,1 100 -100 50 -50
make v values 4,2 1 2 3 4 5 6 7 8
every "1. scores of 1e4 and -1e4 do not overflow" none \
    "finite rows 0 1 each 1 2 rows 1 2 each 3 4" "all 10000"

make q values 1,1 100
make k values 2,1 100
make v values 2,1 1 4
every "2. two equal scores of 1e4 are an exact mean" none "all 2.5" "within 1e-3 all 10000.6931"

# Row 0 sees nothing; row 1 sees all but the middle key, whose value would spoil it.
make q values 2,1 1
make k values 3,1 2
make v values 3,2 1 2 nan inf 3 4
make dead values 2,3 -inf -inf -inf 0 -inf 0
make dead_bool --dtype '|b1' values 2,3 0 0 0 1 0 1
every "3. a row of -inf in the mask is dead" dead.npy "rows 0 1 all 0 rows 1 2 each 2 3" \
    "within 1e-6 values -inf 2.69314718"
every "3. a row of false in the mask is dead" dead_bool.npy "rows 0 1 all 0 rows 1 2 each 2 3" \
    "within 1e-6 values -inf 2.69314718"
every "3. padding from key 0 on leaves only dead rows" padding=0 "all 0" "all -inf"
make k values 3,1 -inf
every "3. a row whose scores are all -inf is dead, whatever V holds" none "all 0" "all -inf"
make k values 3,1 -inf nan -inf
make v values 3,1 1 2 3
every "3. a NaN that is allowed wins over dead" none "all nan" "all nan"
make dead_nan --dtype '|b1' values 1,3 1 0 1
every "3. a NaN that is hidden does not" dead_nan.npy "all 0" "all -inf"
make k values 3,1 -inf
weights_are() {
    wanted=$1
    shift
    rm -rf trace
    run "$@" --q q.npy --k k.npy --v v.npy --print none --trace trace
    ended_well && "$tools/expect" trace/p0.b0.h0.weights.npy $wanted
}
for program in 01_naive_attention 02_masking 03_multi_head 04_gqa 05_kv_cache 06_paged_blocks; do
    check "3. the weights of a dead row are 0 ($program)" weights_are "all 0" "$program"
done

# 0 * NaN is NaN: in a dead row not even what its blocks add may read V.
adds_nothing() {
    run "$@" --explain 0 --q q.npy --k k.npy --v v.npy
    ended_well && is "blocks that add something" "" "$(sed -n 's/^  block .*adds//p' stdout |
        grep -v '^ 0.0000$')" && grep -q '^  block .*adds 0.0000$' stdout
}
make v values 3,1 nan inf -inf
for mask in none padding=0; do
    check "3. the blocks of a dead row add 0, whatever V holds (--mask $mask)" \
        adds_nothing 06_paged_blocks --mask $mask
done

# With M - N = -33, the query in row i stands at position i - 33.
make q random 34,3 1
make k random 1,3 2
make v values 1,2 5 -7
every "4. bottom-right causal, 34 queries and 1 key: 33 dead rows, then V" causal-end \
    "rows 0 33 all 0 rows 33 34 each 5 -7" "elements 0 33 all -inf elements 33 34 finite"

# The hidden keys score higher and have other values: a maximum that begins at 0, or at a finite
# stand-in for -inf, shows.
make q values 1,1 1
make k values 6,1 0 0 -1000
make v values 6,1 100 100 1 2 3 6
make first_hidden --dtype '|b1' values 1,6 0 0 1
every "5. a hidden first tile, then scores of -1000: the true maximum" first_hidden.npy "all 3" \
    "within 1e-4 all -998.613706"
make k values 2,1 -60000
make v values 2,1 1 3
every "6. scores below -5e4 are a mean, not zero" none "all 2" "within 1e-2 all -59999.307"
make k values 2,1 -20000 0
make v values 2,1 1 100
make second_hidden values 1,2 0 -inf
every "7. -20000 beside a hidden key: nothing leaks" second_hidden.npy "all 1" "all -20000"
make k values 1,1 -524288
make v values 1,3 0.1 -7 1e-20
every "8. one key, score -524288: exactly V" none "same v.npy" "all -524288"
# exp(-64) is below half a unit in the last place of anything here: only the last tile counts.
make k values 8,1 0 0 64 64 128 128 192 192
make v values 8,1 100 100 100 100 100 100 6 8
every "9. the maximum rises by 64 a tile: no drift" none "all 7" "within 1e-4 all 192.693147"
make k values 6,1 0 0 0 0 0 1e4
make v values 6,2 1 2 3 4 5 6 7 8 9 10 0.3 -0.7
make spike values 1,2 0.3 -0.7
every "10. a spike of 1e4 in the last tile: exactly its V" none "same spike.npy" "all 10000"
make k values 6,1 0 -200
make v values 6,1 5 1e30
every "11. the maximum in the first tile, the rest underflows" none "all 5" "all 0"

# Parts of the keys that are computed apart and see nothing add nothing.
make k values 4,1 0
make v values 4,1 1 3 1 3
make left_half --dtype '|b1' values 1,4 1 1 0 0
make right_half --dtype '|b1' values 1,4 0 0 1 1
for cut in 0 1 2 4 9 2,2 1,2,3; do
    flash="07_flash_tiling --tile 1,2 --cut $cut --q q.npy --k k.npy --v v.npy"
    for half in left_half right_half; do
        check "12. an empty split merged with a finite one ($half, --cut $cut)" \
            answers "all 2" "within 1e-6 all 0.693147181" $flash --mask $half.npy
    done
    check "13. all splits empty (--cut $cut)" answers "all 0" "all -inf" $flash --mask padding=0
done

# Q K^T underflows to 0, or to 1e-60 in a wider type: a uniform mean either way.
make q values 1,1 1e-30
make k values 4,1 1e-30
make v values 4,1 1 2 3 6
every "14. Q and K of 1e-30: a uniform mean" none "all 3" "within 1e-6 all 1.38629436"
make v values 4,1 0x1p-133
every "15. V of 1e-40 is not flushed to zero" none "all 0x1p-133"

# --- 16 to 25: NaN, infinity, signs and long sums ------------------------------------------------

# Under a causal mask rows 2 and 3 see key 2; without one, every row does.
make q values 4,1 1
make k values 4,1 0 0 nan 0
make v values 4,1 1 3 5 7
every "16. NaN in one key: every row that sees it" none "all nan" "all nan"
causally "16. NaN in one key: the rows before it are untouched" causal \
    "rows 0 2 values 1 2 rows 2 4 all nan" \
    "within 1e-6 values 0 0.693147181 nan nan"
make k values 4,1 0
make v values 4,1 1 3 nan 7
causally "16. NaN in one value: the rows before it are untouched" causal \
    "rows 0 2 values 1 2 rows 2 4 all nan" "finite"
make q values 4,1 1 nan 1
make v values 4,1 1 3 2 6
causally "16. NaN in one query: its row alone" causal "values 1 nan 2 3"
whole causal | sed '/^07/d' >ways # which never holds the weights
while read -r way; do
    check "16. in a NaN row too a hidden key weighs exactly 0 ($way)" weights_are \
        "rows 0 1 values 1 0 0 0 rows 1 2 values nan nan 0 0 rows 2 3 finite" $way
done <ways
make q values 4,1 1
make k values 4,1 0 nan 0
while read -r way; do
    check "16. in a row that a NaN key spoils too ($way)" weights_are \
        "rows 0 1 values 1 0 0 0 rows 1 2 values nan nan 0 0 rows 2 3 values nan nan nan 0" $way
done <ways

make q values 4,1 1
for bad in nan inf -inf; do
    make k values 4,1 0 0 $bad
    make v values 4,1 1 3 $bad
    every "17. $bad in hidden keys and values" padding=2 "all 2" "within 1e-6 all 0.693147181"
    every "17. $bad in keys and values hidden by an array" left_half.npy "all 2" \
        "within 1e-6 all 0.693147181"
    causally "17. $bad in later and in padded keys and values" causal+padding=2 "values 1 2 2 2" \
        "within 1e-6 values 0 0.693147181 0.693147181 0.693147181"
done

make k values 4,1 0 inf 0 0
make v values 4,1 1
causally "18. a score of +inf makes its row NaN (inf - inf)" causal "values 1 nan nan nan"

# The lowest float32 swallows any score added to it: the row's scores are all alike, and finite.
make q values 1,1 1
make k values 4,1 0 1 2 3
make v values 4,1 1 2 3 6
make lowest values 1,4 -3.4028234663852886e38
every "19. a row of the lowest float32 in the mask, not -inf: a uniform mean" lowest.npy "all 3" \
    "all -3.4028234663852886e38"
topic=19.
make lowest_f8 --dtype '<f8' values 1,4 -1.7976931348623157e308
for program in $masking; do # it must not turn into -inf, which would hide
    refused 3 lowest_f8.npy "$program" --q q.npy --k k.npy --v v.npy --mask lowest_f8.npy \
        --output left/out.npy
done

make k values 2,1 1 1e30
make v values 2,1 7 100
every "20. a hidden key of 1e30 weighs exactly nothing" second_hidden.npy "all 7" "all 1"

make q random 5,3 1
make k random 5,3 2
make v random 5,3 3
make bool_mask --dtype '|b1' values 5,5 1 0 1 1 0  0 1 0 1 1  0 0 0 0 0  1 1 1 1 1  0 0 0 0 1
make float_mask values 5,5 0 -inf 0 0 -inf  -inf 0 -inf 0 0  -inf -inf -inf -inf -inf  0 0 0 0 0 \
    -inf -inf -inf -inf 0
make int_mask --dtype '<i4' values 5,5 1 0 1 1 0  0 1 0 1 1  0 0 0 0 0  1 1 1 1 1  0 0 0 0 1
inputs="--q q.npy --k k.npy --v v.npy"
alike "21. a bool and an additive mask of one meaning" bool_mask.npy float_mask.npy $inputs
alike "21. a mask of 0 and 1 is a bool mask" bool_mask.npy int_mask.npy $inputs
skip "22. softcap with a -inf mask" "no chapter takes a softcap yet"

# A negative scale is the positive one over negated keys, bit for bit.
make other_k random 5,3 2 -1
for program in $chapters; do
    check "23. a negative scale inverts the order ($program)" same_bits \
        "$program --scale -0.7 --k k.npy" "$program --scale=0.7 --k other_k.npy" --q q.npy --v v.npy
done
make q random 2,1 1
make k random 4,1 2
make v values 4,1 1 2 3 6
for scale in 0 -0.0; do
    each "23. a scale of $scale is a mean" "all 3" "within 1e-6 all 1.38629436" "$(whole none)" \
        --scale $scale
done

make v values 4,1 -0.0
every "24. values of -0.0 equal 0.0" none "all 0"
prints_no_sign() {
    run $1 $inputs --print all
    ended_well && grep -q "$2" stdout && ! grep -e "-$2" stdout
}
for program in $chapters; do
    check "24. what rounds to zero prints without a sign ($program)" prints_no_sign $program \
        '0\.0000'
done
make q values 2,1 -nan -0.0 # and inf - inf gives a negative NaN on many processors
for program in $chapters; do
    check "16. NaN prints without a sign ($program)" prints_no_sign $program nan
    check "16. NaN is explained without a sign ($program)" prints_no_sign \
        "$program --explain 0" nan
done

# 0.1 a hundred thousand times. In one tile the error may grow with M; in tiles of C keys only
# with C + M/C. It is 4e-6 for C = 500 at worst, 2^-24 * 0.1 * (500 + 200) being half of that.
make q values 1,1 0
make k values 100000,1 0
make v values 100000,1 0.1
inputs="--q q.npy --k k.npy --v v.npy"
blocks=500 tiles=1,100000
every "25. the sum over 1e5 keys fits its bound" none "within 1.2e-3 all 0.1" \
    "within 1e-3 all 11.5129255"
blocks="1 3" tiles="1,1 2,2 64,64"
check "25. in tiles the error of 1e5 keys does not grow linearly (07_flash_tiling)" \
    answers "within 4e-6 all 0.1" "within 1e-5 all 11.5129255" \
    07_flash_tiling --mask none --tile 1,500 --block-size 500 $inputs

# --- 26 to 34: shapes ----------------------------------------------------------------------------

make q values 1,1 3
make k values 1,1 -2
make v values 1,1 0.3
every "26. one query, one key, one feature" none "same v.npy" "all -6"

# Held against chapter 02: bit for bit, and from 07 on within the bound that the float64 oracle
# computes from the arrays.
near_02() {
    rm -f out.npy
    run "$@" --q q.npy --k k.npy --v v.npy --print none --output out.npy
    ended_well || return 1
    case $1 in
    07*) "$tools/compare" out.npy naive.npy --ref ref/p0.b0.h0.output.npy --bound "$bound" ;;
    *) "$tools/compare" out.npy naive.npy ;;
    esac
}

# sweep NAME MASK N M D DV [steps]: random arrays of this shape, in every way.
sweep() {
    case_name="$1, N=$3 M=$4 D=$5 Dv=$6 $2" mask=$2
    make q random "$3,$5" 1
    make k random "$4,$5" 2
    make v random "$4,$6" 3
    rm -rf trace ref naive.npy
    run 02_masking --q q.npy --k k.npy --v v.npy --mask "$mask" --print none --trace trace \
        --output naive.npy
    bound=$("$tools/oracle" trace ref --mask "$mask" | sed -n 's/^bound //p')
    check "$case_name (02_masking, its shape)" "$tools/expect" naive.npy shape "$3,$6" finite
    { whole "$mask"; [ $# -lt 7 ] || steps "$mask"; } >ways
    while read -r way; do
        check "$case_name ($way)" near_02 $way
    done <ways
}

tiles="4,4 1,4 4,3" blocks=4
for n in 3 4 5 9; do # tile - 1, tile, tile + 1, 2 tile + 1
    sweep "27. around a tile of 4" none $n $n 3 3
    sweep "27. around a tile of 4" causal $n $n 3 3 steps
done
tiles="64,64 5,7" blocks=16
sweep "28. more keys than queries" none 1 239 8 8
sweep "28. more queries than keys" none 239 1 8 8
sweep "28. more keys than queries" causal 3 799 8 8
sweep "28. more queries than keys" causal 799 3 8 8
sweep "28. more keys than queries" causal-end 3 799 8 8
sweep "28. more queries than keys" causal-end 799 3 8 8
tiles=2,2 blocks=3
for D in 1 21 40 59 111 203 256; do
    sweep "29. head size" causal 5 5 $D $D
done
sweep "30. V narrower than Q and K" causal 5 5 8 3 steps
sweep "30. V wider than Q and K" causal 5 5 3 8 steps
tiles="1,1 2,2 64,64" blocks="1 3"

topic=31.
# 6 query heads share out among 3 KV heads, not among 4; chapter 03 wants as many.
make q random 1,6,2,4 1
make k random 1,4,2,4 2
make three_heads random 1,3,2,4 2
files="--q q.npy --k k.npy --v k.npy --output left/out.npy"
for program in $grouped; do
    refused 3 "6 heads over 4 KV heads" $program $files
    refused 2 "6 heads over 4 KV heads" $program --n 4 --heads 6 --kv-heads 4
    refused 2 "2 heads over 4 KV heads" $program --n 4 --heads 2 --kv-heads 4
done
refused 3 "expected 6 KV heads, got 3" 03_multi_head --q q.npy --k three_heads.npy \
    --v three_heads.npy --output left/out.npy

# A value that names its KV head shows which one each query head reads.
make v values 1,3,2,1 10 10 20 20 30 30
make one_head random 2,4 4
make six_heads copies one_head.npy 6
for program in $grouped; do
    check "32. query head h reads KV head h / (H / G) ($program)" answers \
        "shape 1,6,2,1 within 1e-4 values 10 10 10 10 20 20 20 20 30 30 30 30" finite \
        $program --q q.npy --k three_heads.npy --v v.npy
    check "33. one KV head for all is its copies, one for each ($program)" same_bits \
        "$program --k one_head.npy --v one_head.npy" \
        "$program --k six_heads.npy --v six_heads.npy" --q q.npy
done
check "33. one KV head for all is multi-head attention on its copies" same_bits \
    "04_gqa --k one_head.npy --v one_head.npy" "03_multi_head --k six_heads.npy --v six_heads.npy" \
    --q q.npy

# Nothing in, nothing out: NumPy's shapes with a 0 in them are arrays like any other.
make q values 0,4
make k random 3,4 2
make no_k values 0,4
make no_v values 0,2
make v random 3,2 3
make some_q random 3,4 1
make q_batch values 0,2,3,4
make k_batch values 0,2,5,4
for program in $chapters; do
    case $program in 0[12]*) lead= ;; *) lead=1,1, ;; esac
    check "34. no queries: an empty output ($program)" answers "shape ${lead}0,2" "" $program \
        --q q.npy --k k.npy --v v.npy
    check "34. no keys: only dead rows ($program)" answers "shape ${lead}3,2 all 0" "all -inf" \
        $program --q some_q.npy --k no_k.npy --v no_v.npy
    check "34. neither: an empty output ($program)" answers "shape ${lead}0,2" "" $program \
        --q q.npy --k no_k.npy --v no_v.npy
done
make no_mask values 0,2,3,5
make any_mask --dtype '|b1' values 3,5 1
runs_well() {
    run "$@"
    ended_well
}
for program in $headed; do
    check "34. no sequences: an empty output ($program)" answers "shape 0,2,3,4" "shape 0,2,3" \
        $program --q q_batch.npy --k k_batch.npy --v k_batch.npy
    for mask in no_mask any_mask; do
        check "34. no sequences, all printed under $mask.npy ($program)" runs_well $program \
            --q q_batch.npy --k k_batch.npy --v k_batch.npy --mask $mask.npy --print all
    done
done

# --- 35 to 42: masks -----------------------------------------------------------------------------

make q random 5,3 1
make k random 5,3 2
make v random 5,3 3
inputs="--q q.npy --k k.npy --v v.npy"
causally "35. a window of 0 sees itself only" window=0 "same v.npy"
for window in 4 5 1000000000000; do
    alike "35. a window of N - 1 or more is plain causal" window=$window causal $inputs
done
alike "36. a prefix of 0 is causal" prefix=0 causal $inputs
for prefix in 5 6 1000000000000; do
    alike "36. a prefix of N or more is no mask" prefix=$prefix none $inputs
done
alike "38. with N = M top-left and bottom-right causal agree" causal causal-end $inputs
alike "rules are joined by +, in any order" causal+padding=3 padding=3+causal $inputs
alike "a .npy joins rules" causal+bool_mask.npy bool_mask.npy+causal $inputs
make k values 5,3 0
make v values 5,1 1 3 5 7 9
causally "35. a window that holds only padding: dead rows" window=1+padding=2 "values 1 2 3 0 0"
every "36. a prefix of 3" prefix=3 "values 3 3 3 4 5"

# Scores of 0 make every output the mean of the values that a row may see.
make q values 2,3 0
every "38. causal, 2 queries and 5 keys: top-left" causal "values 1 2"
every "38. causal-end, 2 queries and 5 keys: bottom-right" causal-end "values 4 5"
make q values 5,3 0
make k values 2,3 0
make v values 2,1 1 3
every "38. causal, 5 queries and 2 keys: top-left" causal "values 1 2 2 2 2"
every "38. causal-end, 5 queries and 2 keys: bottom-right" causal-end "values 0 0 0 1 2"

# The whole sequence at once, and its end with the beginning as past.
make x random 2,6,4 1
for letter in q k v; do
    make $letter slice x.npy 1 0 6
    make past_$letter slice x.npy 1 0 4
    make new_$letter slice x.npy 1 4 6
done
with_past() {
    program=$1 mask=$2
    rm -f whole.npy out.npy
    run $program --mask "$mask" --prefill 6 --q q.npy --k k.npy --v v.npy --print none \
        --output whole.npy
    ended_well || return 1
    run $program --mask "$mask" --q new_q.npy --k new_k.npy --v new_v.npy --past-k past_k.npy \
        --past-v past_v.npy --print none --output out.npy --present-k present.npy
    "$tools/make_arrays" last.npy slice whole.npy 2 4 6
    ended_well && "$tools/expect" out.npy shape 1,2,2,4 && "$tools/compare" out.npy last.npy &&
        "$tools/compare" present.npy k.npy
}
for program in $cached; do
    for mask in causal causal-end window=2 prefix=5+causal causal+padding=5; do
        check "37. the offset is the past's length ($program --mask $mask)" \
            with_past $program $mask
    done
done

# One key is seen in each row, or all: its value tells the mask was broadcast to [B, H, N, M].
make q values 2,2,3,4 1
make k values 2,2,3,4 1
make v values 2,2,3,1 1 2 3 4 5 6 7 8 9 10 11 12
make mask_l --dtype '|b1' values 3 0 1 0
make mask_hnl --dtype '|b1' values 2,3,3 1 0 0 1 0 0 1 0 0  0 0 1 0 0 1 1 0 0
make mask_b1nl --dtype '|b1' values 2,1,3,3 0 1 0 0 1 0 0 1 0 0 0 1 0 0 1 1 0 0
make mask_n1 --dtype '|b1' values 3,1 1 0 1
make mask_11 values 1,1 0.5
make mask_scalar values - 0.5
make mask_bool_scalar --dtype '|b1' values - 1
ask_mask() {
    check "39. a mask $1 ($program)" answers "$3" "$4" $program $once --q q.npy --k k.npy \
        --v v.npy --mask "$2"
}
for program in $headed; do
    case $program in 03* | 04*) once= ;; *) once=--prefill=9999 ;; esac
    ask_mask "[L]" mask_l.npy "values 2 2 2 5 5 5 8 8 8 11 11 11" "all 2"
    ask_mask "[H,N,L]" mask_hnl.npy "values 1 1 1 6 6 4 7 7 7 12 12 10" ""
    ask_mask "[B,1,N,L]" mask_b1nl.npy "values 2 2 2 5 5 5 9 9 7 12 12 10" "all 2"
    ask_mask "[N,1]" mask_n1.npy "values 2 0 2 5 0 5 8 0 8 11 0 11" ""
    ask_mask "[1,1], additive" mask_11.npy "values 2 2 2 5 5 5 8 8 8 11 11 11" \
        "within 1e-5 all 3.59861229"
    ask_mask "of rank 0, additive" mask_scalar.npy "values 2 2 2 5 5 5 8 8 8 11 11 11" \
        "within 1e-5 all 3.59861229"
    ask_mask "of rank 0, true" mask_bool_scalar.npy "values 2 2 2 5 5 5 8 8 8 11 11 11" ""
    ask_mask "of lengths, one a sequence" padding=1,3 "values 1 1 1 4 4 4 8 8 8 11 11 11" ""
    ask_mask "of one length for all" padding=1 "values 1 1 1 4 4 4 7 7 7 10 10 10" "all 2"
done
topic=40.
make q random 1,3,4 1
make k random 1,3,4 2
make short --dtype '|b1' values 3,2 1
for program in $masking; do
    case $program in 02*) files="--q some_q.npy --k some_q.npy --v some_q.npy" ;;
    *) files="--q q.npy --k k.npy --v k.npy" ;; esac
    refused 3 short.npy $program $files --mask short.npy --output left/out.npy
    refused 3 none_such.npy $program $files --mask none_such.npy --output left/out.npy
done

# --- 43, 44: a small pool ------------------------------------------------------------------------

topic=44.
make one_q values 1,1 1
make one_v values 1,2 3 4
for program in 06_paged_blocks 07_flash_tiling; do
    check "43. a pool of one block of one token ($program)" answers "values 3 4" "all 1" $program \
        --q one_q.npy --k one_q.npy --v one_v.npy --blocks 1 --block-size 1
    check "44. as many blocks as are needed ($program)" same_bits "$program --n 5 --blocks 3" \
        "$program --n 5 --blocks 30"
    refused 5 "no free blocks" $program --n 5 --blocks 2 --output left/out.npy
    refused 5 "no free blocks" $program --n 5 --batch 2 --blocks 5 --output left/out.npy
    check "61. the order of the blocks changes no bit ($program)" same_bits \
        "$program --n 9 --shuffle 0" "$program --n 9 --shuffle 77"
done

# --- 64 to 76: files -----------------------------------------------------------------------------

# A broken file, everywhere that a file may be named: the words and the name must be said.
make good random 3,4 1
refuse_file() {
    says=$1 file=$2
    for place in "01_naive_attention --q $file --k good.npy --v good.npy" \
        "02_masking --q good.npy --k $file --v good.npy" \
        "03_multi_head --q good.npy --k good.npy --v $file" \
        "04_gqa --q good.npy --k good.npy --v good.npy --mask $file" \
        "05_kv_cache --q good.npy --k good.npy --v good.npy --past-k $file --past-v good.npy" \
        "06_paged_blocks --q good.npy --k good.npy --v good.npy --past-k good.npy --past-v $file" \
        "07_flash_tiling --x example --wq $file" "07_flash_tiling --x $file --heads 1"; do
        refuses 3 "$file: " $place --output left/out.npy --lse left/lse.npy || return 1
        case $line in *"$says"*) ;; *) is stderr "a line with $says" "$line" || return 1 ;; esac
    done
}
# broken NAME WORDS FILE
broken() {
    check "$1" refuse_file "$2" "$3"
}

: >empty.npy
printf '\223NUMPY\001' >seven.npy
printf '\223NUMPY' >magic.npy
printf 'not an array' >text.npy
broken "64. 0 bytes" "0 bytes" empty.npy
broken "64. 7 bytes" "7 bytes" seven.npy
broken "64. the magic alone" "6 bytes" magic.npy
broken "64. no .npy at all" "not a .npy file" text.npy
dict="{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
for version in "1 1" "0 0" "255 255" "4 0"; do
    make version raw $version - "$dict" 48
    broken "64. version $version" "version $(echo "$version" | tr ' ' .)" version.npy
done
size=$(wc -c <good.npy)
make cut_1 cut good.npy -1
make cut_half cut good.npy $((size / 2))
make cut_data cut good.npy $((size - 48))
broken "65. truncated by 1 byte" truncated cut_1.npy
broken "65. truncated to half" truncated cut_half.npy
broken "65. truncated by all its data" truncated cut_data.npy

# notes WORDS SAME_AS PROGRAM FLAGS...: taken, with these words in the one line on stderr.
cp good.npy trailing.npy
printf 'junk' >>trailing.npy
notes() {
    words=$1 same_as=$2
    shift 2
    rm -f out.npy
    run "$@" --print none --output out.npy
    is "exit status" 0 "$status" && is "lines on stderr" 1 "$(wc -l <stderr | tr -d ' ')" &&
        grep -qF -- "$words" stderr || { cat stderr; return 1; }
    "$tools/compare" out.npy "$same_as"
}
goods="--q good.npy --k good.npy --v good.npy"
for program in $headed; do
    run $program $goods --print none --output plain.npy
    check "66. bytes after the array: taken, and said ($program)" notes "4 bytes after the array" \
        plain.npy $program --q trailing.npy --k good.npy --v good.npy
done

make whole values 2,3 1 -2 0.5 3 0.25 -8
run 02_masking --q whole.npy --k whole.npy --v whole.npy --print none --output plain.npy
for dtype in '<f2' '>f2' '<f4' '>f4' '<f8' '>f8'; do
    for order in "" --fortran; do
        make variant --dtype "$dtype" $order values 2,3 1 -2 0.5 3 0.25 -8
        case $dtype in
        ?f4) check "67. $dtype $order" same_bits \
            "02_masking --q whole.npy --k whole.npy --v whole.npy" \
            "02_masking --q variant.npy --k variant.npy --v variant.npy" ;;
        *) check "67. $dtype $order, converted, and said" notes "variant.npy: float" plain.npy \
            02_masking --q variant.npy --k whole.npy --v whole.npy ;;
        esac
    done
done
topic=67.
make ints --dtype '<i4' values 3,4 1
refused 3 "ints.npy: expected floats" 02_masking --q ints.npy --k good.npy --v good.npy
make huge_f8 --dtype '<f8' values 3,4 1e300
refused 3 huge_f8.npy 02_masking --q huge_f8.npy --k good.npy --v good.npy
make twos --dtype '<i2' values 3,3 2
refused 3 twos.npy 02_masking $goods --mask twos.npy

# header NAME WORDS HEADER: refused everywhere with these words; 48 bytes follow the header.
header() {
    make header raw 1 0 - "$3" 48
    broken "$1" "$2" header.npy
}
shaped() {
    header "$1" "$2" "{'descr': '<f4', 'fortran_order': False, 'shape': $3, }"
}
header "68. dtype |O" "dtype" "{'descr': '|O', 'fortran_order': False, 'shape': (3, 4), }"
header "68. a structured dtype" "dtype" \
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 4), }"
header "68. complex numbers" "dtype" "{'descr': '<c8', 'fortran_order': False, 'shape': (3, 2), }"
shaped "69. a shape whose product wraps to 0" "elements" "(4294967296, 4294967296, 2)"
shaped "70. a shape whose bytes wrap" "elements" "(4611686018427387904, 1)"
shaped "70. a negative axis" "header.npy" "(-3, 4)"
shaped "70. a fractional axis" "header.npy" "(3.0, 4)"
shaped "70. five axes" "header.npy" "(1, 1, 1, 3, 4)"
shaped "71. 10 GB claimed in 100 bytes" "truncated" "(50000, 50000)"
shaped "71. 2^59 elements claimed in 100 bytes" "truncated" "(1073741824, 536870912)"
header "a header that ends early" "header.npy" "{'descr': '<f4', 'fortran_order': False, 'shape'"
header "a header without a shape" "no key 'shape'" "{'descr': '<f4', 'fortran_order': False, }"
header "a header with a key twice" "header.npy" \
    "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }"
for claim in "1 65535" "2 4294967295" "2 100000001"; do
    make header raw ${claim% *} 0 ${claim#* } "$dict" 48
    broken "72. a header of ${claim#* } bytes" "header of ${claim#* } bytes" header.npy
done

# Zeros in every value: enough to see that the header was understood.
zeros_taken() {
    answers "shape 3,4 all 0" "" 02_masking --q header.npy --k header.npy --v header.npy
}
read_header() {
    make header raw "$2" 0 - "$3" 48
    check "73. $1" zeros_taken
}
read_header "keys in another order" 1 "{'shape': (3, 4), 'descr': '<f4', 'fortran_order': False}"
read_header "double quotes" 1 '{"descr": "<f4", "fortran_order": False, "shape": (3, 4)}'
read_header "version 2" 2 "$dict"
read_header "version 3" 3 "$dict"
read_header "4L, as Python 2 wrote it" 1 \
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3L, 4L), }"

topic=75.
make scalar values - 1
make vector values 4 1
make five values 2,2 1
make no_columns values 3,0
refuse_shape() {
    refused 3 "$1" "$2" --q "$1" --k "$1" --v "$1" --output left/out.npy
}
# Taken as arrays, refused for their shape and not before; as a mask of rank 0, taken (39).
for program in $chapters; do
    refuse_shape scalar.npy $program
    refuse_shape vector.npy $program
    refuse_shape no_columns.npy $program
    refused 3 five.npy $program --q good.npy --k five.npy --v five.npy --output left/out.npy
    refused 3 five.npy $program --q good.npy --k good.npy --v five.npy --output left/out.npy
done
make no_past values 0,4
for program in $cached; do
    check "75. a past of no tokens is no past ($program)" same_bits "$program $goods" \
        "$program $goods --past-k no_past.npy --past-v no_past.npy"
done
make two_heads random 2,3,4 1
make lifted slice two_heads.npy 0 0 1
make flat random 3,4 1
for program in 01_naive_attention 02_masking; do
    refuse_shape two_heads.npy $program
    check "a batch of one matrix is a matrix ($program)" same_bits \
        "$program --q lifted.npy --k lifted.npy" "$program --q flat.npy --k flat.npy" --v good.npy
done

# What is no regular file, or no file at all. Nobody ever writes into the FIFO: whoever waits for
# that is ended by the time limit.
mkdir folder.npy
mkfifo fifo.npy
ln -s loop.npy loop.npy
ln -s nowhere.npy dangling.npy
broken "76. no such file" "No such file or directory" missing.npy
broken "76. a directory" "Is a directory" folder.npy
broken "76. a FIFO" "Illegal seek" fifo.npy
broken "76. a loop of links" "symbolic links" loop.npy
broken "76. a link that leads nowhere" "No such file or directory" dangling.npy
broken "76. a file taken for a folder" "Not a directory" good.npy/x.npy
cp good.npy secret.npy
chmod 000 secret.npy
if [ -r secret.npy ]; then
    skip "76. an unreadable file" "this user may read every file"
else
    broken "76. an unreadable file" "Permission denied" secret.npy
fi

# --- 77, 78: flags -------------------------------------------------------------------------------

topic=77.
for program in $chapters; do
    refused 2 'unknown flag "--frobnicate"' $program --frobnicate
    refused 2 'unknown flag "-n"' $program -n 5
    refused 2 'unknown flag "worked"' $program worked
    refused 2 'unknown flag "--he"' $program --he
    refused 2 'unknown flag ""' $program ""
    refused 2 "--n: expected" $program --n
    refused 2 "--output: expected" $program --n 4 --output
    refused 2 "--n: expected" $program --n --dim 4
    refused 2 "--n stands there twice" $program --n 4 --n 4
    refused 2 "--n stands there twice" $program --n=4 --n 5
    refused 2 "--stats takes no value" $program --stats=yes
    refused 2 "--stats stands there twice" $program --stats --stats
    refused 2 "--example" $program --example nobody
    refused 2 "--print" $program --print everything
    refused 2 "--k is missing" $program --q good.npy --v good.npy
    refused 2 "--q is missing" $program --k good.npy --v good.npy
    refused 2 "--example does not go with" $program $goods --example worked
    refused 2 "--n does not go with" $program $goods --n 3
    refused 2 "--seed does not go with" $program $goods --seed 3
    refused 2 "--dim does not go with" $program --example worked --dim 3
    refused 2 "--n does not go with" $program --example onehot --n 5
    refused 2 "--seed does not go with" $program --example fruit --seed 3
    check "--seed alone is random input ($program)" same_bits "$program --seed 3" \
        "$program --example random --seed 3"
    for flag in "--trace left/t" "--print all" "--explain 0" --stats --heat; do
        case $program$flag in 07*--heat) continue ;; esac # which refuses it for another reason
        refused 2 "${flag%% *} does not go with --bench" $program --bench $flag
    done
    for scale in nan inf -inf 1e99 1e-60 -1e-60 x 1x ""; do
        refused 2 "--scale: expected" $program --scale "$scale"
    done
    for row in x -1 1, 1,x 1,2,3 1e99 ""; do
        refused 2 "--explain: expected" $program --explain "$row"
    done
    refused 2 "--explain: expected a row below 3" $program --explain 3
    refused 2 "--explain: expected a row below 3" $program --explain 0,99
    refused 2 "--tokens: expected 3 labels, got 2" $program --tokens "a b"
    refused 2 "--tokens: expected 3 labels, got 4" $program --tokens "a b c d"
    refused 2 "--tokens: expected 3 labels | 3 labels, got 3 | 2" $program --tokens "a b c | d e"
    refused 2 "--tokens: expected" $program --tokens ""
    refused 2 "--tokens: expected" $program --tokens " "
    refused 2 "--tokens: expected" $program --tokens "|"
    case $program in 03*) continue ;; esac # which has none
    refused 2 "--experiment: expected" $program --experiment nobody
done

# Every size takes a whole number from 1 on, and says so by its own name.
bad_sizes() {
    for value in -1 0 1e99 99999999999999 99999999999999999999 8x x " 8" +8 0x8 ""; do
        refuses 2 "$2: expected" "$1" "$2" "$value" && refuses 2 "$2: expected" "$1" "$2=$value" ||
            { echo "with \"$value\""; return 1; }
    done
}
of_heads="--heads --batch --hidden"
for program in $chapters; do
    sizes="--n --m --dim --dim-v"
    case $program in
    03*) sizes="$sizes $of_heads" ;;
    04*) sizes="$sizes $of_heads --kv-heads" ;;
    05*) sizes="$sizes $of_heads --kv-heads --prefill --capacity --context" ;;
    0[67]*) sizes="$sizes $of_heads --kv-heads --prefill --block-size --blocks" ;;
    esac
    for flag in $sizes; do
        check "78. bad sizes of $flag ($program)" bad_sizes $program $flag
    done
    refused 2 "--seed: expected" $program --seed -1
done
topic=78.
for tile in 2 0,2 2,0 -1,2 2,2,2 2,x ,2 2, 8x,2 ""; do
    refused 2 "--tile: expected" 07_flash_tiling --tile "$tile"
done
for cut in x -1 3,1 1,,2 1, 1x ""; do
    refused 2 "--cut: expected" 07_flash_tiling --cut "$cut"
done

# Flags of other chapters: refused by name.
topic=77.
for flag in --mask --heads --batch --kv-heads --x --wq --config --past-k --prefill --block-size \
    --tile --cache; do
    refused 2 "$flag" 01_naive_attention $flag 1
done
for flag in --heads --batch --kv-heads --x --wo --past-v --prefill --blocks --cut --layout; do
    refused 2 "$flag" 02_masking $flag 1
done
for flag in --kv-heads --past-k --prefill --present-k --block-size --tile --capacity; do
    refused 2 "$flag" 03_multi_head $flag 1
done
for flag in --prefill --past-k --present-v --cache --block-size --tile; do
    refused 2 "$flag" 04_gqa $flag 1
done
for flag in --block-size --shuffle --tile; do
    refused 2 "$flag" 05_kv_cache $flag 1
done
for flag in --tile --cut --cache --no-cache; do
    refused 2 "$flag" 06_paged_blocks $flag 1
done
for flag in --cache --capacity --size; do
    refused 2 "$flag" 07_flash_tiling $flag 1
done

# Values that a flag knows, flags that go together, flags that exclude each other.
for program in $headed; do
    refused 2 "--heads: expected a divisor" $program --heads 3
    refused 2 "--config: expected" $program --config gpt-17
    refused 2 "--wq does not go with" $program --wq identity
    refused 2 "--hidden does not go with" $program --hidden 12
    refused 2 "--m does not go with" $program --x random --m 5
    refused 2 "--dim-v does not go with" $program --x random --dim-v 3
    refused 2 "--m does not go with" $program --config gpt2-small --m 7
    refused 2 "--example does not go with" $program --x random --example fruit
    refused 2 "--n does not go with" $program --x example --n 5
    refused 2 "--n does not go with" $program --x good.npy --heads 1 --n 5
    refused 2 "--batch does not go with" $program --x good.npy --heads 1 --batch 2
    refused 2 "--hidden does not go with" $program --x good.npy --heads 1 --hidden 8
    refused 3 "wq.npy" $program --x example --wq wq.npy
    refused 3 "good.npy" $program --x example --wq good.npy # [3, 4], where [4, 4] is wanted
    refused 2 "--heads" $program $goods --heads 2
    refused 2 "--x does not go with" $program $goods --x example
done
for program in $cached; do
    refused 2 "--past-v is missing" $program --past-k good.npy
    refused 3 "five.npy" $program $goods --past-k five.npy --past-v five.npy --output left/out.npy
    refused 2 "--prefill 2" $program --n 4 --m 6 --prefill 2
    check "a --prefill of more than N takes all ($program)" same_bits "$program --prefill 99" \
        "$program --prefill 3"
done
refused 2 "--cache" 05_kv_cache --cache sometimes
refused 2 "--layout" 05_kv_cache --layout diagonal
refused 2 "--capacity" 05_kv_cache --cache grow --capacity 9
refused 2 "--capacity" 05_kv_cache --capacity 2
refused 2 "--no-cache" 05_kv_cache --no-cache

refused 2 "--heat" 07_flash_tiling --heat # it never holds the weights

# What is refused is refused before anything is written: an earlier trace, of another input, stays
# as it was, and nothing is printed.
keeps_the_trace() {
    code=$1 words=$2
    shift 2
    rm -rf trace before
    run "$1" --example onehot --trace trace
    ended_well && cp -Rp trace before || return 1
    refuses "$code" "$words" "$@" --trace trace && diff -r before trace
}
# kept CODE WORDS PROGRAM FLAGS...: as a check, named by the command.
kept() {
    check "an earlier trace stays: $3 $4 $5" keeps_the_trace "$@"
}
for program in $chapters; do
    kept 2 "--explain: expected" $program --explain 99
    kept 2 "--tokens: expected" $program --tokens "a b"
done
for program in $cached; do
    kept 2 "--prefill 2" $program --prefill 2 --n 4 --m 6
done
kept 2 "--cache: expected" 05_kv_cache --cache bogus
kept 2 "--layout: expected" 05_kv_cache --layout bogus
kept 2 "--capacity: expected" 05_kv_cache --capacity 2
kept 2 "--no-cache" 05_kv_cache --no-cache --stats
for program in 06_paged_blocks 07_flash_tiling; do
    kept 5 "no free blocks" $program --blocks 1
    kept 5 "GiB" $program --block-size 2147483647 --dim 1024
done
kept 2 "--cut: expected" 07_flash_tiling --cut 3,1

# Everything that is no mask, or not one for 3 queries and 3 keys.
for program in $masking; do
    for mask in nobody "" + causal+ +causal causal,window=1 window window= window=-1 window=x \
        window=1x window=1e3 window=99999999999999999999 prefix= prefix=-1 prefix=2,3 padding= \
        padding=-1 padding=4 padding=1, padding=,1 padding=1,2 padding=1+padding=2 causal+causal \
        causal+causal-end window=1+window=2 prefix=1+prefix=2; do
        refused 2 "--mask" $program --mask "$mask"
    done
    refused 2 "--mask" $program --mask mask_11.npy+mask_11.npy
    refused 2 "--mask stands there twice" $program --mask causal --mask causal
done
# --help and --version answer at once, whatever else is asked; the example can be pasted.
helps() {
    run "$@"
    ended_well && is "lines that name the program" 1 "$(grep -c "usage: $1" stdout)" &&
        grep -q 'Exit: 0 good' stdout
}
versions() {
    run "$1" --version
    ended_well && grep -q "^$1.* version [0-9]" stdout
}
pastes() {
    command=$("$build/$1" --help | sed -n 's/^ *try: build\/cpu\///p')
    run $command
    ended_well
}
for program in $chapters; do
    check "--help helps ($program)" helps $program --help
    check "--help helps beside a wrong flag ($program)" helps $program --n 0 --help
    check "--version ($program)" versions $program
    check "the example of --help runs ($program)" pastes $program
done

# The sizes that model cards and papers print: 12 MiB and 2 GiB.
sizes() {
    run 05_kv_cache --size --config "$1" --context "$2"
    ended_well && grep -q "^the model  *$3 " stdout || { grep '^the model' stdout; return 1; }
}
check "the KV calculator counts KV heads" sizes qwen2.5-0.5b 1024 12582912
check "the KV calculator, multi-head" sizes llama-7b 4096 2147483648

# --- what is counted -----------------------------------------------------------------------------

# counted ROW PROGRAM FLAGS...: the number behind that name in --stats.
counted() {
    row=$1
    shift
    run "$@" --stats --print none
    ended_well && sed -n "s/^$row  *\([0-9][0-9]*\).*/\1/p" stdout
}
# One layer of a model as chapters 05 and 06 hold it, times its layers, is the calculator's answer.
calculated() { # CONFIG LAYERS TOKENS
    run 05_kv_cache --size --config "$1" --context "$3" --dtype f32
    model=$(sed -n 's/^the model  *\([0-9]*\).*/\1/p' stdout)
    cache=$(counted "bytes KV" 05_kv_cache --config "$1" --n "$3" --capacity "$3") || return 1
    pool=$(counted "bytes KV" 06_paged_blocks --config "$1" --n "$3" --block-size 16 \
        --blocks $(($3 / 16))) || return 1
    is "bytes of $2 layers' caches" "$model" $((cache * $2)) &&
        is "bytes of $2 layers' pools" "$model" $((pool * $2))
}
check "the KV calculator: what 05 and 06 allocate" calculated qwen2.5-0.5b 24 32
check "the KV calculator: what 05 and 06 allocate, multi-head" calculated gpt2-small 12 32

more_than() { # MORE ROW FLAGS FLAGS: the first run's number is larger by MORE
    other=$(counted "$2" $4) || return 1
    is "$2" $((other + $1)) "$(counted "$2" $3)"
}
# 3 x 3 floats a head are read, and added where they do not hide: 6 of them.
make bias values 3,3 0.5 -inf -inf 1 0 -inf -2 3 0.25
for program in $masking; do
    case $program in 02*) heads=1 once= ;; 03* | 04*) heads=4 once= ;;
    *) heads=4 once="--prefill 3" ;; esac
    case $program in 07*) once="$once --tile 3,3" ;; esac
    check "an additive mask is read: 4 bytes a score ($program)" more_than $((36 * heads)) \
        "bytes read" "$program $once --mask bias.npy" "$program $once --mask causal"
    check "an additive mask is added: a flop where it does not hide ($program)" \
        more_than $((6 * heads)) flops "$program $once --mask bias.npy" \
        "$program $once --mask causal"
done
# One head, one token: the cache has nothing to add to what chapter 04 holds.
check "05 takes as much scratch as 04 for one token" more_than 0 "bytes scratch" \
    "05_kv_cache --n 1 --heads 1 --kv-heads 1" "04_gqa --n 1 --heads 1 --kv-heads 1"

# --- what is printed -----------------------------------------------------------------------------

# The weights of one head as a pattern, a letter a cell and / between rows: x may be seen (an
# underflowed weight too), . is hidden, _ a key that did not exist in an early pass.
pattern() {
    awk -v heading="$1" -v keys="$2" '
        /^== / { on = index($2, heading) && $2 ~ /weights$/; labels = on; next }
        on && labels { labels = 0; next }
        on && NF {
            row = ""
            for (i = 2; i <= NF; i++) row = row ($i == "." ? "." : "x")
            while (length(row) < keys) row = row "_"
            all = all (all ? "/" : "") row
        }
        END { print all }' stdout
}
shows() {
    expected=$1 heading=$2 keys=$3
    shift 3
    run "$@" --print weights
    ended_well && is weights "$expected" "$(pattern "$heading" "$keys")"
}
# triangle MASK N M PATTERN
triangle() {
    triangle_name="weights printed under $1, N=$2 M=$3"
    whole "$1" | sed '/^07/d' >ways # which prints none
    while read -r way; do
        check "$triangle_name (${way%% *})" shows "$4" .h0. "$3" $way --n "$2" --m "$3"
    done <ways
}
blocks=3 # one way for each program will do
triangle none 4 4 xxxx/xxxx/xxxx/xxxx
triangle causal 4 4 x.../xx../xxx./xxxx
triangle causal-end 4 4 x.../xx../xxx./xxxx
triangle window=0 4 4 x.../.x../..x./...x
triangle window=1 4 4 x.../xx../.xx./..xx
triangle prefix=0 4 4 x.../xx../xxx./xxxx
triangle prefix=3 4 4 xxx./xxx./xxx./xxxx
triangle padding=2 4 4 xx../xx../xx../xx..
triangle padding=0 3 2 ../../..
triangle causal+padding=2 4 4 x.../xx../xx../xx..
triangle window=1+padding=2 4 4 x.../xx../.x../....
triangle prefix=3+padding=2 4 4 xx../xx../xx../xx..
triangle causal 2 4 x.../xx..
triangle causal-end 2 4 xxx./xxxx
triangle causal 4 2 x./xx/xx/xx
triangle causal-end 4 2 ../../x./xx
triangle window=1 2 4 x.../xx..
triangle causal-end+window=1 2 4 .xx./..xx
for program in 05_kv_cache 06_paged_blocks; do
    check "weights printed token by token ($program)" shows x___/xx__/xxx_/xxxx .h0. 4 $program \
        --n 4 --prefill 1
    check "weights printed after a prefill of 2 ($program)" shows x.__/xx__/xxx_/xxxx .h0. 4 \
        $program --n 4 --prefill 2
    check "a window printed token by token ($program)" shows x___/xx__/.xx_/..xx .h0. 4 $program \
        --n 4 --prefill 1 --mask window=1
done
for program in 03_multi_head 04_gqa; do
    check "padding of the second sequence ($program)" shows xx./xx./xx. .b1.h0. 3 $program --n 3 \
        --batch 2 --mask padding=1,2
done
# A dot says hidden; a weight too small for float32 was seen, and is 0.
underflow() {
    run $1 --example onehot --print weights
    ended_well && grep -q '^q0  *1.0000  *0.0000  *0.0000  *0.0000$' stdout
}
check "an underflowed weight prints 0.0000, not a dot" underflow "02_masking --mask none"
labelled() {
    words=$1
    shift
    run "$@"
    ended_well && grep -q "$words" stdout
}
for program in $chapters; do
    check "labels stand in front of the rows ($program)" labelled '^upon  *[0-9]' $program \
        --tokens "once upon time"
    case $program in 07*) continue ;; esac
    check "labels stand above the columns ($program)" labelled '^  *le  *petit' $program \
        --example random --n 2 --m 2 --tokens "the small | le petit"
done

# --- what a trace says of its run ----------------------------------------------------------------

# describes PROGRAM FLAGS...: run.json is, to the byte, what stands in the file wanted.
describes() {
    rm -rf trace
    run "$@" --print none --trace trace
    ended_well && diff wanted trace/run.json
}
cat >wanted <<'END'
{"program":"01_naive_attention","device":"cpu",
"flags":["--example","onehot","--scale=0.1"],
"B":1,"H":1,"G":1,"N":4,"M":4,"P":0,"D":4,"Dv":4,"scale":0.100000001,
"settings":{},
"mask":null,
"masks":[]}
END
check "run.json without a mask" describes 01_naive_attention --example onehot --scale=0.1
cat >wanted <<'END'
{"program":"07_flash_tiling","device":"cpu",
"flags":["--n","3","--m","5","--tile","1,2","--mask","causal-end"],
"B":1,"H":4,"G":2,"N":3,"M":5,"P":0,"D":4,"Dv":4,"scale":0.5,
"settings":{"tile":"1,2","cut":null,"block-size":2,"blocks":0,"shuffle":1},
"mask":"causal-end",
"masks":[
{"batch":0,"head":0,"rows":["11100","11110","11111"]}]}
END
check "run.json with the settings that were given and those that were not" describes \
    07_flash_tiling --n 3 --m 5 --tile 1,2 --mask causal-end
make past random 1,2,2,4 4
cat >wanted <<'END'
{"program":"05_kv_cache","device":"cpu",
"flags":["--n","3","--capacity","9","--mask","window=1","--past-k","past.npy","--past-v","past.npy"],
"B":1,"H":4,"G":2,"N":3,"M":3,"P":2,"D":4,"Dv":4,"scale":0.5,
"settings":{"cache":"prealloc","layout":"heads","capacity":9,"no-cache":false,"size":false,"context":0,"dtype":"f16"},
"mask":"window=1",
"masks":[
{"batch":0,"head":0,"rows":["01100","00110","00011"]}]}
END
check "run.json after a past: rows are new queries, columns all keys" describes 05_kv_cache \
    --n 3 --capacity 9 --mask window=1 --past-k past.npy --past-v past.npy
# One length for all is one rule, two lengths are two; an array may differ from head to head.
cat >wanted <<'END'
{"program":"03_multi_head","device":"cpu",
"flags":["--batch","2","--heads","2","--n","2","--mask","causal+padding=1"],
"B":2,"H":2,"G":2,"N":2,"M":2,"P":0,"D":4,"Dv":4,"scale":0.5,
"settings":{},
"mask":"causal+padding=1",
"masks":[
{"batch":0,"head":0,"rows":["10","10"]}]}
END
check "run.json under one length: one mask" describes 03_multi_head --batch 2 --heads 2 --n 2 \
    --mask causal+padding=1
cat >wanted <<'END'
{"program":"03_multi_head","device":"cpu",
"flags":["--batch","2","--heads","2","--n","2","--mask","padding=1,2"],
"B":2,"H":2,"G":2,"N":2,"M":2,"P":0,"D":4,"Dv":4,"scale":0.5,
"settings":{},
"mask":"padding=1,2",
"masks":[
{"batch":0,"head":0,"rows":["10","10"]},
{"batch":0,"head":1,"rows":["10","10"]},
{"batch":1,"head":0,"rows":["11","11"]},
{"batch":1,"head":1,"rows":["11","11"]}]}
END
check "run.json under two lengths: a mask for each head" describes 03_multi_head --batch 2 \
    --heads 2 --n 2 --mask padding=1,2
make added values 2,1,2 0.1 -inf nan 3
cat >wanted <<'END'
{"program":"03_multi_head","device":"cpu",
"flags":["--heads","2","--n","2","--mask","added.npy+causal"],
"B":1,"H":2,"G":2,"N":2,"M":2,"P":0,"D":4,"Dv":4,"scale":0.5,
"settings":{},
"mask":"added.npy+causal",
"masks":[
{"batch":0,"head":0,"rows":["10","10"],
"bias":[0.100000001,"-inf",0.100000001,"-inf"]},
{"batch":0,"head":1,"rows":["10","11"],
"bias":["nan",3,"nan",3]}]}
END
check "run.json under an array: a mask for each head, and what is added" describes 03_multi_head \
    --heads 2 --n 2 --mask added.npy+causal
# A quote, a backslash, a tab between words, a byte 1, a letter of two bytes, and one in Latin-1.
odd=$(printf '"a" b\\\tc\001é\351')
printf '%s\n' '{"program":"02_masking","device":"cpu",' \
    '"flags":["--n","3","--tokens","\"a\" b\\\u0009c\u0001é�"],' >wanted
odd_words() {
    rm -rf trace
    run 02_masking --n 3 --tokens "$odd" --print none --trace trace
    ended_well && head -n 2 trace/run.json | diff wanted - &&
        grep -qF '"rows":["\"a\"","b\\","c\u0001é�"]' trace/trace.jsonl
}
check "run.json quotes whatever a flag holds" odd_words
make none random 0,2,3,4 1
make no_queries random 1,2,0,4 1
make some random 1,2,2,4 1
empty_masks() { # SIZES LAST-LINE QUERIES KEYS
    sizes=$1 last=$2
    rm -rf trace
    run 05_kv_cache --q $3.npy --k $4.npy --v $4.npy --print none --trace trace
    ended_well && grep -qF "$sizes" trace/run.json &&
        is "the last line" "$last" "$(tail -n 1 trace/run.json)"
}
check "run.json without sequences" empty_masks '"B":0,"H":2,"G":2,"N":3,"M":3' '"masks":[]}' \
    none none
check "run.json without queries" empty_masks '"N":0,"M":2' \
    '{"batch":0,"head":0,"rows":[]}]}' no_queries some
check "run.json without keys" empty_masks '"N":2,"M":0' \
    '{"batch":0,"head":0,"rows":["",""]}]}' some no_queries
# The same run says the same, wherever its results go.
wherever() {
    rm -rf trace left/*
    run 06_paged_blocks --n 3 --print none --trace trace
    ended_well || return 1
    run 06_paged_blocks --trace=left/t --output left/o.npy --n 3 --lse=left/l.npy \
        --present-k left/k.npy --print=all --present-v left/v.npy
    ended_well && diff trace/run.json left/t/run.json && diff trace/counts.csv left/t/counts.csv
}
check "run.json does not say where results go" wherever
rm -rf left/*

# adds_up PROGRAM FLAGS...: counts.csv has a row for each line of trace.jsonl, of the same step.
# Nothing falls, no more is live than the peak, and the last row is what --stats says.
adds_up() {
    rm -rf trace
    run "$@" --print none --stats --trace trace
    ended_well && is "the first line" \
        step,scores,flops,read_bytes,written_bytes,live_bytes,peak_bytes \
        "$(head -n 1 trace/counts.csv)" || return 1
    sed 's/{"step":"\([^"]*\)".*/\1/' trace/trace.jsonl >steps
    sed '1d; s/,.*//' trace/counts.csv | diff steps - || return 1
    awk -F, 'NR > 1 {
        for (i = 2; i <= 7; i++) {
            if (NF != 7 || $i !~ /^[0-9]+$/ || (i != 6 && $i + 0 < last[i])) bad = 1
            last[i] = $i + 0
        }
        if ($6 + 0 > $7 + 0) bad = 1
        if (bad) { print; exit 1 }
    }' trace/counts.csv || return 1
    awk '/^(scores|flops) / { all = all $2 "," }
        /^bytes (read|written) / { all = all $3 "," }
        /^bytes peak / { print all $3 }' stdout >stats
    [ ! -s steps ] || is "the last row" "$(cat stats)" \
        "$(tail -n 1 trace/counts.csv | cut -d, -f 2-5,7)"
}
for program in $chapters; do
    check "counts.csv adds up ($program)" adds_up $program
    check "counts.csv adds up with more keys ($program)" adds_up $program --n 5 --m 9 --dim-v 3
done
check "counts.csv adds up with a last look (01_naive_attention)" adds_up 01_naive_attention \
    --example fruit
for program in $masking; do
    check "counts.csv adds up under an array ($program)" adds_up $program --mask bias.npy
done
for program in $headed; do
    check "counts.csv adds up with projections ($program)" adds_up $program --x random --n 5
    # Here the block table is larger than all that one head holds.
    check "counts.csv adds up for many sequences ($program)" adds_up $program --n 4 --batch 9
    check "counts.csv of no sequences ($program)" adds_up $program --q none.npy --k none.npy \
        --v none.npy
done
for program in $cached; do
    check "counts.csv adds up after a past ($program)" adds_up $program --n 3 --past-k past.npy \
        --past-v past.npy
done
check "counts.csv adds up without a cache" adds_up 05_kv_cache --x random --n 5 --no-cache
check "counts.csv adds up while a cache grows" adds_up 05_kv_cache --n 9 --cache grow
check "counts.csv adds up over parts" adds_up 07_flash_tiling --n 9 --cut 2,5

# spoils FILE WORDS: that FILE of a trace cannot be written; the run ends saying so, and leaves
# nothing half done.
spoils() {
    rm -f left/trace/p*
    run 04_gqa --print none --trace left/trace
    is "exit status" 6 "$status" && grep -qF "left/trace/$1: cannot be written: $2" stderr &&
        is "files half done" "" "$(ls -A left/trace | grep tmp)"
}
for file in counts.csv run.json; do
    mkdir -p left/trace
    echo old >left/trace/$file
    chmod 444 left/trace/$file
    check "80. a read-only $file in a trace" spoils $file "Permission denied"
    check "80. a read-only $file: known before the first step" is "files in the trace" $file \
        "$(ls left/trace)"
    check "80. a read-only $file is as it was" is $file old "$(cat left/trace/$file)"
    rm -rf left/trace
    mkdir -p left/trace/$file
    check "80. a folder in the place of $file" spoils $file "Is a directory"
    rm -rf left/trace
    [ -c /dev/full ] || { skip "80. a full disk behind $file" "there is no /dev/full"; continue; }
    mkdir left/trace
    ln -s /dev/full left/trace/$file
    check "80. a full disk behind $file" spoils $file "No space left"
    rm -rf left/trace
done

# --- 79 to 85: memory, output, interruptions -----------------------------------------------------

# Known from the sizes alone: nothing is allocated, so nothing takes time.
topic=79.
unhurried=$limit
command -v timeout >/dev/null && limit="timeout 3"
for program in 01_naive_attention 02_masking 03_multi_head 04_gqa 05_kv_cache 06_paged_blocks; do
    refused 5 "N=20000000, M=20000000" $program --n 20000000 --dim 1 --output left/out.npy
    refused 5 "GiB" $program --n 20000000 --dim 1 --output left/out.npy
done
most=2147483647
for program in $chapters; do
    refused 5 "GiB" $program --n $most --m $most --dim $most --dim-v $most --output left/out.npy
    refused 5 "GiB" $program --n 1 --m $most --dim $most --output left/out.npy
done
for program in $headed; do
    refused 5 "GiB" $program --n $most --m $most --dim $most --heads $most --batch $most
    refused 5 "GiB" $program --x random --n $most --hidden $most
    refused 5 "GiB" $program --x random --n 4 --hidden 1000000 --dim 200000000
done
refused 5 "GiB" 05_kv_cache --capacity $most --dim 1024
refused 5 "GiB" 06_paged_blocks --block-size $most --dim 1024
refused 5 "GiB" 07_flash_tiling --blocks $most --dim 1024
limit=$unhurried
# 400 MB of scores, where a process may have 200 MB.
in_200_MB() {
    { (ulimit -v 200000 && "$@" >stdout 2>stderr </dev/null); } 2>/dev/null
    status=$?
}
refuses_limit() {
    in_200_MB "$build/$1" --n 10000 --dim 1
    is "exit status" 5 "$status" && grep -q "out of memory" stderr
}
for program in 01_naive_attention 02_masking; do
    in_200_MB "$build/$program" --version
    if [ "$status" = 0 ]; then
        check "79. beyond ulimit -v ($program)" refuses_limit $program
    else
        skip "79. beyond ulimit -v ($program)" "it cannot run under one"
    fi
done
check "tiles larger than the run are no more memory" same_bits \
    "07_flash_tiling --tile $most,$most" "07_flash_tiling --tile 3,3"

# fails_to_write WORDS PROGRAM FLAGS...: exit 6, one line, and the folder is as it was.
fails_to_write() {
    words=$1 line= more=
    shift
    before=$(ls -lA left)
    run "$@" --print none
    { IFS= read -r line; IFS= read -r more; } <stderr
    is "exit status" 6 "$status" || return 1
    case $line in *"$words"*) ;; *) is stderr "a line with $words" "$line" || return 1 ;; esac
    is "a second line on stderr" "" "$more" && is "the folder" "$before" "$(ls -lA left)"
}
echo old >left/readonly.npy
chmod 444 left/readonly.npy
mkdir left/folder
ln -s nowhere/x.npy left/dangling.npy
for program in $chapters; do
    flags="--output --lse"
    case $program in 0[567]*) flags="--output --lse --present-k --present-v" ;; esac
    for flag in $flags; do
        check "80. $flag into a missing folder ($program)" fails_to_write \
            "missing/out.npy: cannot be written: No such file" $program $flag missing/out.npy
        check "80. $flag into a read-only file ($program)" fails_to_write \
            "readonly.npy: cannot be written: Permission denied" $program $flag left/readonly.npy
        check "80. $flag into a folder ($program)" fails_to_write \
            "left/folder: cannot be written: Is a directory" $program $flag left/folder
        check "80. $flag through a link that leads nowhere ($program)" fails_to_write \
            "dangling.npy: cannot be written" $program $flag left/dangling.npy
        [ -c /dev/full ] || { skip "80. $flag to /dev/full ($program)" "there is none"; continue; }
        check "80. $flag to /dev/full ($program)" fails_to_write \
            "/dev/full: cannot be written: No space left" $program $flag /dev/full
    done
    check "80. --trace into a missing folder ($program)" fails_to_write missing/trace $program \
        --trace missing/trace
    check "80. --trace into a file ($program)" fails_to_write readonly.npy $program \
        --trace left/readonly.npy
done
check "80. the read-only file is as it was" is "left/readonly.npy" old "$(cat left/readonly.npy)"
rm -rf left/*

# The standard streams, closed or full. >&- leaves the program without descriptor 1: the result
# file must not be taken for it.
full_stdout() {
    "$build/$1" >/dev/full 2>stderr </dev/null
    status=$?
    is "exit status" 6 "$status" && grep -q "stdout: cannot be written: No space left" stderr
}
# --help and --version answer before any flag is read, and their answer may be lost too.
full_answer() {
    "$build/$1" "$2" >/dev/full 2>stderr </dev/null
    is "exit status" 6 $? && grep -q "stdout: cannot be written: No space left" stderr
}
no_stdout() {
    rm -f out.npy
    "$build/$1" --output out.npy >&- 2>stderr </dev/null
    status=$?
    is "exit status" 6 "$status" && grep -q "stdout: cannot be written" stderr &&
        "$tools/expect" out.npy finite
}
no_stdin() {
    "$build/$1" --output with.npy </dev/null >with 2>&1
    "$build/$1" --output without.npy <&- >without 2>&1
    status=$?
    is "exit status" 0 "$status" && cmp with without && cmp with.npy without.npy
}
no_stderr() {
    "$build/$1" --output out.npy >with 2>&- </dev/null
    is "exit status" 0 $? || return 1
    "$build/$1" --output left/out.npy --n x >with 2>&- </dev/null
    is "exit status" 2 $? && is "files left behind" "" "$(ls -A left)"
}
# What goes wrong with a pipe is the reader's choice, not worth a word.
head_closes() {
    { "$build/$1" --n 300 --print all 2>stderr </dev/null; echo $? >ended; } | head -n 1 >head_out
    is "what head shows" "== p0" "$(cut -c 1-5 head_out)" && is stderr "" "$(cat stderr)" &&
        case $(cat ended) in 0 | 141) ;; *) is "exit status" "0 or 141" "$(cat ended)" ;; esac
}
# What is no regular file is written to as it is.
into_stdout() {
    run "$1" --print none --output direct.npy
    ended_well || return 1
    run "$1" --print none --output /dev/stdout
    ended_well && cmp direct.npy stdout || return 1
    "$build/$1" --print none --output /dev/stdout </dev/null | cat >piped.npy
    cmp direct.npy piped.npy
}
# Terminal, result and every file of the trace.
twice() {
    rm -rf first second
    run "$@" --trace first --output first.npy
    ended_well && cp stdout first.txt || return 1
    run "$@" --trace second --output second.npy
    ended_well && cmp stdout first.txt && cmp first.npy second.npy && diff -r first second
}
for program in $chapters; do
    check "81. \`| head -n 1\` is quiet ($program)" head_closes $program
    if [ -c /dev/full ]; then
        check "80. a full disk behind stdout ($program)" full_stdout $program
        check "80. a full disk behind --help ($program)" full_answer $program --help
        check "80. a full disk behind --version ($program)" full_answer $program --version
    else
        skip "80. a full disk behind stdout ($program)" "there is no /dev/full"
    fi
    check "82. stdin closed: the same output ($program)" no_stdin $program
    check "82. stdout closed: refused, the result is written ($program)" no_stdout $program
    check "82. stderr closed ($program)" no_stderr $program
    check "80. --output /dev/stdout writes the file's bytes ($program)" into_stdout $program
    check "85. the same command twice, byte for byte ($program)" twice $program
    check "85. the same random command twice ($program)" twice $program --n 9 --seed 3 --explain 8
done

# A locale that writes 0,5 for 0.5: the machine's, or one made for the occasion.
comma=
for name in $(locale -a 2>/dev/null | grep -E '^(de|fr|it|es|nl|pl|ru)_'); do
    [ "$(LC_ALL=$name locale decimal_point 2>/dev/null)" = , ] && comma=$name
done
if [ -z "$comma" ] && localedef -i de_DE -f UTF-8 "$work/de_DE.UTF-8" >/dev/null 2>&1; then
    LOCPATH=$work
    export LOCPATH
    [ "$(LC_ALL=de_DE.UTF-8 locale decimal_point 2>/dev/null)" = , ] && comma=de_DE.UTF-8
fi
in_commas() {
    run "$1" --example worked --scale 0.5
    cp stdout points
    LC_ALL=$comma # ends with the check, which is a process of its own
    run "$1" --example worked --scale 0.5
    ended_well && cmp points stdout
}
for program in $chapters; do
    [ -n "$comma" ] || { skip "82. a decimal comma ($program)" "no such locale here"; continue; }
    check "82. under a decimal comma the output is the same ($program)" in_commas $program
done

# interrupt SIGNAL: ends the program as soon as it has begun to write its 48 MB, and leaves its
# exit status in caught. A program in the background ignores SIGINT: hence the other way round,
# the one who interrupts is in the background.
interrupt() {
    rm -f done pid
    (
        while [ ! -e done ]; do
            for part in left/big.npy.*; do
                [ -e "$part" ] && kill -s "$1" "$(cat pid)" 2>/dev/null && exit
            done
        done
    ) &
    sh -c 'echo $$ >pid; exec "$@"' sh "$build/01_naive_attention" --n 3000 --m 1 --dim 1 \
        --dim-v 4096 --print none --output left/big.npy >stdout 2>stderr </dev/null
    caught=$?
    : >done
    wait $!
}
keeps_the_old() {
    is "left/big.npy" old "$(cat left/big.npy)" && is "files in the folder" big.npy "$(ls -A left)"
}
for signal in INT TERM; do
    case $signal in INT) expected=130 ;; TERM) expected=143 ;; esac
    caught=
    for try in 1 2 3 4 5 6 7 8; do
        echo old >left/big.npy
        interrupt $signal 2>/dev/null
        [ "$caught" = $expected ] && break
    done
    if [ "$caught" = $expected ]; then
        check "83. SIG$signal in the middle of writing: the old file is whole" keeps_the_old
    else
        skip "83. SIG$signal in the middle of writing" "eight times it came too late"
    fi
done
rm -rf left/*
skip "84. no GPU, or not enough of its memory" "these are the programs for the processor"

echo "cli: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]
