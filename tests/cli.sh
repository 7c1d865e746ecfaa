# The programs as a user meets them: arrays in files, flags on a command line, a result back.
#
#     BUILD=build/cpu TOOLS=build/tests sh tests/cli.sh
#
# BUILD holds the seven chapters, TOOLS make_arrays, expect, compare and oracle. Every check
# prints one line, `ok`, `not ok` or `skip`. The numbers in the names are those of the hard
# cases; what cannot be asked from outside (41, 42, 45) is in tests/unit_numerics.c.

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

chapters="01_naive_attention 02_masking 03_multi_head 04_gqa 05_kv_cache 06_paged_blocks
07_flash_tiling"
masking="02_masking 03_multi_head 04_gqa 05_kv_cache 06_paged_blocks 07_flash_tiling"
headed="03_multi_head 04_gqa 05_kv_cache 06_paged_blocks 07_flash_tiling"
grouped="04_gqa 05_kv_cache 06_paged_blocks 07_flash_tiling"
cached="05_kv_cache 06_paged_blocks 07_flash_tiling"
passed=0 failed=0 skipped=0

for program in $chapters; do
    [ -x "$build/$program" ] || { echo "cli.sh: no $build/$program: build it first" >&2; exit 2; }
done
for tool in make_arrays expect compare oracle; do
    [ -x "$tools/$tool" ] || { echo "cli.sh: no $tools/$tool: build it first" >&2; exit 2; }
done

# --- checking ----------------------------------------------------------------------------------

# A program that hangs fails its check instead of stopping all of them.
limit=
command -v timeout >/dev/null && limit="timeout 20"

# check NAME COMMAND...: one check, good if the command is; what it prints says what came.
check() {
    name=$1
    shift
    if came=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok - $name"
    else
        failed=$((failed + 1))
        echo "not ok - $name: $(echo "$came" | tr '\n' ' ')"
    fi
}

skip() {
    skipped=$((skipped + 1))
    echo "skip - $1: $2"
}

# make NAME ...: the file NAME.npy, by tests/make_arrays.c.
make() {
    array=$1
    shift
    "$tools/make_arrays" "$array.npy" "$@" 2>make.err || { cat make.err >&2; exit 2; }
}

# run PROGRAM FLAGS...: leaves $status and the files stdout and stderr.
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
    code=$1 words=$2
    shift 2
    run "$@"
    is "exit status" "$code" "$status" &&
        is "lines on stderr" 1 "$(wc -l <stderr | tr -d ' ')" &&
        is stdout "" "$(head -n 1 stdout)" &&
        is "files left behind" "" "$(ls -A left)" && grep -qF -- "$words" stderr ||
        { echo "expected \"$words\" in:"; cat stderr; return 1; }
}

# refused CODE WORDS PROGRAM FLAGS...: as a check, named by the command.
refused() {
    code=$1 words=$2
    shift 2
    check "refused: $*" refuses "$code" "$words" "$@"
}

# --- the same question to every chapter ----------------------------------------------------------

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

# --- 1 to 15: large, small and missing scores ------------------------------------------------------

# With D = 1 the scale is 1: a query of 1 makes the keys the scores.
make q values 2,1 100 -100
make k values 4,1 100 -100 50 -50
make v values 4,2 1 2 3 4 5 6 7 8
every "1. scores of 1e4 and -1e4 do not overflow" none "finite rows 0 1 each 1 2 rows 1 2 each 3 4" \
    "all 10000"

make q values 1,1 100
make k values 2,1 100
make v values 2,1 1 4
every "2. two equal scores of 1e4 are an exact mean" none "all 2.5" "within 1e-3 all 10000.6931"

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
    rm -rf trace
    run "$2" --q q.npy --k k.npy --v v.npy --print none --trace trace
    ended_well && "$tools/expect" trace/p0.b0.h0.weights.npy $1
}
for program in 01_naive_attention 02_masking 03_multi_head 04_gqa 05_kv_cache 06_paged_blocks; do
    check "3. the weights of a dead row are 0 ($program)" weights_are "all 0" "$program"
done

make q random 34,3 1
make k random 1,3 2
make v values 1,2 5 -7
every "4. bottom-right causal, 34 queries and 1 key: 33 dead rows, then V" causal-end \
    "rows 0 33 all 0 rows 33 34 each 5 -7" "elements 0 33 all -inf elements 33 34 finite"

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
make k values 8,1 0 0 64 64 128 128 192 192
make v values 8,1 100 100 100 100 100 100 6 8
every "9. the maximum rises by 64 a tile: no drift" none "all 7" "within 1e-4 all 192.693147"
make k values 6,1 0 0 0 0 0 1e4
make v values 6,2 1 2 3 4 5 6 7 8 9 10 0.3 -0.7
every "10. a spike of 1e4 in the last tile: exactly its V" none "rows 0 1 within 1e-7 each 0.3 -0.7" \
    "all 10000"
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

make q values 1,1 1e-30
make k values 4,1 1e-30
make v values 4,1 1 2 3 6
every "14. Q and K of 1e-30: a uniform mean" none "all 3" "within 1e-6 all 1.38629436"
make v values 4,1 0x1p-133
every "15. V of 1e-40 is not flushed to zero" none "all 0x1p-133"

# --- 16 to 25: NaN, infinity, signs and long sums ----------------------------------------------------

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

make q values 1,1 1
make k values 4,1 0 1 2 3
make v values 4,1 1 2 3 6
make lowest values 1,4 -3.4028234663852886e38
every "19. a row of the lowest float32 in the mask, not -inf: a uniform mean" lowest.npy "all 3" \
    "all -3.4028234663852886e38"
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

make other_k random 5,3 2 -1
for program in $chapters; do
    check "23. a negative scale inverts the order ($program)" same_bits "$program --scale -0.7 --k k.npy" \
        "$program --scale=0.7 --k other_k.npy" --q q.npy --v v.npy
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
    run "$1" $inputs --print all
    ended_well && ! grep -e '-0\.0000' stdout
}
for program in $chapters; do
    check "24. what rounds to zero prints without a sign ($program)" prints_no_sign "$program"
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
    answers "within 4e-6 all 0.1" "within 1e-5 all 11.5129255" 07_flash_tiling --mask none --tile 1,500 \
    --block-size 500 $inputs

# --- 26 to 34: shapes --------------------------------------------------------------------------------

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

# sweep NAME MASK N M D DV [WAYS]
sweep() {
    case_name="$1, N=$3 M=$4 D=$5 Dv=$6 $2" mask=$2
    make q random "$3,$5" 1
    make k random "$4,$5" 2
    make v random "$4,$6" 3
    rm -rf trace ref naive.npy
    run 02_masking --q q.npy --k k.npy --v v.npy --mask "$mask" --print none --trace trace \
        --output naive.npy
    bound=$("$tools/oracle" trace ref --mask "$mask" | sed -n 's/^bound //p')
    "$tools/expect" naive.npy shape "$3,$6" finite ||
        echo "not ok - $case_name: chapter 02" # and what follows fails
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
        "shape 1,6,2,1 values 10 10 10 10 20 20 20 20 30 30 30 30" finite \
        $program --q q.npy --k three_heads.npy --v v.npy
    check "33. one KV head for all is its copies, one for each ($program)" same_bits \
        "$program --k one_head.npy --v one_head.npy" "$program --k six_heads.npy --v six_heads.npy" \
        --q q.npy
done
check "33. one KV head for all is multi-head attention on its copies" same_bits \
    "04_gqa --k one_head.npy --v one_head.npy" "03_multi_head --k six_heads.npy --v six_heads.npy" \
    --q q.npy

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
for program in $headed; do
    check "34. no sequences: an empty output ($program)" answers "shape 0,2,3,4" "shape 0,2,3" \
        $program --q q_batch.npy --k k_batch.npy --v k_batch.npy
done

# --- 35 to 42: masks -----------------------------------------------------------------------------------

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
for array in q k v; do
    make $array slice x.npy 1 0 6
    make past_$array slice x.npy 1 0 4
    make new_$array slice x.npy 1 4 6
done
with_past() {
    program=$1 mask=$2
    rm -f whole.npy out.npy
    run $program --mask "$mask" --prefill 6 --q q.npy --k k.npy --v v.npy --print none --output whole.npy
    ended_well || return 1
    run $program --mask "$mask" --q new_q.npy --k new_k.npy --v new_v.npy --past-k past_k.npy \
        --past-v past_v.npy --print none --output out.npy --present-k present.npy
    "$tools/make_arrays" last.npy slice whole.npy 2 4 6
    ended_well && "$tools/expect" out.npy shape 1,2,2,4 && "$tools/compare" out.npy last.npy &&
        "$tools/compare" present.npy k.npy
}
for program in $cached; do
    for mask in causal causal-end window=2 prefix=5+causal causal+padding=5; do
        check "37. the offset is the past's length ($program --mask $mask)" with_past "$program" $mask
    done
done

# Which key each row sees tells how the mask was broadcast to [B, H, N, M].
make q values 2,2,3,4 1
make k values 2,2,3,4 1
make v values 2,2,3,1 1 2 3 4 5 6 7 8 9 10 11 12
make mask_l --dtype '|b1' values 3 0 1 0
make mask_hnl --dtype '|b1' values 2,3,3 1 0 0 1 0 0 1 0 0 0 0 1
make mask_b1nl --dtype '|b1' values 2,1,3,3 0 1 0 0 1 0 0 1 0 0 0 1 0 0 1 1 0 0
make mask_n1 --dtype '|b1' values 3,1 1 0 1
make mask_11 values 1,1 0.5
make mask_scalar values - 0.5
make mask_bool_scalar --dtype '|b1' values - 1
ask_mask() {
    check "39. a mask $1 ($program)" answers "$3" "$4" $program $once --q q.npy --k k.npy --v v.npy \
        --mask "$2"
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
