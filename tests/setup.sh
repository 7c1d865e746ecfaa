# make setup: installs what tests/packages.txt lists and this machine lacks (setup-book: what
# docs/book/packages.txt does). Where it cannot, it prints what to install; `make run` needs none of
# it but a compiler and make.

set -u
missing= brew=
while IFS='|' read -r name debian homebrew without; do
    case $name in '#'* | '') continue ;; esac
    name=$(echo $name) debian=$(echo $debian) homebrew=$(echo $homebrew)
    sh tests/have.sh "$name" && continue
    missing="$missing $debian"
    [ "$homebrew" = - ] || brew="$brew $homebrew"
done < "${1:-tests/packages.txt}"

if [ -z "$missing" ]; then
    echo "setup: everything is here"
    exit 0
fi
echo "setup: missing:$missing"
if ! command -v apt-get > /dev/null 2>&1; then
    echo "setup: this is no Debian. With Homebrew: brew install$brew"
    echo "setup: going on without; make doctor says what that switches off"
    exit 0
fi
as_root= # env: sudo would not pass the variable on
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    sudo -n true 2> /dev/null || [ -t 0 ] || as_root=
    if [ -z "$as_root" ] || ! command -v sudo > /dev/null 2>&1; then
        echo "setup: not root. Run: sudo apt-get install -y$missing"
        echo "setup: going on without; make doctor says what that switches off"
        exit 0
    fi
fi
log=build/setup.log
mkdir -p build
install() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >> "$log" 2>&1
}
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update > "$log" 2>&1
if install $missing; then
    echo "setup: installed"
    exit 0
fi
# One name that this release does not know must not keep the others away.
for package in $missing; do
    install "$package" || echo "setup: apt-get could not install $package (see $log)"
done
echo "setup: make doctor says what is still missing, and what that switches off"
