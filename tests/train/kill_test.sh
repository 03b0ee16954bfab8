#!/usr/bin/env bash
# Kills a program that saves checkpoints, at random moments, and checks what it has left each time.
#   kill_test.sh PROGRAM KILLS
set -euo pipefail
program=$1
kills=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
checkpoint=$folder/checkpoint

"$program" "$checkpoint" &
saver=$!
while [ ! -e "$checkpoint" ]; do sleep 0.01; done
kill -KILL "$saver"
wait "$saver" 2>/dev/null || true

for ((n = 1; n <= kills; ++n)); do
  "$program" "$checkpoint" &
  saver=$!
  sleep "0.0$((RANDOM % 90 + 10))"
  kill -KILL "$saver"
  wait "$saver" 2>/dev/null || true
  if ! "$program" "$checkpoint" --check; then
    echo "the checkpoint after kill $n is not whole" >&2
    exit 1
  fi
done
echo "whole after each of $kills kills; files left beside it: $(find "$folder" -type f ! -name checkpoint | wc -l)"
