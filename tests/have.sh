# Is one thing of tests/packages.txt here? sh tests/have.sh NAME: exit 0 or 1.

compiles() { printf '%s\n' "$1" | ${CC:-cc} -E -x c - > /dev/null 2>&1; }

case ${1:-} in
cmocka.h) compiles '#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>' ;;
*.h) compiles "#include <$1>" ;;
liblapacke.so.3)
    ldconfig -p 2> /dev/null | grep -q liblapacke ||
        ls /usr/lib/*/liblapacke.so.3 /opt/homebrew/opt/lapack/lib/liblapacke.dylib > /dev/null 2>&1 ;;
numpy) sh "$(dirname "$0")/python.sh" > /dev/null ;;
libasan)
    echo 'int main(void) { return 0; }' > "${TMPDIR:-/tmp}/have-asan.$$.c" &&
        gcc -fsanitize=address,undefined -o "${TMPDIR:-/tmp}/have-asan.$$" \
            "${TMPDIR:-/tmp}/have-asan.$$.c" > /dev/null 2>&1
    code=$?
    rm -f "${TMPDIR:-/tmp}/have-asan.$$" "${TMPDIR:-/tmp}/have-asan.$$.c"
    exit $code ;;
*) command -v "$1" > /dev/null 2>&1 ;;
esac
