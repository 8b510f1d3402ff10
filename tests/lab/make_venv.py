"""Makes the emulator's virtual environment and prints the path of its Python.     python3 make_venv.py TARGET_FOLDER

The folder's name carries a hash of the pins and of the Python that made it, so that a change of either makes a new one.
Several test programs may ask at once: one builds, the others wait for its lock. Uses the standard library only.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time

ATTEMPTS = 3


def fail(text):
    sys.stderr.write(f"the emulator's Python environment cannot be made: {text}\n")
    sys.exit(1)


def run(command, what):
    for attempt in range(ATTEMPTS):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
        )
        if done.returncode == 0:
            return
        time.sleep(2 * attempt + 1)
    fail(f"{what} failed {ATTEMPTS} times, the last time with:\n{done.stdout[-2000:]}")


def main():
    if sys.version_info < (3, 10):
        fail(f"it needs Python 3.10 or newer, this is {sys.version.split()[0]} ({sys.executable})")
    here, target = os.path.dirname(os.path.abspath(__file__)), os.path.abspath(sys.argv[1])
    pins = os.path.join(here, "requirements.txt")
    with open(pins, "rb") as f:
        name = hashlib.sha256(f.read() + sys.version.encode()).hexdigest()[:12]
    folder = os.path.join(target, f"lab-venv-{name}")
    python, done = os.path.join(folder, "bin", "python"), os.path.join(folder, ".complete")
    os.makedirs(target, exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (os.path.exists(done) and os.path.exists(python)):
            shutil.rmtree(folder, ignore_errors=True)
            run(
                [sys.executable, "-I", "-m", "venv", folder],
                "`python3 -m venv` (on Debian and Ubuntu it wants the package python3-venv)",
            )
            run(
                [
                    python,
                    "-I",
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-input",
                    "--disable-pip-version-check",
                    "-r",
                    pins,
                ],
                "`pip install` (it needs a package index)",
            )
            with open(done, "w"):
                pass
    print(python)


if __name__ == "__main__":
    main()
