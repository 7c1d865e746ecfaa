# make doctor: what is here, what is missing, what that switches off and how to get it.

set -u
printf '%-16s %-8s %s\n' what state 'without it'
cat tests/packages.txt docs/book/packages.txt | while IFS='|' read -r name debian homebrew without; do
    case $name in '#'* | '') continue ;; esac
    name=$(echo $name) debian=$(echo $debian) homebrew=$(echo $homebrew) without=$(echo $without)
    if sh tests/have.sh "$name"; then
        printf '%-16s %-8s\n' "$name" here
    else
        printf '%-16s %-8s %s; get it: apt-get install %s' "$name" missing "$without" "$debian"
        [ "$homebrew" = - ] && echo || echo " or brew install $homebrew"
    fi
done
if [ -d ../shared/real ]; then
    printf '%-16s %-8s\n' 'trained models' here
else
    printf '%-16s %-8s %s\n' 'trained models' missing 'make run-real; looked for in ../shared/real'
fi
if command -v nvcc > /dev/null 2>&1; then
    printf '%-16s %-8s\n' nvcc here
else
    printf '%-16s %-8s %s\n' nvcc missing 'make cuda; get it: the CUDA Toolkit of NVIDIA'
fi
if command -v nvidia-smi > /dev/null 2>&1 && nvidia-smi -L > /dev/null 2>&1; then
    printf '%-16s %-8s %s\n' GPU here 'make gpu-check asks it all; DEVICE=cuda runs on it'
else
    printf '%-16s %-8s %s\n' GPU missing 'make gpu-check; no chapter needs one: DEVICE=simt'
fi
echo
echo "compiler: $(${CC:-cc} --version 2> /dev/null | head -n 1)"
echo "machine:  $(uname -sm), $(getconf _NPROCESSORS_ONLN 2> /dev/null || echo '?') cores"
