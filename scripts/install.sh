#!/bin/sh
# Make the virtual environment $1 and install the project with everything that the book and its tests need.
# Whatever is missing is said in one sentence. PYTHON names the interpreter to use, if it is not to be searched for.
set -u

venv=$1
log=$venv/install.log
needed_gb=10

stop() {
    echo "facekit: $*" >&2
    exit 1
}

is_recent() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if is_recent "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

make_environment() {
    python=$(find_python)
    [ -n "$python" ] || stop "Python 3.11 or newer is needed and was not found; install it, or name it with PYTHON=/path/to/python3."
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "$python cannot make virtual environments; install its venv module (on Debian and Ubuntu: python3-venv)."
    "$python" -m venv "$venv" || stop "$python could not make the virtual environment $venv."
}

check_space() {
    free_gb=$(df -Pk "$venv" | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free_gb" -ge "$needed_gb" ] ||
        stop "installing takes about $needed_gb GB of disk space and only $free_gb GB are free where $venv lies."
}

install() {
    echo "facekit: installing into $venv (the first time about 6 GB, most of it PyTorch)"
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off -e ".[book,test]" \
        >"$log" 2>&1 && return
    grep -q "No space left on device" "$log" && stop "the disk is full; free about $needed_gb GB and run the command again."
    grep -qiE "connection|resolution|timed out|max retries" "$log" &&
        stop "the packages could not be downloaded; check the network and run the command again (full log: $log)."
    tail -n 5 "$log" >&2
    stop "pip could not install the packages; the lines above say why (full log: $log)."
}

is_recent "$venv/bin/python" || make_environment
"$venv/bin/python" -c 'import torch' 2>/dev/null || check_space
install
