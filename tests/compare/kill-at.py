# For gdb: runs the program and kills it (SIGKILL) before its so-many-th system call that changes a file below a directory,
# counted over all threads. Used by terraform-crash.sh.
#
#   KILL_AT=3 KILL_DIR=/path gdb -q -batch -x kill-at.py --args PROGRAM ARGUMENT…
#
# The last line on stdout is "killed before SYSCALL FILE" or "passed N".
import os

import gdb

AT = int(os.environ["KILL_AT"])
DIRECTORY = os.environ["KILL_DIR"]
BY_FD = ["write", "pwrite64", "ftruncate", "fsync", "fdatasync"]
BY_PATH = ["rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"]
NUMBERS = {1: "write", 18: "pwrite64", 77: "ftruncate", 74: "fsync", 75: "fdatasync", 82: "rename", 264: "renameat",
           316: "renameat2", 86: "link", 265: "linkat", 87: "unlink", 263: "unlinkat"}

for line in ["set pagination off", "set confirm off", "set startup-with-shell off", "set detach-on-fork on",
             "set follow-fork-mode parent", "set print thread-events off", "set print inferior-events off",
             "handle all nostop noprint pass"]:
    gdb.execute(line, to_string=True)
gdb.execute("catch syscall " + " ".join(BY_FD + BY_PATH), to_string=True)


def register(name):
    return int(gdb.parse_and_eval("(long) $" + name))


def text_at(address):
    return gdb.selected_inferior().read_memory(address, 512).tobytes().split(b"\0")[0].decode(errors="replace")


def touched(name):
    if name in BY_FD:
        try:
            return os.readlink("/proc/%d/fd/%d" % (gdb.selected_inferior().pid, register("rdi")))
        except OSError:
            return ""
    path = text_at(register("rsi" if name in ("renameat", "renameat2", "linkat", "unlinkat") else "rdi"))
    return path if path.startswith("/") else os.path.join(os.getcwd(), path)


count, inside = 0, set()
gdb.execute("run", to_string=True)
while gdb.selected_inferior().pid:
    thread = gdb.selected_thread().ptid
    name = NUMBERS.get(register("orig_rax"))
    if name is None:
        pass
    elif thread in inside:
        inside.discard(thread)
    else:
        inside.add(thread)
        path = touched(name)
        if path.startswith(DIRECTORY):
            count += 1
            if os.environ.get("KILL_LOG"):
                print("%d %s %s" % (count, name, path))
            if count == AT:
                gdb.execute("kill", to_string=True)
                print("killed before %s %s" % (name, os.path.relpath(path, DIRECTORY)))
                gdb.execute("quit")
    gdb.execute("continue", to_string=True)
print("passed %d" % count)
