# Prints the first Python that has certain modules, numpy if none is named; exit 1 if none has.
#
#     sh tests/python.sh [MODULE...]
#
# $PYTHON goes first. Debian's packages are seen by Debian's own Python only, which need not be the
# first on the PATH.

modules=$(echo "${*:-numpy}" | tr ' ' ',')
for python in ${PYTHON:+"$PYTHON"} python3 /usr/bin/python3; do
    "$python" -c "import $modules" 2> /dev/null && { command -v "$python"; exit 0; }
done
exit 1
