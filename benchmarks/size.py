"""Time of `import memp` and of `memp --help`; number and size of the packages of a core install.

python benchmarks/size.py [--install WHEEL] [--json]

The install is measured only when a wheel is given (`make wheel`): in a fresh virtual environment, from
requirements/core.txt, with the machine's own index settings. pip itself is not counted.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
INSTALLED = """
import compileall, importlib.metadata as m, json, pathlib, sysconfig
site = pathlib.Path(sysconfig.get_paths()["purelib"])
venv = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
mine = [d for d in m.distributions(path=[str(site)]) if d.metadata["Name"] not in venv]
def size():
    files = (p for p in site.rglob("*") if p.is_file() and not p.relative_to(site).parts[0].startswith(venv))
    return sum(p.stat().st_size for p in files) / 1e6
plain = size()
compileall.compile_dir(site, quiet=2)
print(json.dumps([sorted(d.metadata["Name"] + " " + d.version for d in mine), plain, size()]))
"""


def wall(command: list[str], times: int = 11) -> float:
    """Median milliseconds of a whole process."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken)


def installed(wheel: Path) -> dict[str, object]:
    """What a core install brings."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "core.txt")], check=True)
        subprocess.run([*pip, "--no-deps", str(wheel)], check=True)
        packages, plain, compiled = json.loads(subprocess.check_output([str(python), "-c", INSTALLED]))
    return {"packages": len(packages), "package_list": packages, "install_mb": plain, "with_bytecode_mb": compiled}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    bare = wall([sys.executable, "-c", "pass"])
    result: dict[str, object] = {
        "python_ms": bare,
        "import_memp_ms": wall([sys.executable, "-c", "import memp"]),
        "import_memory_ms": wall([sys.executable, "-c", "from memp import ProceduralMemory"]),
        "load": os.getloadavg()[0],
    }
    if (command := Path(sys.executable).parent / "memp").exists() or shutil.which("memp"):
        result["memp_help_ms"] = wall([str(command), "--help"])
    if options.install:
        result |= installed(options.install)
    if options.json:
        print(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        print(f"{name:>18}", f"{value:.1f}" if isinstance(value, float) else value)


if __name__ == "__main__":
    main()
