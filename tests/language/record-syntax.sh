#!/usr/bin/env bash
# Records in syntax.txt whether Terraform's parser accepts each text: ./record-syntax.sh [-n], with -n only those without an answer.
# A line is `text TAB accept|reject`; in the text a line feed stands as \n, a tab as \t, a carriage return as \r, a backslash
# as \\. Lines that start with # and empty lines stay. The oracle is `terraform fmt -`, which parses before it formats.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export TF_CLI_CONFIG_FILE=/dev/null NO_COLOR=1 CHECKPOINT_DISABLE=1
only_new=0
if [ "${1:-}" = "-n" ]; then only_new=1; fi
new=$(mktemp)
while IFS= read -r line || [ -n "$line" ]; do
  case $line in
    ''|'#'*) printf '%s\n' "$line" ;;
    *)
      if [ $only_new = 1 ] && [[ $line == *$'\t'* ]]; then printf '%s\n' "$line"; continue; fi
      text=${line%%$'\t'*}
      if printf '%b' "$text" | terraform fmt - >/dev/null 2>&1; then answer=accept; else answer=reject; fi
      printf '%s\t%s\n' "$text" "$answer" ;;
  esac
done <"$here/syntax.txt" >"$new"
cat "$new" >"$here/syntax.txt"
rm -f "$new"
