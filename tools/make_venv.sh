#!/usr/bin/env bash
# Brings the virtual environment to what requirements.txt asks for, from whatever state it is in, and
# does nothing when it is right already. "Right" is found by importing the modules that matter, not by
# a time stamp: an interrupted pip, a removed interpreter, a moved folder, changed requirements and
# deleted files are all mended, in place where that is enough, from nothing where it is not.
#
# Settings, by environment variable (the defaults are what the Makefile wants):
#   VENV          the environment                           .venv
#   REQUIREMENTS  what to install                           requirements.txt
#   MODULES       what must be importable                   (below)
#   PROJECT       what to install editable, without its     . (the repository)
#                 dependencies; empty for nothing
#   VERSIONS      of Python that will do, the best first    3.11 3.12 3.13 3.10
#   PYTHON        the interpreter to make it with           the first of these that is found
#   PIP_FLAGS     further words for pip install             (none)
#   V             1 shows all that pip says                 (one line of progress)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=${VENV:-.venv}
REQUIREMENTS=${REQUIREMENTS:-requirements.txt}
MODULES=${MODULES:-numpy cv2 PIL skimage safetensors tqdm rosbags torch rclpy sensor_msgs.msg
    diagnostic_msgs.msg lifecycle_msgs.msg std_srvs.srv pytest ruff mypy colcon_core difiisr_ros}
PROJECT=${PROJECT-.}
VERSIONS=${VERSIONS:-3.11 3.12 3.13 3.10}
stamp=$VENV/.complete

# rclpy from wheels sets these for its own process. Inherited (from a test, say), they would make
# another environment's rclpy load the wrong libraries.
if [ -n "${_ROS_WHEELS_BOOTSTRAP_COMPLETE:-}" ]; then
    unset _ROS_WHEELS_BOOTSTRAP_COMPLETE LD_LIBRARY_PATH
fi

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }

# The requirements, and those of the files that they take in.
required() {
    local other
    cat "$REQUIREMENTS" || return
    sed -n 's/^-r //p' "$REQUIREMENTS" | while read -r other; do
        cat "$(dirname "$REQUIREMENTS")/$other"
    done
}

# The content of the requirements, and the place: scripts in bin/ start with an absolute path.
wanted() {
    { required && readlink -f "$VENV" && if [ -n "$PROJECT" ]; then
        readlink -f "$PROJECT" && cat "$PROJECT/setup.py"
    fi; } | sha256sum
}

# One import after the other in one process: about two seconds, most of it PyTorch.
imports_work() {
    # shellcheck disable=SC2086  # a list of words
    "$VENV/bin/python" - $MODULES >/dev/null 2>&1 <<'PYTHON'
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
PYTHON
}

complete() { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(wanted)" ] && imports_work; }

# Whether pip can repair it. A moved environment it cannot: every script in bin/ names the old place.
repairable() {
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 &&
        grep -qF "$(readlink -f "$VENV")" "$VENV/bin/activate"
}

usable_python() {
    # shellcheck disable=SC2086  # a list of words
    "$1" -c 'import sys, venv, ensurepip
sys.exit("{}.{}".format(*sys.version_info) not in sys.argv[1:])' $VERSIONS >/dev/null 2>&1
}

# What may be one: those on the path, and those that pyenv has but does not put there.
candidates() {
    local version
    for version in $VERSIONS; do printf 'python%s ' "$version"; done
    printf 'python3'
    for version in $VERSIONS; do
        printf ' %s' "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python
    done
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-$(candidates)}; do
        # Running it is the test: a version manager's python3.12 may exist and only say "not found".
        if usable_python "$candidate"; then
            printf '%s' "$candidate"
            return
        fi
    done
    fail "no usable Python: tried ${PYTHON:-those of this system}. It needs one of ${VERSIONS// /, }" \
        "with the venv and ensurepip modules (Debian and Ubuntu: apt install python3-venv)," \
        "or name yours: make PYTHON=/path/to/python3"
}

install() {
    pip_install ${PIP_FLAGS:-} -r "$REQUIREMENTS" || return
    [ -z "$PROJECT" ] || "$VENV/bin/python" -m pip install --disable-pip-version-check --no-input \
        --quiet --no-deps --no-build-isolation --editable "$PROJECT"
}

# pip's lines go to a file, which is shown where it fails; one line says what is fetched and how far
# it is. The number of packages is that of the pinned requirements for this Python, nearly.
pip_install() {
    local pip=("$VENV/bin/python" -m pip install --disable-pip-version-check --no-input)
    if [ "${V:-0}" = 1 ]; then
        "${pip[@]}" "$@"
        return
    fi
    local log=$VENV/pip.log code=0
    "${pip[@]}" --progress-bar off "$@" 2>&1 | tee "$log" |
        awk -v total="$(required | grep -cE '^[A-Za-z]')" -v tty="$([ -t 2 ] && echo 1)" "$PROGRESS" >&2 || code=$?
    if [ "$code" -ne 0 ]; then tail -n 20 "$log" >&2; fi
    return "$code"
}

PROGRESS='
function say(text) {
    if (tty) printf "\rsetup: %-100.100s", text
    else if (now >= next_line) { print "setup: " text; next_line = now + 15 }
    fflush()
}
/^Collecting |^Requirement already/ { seen++; name = ($1 == "Collecting") ? $2 : $4 }
/^ *Downloading / { size = $(NF - 1) " " $NF; gsub(/[()]/, "", size) }
/^ *Using cached|^ *Processing / { size = "at hand" }
/^Installing collected/ { name = "installing them all"; size = "a minute or two" }
{
    "date +%s" | getline now; close("date +%s")
    left = total - seen; if (left < 0) left = 0
    if (name != shown) { say(name " (" size "), " left " of " total " packages left"); shown = name }
}
END { if (tty) printf "\n" }'

if complete; then exit 0; fi

[ -f "$REQUIREMENTS" ] || fail "$REQUIREMENTS is missing"
case "$(uname -s) $(uname -m)" in
    "Linux x86_64") ;;
    *) fail "rclpy's wheels are for Linux x86_64, this is $(uname -sm). Without ROS: pip install ." \
        "With ROS 2 installed: source it first" ;;
esac

rm -f "$stamp"
if repairable; then
    say "mending $VENV"
    if install && imports_work; then
        wanted >"$stamp"
        exit 0
    fi
    say "that was not enough, making it anew"
fi

python=$(find_python)
say "making $VENV with $("$python" --version) (once; PyTorch, if asked for, is the largest download)"
rm -rf "$VENV"
"$python" -m venv "$VENV" || fail "$python could not make a virtual environment in $VENV"
install || fail "pip could not install $REQUIREMENTS (its message is above); 'make' tries again"
if ! imports_work; then
    "$VENV/bin/python" -c "import $(printf '%s, ' $MODULES | sed 's/, $//')" || true
    fail "installed, but not everything can be imported (see above)"
fi
wanted >"$stamp"
