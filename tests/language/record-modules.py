#!/usr/bin/env python3
"""Records what Terraform makes of each project in modules/*.txt: ./record-modules.py [-n] [FILE...], by default all of them.

A file is one project as text. What stands before the first section says what it shows. Sections are

    -- main.tf --            a file (any path)
    -- options --            lines `args -var x=1` (for plan) and `env TF_VAR_x=1`
    -- expect --             the result: written here
    -- next --               the following files are changed for the next plan and apply; `-- x.tf (gone) --` removes one

Each step is planned, applied and planned again. -n records only steps that have no result yet. Needs terraform, nothing
else: the built-in provider is the only one used. tests/it/modules.rs compares Gantry's results with these.

The result of a step is {"errors": [...], "during": "plan" | "apply"} or {"plan", "outputs", "resources", "again"}; ids are
`(id)`, what is sensitive is `(sensitive)`.
"""
import concurrent.futures, json, os, pathlib, re, shlex, shutil, subprocess, sys, tempfile

HERE = pathlib.Path(__file__).resolve().parent
SECTION = re.compile(r"^-- (.+) --$")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CLEAN = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1", "TZ": "UTC"}


def parse(text):
    """The head, and the steps: each a list of [section, lines]."""
    head, steps, current = [], [[]], None
    for line in text.split("\n"):
        found = SECTION.match(line)
        if found and found[1] == "next":
            steps.append([])
            current = None
        elif found:
            current = [found[1], []]
            steps[-1].append(current)
        elif current is not None:
            current[1].append(line)
        elif len(steps) == 1:
            head.append(line)
        elif line.strip():
            steps[-1].append(["#", [line]])
    return "\n".join(head), steps


def unparse(head, steps):
    out = [head.rstrip("\n")]
    for number, step in enumerate(steps):
        if number:
            out.append("-- next --")
        for name, lines in step:
            text = "\n".join(lines).rstrip("\n")
            if name == "#":
                out.append(text)
            else:
                out.append(f"-- {name} --" + ("\n" + text if text else ""))
    return "\n".join(out) + "\n"


def run(room, env, *arguments):
    return subprocess.run(["terraform", *arguments], cwd=room, env={**CLEAN, **env}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=120)


def stream(done):
    events = []
    for line in done.stdout.splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            pass
    return [e["diagnostic"] for e in events if e.get("type") == "diagnostic"]


def rotated(summary):
    """A cycle has no beginning, and Terraform starts it anywhere: here at its first name, so that recording again changes nothing."""
    word, links = summary.partition("Cycle: ")[1:]
    if not word:
        return summary
    names = links.split(", ")
    first = names.index(min(names))
    return word + ", ".join(names[first:] + names[:first])


def told(diagnostics, severity):
    out = []
    for d in diagnostics:
        if d["severity"] != severity:
            continue
        place = d.get("range") or {}
        at = f"{place['filename']}:{place['start']['line']}" if place.get("filename") else ""
        one = {"at": at, "summary": rotated(d["summary"])}
        if one not in out:
            out.append(one)
    return sorted(out, key=lambda o: (o["at"].partition(":")[0], int(o["at"].partition(":")[2] or 0), o["summary"]))


def clean(value):
    """Without ids, and numbers as texts where JSON readers differ."""
    if isinstance(value, str):
        return UUID.sub("(id)", value)
    if isinstance(value, list):
        return [clean(v) for v in value]
    if isinstance(value, dict):
        return {clean(k): clean(v) for k, v in value.items()}
    return value


def masked(value, mark):
    if mark is True:
        return "(sensitive)"
    if isinstance(mark, dict) and isinstance(value, dict):
        return {k: masked(v, mark.get(k)) for k, v in value.items()}
    if isinstance(mark, list) and isinstance(value, list) and len(mark) == len(value):
        return [masked(v, m) for v, m in zip(value, mark)]
    return value


def unknown_paths(shape, at):
    if shape is True:
        return [at]
    if isinstance(shape, dict):
        return [p for k, v in sorted(shape.items()) for p in unknown_paths(v, f"{at}.{k}" if at else k)]
    if isinstance(shape, list):
        return [p for k, v in enumerate(shape) for p in unknown_paths(v, f"{at}[{k}]")]
    return []


def planned(document):
    plan, unknown = {}, []
    for r in document.get("resource_changes", []):
        if r["mode"] != "managed":
            continue
        change = r["change"]
        one = {"actions": change["actions"]}
        if "action_reason" in r:
            one["reason"] = r["action_reason"]
        if r.get("previous_address", r["address"]) != r["address"]:
            one["from"] = r["previous_address"]
        if change.get("importing"):
            one["importing"] = True
        plan[r["address"]] = one
        after = change.get("after_unknown") or {}
        for name in ("input", "triggers_replace"):
            unknown += unknown_paths(after.get(name), f"{r['address']}.{name}")
    for name, change in document.get("output_changes", {}).items():
        unknown += unknown_paths(change.get("after_unknown"), f"output.{name}")
    return plan, sorted(unknown)


def modules_of(values):
    yield from values.get("resources", [])
    for child in values.get("child_modules", []):
        yield from modules_of(child)


def recorded(document):
    values = document.get("values") or {}
    outputs, resources = {}, {}
    for name, o in sorted(values.get("outputs", {}).items()):
        if o["sensitive"]:
            outputs[name] = {"sensitive": True}
        else:
            outputs[name] = {"type": o.get("type"), "value": o.get("value")}
    for r in modules_of(values.get("root_module", {})):
        if r["mode"] != "managed":
            continue
        marks = r.get("sensitive_values") or {}
        one = {n: masked(r["values"].get(n), marks.get(n)) for n in ("input", "triggers_replace")}
        # The output is the input. Where that is sensitive, Terraform forgets that the output is.
        if "(sensitive)" not in json.dumps(one["input"]) and r["values"].get("output") != one["input"]:
            one["output"] = r["values"].get("output")
        resources[r["address"]] = {n: v for n, v in one.items() if v is not None}
    return {"outputs": outputs, "resources": resources}


def result(room, arguments, env):
    def failed(done, during):
        found = told(stream(done), "error")
        assert found, f"{done.args}: {done.stdout}"
        return clean({"errors": found, "during": during})

    done = run(room, env, "init", "-json", "-input=false")
    if done.returncode:
        # What is wrong with the files themselves; that modules are not installed says nothing about them.
        checked = json.loads(run(room, env, "validate", "-json").stdout)
        found = [f for f in told(checked["diagnostics"], "error") if f["summary"] != "Module not installed"]
        return clean({"errors": found or told(stream(done), "error"), "during": "plan"})
    done = run(room, env, "plan", "-json", "-input=false", "-out=p", *arguments)
    if done.returncode:
        return failed(done, "plan")
    warnings = told(stream(done), "warning")
    plan, unknown = planned(json.loads(run(room, env, "show", "-json", "p").stdout))
    done = run(room, env, "apply", "-json", "-input=false", "p")
    if done.returncode:
        return failed(done, "apply")
    state = recorded(json.loads(run(room, env, "show", "-json").stdout))
    # -replace asks for something that is never satisfied; everything else has to be.
    rest = [a for a in arguments if not a.startswith("-replace")]
    again = run(room, env, "plan", "-json", "-input=false", "-detailed-exitcode", *rest)
    out = {"plan": plan, "unknown": unknown, **state, "again": {0: "nothing", 2: "changes"}.get(again.returncode, "error")}
    if again.returncode == 1:
        out["again_errors"] = told(stream(again), "error")
    if warnings:
        out["warnings"] = warnings
    return clean(out)


def record(path, only_new):
    head, steps = parse(path.read_text())
    if only_new and all(any(n == "expect" for n, _ in step) for step in steps):
        return
    room = pathlib.Path(tempfile.mkdtemp(prefix="record-"))
    try:
        for step in steps:
            arguments, env = [], {}
            for name, lines in step:
                if name in ("expect", "#"):
                    continue
                if name == "options":
                    for line in filter(None, lines):
                        word, rest = line.split(" ", 1)
                        if word == "args":
                            arguments += shlex.split(rest)
                        elif word == "env":
                            variable, value = rest.split("=", 1)
                            env[variable] = value
                        else:
                            raise ValueError(f"{path}: {line}")
                    continue
                if name.endswith(" (gone)"):
                    (room / name.removesuffix(" (gone)")).unlink()
                    continue
                target = room / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("\n".join(lines).rstrip("\n") + "\n")
            text = pretty(result(room, arguments, env))
            step[:] = [s for s in step if s[0] != "expect"] + [["expect", text.split("\n")]]
        path.write_text(unparse(head, steps))
    finally:
        shutil.rmtree(room)


def pretty(value, depth=0):
    """JSON with a line for each thing of the second level."""
    compact = json.dumps(value, ensure_ascii=False, sort_keys=depth > 1)
    if depth >= 2 or not value or not isinstance(value, (dict, list)):
        return compact
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        inner = ",\n".join(f"{pad}{json.dumps(k, ensure_ascii=False)}: {pretty(v, depth + 1)}" for k, v in value.items())
        return "{\n" + inner + "\n" + "  " * depth + "}"
    return "[\n" + ",\n".join(pad + pretty(v, depth + 1) for v in value) + "\n" + "  " * depth + "]"


def main():
    arguments = sys.argv[1:]
    only_new = "-n" in arguments
    files = [pathlib.Path(a) for a in arguments if a != "-n"] or sorted((HERE / "modules").glob("*.txt"))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        running = {pool.submit(record, path, only_new): path for path in files}
        failed = 0
        for done in concurrent.futures.as_completed(running):
            if done.exception():
                failed += 1
                print(f"{running[done]}: {done.exception()!r}", file=sys.stderr)
    sys.exit(1 if failed else 0)


main()
