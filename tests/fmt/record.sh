#!/usr/bin/env bash
# Records what `terraform fmt` makes of each file in untidy/: the result stands under the same name in tidy/. A file that Terraform
# refuses is an error here. Files are formatted as files: what it writes to standard output always ends with a line end.
# Then Terraform's part of differences.txt is recorded again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export TF_CLI_CONFIG_FILE=/dev/null NO_COLOR=1 CHECKPOINT_DISABLE=1
rm -rf tidy
cp -r untidy tidy
terraform fmt -list=false tidy
./differences.py
