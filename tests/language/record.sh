#!/usr/bin/env bash
# Records what `terraform console` prints for each expression of a data file: ./record.sh [FILE...], by default those beside it.
# A line is `expression TAB result`; line feeds in a result stand as \n, tabs as \t, backslashes as \\. An error stands as
# `error: SUMMARY: DETAIL`. Lines that start with # and empty lines stay. Expressions run in a directory with files/ in it.
# `./record.sh -n FILE` records only lines that have no result yet. Where a directory of FILE's name holds a configuration, its
# expressions are asked of that configuration's plan (`console -plan`): unknown.txt and unknown/main.tf.
# ⏎ in an expression stands for a line end. RECORD_ROOM names another directory to run in, RECORD_FLAGS what the console is told.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
only_new=0
if [ "${1:-}" = "-n" ]; then only_new=1; shift; fi
[ $# -gt 0 ] || set -- "$here/functions.txt" "$here/provider-functions.txt" "$here/unknown-arguments.txt" "$here/sensitive-arguments.txt"
if [ -n "${RECORD_ROOM:-}" ]; then
  room=$RECORD_ROOM
else
  room=$(mktemp -d)
  trap 'rm -rf "$room"' EXIT
  cp -r "$here/files/." "$room"
fi
export TF_CLI_CONFIG_FILE=/dev/null NO_COLOR=1 CHECKPOINT_DISABLE=1

answer() {
  local out status=0
  out=$(cd "$room" && printf '%s\n' "${1//⏎/$'\n'}" | terraform console ${plan:+"$plan"} ${RECORD_FLAGS:-} 2>"$room/.err"; printf x) || status=$?
  out=${out%x}
  if grep -q 'Error: ' "$room/.err"; then
    # Of the framed diagnostic: the summary, then the detail, which is what follows the last empty frame line.
    sed -e 's/\x1b\[[0-9;]*m//g' -e 's/^[│╷╵] \{0,1\}//' -e 's/^│$//' "$room/.err" | awk '
      /^Error: / && !s { s = substr($0, 8); next }
      s && /^ *on <console-input>/ { next }
      s && /\(source code not available\)/ { next }
      s && /^Error: / { exit }
      s { print_line = $0; sub(/^ +/, "", print_line); if (print_line != "") d = d (d == "" ? "" : " ") print_line }
      # Where Terraform crashes it shows a stack, another one each time.
      END { sub(/ goroutine [0-9]+ .*/, "", d); printf "error: %s: %s", s, d }'
    return
  fi
  out=${out%$'\n'}
  out=${out//\\/\\\\}
  out=${out//$'\t'/\\t}
  out=${out//$'\r'/\\r}
  printf '%s' "${out//$'\n'/\\n}"
}

for file in "$@"; do
  new=$(mktemp)
  plan=
  # A room that was handed in has the configuration that is asked.
  [ -n "${RECORD_ROOM:-}" ] || rm -f "$room"/*.tf
  if [ -f "${file%.txt}/main.tf" ]; then plan=-plan; cp "${file%.txt}"/*.tf "$room"; fi
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      ''|'#'*) printf '%s\n' "$line" ;;
      *)
        if [ $only_new = 1 ] && [[ $line == *$'\t'* ]]; then printf '%s\n' "$line"; continue; fi
        expression=${line%%$'\t'*}
        printf '%s\t%s\n' "$expression" "$(answer "$expression")" ;;
    esac
  done <"$file" >"$new"
  cat "$new" >"$file"
  rm -f "$new"
done

# What `terraform metadata functions` says of each function, a line each, without the texts.
if [ $only_new = 0 ]; then
  signatures=$(terraform metadata functions -json |
    sed -E -e 's/"description":"([^"\\]|\\.)*",?//g' -e 's/,\}/}/g' -e 's/("[a-z0-9_:]+":\{"return_type")/\n\1/g')
  printf '%s\n' "$signatures" >"$here/signatures.json"
fi
