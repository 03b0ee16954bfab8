#!/usr/bin/env bash
# Builds the wheel as pip does, installs it into a virtual environment of its own, and runs its tests.
#   package_test.sh SOURCE FOLDER PYTHON COMPILER
set -euo pipefail
source=$1 folder=$2 python=$3
export CXX=$4
if [ ! -x "$python" ]; then
  echo "skipped: $python is not there (./tools/test makes it)"
  exit 0
fi
if ! "$python" -c 'import sysconfig, os, sys; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))'; then
  echo "skipped: Python's headers were not found (Debian: python3-dev)"
  exit 0
fi
mkdir -p "$folder"
if [ ! -e "$folder/venv/.installed" ]; then
  "$python" -m venv "$folder/venv"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check pytest
  touch "$folder/venv/.installed"
fi
echo "pip install ."
"$folder/venv/bin/pip" install --disable-pip-version-check --force-reinstall "$source" \
  --config-settings=build-dir="$folder/build" --config-settings=cmake.define.ATTENTION_WERROR=ON >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
cd "$source"
"$folder/venv/bin/python" -m pytest -p no:cacheprovider python/tests
