# Is one thing of tests/packages.txt or docs/book/packages.txt here? sh tests/have.sh NAME: exit 0 or 1.

compiles() { printf '%s\n' "$1" | ${CC:-cc} -E -x c - > /dev/null 2>&1; }

links() { # compiler, flag, program
    command -v "$1" > /dev/null 2>&1 || return 1
    folder=$(mktemp -d) || return 1
    printf '%s\n' "$3" > "$folder/a.c"
    "$1" "$2" -o "$folder/a" "$folder/a.c" > /dev/null 2>&1
    code=$?
    rm -rf "$folder"
    return $code
}

case ${1:-} in
cmocka.h) compiles '#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>' ;;
*.h) compiles "#include <$1>" ;;
libopenblas.so.0)
    ldconfig -p 2> /dev/null | grep -q libopenblas.so.0 ||
        ls /usr/lib/*/libopenblas.so.0 /opt/homebrew/opt/openblas/lib/libopenblas.dylib > /dev/null 2>&1 ;;
liblapacke.so.3)
    ldconfig -p 2> /dev/null | grep -q liblapacke ||
        ls /usr/lib/*/liblapacke.so.3 /opt/homebrew/opt/lapack/lib/liblapacke.dylib > /dev/null 2>&1 ;;
numpy) sh "$(dirname "$0")/python.sh" > /dev/null ;;
nbconvert) sh "$(dirname "$0")/python.sh" nbformat nbconvert ipykernel numpy > /dev/null ;;
sphinx) sh "$(dirname "$0")/python.sh" sphinx myst_parser furo nbsphinx > /dev/null ;;
selenium) sh "$(dirname "$0")/python.sh" selenium > /dev/null ;;
katex) [ -f "${KATEX:-/usr/share/javascript/katex}/katex.min.js" ] ;;
libasan) links gcc -fsanitize=address,undefined 'int main(void) { return 0; }' ;;
libfuzzer) links clang -fsanitize=fuzzer,address \
    '#include <stddef.h>
     int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
     int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) { return !data && size; }' ;;
*) command -v "$1" > /dev/null 2>&1 ;;
esac
