#!/usr/bin/env bash
# The command as a process: what goes to stdout and to stderr, and how it ends.
#   process_test.sh COMMAND
set -uo pipefail
attention=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failures=0

# expect CODE NAME COMMAND...: runs the command with its output in $folder/out and $folder/err.
expect() {
  local code=$1 name=$2
  shift 2
  "$@" >"$folder/out" 2>"$folder/err"
  local found=$?
  if [ "$found" -ne "$code" ]; then
    echo "FAILED: $name: exit code $found, expected $code"
    cat "$folder/err"
    failures=$((failures + 1))
  fi
}

# check NAME COMMAND...: what must hold after it.
check() {
  local name=$1
  shift
  if ! "$@"; then
    echo "FAILED: $name"
    failures=$((failures + 1))
  fi
}

expect 0 'data go to stdout, nothing to stderr' "$attention" experiment pattern --seeds 100 --json
check 'stdout has the data' test -s "$folder/out"
check 'stderr is empty' test ! -s "$folder/err"
expect 2 'an unknown verb' "$attention" frobnicate
check 'stdout is empty' test ! -s "$folder/out"
check 'the error goes to stderr' grep -q 'no verb' "$folder/err"
expect 3 'a file that is not there' "$attention" heatmap "$folder/none.npy"
expect 4 'a folder that cannot be made' "$attention" experiment pattern --seeds 10 -o /proc/none
if [ -w /dev/full ]; then
  expect 4 'a full disk behind stdout' bash -c "\"$attention\" experiment pattern --seeds 10 --json >/dev/full"
fi
expect 0 'NO_COLOR wins over a forced terminal' env NO_COLOR=1 FORCE_COLOR=1 "$attention" experiment pattern --seeds 10
check 'no escape sequence' test "$(grep -c $'\033' "$folder/out")" = 0
expect 0 'colours on demand' env -u NO_COLOR COLORTERM=truecolor TERM=xterm "$attention" experiment pattern --seeds 10 --color always
check 'truecolour' grep -q $'\033\\[48;2;' "$folder/out"
expect 0 'bash takes the completion script' bash -n <("$attention" completion bash)

# Ctrl-C: says so, finishes the step, saves, and what goes on from there has the bytes of a run that never stopped.
train=(train repeat --steps 400 --length 3 --tokens 4 --embed-dim 16 --heads 2 --dropout 0.1)
expect 0 'a run that is not stopped' "$attention" "${train[@]}" --checkpoint "$folder/whole"
# (A shell without job control starts background programs with SIGINT ignored.)
# shellcheck disable=SC2016  # the inner shell expands
expect 130 'a run that Ctrl-C stops' bash -c '
  checkpoint=$1
  shift
  env --default-signal=INT "$@" --checkpoint "$checkpoint" --checkpoint-every 1 &
  while [ ! -e "$checkpoint" ]; do sleep 0.01; done
  kill -INT $!
  wait $!' stop "$folder/parts" "$attention" "${train[@]}"
check 'it says so' grep -q 'finishing the step, then saving' "$folder/err"
check 'it has stopped before the end' bash -c "! cmp -s '$folder/whole' '$folder/parts'"
expect 0 'going on' "$attention" "${train[@]}" --checkpoint "$folder/parts" --resume --checkpoint-every 100
check 'the same bytes' cmp "$folder/whole" "$folder/parts"

[ "$failures" -eq 0 ] && echo 'the command behaves as a process'
exit "$failures"
