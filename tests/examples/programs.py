"""The examples, as modules and as processes."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from interop.peers import ServerProcess

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def load(name: str) -> ModuleType:
    """The module of an example, under a name that collides with nothing."""
    known = sys.modules.get(f"example_{name}")
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"example_{name}"] = module
    spec.loader.exec_module(module)
    return module


def process(name: str, directory: Path) -> ServerProcess:
    """An example as a program."""
    return ServerProcess(directory / f"{name}.log", [sys.executable, str(EXAMPLES / f"{name}.py")])
