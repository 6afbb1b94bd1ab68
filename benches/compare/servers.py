"""What is compared, and the stores below it: programs of ours that end with the run."""

import json
import os
import random
import shutil
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEPT = ROOT / "target" / "compare"
PATIENCE = 30
DATABASE = "sentinel"


def find(program):
    """The program as `./test` finds it: on the search path, or where `./test` unpacked it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    unpacked = cache / "warp-sentinel" / "bin" / program
    named = os.environ.get("SENTINEL_TEST_" + program.upper().replace("-", "_"), program)
    for candidate in (named, str(unpacked)):
        if path := shutil.which(candidate):
            return path
    sys.exit(f"{program} is not on the search path, and ./test has not fetched it yet")


def build():
    """Builds Sentinel, its example and the load program; gives their paths by name."""
    paths = {}
    for command in (
        ["build", "--release", "--bin", "sentinel", "--example", "protected"],
        ["bench", "--no-run", "--bench", "drive"],
    ):
        command = ["cargo", *command, "--locked", "--message-format=json-render-diagnostics"]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        for line in done.stdout.splitlines():
            message = json.loads(line)
            if message.get("executable"):
                paths[message["target"]["name"]] = message["executable"]
    return paths


def environment():
    """Makes the virtual environment, once for each state of its requirements; gives its programs."""
    wanted = (HERE / "requirements.txt").read_text(encoding="utf-8")
    folder, mark = KEPT / "venv", KEPT / "venv" / "installed.txt"
    if not mark.exists() or mark.read_text(encoding="utf-8") != wanted:
        python = shutil.which("python3.11") or sys.exit("Python 3.11 is needed")
        subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
        mark.write_text(wanted, encoding="utf-8")
    return folder / "bin"


def free_port():
    """A port below those that the kernel gives to connections, one of which may take it again."""
    for port in random.sample(range(10_000, 22_000), 100):
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    sys.exit("there is no free port")


class Program:
    """A running program that listens on a port of its own, and ends with its `with`."""

    def __init__(self, command, port, log, variables=(), folder=None):
        self.port = port
        # Settings of the one who runs this are not those of the comparison.
        own = {k: v for k, v in os.environ.items() if not k.startswith(("SENTINEL_", "OAUTH2_"))}
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**own, **dict(variables)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.log = log

    def __enter__(self):
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.__exit__()
        sys.exit(f"{self.process.args[0]} does not listen, see {self.log}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def pids(self):
        """The process and its children."""
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text(encoding="utf-8")
        return [own, *map(int, children.split())]


class Stores:
    """One mongod and one Redis, and the servers over them."""

    def __init__(self, folder):
        self.folder = folder
        self.mongo, self.redis = free_port(), free_port()

    def mongod(self):
        data = self.folder / "mongod"
        data.mkdir()
        command = [find("mongod"), "--dbpath", data, "--port", self.mongo, "--bind_ip", "127.0.0.1"]
        command += ["--nounixsocket", "--wiredTigerCacheSizeGB", "0.5", "--quiet"]
        return Program(command, self.mongo, self.folder / "mongod.log")

    def redis_server(self):
        command = [find("redis-server"), "--port", self.redis, "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", self.folder]
        return Program(command, self.redis, self.folder / "redis.log")

    def sentinel(self, program, *arguments):
        """Sentinel as `program`, with the defaults of production but for where things are, and for
        limits that clients of one network would reach: counted, but never met."""
        port = free_port()
        variables = {
            "SENTINEL_LISTEN": f"127.0.0.1:{port}",
            "SENTINEL_TLS": "adhoc",
            "SENTINEL_DATA_DIR": str(self.folder),
            "SENTINEL_MONGO_URI": f"mongodb://127.0.0.1:{self.mongo}",
            "SENTINEL_MONGO_DBNAME": DATABASE,
            "SENTINEL_REDIS_URL": f"redis://127.0.0.1:{self.redis}/1",
            "SENTINEL_THROTTLE_USER": "1000000",
            "SENTINEL_THROTTLE_NETWORK": "1000000",
        }
        log = self.folder / f"{Path(program).name}.log"
        return Program([program, *arguments], port, log, variables, self.folder)

    def flask_variables(self):
        return {
            "COMPARE_MONGO_PORT": str(self.mongo),
            "COMPARE_REDIS_URL": f"redis://127.0.0.1:{self.redis}/0",
        }

    def flask_sentinel(self, programs, workers):
        """Flask-Sentinel under gunicorn, with the certificate that Sentinel has made."""
        port = free_port()
        command = [programs / "gunicorn", "--bind", f"127.0.0.1:{port}", "--chdir", HERE]
        command += ["--certfile", self.folder / "adhoc-cert.pem"]
        command += ["--keyfile", self.folder / "adhoc-key.pem", "--log-level", "warning"]
        command += ["--graceful-timeout", "2"]
        command += [*workers.split(), "--no-control-socket", "app:app"]
        log = self.folder / "gunicorn.log"
        return Program(command, port, log, self.flask_variables(), self.folder)

    def fill(self, programs, users):
        """Makes the client and the users; gives the client's identifier."""
        command = [programs / "python", HERE / "fill.py", DATABASE, users]
        variables = {**os.environ, **self.flask_variables()}
        done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()


def await_workers(program):
    """Waits until gunicorn's workers, and not only its socket, answer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as plain:
        with context.wrap_socket(plain) as stream:
            stream.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if not stream.recv(1):
                sys.exit(f"gunicorn does not answer, see {program.log}")
