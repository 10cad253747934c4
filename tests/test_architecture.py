"""The house holds itself up: floors, sizes, names, and what is never called."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "sightline"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [path.relative_to(SOURCE).as_posix() for path in FILES]

FLOORS: list[set[str]] = [
    {"errors", "progress", "files", "memory", "processes", "devices", "waiting"},
    {"types", "skeletons"},
    {"ops", "kernels"},
    {"boxes", "images", "preparation", "anchors", "matching", "suppress", "reasons", "pipeline"}
    | {"masks", "bitmaps", "fitting", "priors", "tracking", "footprint"},
    {"nets"},
    {"checkpoint"},
    {"detectors"},
    {"data"},
    {"evaluate"},
    {"explain"},
    {"video"},
    {"catalogue"},
    {"tiles"},
    {"stored"},
    {"predict"},
    {"train"},
    {"compare", "report"},
    {"batch"},
    {"cli"},
    {"__main__"},
]
"""Low to high; "sightline" itself, which imports on first use, may be imported for its version.

boxes.py and bitmaps.py are arithmetic and import nothing: types, ops and kernels may use them.
"""

FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}
GROUND = {"boxes", "bitmaps"}
"""Modules of a higher floor that import nothing of ours, so that lower ones may import them."""

MAX_LINES, MAX_BODY, MAX_ARGUMENTS = 300, 50, 7


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


@cache
def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, whether at import time) of everything of ours that a file imports."""
    return [
        (name, eager)
        for node, eager in _walk(tree(path), True)
        for name in _named(node, path)
        if name.split(".")[0] == "sightline"
    ]


def _walk(node: ast.AST, eager: bool) -> Iterator[tuple[ast.AST, bool]]:
    """All nodes, and whether they run when the file is imported."""
    eager &= not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    eager &= not _type_checking(node)
    yield node, eager
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _walk(child, eager)


def _named(node: ast.AST, path: Path) -> list[str]:
    """What an import names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    assert node.level == 0, f"{path}:{node.lineno}: a relative import"
    base = node.module or ""
    return [
        f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base
        for alias in node.names
    ]


def _type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name | ast.Attribute)
        and "TYPE_CHECKING" in ast.unparse(node.test)
    )


def top(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_down(name: str) -> None:
    path = SOURCE / name
    own = top(module_name(path))
    if own == "":  # the package itself imports on first use, whatever is asked for
        return
    assert own in FLOOR, f"{own} is on no floor: add it to FLOORS"
    for module, _ in imports(path):
        other = top(module)
        if other not in ("", own) and other not in GROUND:
            assert other in FLOOR, f"{name} imports {module}, which is on no floor"
            same = FLOOR[other] == FLOOR[own]
            assert FLOOR[other] <= FLOOR[own], f"{name} imports {module}, a higher floor"
            assert not (other == "explain" and FLOOR[own] <= FLOOR["explain"] and not same)


def test_ground_modules_import_nothing_of_ours() -> None:
    for name in GROUND:
        assert not [m for m, _ in imports(SOURCE / f"{name}.py")]


def test_no_circles() -> None:
    """Among what is imported when a module is."""
    graph = {
        name: {m for m, eager in imports(path) if eager and m in MODULES and m != "sightline"}
        for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name] - {name}):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("name", NAMES)
def test_files_and_functions_are_short(name: str) -> None:
    path = SOURCE / name
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_LINES, f"{name} has {lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            verb = name.startswith("cli/") and not node.name.startswith("_")
            start = (
                node.body[0].lineno if not verb else node.body[min(1, len(node.body) - 1)].lineno
            )
            if ast.get_docstring(node) is not None and len(node.body) > 1:
                start = node.body[1].lineno
            length = (node.end_lineno or start) - start + 1
            assert length <= MAX_BODY, f"{name}:{node.lineno} {node.name} has {length} lines"
            if not verb:
                spec = node.args
                every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
                count = len([a for a in every if a.arg not in ("self", "cls")])
                assert count <= MAX_ARGUMENTS, f"{name}:{node.lineno} {node.name}: {count}"


def test_every_file_has_a_purpose() -> None:
    vague = {"utils.py", "util.py", "misc.py", "helpers.py", "common.py"}
    assert not [name for name in NAMES if Path(name).name in vague]
    for name in NAMES:
        if (SOURCE / name).read_text(encoding="utf-8").strip():
            assert ast.get_docstring(tree(SOURCE / name)), f"{name} does not say what it is for"


FORBIDDEN_CALLS = {
    "eval", "exec", "pickle.load", "pickle.loads", "pickle.Unpickler", "socket.socket",
    "socket.create_connection", "torch.hub.load", "yaml.load", "joblib.load",
    "marshal.loads", "os.system", "cPickle.load", "dill.load", "torch.hub.load_state_dict_from_url",
}  # fmt: skip
FORBIDDEN_VALUES = {("weights_only", False), ("allow_pickle", True), ("shell", True)}
FORBIDDEN_IMPORTS = {"joblib", "dill", "torchvision", "cv2", "skimage", "pycocotools"}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_unsafe_is_called(name: str) -> None:
    for node in ast.walk(tree(SOURCE / name)):
        where = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in FORBIDDEN_CALLS, f"{where} calls {called}"
            assert "torch.hub" not in called, where
            for keyword in node.keywords:
                if isinstance(keyword.value, ast.Constant):
                    pair = (keyword.arg, keyword.value.value)
                    assert pair not in FORBIDDEN_VALUES, f"{where} says {pair}"
            if called == "torch.load":
                safe = [k for k in node.keywords if k.arg == "weights_only"]
                assert safe, f"{where} does not say weights_only"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            roots = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
            for root in roots:
                assert root.split(".")[0] not in FORBIDDEN_IMPORTS, f"{where} imports {root}"
                assert not root.startswith("torch.hub"), where


NETWORK = {"urllib", "http", "requests", "ftplib", "aiohttp", "httpx"}


def test_only_one_place_knows_the_network() -> None:
    knowing = {
        name
        for name in NAMES
        for node, _ in _walk(tree(SOURCE / name), True)
        for root in _named(node, SOURCE / name)
        if root.split(".")[0] in NETWORK and root != "urllib.parse"
    }
    assert knowing <= {"nets/download.py"}


HOUSE = Path(__file__).resolve().parents[2]
PLACES = (
    r"/opt/",
    r"/tmp/",
    r"/home/[a-z]",
    r"/root/",
    *([re.escape(f"{HOUSE}/")] if HOUSE.name else []),
)
STRANGE = re.compile("|".join((*PLACES, r"\bTODO\b", r"\bFIXME\b", r"\bXXX\b")))


@pytest.mark.parametrize(
    "path",
    [
        *FILES,
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "examples").rglob("*.py")),
        *sorted((ROOT / "benchmarks").rglob("*.py")),
    ],
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_no_words_of_one_machine(path: Path) -> None:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        assert not STRANGE.search(line), f"{path.name}:{number}: {line.strip()}"
