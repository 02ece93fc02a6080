#!/usr/bin/env python3
"""Records Terraform's part of differences.txt again; Gantry's part stays. Called by record.sh."""

import os
import subprocess
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
path = os.path.join(here, "differences.txt")
with open(path, encoding="utf-8") as file:
    head, *cases = file.read().split("=== ")


def terraform(text: str) -> str:
    with tempfile.TemporaryDirectory() as room:
        name = os.path.join(room, "x.tf")
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
        subprocess.run(["terraform", "fmt", "-list=false", name], check=True, cwd=room)
        with open(name, encoding="utf-8") as file:
            return file.read()


with open(path, "w", encoding="utf-8") as file:
    file.write(head)
    for case in cases:
        reason, rest = case.split("\n", 1)
        text, _, ours = rest.split("---\n")
        file.write(f"=== {reason}\n{text}---\n{terraform(text)}---\n{ours}")
