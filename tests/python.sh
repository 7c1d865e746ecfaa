# Prints the first Python that has numpy; exit 1 if none has.

for python in python3 /usr/bin/python3; do
    "$python" -c 'import numpy' 2> /dev/null && { command -v "$python"; exit 0; }
done
exit 1
