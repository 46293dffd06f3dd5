"""Proves a container image: `python release/check_image.py IMAGE`. Exit code 0 where all that could be shown holds.

Strategy: what the files of the image say is read from them. How it behaves is seen in its own root file system, read-only, in a
sandbox (bubblewrap) where the program is process 1 as it is in a container; and in a container engine where one is named, since
that puts the image into its store for a while. What this machine cannot show is said.
"""

import argparse
import gzip
import hashlib
import http.client
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from instance import TOKEN, certificates, upstream
from running import PATIENCE, PROVE_ALL, CannotShow, Failed, Running, free_port, refuses, ticks, want, want_in

KEY: Final = "key-of-the-check-0123456789"
# Nothing else of the image may be written to, were its root not read-only.
FOR_EVERYBODY: Final = {"tmp"}
SHELLS: Final = {"sh", "bash", "dash", "busybox"}
NAMED: Final = "sourcegraph.check"

T = TypeVar("T")


class Image:
    """An image as its archive holds it."""

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        with tarfile.open(archive) as layout:
            self.files = {entry.name: layout.extractfile(entry).read() for entry in layout}  # type: ignore[union-attr]
        (described,) = json.loads(self.files["index.json"])["manifests"]
        self.manifest: dict[str, Any] = json.loads(self.blob(described))
        self.configuration: dict[str, Any] = json.loads(self.blob(self.manifest["config"]))
        self.config: dict[str, Any] = self.configuration["config"]
        (self.tag,) = json.loads(self.files["manifest.json"])[0]["RepoTags"]

    def blob(self, described: dict[str, Any]) -> bytes:
        """What a descriptor describes; fails where that is something else."""
        data = self.files[f"blobs/{described['digest'].replace(':', '/')}"]
        want(described["digest"], f"sha256:{hashlib.sha256(data).hexdigest()}", "a digest")
        want(described["size"], len(data), "a size")
        return data

    def layers(self) -> list[tarfile.TarFile]:
        """The layers, opened."""
        return [tarfile.open(fileobj=io.BytesIO(self.blob(layer))) for layer in self.manifest["layers"]]


class Sandbox:
    """The image's own root, read-only, with one program in it that is process 1."""

    def __init__(self, image: Image, root: Path) -> None:
        self.root = root
        self._image = image
        for layer in image.layers():
            with layer:
                layer.extractall(root, filter="data")
        # What an engine puts into a container before it makes it read-only.
        for made in ("proc", "dev", "run/secrets", "etc/cody-oai-router"):
            (root / made).mkdir(parents=True)
        (root / "etc/hosts").write_text(f"127.0.0.1 localhost {NAMED}\n")

    def command(self, *arguments: str, environ: dict[str, str], informed: int | None = None) -> list[str]:
        """What starts the program with these arguments; the number of its process goes to the file `informed`."""
        user, _, group = self._image.config["User"].partition(":")
        values = dict(value.split("=", 1) for value in self._image.config["Env"]) | environ
        return [
            *("bwrap", "--unshare-user", "--uid", user, "--gid", group, "--cap-drop", "ALL", "--new-session"),
            *("--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--die-with-parent"),
            *("--ro-bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev", "--clearenv"),
            *(word for name, value in values.items() for word in ("--setenv", name, value)),
            *(("--info-fd", str(informed)) if informed is not None else ()),
            *self._image.config["Entrypoint"],
            *(arguments or self._image.config["Cmd"]),
        ]

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        command = self.command(*arguments, environ=environ)
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)

    @contextmanager
    def running(self, *arguments: str, **environ: str) -> Iterator[tuple[Running, int]]:
        """Start the program on a port of its own; gives it, once it answers, and its process as seen from here."""
        port = free_port()
        reading, writing = os.pipe()
        with subprocess.Popen(
            self.command(*arguments, environ={"PORT": str(port), **environ}, informed=writing),
            pass_fds=[writing],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as process:
            os.close(writing)
            with open(reading, encoding="utf-8") as told:  # noqa: PTH123 - it has no name
                running = Running(process, port)
                try:
                    number = json.load(told)["child-pid"]
                    yield running.ready(), number
                finally:
                    running.end()


def its_files_are_what_they_say(image: Image) -> None:
    """Every digest and size is right, and the layers unpack to what the configuration names."""
    wanted = image.configuration["rootfs"]["diff_ids"]
    unpacked = [gzip.decompress(image.blob(layer)) for layer in image.manifest["layers"]]
    want(wanted, [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in unpacked], "the digests of the layers")


def it_says_how_it_is_run(image: Image) -> None:
    """A user who is not root, a port, a health check of its own, and no secret in it."""
    want("65532:65532", image.config["User"], "the user")
    want({"3000/tcp": {}}, image.config["ExposedPorts"], "ports")
    want(["CMD", *image.config["Entrypoint"], "healthcheck"], image.config["Healthcheck"]["Test"], "the health check")
    want(False, any("TOKEN" in value or "KEY" in value for value in image.config["Env"]), "a secret is set")


def nothing_in_it_can_be_written_to(image: Image) -> None:
    """All of it is root's, nothing runs with other rights than its starter's, /tmp alone is open, and there is no shell."""
    for layer in image.layers():
        with layer:
            for entry in layer:
                want((0, 0), (entry.uid, entry.gid), f"the owner of {entry.name}")
                want(0, entry.mode & 0o6000, f"special rights of {entry.name}")
                if not entry.issym() and entry.name not in FOR_EVERYBODY:
                    want(0, entry.mode & 0o022, f"rights of others to write to {entry.name}")
                want(False, Path(entry.name).name in SHELLS, f"{entry.name} is a shell")


def without_a_key_it_refuses(sandbox: Sandbox) -> None:
    """As it comes it starts neither with a token nor as a demo, and says what to do."""
    for arguments in ((), ("demo",)):
        ended = sandbox.run(*arguments, SOURCEGRAPH_API_TOKEN=TOKEN)
        want(2, ended.returncode, "the exit code without a key")
        for part in ("set ROUTER_API_KEY too", "ROUTER_API_KEY_FILE", "-p 127.0.0.1:3000:3000"):
            want_in(part, ended.stderr, "standard error")


def it_answers_in_demo_mode(sandbox: Sandbox) -> None:
    """With a key the demo answers on every address: `/health` to everybody, chats, whole and streamed, with the key alone."""
    with sandbox.running("demo", ROUTER_API_KEY=KEY) as (running, _):
        want(401, running.chat()[0], "a chat without the key")
        for stream, part in ((False, '"finish_reason":"stop"'), (True, "data: [DONE]")):
            status, text = chat_with_key(running.port, stream=stream)
            want(200, status, f"a chat ({text})")
            want_in(part, text, "the answer")


def chat_with_key(port: int, *, stream: bool) -> tuple[int, str]:
    """Ask a model, with the key, by the name that a user of this machine would write; status and body."""
    question = {"model": "gpt-4", "stream": stream, "messages": [{"role": "user", "content": "Hello!"}]}
    connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE)
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(question), headers)
    with connection.getresponse() as answer:
        return answer.status, answer.read().decode()


def its_health_check_tells(sandbox: Sandbox) -> None:
    """The health check ends with 0 while a router answers, and with 1 when it does not."""
    with sandbox.running("demo", ROUTER_API_KEY=KEY) as (running, _):
        asked = sandbox.run("healthcheck", PORT=str(running.port))
        want(
            (0, f"http://127.0.0.1:{running.port}/health: ok.\n"), (asked.returncode, asked.stdout), "the health check"
        )
    want(1, sandbox.run("healthcheck", PORT=str(running.port)).returncode, "the exit code with nobody there")


def secrets_may_be_files(sandbox: Sandbox) -> None:
    """Token and key come from files in /run/secrets; Sourcegraph is found by a name of /etc/hosts."""
    for name, secret in (("token", TOKEN), ("key", KEY)):
        (sandbox.root / "run/secrets" / name).write_text(secret)
    files = {"SOURCEGRAPH_API_TOKEN_FILE": "/run/secrets/token", "ROUTER_API_KEY_FILE": "/run/secrets/key"}
    with upstream() as port:
        address = {"SOURCEGRAPH_BASE_URL": f"http://{NAMED}:{port}", "ALLOW_INSECURE_UPSTREAM": "1"}
        with sandbox.running(**files, **address) as (running, _):
            status, text = chat_with_key(running.port, stream=False)
            want(200, status, f"a chat ({text})")


def settings_may_be_mounted(sandbox: Sandbox) -> None:
    """A `.env` in /etc/cody-oai-router is read."""
    settings = sandbox.root / "etc/cody-oai-router/.env"
    settings.write_text(f"ROUTER_API_KEY={KEY}\n")
    try:
        with sandbox.running("demo") as (running, _):
            part = "Set in /etc/cody-oai-router/.env: ROUTER_API_KEY"
            for _ in ticks(f"the greeting lacks {part!r}:\n{{}}", lambda: running.said):
                if part in running.said:
                    break
    finally:
        settings.unlink()


def it_judges_certificates(sandbox: Sandbox) -> None:
    """HTTPS is judged by the authorities in the image, so that a private one is refused, or by CA_FILE."""
    if shutil.which("openssl") is None:
        raise CannotShow("openssl, which makes certificates, is not installed")
    with tempfile.TemporaryDirectory() as folder:
        authority, certificate = certificates(Path(folder))
        shutil.copy(authority, sandbox.root / "run/secrets/ca.pem")
        with upstream(certificate) as port:
            account = {"SOURCEGRAPH_BASE_URL": f"https://localhost:{port}", "SOURCEGRAPH_API_TOKEN": TOKEN}
            with sandbox.running(ROUTER_API_KEY=KEY, **account) as (running, _):
                status, text = chat_with_key(running.port, stream=False)
                want((502, True), (status, "certificate" in text), f"a chat with an unknown authority ({text})")
            with sandbox.running(ROUTER_API_KEY=KEY, CA_FILE="/run/secrets/ca.pem", **account) as (running, _):
                status, text = chat_with_key(running.port, stream=False)
                want(200, status, f"a chat with CA_FILE ({text})")


def it_stops_as_process_1(sandbox: Sandbox) -> None:
    """SIGTERM ends it with 0, alone and with workers, although process 1 is spared what it does not ask for."""
    with upstream() as port:
        account = {"SOURCEGRAPH_BASE_URL": f"http://127.0.0.1:{port}", "SOURCEGRAPH_API_TOKEN": TOKEN}
        for workers in ("1", "2"):
            with sandbox.running(ROUTER_API_KEY=KEY, WORKERS=workers, **account) as (running, number):
                want("1", seen_inside(number), "the number of the process in its container")
                os.kill(number, signal.SIGTERM)
                want(0, running.process.wait(PATIENCE), "the exit code")
                want(True, refuses(running.port), "its port is free again")


def seen_inside(number: int) -> str:
    """The number that a process has in its own namespace."""
    lines = Path(f"/proc/{number}/status").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("NSpid:")).split()[-1]


IN_FILES: Final = (its_files_are_what_they_say, it_says_how_it_is_run, nothing_in_it_can_be_written_to)
IN_A_SANDBOX: Final = (
    without_a_key_it_refuses,
    it_answers_in_demo_mode,
    its_health_check_tells,
    secrets_may_be_files,
    settings_may_be_mounted,
    it_judges_certificates,
    it_stops_as_process_1,
)


class Engine:
    """docker or podman: what has to work in it as well."""

    def __init__(self, command: Sequence[str], image: Image) -> None:
        self.command = command
        self.image = image

    def does(self, *arguments: str) -> str:
        """Have the engine do something; what it prints."""
        done = subprocess.run(
            [*self.command, *arguments], check=False, capture_output=True, text=True, timeout=PATIENCE
        )
        if done.returncode:
            raise Failed(f"{shlex.join([*self.command, *arguments])} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout.strip()


def it_runs_in_an_engine(engine: Engine) -> None:
    """Loaded, it runs without a capability on a read-only root, answers, is called healthy, and stops when it is asked to."""
    engine.does("load", "--input", str(engine.image.archive))
    port = free_port()
    hard = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "host")
    values = ("--env", f"ROUTER_API_KEY={KEY}", "--env", f"PORT={port}")
    container = engine.does("run", "--detach", *hard, *values, engine.image.tag, "demo").splitlines()[-1]
    try:
        logs = [*engine.command, "logs", "--follow", container]
        with subprocess.Popen(logs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as told:
            running = Running(told, port)
            try:
                running.ready()
                want(200, chat_with_key(port, stream=True)[0], "a chat")
                engine.does("exec", container, "cody-oai-router", "healthcheck")
            finally:
                running.end()
        engine.does("stop", container)
        want("0", engine.does("inspect", "--format", "{{.State.ExitCode}}", container), "the exit code")
    finally:
        engine.does("rm", "--force", container)
        engine.does("rmi", engine.image.tag)


def bubblewrap() -> str:
    """Why no sandbox can be made here; empty where one can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed (apt install bubblewrap)"
    tried = ["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(tried, check=False, capture_output=True, text=True)
    return f"bubblewrap may not make sandboxes here ({done.stderr.strip()})" if done.returncode else ""


def main() -> int:
    """Make every check that this machine can make, print a line for each, and return the exit code."""
    parser = argparse.ArgumentParser(description="Prove a container image.")
    parser.add_argument("image", type=Path, help="the archive that release/image.py made")
    parser.add_argument("--engine", metavar="COMMAND", help="a container engine to run it in: docker or podman")
    options = parser.parse_args()
    image = Image(options.image)
    outcomes = [shown(check, image) for check in IN_FILES]
    if why := bubblewrap():
        print(f"NOT SHOWN: how it behaves in its own root: {why}")
        outcomes.append(not PROVE_ALL)
    else:
        with tempfile.TemporaryDirectory() as folder:
            sandbox = Sandbox(image, Path(folder, "root"))
            outcomes += [shown(check, sandbox) for check in IN_A_SANDBOX]
    if options.engine:
        outcomes.append(shown(it_runs_in_an_engine, Engine(shlex.split(options.engine), image)))
    else:
        print("NOT SHOWN: the image in a container engine: give one (--engine docker)")
    print("NOT SHOWN: a published port (-p), Kubernetes, and an engine's own schedule of health checks")
    return 0 if all(outcomes) else 1


def shown(check: Callable[[T], None], about: T) -> bool:
    """Make a check and print what came of it; whether it did not fail."""
    what = (check.__doc__ or "").strip()
    try:
        check(about)
    except CannotShow as lack:
        print(f"NOT SHOWN: {what} ({lack})")
        return not PROVE_ALL
    except Failed as failure:
        print(f"WRONG: {what}\n{failure}")
        return False
    else:
        print(f"ok: {what}")
    return True


if __name__ == "__main__":
    sys.exit(main())
