#!/usr/bin/env bash
# Records what `terraform console` prints against the configuration of console-project/: console-state.txt once applied.tf is applied,
# console-plan.txt with -plan. The form is that of record.sh.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
export TF_CLI_CONFIG_FILE=/dev/null NO_COLOR=1 CHECKPOINT_DISABLE=1
cp -r "$here/console-project/." "$room"
mv "$room/later.tf" "$room/later.off"
given=(-var unset=1 -var 'typed={a="z"}')
(
  cd "$room"
  terraform init -input=false
  terraform apply -input=false -auto-approve "${given[@]}"
  mv later.off later.tf
  terraform init -input=false
) >"$room/log" 2>&1 || { cat "$room/log" >&2; exit 1; }
export RECORD_ROOM=$room
"$here/record.sh" "$here/console-state.txt"
RECORD_FLAGS="-plan -var unset=1 -var typed={a=\"z\"}" "$here/record.sh" "$here/console-plan.txt"
