"""The worker's package stands alone: no torch, and nothing heavy before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "moderation"
FORBIDDEN = {"torch", "torchvision", "transformers", "models", "training", "accelerate", "tests"}
HEAVY = {"av", "cv2", "onnxruntime", "rapidocr", "faster_whisper", "zxingcpp", "pypinyin"}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_nothing_of_the_training_side(path: Path) -> None:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    assert not names & FORBIDDEN


def test_help_loads_no_model_library() -> None:
    code = (
        "import sys\nfrom moderation.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"loaded = {sorted(HEAVY | {'torch'})!r}\n"
        "sys.exit(','.join(n for n in loaded if n in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"loaded by --help: {done.stderr}"
