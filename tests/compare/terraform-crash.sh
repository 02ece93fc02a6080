#!/usr/bin/env bash
# The same crash on Terraform and on Gantry, side by side: three objects stand, a fourth is asked for, and the process is killed
# (SIGKILL) before each system call that changes a file of its state, one run for each. Then the same command is given again.
#
#   tests/compare/terraform-crash.sh            prints a table and the sums; docs/reliability.md quotes them
#
# Needs terraform (only its built-in provider is used; nothing is fetched), gdb with Python, and a built gantry
# (GANTRY=PATH, default target/debug/gantry). Where one is missing it says so and is skipped with exit code 0.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
gantry="${GANTRY:-${CARGO_TARGET_DIR:-$root/target}/debug/gantry}"

skip() {
    echo "SKIPPED: the comparison with Terraform: $1" >&2
    exit 0
}
command -v terraform >/dev/null || skip "terraform is not installed"
command -v gdb >/dev/null || skip "gdb is not installed"
gdb -batch -ex 'python print("yes")' 2>/dev/null | grep -q yes || skip "this gdb has no Python"
[[ "$(uname -sm)" == "Linux x86_64" ]] || skip "the system calls are counted on Linux x86_64 only"
gdb -batch -ex 'run' --args /bin/true 2>/dev/null | grep -q 'exited normally' || skip "this machine allows no ptrace"
[[ -x "$gantry" ]] || skip "there is no $gantry (cargo build)"

export TF_CLI_CONFIG_FILE=/dev/null NO_COLOR=1 CHECKPOINT_DISABLE=1
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
terraform="$(command -v terraform)"

# A world in which three objects stand. Each making of an object is a line of its file.
terraform_world() {
    mkdir -p "$1" && cd "$1"
    cat >main.tf <<'END'
variable "n" { default = 4 }
resource "terraform_data" "o" {
  count = var.n
  provisioner "local-exec" { command = "echo made >> made-${count.index}" }
}
END
    terraform apply -auto-approve -input=false -var n=3 >/dev/null
}
gantry_world() {
    mkdir -p "$1/environments/e" && cd "$1"
    cat >environments/e/main.hcl <<'END'
variable "n" { default = 4 }
resource "local_command" "o" {
  count             = var.n
  create            = ["sh", "-c", "echo made >> made-${count.index}"]
  destroy           = ["true"]
  working_directory = path.project
}
END
    "$gantry" apply e --auto-approve --var n=3 >/dev/null 2>&1
}
terraform_apply() { terraform apply -auto-approve -input=false; }
gantry_apply() { "$gantry" apply e --auto-approve; }
terraform_recorded() { { terraform state list 2>/dev/null || true; } | wc -l; }
gantry_recorded() { { "$gantry" state list e 2>/dev/null || true; } | wc -l; }
terraform_plan() { terraform plan -input=false -detailed-exitcode; }
gantry_plan() { "$gantry" plan e --detailed-exitcode; }

# What a plan says in a few words.
told() {
    local code=0 out
    out="$("$1_plan" 2>&1)" || code=$?
    case "$code" in
        0) echo "no changes" ;;
        2) grep -oE "[0-9]+ to add" <<<"$out" | tail -1 || echo "changes" ;;
        *) echo "error (exit $code)" ;;
    esac
}

# How often the four objects were made, as in "1 1 1 2".
made() { for n in 0 1 2 3; do if [[ -f "made-$n" ]]; then wc -l <"made-$n"; else echo 0; fi; done | xargs; }

# One product: killed at every point.
product() {
    local name="$1" program="$2" at=0 last good=0 twice=0 lost=0 stuck=0
    shift 2
    printf '\n%s\n%-5s %-44s %-9s %-22s %-12s %s\n' "$name" point "killed before" recorded "the next plan says" "made" verdict
    while :; do
        at=$((at + 1))
        (cd "$work" && "${name}_world" "$work/$name-$at")
        cd "$work/$name-$at"
        last="$(KILL_AT=$at KILL_DIR="$PWD/${KILL_BELOW:-}" gdb -q -batch -x "$here/kill-at.py" --args "$program" "$@" 2>/dev/null | tail -1)"
        [[ "$last" == killed* ]] || break
        local recorded plan again=0 makes verdict
        recorded="$("${name}_recorded")"
        plan="$(told "$name")"
        "${name}_apply" >/dev/null 2>&1 || again=$?
        makes="$(made)"
        if [[ "$again" != 0 ]]; then
            verdict="a person is needed (exit $again)"; stuck=$((stuck + 1))
        elif [[ "$recorded" -lt 3 ]]; then
            verdict="THE STATE WAS LOST: objects that stood were made again"; lost=$((lost + 1))
        elif [[ "$makes" != "1 1 1 1" ]]; then
            verdict="MADE TWICE: the first one is an orphan"; twice=$((twice + 1))
        else
            verdict="good"; good=$((good + 1))
        fi
        last="${last#killed before }"
        printf '%-5s %-44s %-9s %-22s %-12s %s\n' "$at" "${last:0:44}" "$recorded of 4" "$plan" "$makes" "$verdict"
        rm -rf "$work/$name-$at"
    done
    sums+=("$(printf '%-10s %3d points: %3d good, %d made twice, %d lost the state, %d need a person' \
        "$name" $((at - 1)) "$good" "$twice" "$lost" "$stuck")")
}

sums=()
echo "$(terraform version | head -1), $("$gantry" --version)"
product terraform "$terraform" apply -auto-approve -input=false
KILL_BELOW=state product gantry "$gantry" apply e --auto-approve
echo
printf '%s\n' "${sums[@]}"
[[ "${sums[1]}" == *" 0 made twice, 0 lost the state, 0 need a person" ]] || exit 1
