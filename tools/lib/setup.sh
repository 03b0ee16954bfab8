# shellcheck shell=bash
# Sourced by the scripts here: installs what a command needs on Debian, once, and says so.

# say TEXT...: a line about what the script does, apart from what the programs print.
say() { printf '==> %s\n' "$*" >&2; }

# need PACKAGE...: installs those of the Debian packages that are missing.
need() {
  local missing=() package
  for package in "$@"; do
    if ! dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$'; then
      missing+=("$package")
    fi
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      say "these Debian packages are missing; install them as root, then try again:"
      say "  apt-get install ${missing[*]}"
      return 1
    fi
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# What the library, its command line and its figures are built from.
build_packages=(g++ cmake ninja-build pkg-config zlib1g-dev libcairo2-dev fonts-dejavu-core libcli11-dev libfmt-dev
  nlohmann-json3-dev)
# What the tests need besides.
test_packages=(libgtest-dev libgmock-dev librapidcheck-dev python3 python3-dev python3-venv qemu-user g++-aarch64-linux-gnu)

# What a preset needs besides.
preset_packages() {
  case $1 in
    clang | asan-ubsan) echo clang-19 libclang-rt-19-dev ;;
  esac
}

# configure PRESET: configures the build folder unless that has been done with the parts that are now installed.
configure() {
  local stamp
  stamp=build/$1/.configured
  local state
  state=$({ dpkg-query -W -f='${Package} ${Version}\n' "${build_packages[@]}" "${test_packages[@]}" 2>/dev/null || true; } |
    sha256sum - CMakePresets.json)
  if [ ! -f "build/$1/build.ninja" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$state" ]; then
    say "configuring build/$1"
    cmake --preset "$1"
    printf '%s\n' "$state" >"$stamp"
  fi
}

# python_environment: makes the virtual environment of the documents (cog) and of the tests against NumPy, once.
python_environment() {
  if [ ! -e build/venv/.installed ]; then
    say "installing cog and NumPy from PyPI into build/venv"
    python3 -m venv build/venv
    build/venv/bin/pip install --quiet --disable-pip-version-check 'cogapp==3.6.0' numpy
    touch build/venv/.installed
  fi
}
