#!/usr/bin/env bash
# Stop a commit that adds what looks like a secret: a string of twelve or more characters that is
# more surprising than 99.9 % of such identifiers. It prints those strings, with their bits per
# character, and exits with 1. The model, in .git/identifiers, learns the identifiers of the Python
# files of the repository and of Python's library, in a minute; $TRAIN has other options of
# `microgpt train`. Run it in the repository to protect, with microgpt on the PATH:
#
#   CLONE/examples/secrets_check.sh learn [FOLDER]...      # once, and again from time to time
#   ln -s CLONE/examples/secrets_check.sh .git/hooks/pre-commit
set -euo pipefail
model=$(git rev-parse --git-common-dir)/identifiers

if [ "${1-}" = learn ]; then
  library=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')
  folder=$(mktemp -d)
  trap 'rm -r "$folder"' EXIT
  if [ $# = 1 ]; then set -- learn . "$library"; fi
  python "$(dirname "$(realpath "$0")")/identifiers.py" "${@:2}" > "$folder/all"
  n=$(($(wc -l < "$folder/all") / 10)) # to calibrate with
  tail -n "+$((n + 1))" "$folder/all" > "$folder/identifiers"
  head -n "$n" "$folder/all" | grep -E '.{12,}' > "$folder/good"
  # shellcheck disable=SC2086 # several options
  microgpt train --data "$folder/identifiers" --model "$model" --force ${TRAIN:---minutes 1}
  microgpt score "$model" --calibrate "$folder/good"
  exit
fi

# The added lines, without the + and the file headers, which reach from "diff" to the first "@@".
added=$(git diff --cached -U0 --no-color --no-ext-diff | sed -n '/^diff /,/^@@ /d; s/^+//p')
found=$({ grep -oE '[A-Za-z0-9_/+=-]{12,}' <<< "$added" || true; } |
  sort -u | microgpt score "$model" --above 99.9%)
test -z "$found" || { printf 'secrets?\n%s\n' "$found"; exit 1; }
