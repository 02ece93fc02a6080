#!/usr/bin/env python3
"""Records what Terraform makes of the templates in templates.txt into templates.json. Run in this directory; needs `terraform`.

A case is a line `=== name` and the expression below it, as it would stand behind `x = ` in a file.
"""
import json, os, pathlib, re, subprocess, tempfile

here = pathlib.Path(__file__).parent
cases, name = {}, None
for line in (here / "templates.txt").read_bytes().decode().split("\n"):
    if line.startswith("=== "):
        name = line[4:]
        cases[name] = []
    elif name is not None:
        cases[name].append(line)

results = []
for name, lines in cases.items():
    source = "\n".join(lines).rstrip("\n").replace("\\r\n", "\r\n") + "\n"
    with tempfile.TemporaryDirectory() as directory:
        (pathlib.Path(directory) / "main.tf").write_bytes(b"locals {\n  x = " + source.encode() + b"}\n")
        run = subprocess.run(
            ["terraform", "console"], cwd=directory, input="jsonencode(local.x)\n", text=True, capture_output=True,
            env={**os.environ, "NO_COLOR": "1", "TF_CLI_CONFIG_FILE": "/dev/null"})
    case = {"name": name, "source": source}
    try:
        case["result"] = json.loads(json.loads(run.stdout.strip().splitlines()[-1]))
    except (IndexError, ValueError):
        case["result"] = None
        errors = [line for line in (run.stdout + run.stderr).splitlines() if "Error: " in line]
        case["error"] = re.sub("\x1b\\[\\d*m", "", errors[0].split("Error: ")[1]) if errors else run.stderr
    results.append(case)
(here / "templates.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
