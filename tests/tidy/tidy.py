#!/usr/bin/env python3
"""Holds the tree to its rules (docs/STYLE.md).

usage: tidy.py <root>                                   every rule that can be read off the text
       tidy.py <root> --self-test                       each rule finds a planted offence
       tidy.py <root> --headers <compiler> <folder>...  every public header compiles alone; the folders are on its include path
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

# Which rooms a room may include: the picture in docs/ARCHITECTURE.md, with what follows from it.
ROOMS = {
    "base": set(),
    "raft": {"base"},
    "proto": {"base", "raft"},
    "wal": {"base", "raft", "proto"},
    "bolt": {"base"},
    "backend": {"base"},
    "mvcc": {"base", "backend"},
    "exchange": {"base", "backend", "bolt", "mvcc"},
    "lease": {"base", "backend"},
    "auth": {"base", "backend"},
    "config": {"base"},
    "net": {"base"},
    "transport": {"base", "raft", "proto", "net"},
    "client": {"base"},
}
ROOMS["server"] = set(ROOMS) - {"client"}

# Third-party headers, and the folders that may include them. "tests" and "tools" may include any but where it is said.
FOREIGN = {
    "LMDB": (r"lmdb\.h", ("libs/backend/src", "tests")),
    "nghttp2": (r"nghttp2/", ("libs/net/src", "tests", "bench")),
    "Boost": (r"boost/", ("libs/net/src", "libs/transport/src", "tests")),
    "gRPC": (r"grpc(pp)?/|.*\.grpc\.pb\.h", ("libs/client/src", "tests", "bench")),
    "protobuf": (r"google/protobuf/|.*\.pb\.h",
                 ("libs/proto", "libs/wal/src", "libs/transport/src", "libs/server/src", "libs/client", "tools", "tests", "bench")),
    "a JSON library": (r"nlohmann/", ("libs/server/src", "libs/wal/src", "libs/config/src", "libs/auth/src", "tools", "tests", "bench")),
    "CLI11": (r"CLI/", ("tools", "tests", "bench")),
    "yaml-cpp": (r"yaml-cpp/", ("libs/config/src", "tests")),
}

MARKERS = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b")
MACHINE_PATHS = re.compile(r"(?<![\w.])(/" + "|/".join(["work/", "tmp/w/", "root/", r"home/\w"]) + ")")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
TEST_NAME = re.compile(r'TEST_CASE(?:_FIXTURE\([^,]+,|\()\s*"((?:[^"\\]|\\.)*)"')
NAMED_FILE = re.compile(r"`((?:libs|tools|tests|bench)/[\w/.-]+\.(?:cc|h|py|go|proto))`")
NAMED_DOCUMENT = re.compile(r"\b(docs/[\w/-]+\.md)\b")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)")
LONGEST = 900
SOURCE = (".h", ".cc", ".proto", ".py", ".go", ".sh", ".cmake")


def tracked(root):
    """The files of the repository, or of an unpacked archive."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            capture_output=True, check=False)
    if listed.returncode == 0:
        names = {name for name in listed.stdout.decode().split("\0") if name}
    else:
        names = set()
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders if f not in ("build", ".git", "default.etcd")]
            names.update(os.path.relpath(os.path.join(folder, name), root) for name in files)
    return sorted(name for name in names if os.path.isfile(os.path.join(root, name)))


def read_tree(root):
    tree = {}
    for name in tracked(root):
        with open(os.path.join(root, name), "rb") as file:
            data = file.read()
        if b"\0" not in data:
            tree[name] = data.decode(errors="replace")
    return tree


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def under(name, folders):
    return any(name.startswith(folder + "/") for folder in folders)


def is_public_header(name):
    return bool(re.match(r"libs/\w+/include/.*\.h$", name))


def check_includes(tree):
    for name, text in tree.items():
        if not name.endswith((".h", ".cc")):
            continue
        room = name.split("/")[1] if name.startswith("libs/") else None
        for match in INCLUDE.finditer(text):
            included, line = match.group(1), line_of(text, match.start())
            ours = re.match(r"etcdpp/(\w+)/", included)
            if ours and room and ours.group(1) != room and ours.group(1) not in ROOMS.get(room, set()):
                yield f"{name}:{line}: room {room} may not include {included}; it may use {sorted(ROOMS.get(room, set()))}"
            for what, (pattern, folders) in FOREIGN.items():
                if not re.match(pattern, included) or ours:
                    continue
                if what == "protobuf" and re.match(FOREIGN["gRPC"][0], included):
                    continue
                # gRPC's own client is the judge of our server side, so unit tests may use it.
                judge = name.endswith("_test.cc") and re.match(FOREIGN["gRPC"][0], included)
                if not judge and not under(name, folders):
                    yield f"{name}:{line}: {what} ({included}) belongs to {', '.join(folders)}"
        if room and room not in ROOMS:
            yield f"{name}: room {room} is not in the list of rooms"


def check_pragma(tree):
    for name, text in tree.items():
        if name.endswith(".h") and not text.startswith("#pragma once\n"):
            yield f"{name}: the first line is not #pragma once"


def check_test_names(tree):
    for name, text in tree.items():
        if not name.endswith(".cc"):
            continue
        for match in TEST_NAME.finditer(text):
            if re.search(r"[;\[\\]", match.group(1)):
                yield f"{name}:{line_of(text, match.start())}: a test name with ; [ or \\ is lost on the way through ctest"


def check_registration(tree):
    for name in tree:
        if not name.endswith("_test.cc"):
            continue
        folder, base = os.path.split(name)
        while folder:
            lists = tree.get(f"{folder}/CMakeLists.txt")
            if lists is not None:
                if re.search(rf"(^|[\s/]){re.escape(base)}\b", lists):
                    break
                yield f"{name}: not in {folder}/CMakeLists.txt, so it never runs"
                break
            folder = os.path.dirname(folder)
        else:
            yield f"{name}: no CMakeLists.txt above it"


def check_links(tree):
    for name, text in tree.items():
        if not name.endswith(".md"):
            continue
        for match in LINK.finditer(text):
            target = match.group(1)
            if re.match(r"\w+:", target):
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), target))
            if path not in tree and not any(other.startswith(path + "/") for other in tree):
                yield f"{name}:{line_of(text, match.start())}: {target} does not exist"


def check_named_files(tree):
    """What documents name in code spans as a file of this tree is there; so is every document that a source names."""
    for name, text in tree.items():
        if name.endswith(".md"):
            names = NAMED_FILE.finditer(text)
        elif name.endswith(SOURCE) and not name.startswith("tests/tidy/"):
            names = NAMED_DOCUMENT.finditer(text)
        else:
            continue
        for match in names:
            if match.group(1) not in tree:
                yield f"{name}:{line_of(text, match.start())}: names {match.group(1)}, which is gone"


def check_markers(tree):
    for name, text in tree.items():
        for match in MARKERS.finditer(text):
            yield f"{name}:{line_of(text, match.start())}: leftover marker {match.group(1)}"


def check_paths(tree):
    for name, text in tree.items():
        for match in MACHINE_PATHS.finditer(text):
            yield f"{name}:{line_of(text, match.start())}: a path of one machine: {match.group(1)}"


def check_length(tree):
    for name, text in tree.items():
        if (name.endswith(SOURCE) or os.path.basename(name) == "CMakeLists.txt") and text.count("\n") > LONGEST:
            yield f"{name}: {text.count(chr(10))} lines; over {LONGEST} there is a second noun to be found in it"


RULES = [check_includes, check_pragma, check_test_names, check_registration, check_links, check_named_files, check_markers, check_paths,
         check_length]


def all_problems(tree):
    for rule in RULES:
        yield from rule(tree)


def self_test():
    """Each planted offence is found by its rule, and a clean tree has none."""
    clean = {
        "libs/mvcc/include/etcdpp/mvcc/a.h": "#pragma once\n#include <etcdpp/backend/b.h>\n",
        "libs/mvcc/src/a_test.cc": 'TEST_CASE("a: plain") {}\n',
        "libs/mvcc/CMakeLists.txt": "SOURCES src/a_test.cc\n",
        "libs/backend/src/x.cc": "#include <lmdb.h>\n",
        "docs/A.md": "[b](B.md#part) [web](https://example.org)\n",
        "docs/B.md": "text\n",
    }
    offences = {
        "room raft may not include": ("libs/raft/src/a.cc", "#include <etcdpp/wal/wal.h>\n"),
        "may not include etcdpp/server": ("libs/mvcc/src/b.cc", "#include <etcdpp/server/s.h>\n"),
        "is not in the list of rooms": ("libs/misc/src/a.cc", "\n"),
        "LMDB": ("libs/mvcc/src/c.cc", "#include <lmdb.h>\n"),
        "w.h:2: protobuf": ("libs/wal/include/etcdpp/wal/w.h", "#pragma once\n#include <walpb/record.pb.h>\n"),
        "gRPC": ("libs/server/src/g.cc", "#include <grpcpp/grpcpp.h>\n"),
        "protobuf": ("libs/mvcc/src/p.cc", "#include <etcdserverpb/rpc.pb.h>\n"),
        "nghttp2": ("libs/server/src/n.cc", "#include <nghttp2/nghttp2.h>\n"),
        "#pragma once": ("libs/base/src/a.h", "int x;\n"),
        "lost on the way": ("libs/base/src/a.cc", 'TEST_CASE("a[0]") {}\n'),
        "never runs": ("libs/mvcc/src/b_test.cc", "\n"),
        "no CMakeLists.txt above": ("bench/b_test.cc", "\n"),
        "does not exist": ("docs/C.md", "[gone](D.md)\n"),
        "names libs/base/src/z.cc, which is gone": ("docs/C.md", "see `libs/base/src/z.cc`\n"),
        "names docs/Z.md, which is gone": ("libs/base/src/z.h", "#pragma once\n// docs/" "Z.md\n"),
        "leftover marker": ("libs/base/src/m.cc", "// TO" "DO later\n"),
        "a path of one machine": ("scripts/x", "cd /ro" "ot/src\n"),
        "second noun": ("libs/base/src/long.cc", "\n" * (LONGEST + 1)),
    }
    failed = [f"clean tree: {problem}" for problem in all_problems(clean)]
    for words, (name, text) in offences.items():
        found = list(all_problems({**clean, name: text}))
        if not any(words in problem for problem in found):
            failed.append(f"planted offence not found: {words} in {name}; found {found}")
    return failed


def check_headers(root, compiler, folders):
    """Each public header alone, as a user would include it; those that open some source file were compiled so by the build."""
    tree = read_tree(root)
    opening = {match.group(1) for name, text in tree.items() if name.endswith(".cc") and (match := INCLUDE.search(text))}
    public = [name for name in tree if is_public_header(name)]
    headers = [name for name in public if name.split("/include/", 1)[1] not in opening]
    rooms = sorted({name.split("/")[1] for name in public})
    flags = ["-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    flags += [f"-I{root}/libs/{room}/include" for room in rooms]
    flags += [argument for folder in folders for argument in ("-isystem", folder)]

    def compile_alone(name):
        with tempfile.NamedTemporaryFile("w", suffix=".cc") as unit:
            included = name.split("/include/", 1)[1]
            # Twice, so that the guard is tried too.
            unit.write(f"#include <{included}>\n#include <{included}>\n")
            unit.flush()
            done = subprocess.run([compiler, *flags, unit.name], capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{name} does not compile alone:\n{done.stderr}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [problem for problem in pool.map(compile_alone, headers) if problem]
    print(f"{len(headers)} of {len(public)} public headers compiled alone, the others open a source file")
    return problems


def main():
    root = os.path.abspath(sys.argv[1])
    if "--self-test" in sys.argv:
        problems = self_test()
    elif "--headers" in sys.argv:
        problems = check_headers(root, sys.argv[3], [folder for folder in sys.argv[4:] if folder])
    else:
        tree = read_tree(root)
        problems = list(all_problems(tree))
        print(f"{len(tree)} files read")
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems")
    sys.exit(1 if problems else 0)


main()
