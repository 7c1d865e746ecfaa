# How the tests build a kernel of their own for the emulator, every access counted. To be sourced
# from the project's root; the Makefile knows the flags.
#
#     simt_compile gcc kernel.cu kernel.o [FLAGS...]    or clang; flags of one's own come last
#     simt_link program kernel.o [MORE.o...]            with the emulator, which is built if needed

simt_make=${MAKE:-make}
simt_gcc=$($simt_make -s --no-print-directory simt-gcc) &&
    simt_clang=$($simt_make -s --no-print-directory simt-clang) &&
    simt_objects=$($simt_make -s --no-print-directory simt-objects) || exit 1

simt_compile() {
    case $1 in gcc) simt_command=$simt_gcc ;; clang) simt_command=$simt_clang ;; esac
    simt_from=$2 simt_to=$3
    shift 3
    $simt_command "$@" -c "$simt_from" -o "$simt_to"
}

simt_link() {
    simt_to=$1
    shift
    g++ -o "$simt_to" "$@" $simt_objects -lpthread -lm -ldl
}
