"""Proves a built executable: `python release/selftest.py FILE`. Exit code 0 where all of it holds.

Strategy: the built file is used as a user would use it, in folders of its own, with nothing of the machine that built it in its
environment. Each check is a function whose docstring is the sentence that it proves; what cannot be shown on a system is said, not
passed over. Only the standard library is needed, so that any Python can run it beside the file.
"""

import argparse
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import measures
from instance import TOKEN, account, certificates, upstream
from running import (
    LINUX,
    PATIENCE,
    POSIX,
    PROVE_ALL,
    WINDOWS,
    Bench,
    CannotShow,
    Failed,
    Running,
    free_port,
    refuses,
    ticks,
    want,
    want_in,
)

# Where distributions keep their authorities: one place of OpenSSL's own, one of another family.
ELSEWHERE: Final = "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"


class NotMeant(Exception):
    """Why a check says nothing of a program of this kind."""


def it_says_its_version(bench: Bench) -> None:
    """`--version` and `--help` end with 0, a flag that does not exist with 2."""
    version = bench.run("--version")
    want((0, "cody-oai-router "), (version.returncode, version.stdout[:16]), "--version")
    helped = bench.run("--help")
    want(0, helped.returncode, "the exit code of --help")
    want_in("SOURCEGRAPH_API_TOKEN", helped.stdout, "--help")
    want(2, bench.run("--nonsense").returncode, "the exit code of a wrong flag")


def it_answers_in_demo_mode(bench: Bench) -> None:
    """Demo mode answers `/health`, `/v1/models`, whole and streamed chats, also long ones."""
    with bench.running("demo") as running:
        running.ready()
        want(True, json.loads(running.get("/health")[1])["demo"], "demo in /health")
        listed = json.loads(running.get("/v1/models")[1])
        want(True, len(listed["data"]) > 1, "models listed")
        status, text = running.chat()
        want(200, status, f"a chat ({text})")
        want_in("You said: Hello!", json.loads(text)["choices"][0]["message"]["content"], "the answer")
        status, text = running.chat(stream=True)
        want(200, status, "a streamed chat")
        events = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
        want("[DONE]", events[-1], "the last event")
        pieces = [json.loads(event)["choices"] for event in events[:-1]]
        words = "".join(choice["delta"].get("content") or "" for choices in pieces for choice in choices)
        want_in("You said: Hello!", words, "the streamed answer")
        long = {"role": "user", "content": "x" * 3_000_000}
        want(200, running.chat(messages=[long])[0], "a chat of 3 MB")


def a_file_of_settings_beside_it_counts(bench: Bench) -> None:
    """`.env` beside the executable is read whatever the working directory is; one in the working directory is not."""
    port = free_port()
    (bench.place / ".env").write_text(
        f"SOURCEGRAPH_API_TOKEN={TOKEN}\nROUTER_API_KEY=key-of-the-self-test-0123456789\n"
    )
    (bench.place / ".env").chmod(0o600)
    (bench.home / ".env").write_text("WORKERS=nonsense\n")
    with bench.running(SOURCEGRAPH_BASE_URL=f"http://127.0.0.1:{port}") as running:
        running.ready()
        want(401, running.chat()[0], "a chat without the key")
        running.says(f"Set in {bench.place / '.env'}: ROUTER_API_KEY, SOURCEGRAPH_API_TOKEN")


def a_port_in_use_is_said(bench: Bench) -> None:
    """A port in use ends with 1 and one line that says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = bench.run("demo", PORT=str(port))
    want(1, ended.returncode, f"the exit code ({ended.stderr})")
    want_in(f"Port {port} is already in use", ended.stderr, "standard error")


def a_missing_token_is_said(bench: Bench) -> None:
    """Without a token it ends with 2 and says where to get one; nobody at a pipe is asked to press a key."""
    ended = bench.run()
    want(2, ended.returncode, "the exit code")
    want_in("Access tokens", ended.stderr, "standard error")
    want(False, "Press Enter" in ended.stderr, "asks for a key")


def a_terminal_of_its_own_stays_open(bench: Bench) -> None:
    """A terminal that was opened for it alone stays open after an error until Enter is pressed."""
    if WINDOWS:
        with bench.running() as running:
            running.says("Press Enter to close this window.")
            want(None, running.process.poll(), "its end before Enter")
            want(2, running.pressed_enter(), "the exit code")
        with bench.running(prefix=["cmd", "/c"]) as running:
            want(2, running.process.wait(PATIENCE), "the exit code under a shell")
        return
    import pty  # noqa: PLC0415 - not there on Windows

    ours, its = pty.openpty()
    with subprocess.Popen(
        [bench.program], env=bench.environment(), stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:
        os.close(its)
        said = bytearray()
        while b"Press Enter to close this window." not in said:
            if not select.select([ours], [], [], PATIENCE)[0]:
                raise Failed(f"it does not ask for Enter but said {bytes(said)!r}")
            said += os.read(ours, 4096)
        want(None, process.poll(), "its end before Enter")
        os.write(ours, b"\n")
        want(2, process.wait(PATIENCE), "the exit code")
    os.close(ours)


def a_signal_ends_it(bench: Bench) -> None:
    """Ctrl+C, and SIGTERM where there is such a thing, let a running answer finish and end it with 0; nothing is left of it."""
    for number, group in ((signal.SIGINT, True),) if WINDOWS else ((signal.SIGTERM, False), (signal.SIGINT, True)):
        with bench.running("demo") as running:
            running.ready()
            want(
                0,
                signalled_meanwhile(running, number, group=group),
                f"the exit code after {signal.Signals(number).name}",
            )
            want(True, refuses(running.port), "the port is free")
            want([], bench.left(), "left in the temporary folder")


def signalled_meanwhile(running: Running, number: int, *, group: bool) -> int:
    """Send a signal while an answer is on its way, which has to arrive whole; the exit code."""
    codes: list[int] = []
    signalled = threading.Thread(target=lambda: codes.append(running.signalled(number, group=group)))
    whole = running.streamed_meanwhile(signalled.start)
    want_in("data: [DONE]", whole, "the answer that had begun")
    signalled.join(PATIENCE)
    return codes[0] if codes else -1


def killed(running: Running) -> None:
    """Kill a program outright and wait until its port is free."""
    running.process.kill()
    running.process.wait(PATIENCE)
    for _ in ticks("an orphan keeps the port"):
        if refuses(running.port):
            return


def no_orphan_keeps_the_port(bench: Bench) -> None:
    """Killed outright it leaves no orphan; the next start removes what was left, and nobody else's folder."""
    if not bench.single:
        raise NotMeant("as a folder it is one process")
    foreign = bench.temporary / "_MEIforeign"
    foreign.mkdir()
    below = bench.place / "tmp"
    below.mkdir()
    variables = {"TMPDIR": str(below), "TEMP": str(below), "TMP": str(below)}
    with bench.running("demo", **variables) as running:  # where users put their files, temporary ones may lie below
        killed(running.ready())
    with bench.running("demo") as running:
        killed(running.ready())
        want(2, len(bench.left()), f"folders left ({bench.left()})")
    with bench.running("demo") as alive, bench.running("demo") as another:
        alive.ready()
        another.ready()
        want(3, len(bench.left()), f"folders of two that run and a foreign one ({bench.left()})")
    if POSIX:
        want([foreign.name], bench.left(), "left in the end")


def a_temporary_folder_that_cannot_be_used(bench: Bench) -> None:
    """Where TMPDIR is not there or cannot be written to, another place is found."""
    if not POSIX:
        raise NotMeant("Windows has one place for temporary files")
    with bench.running("demo", TMPDIR=str(bench.folder / "nowhere")) as running:
        running.ready()
    with bench.running("demo", prefix=inside(bench.temporary, "ro")) as running:
        running.ready()


def a_temporary_folder_that_runs_nothing(bench: Bench) -> None:
    """Where nothing in the temporary folder may be executed, the single file ends at once and says so; the folder runs."""
    with bench.running("demo", prefix=inside(bench.temporary, "noexec")) as running:
        if not bench.single:
            running.ready()
            return
        want(True, running.process.wait(PATIENCE) != 0, "an exit code that says failure")
        running.says("failed to map segment")


def inside(folder: Path, option: str) -> list[str]:
    """What runs a command where a folder is mounted anew with an option."""
    if not LINUX:
        raise NotMeant("only Linux mounts a folder for one program")
    if shutil.which("unshare") is None:
        raise CannotShow("unshare is needed to mount it")
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--mount", *user]
    if subprocess.run([*command, "true"], check=False, capture_output=True).returncode:
        raise CannotShow("this machine lets nobody make namespaces")
    mount = f'mount -t tmpfs -o {option} none "{folder}" && exec "$@"'
    return [*command, "sh", "-c", mount, "sh"]


def it_trusts_whom_it_is_told_to(bench: Bench) -> None:
    """A certificate of an authority that nobody knows is refused; with that authority in CA_FILE it is accepted."""
    if shutil.which("openssl") is None and "SELF_TEST_CERTIFICATES" not in os.environ:
        raise CannotShow("openssl is needed")
    authority, certificate = certificates(bench.folder)
    # Beside the executable, whose folder has a name that not every program could read.
    named = shutil.copy(authority, bench.place / "ca.pem")
    with upstream(certificate) as port:
        with bench.running(**account(port, "https")) as running:
            status, text = running.ready().chat()
            want(502, status, f"a chat with an authority that nobody knows ({text})")
            want_in("set CA_FILE", text, "the error")
        with bench.running(**account(port, "https"), CA_FILE=str(named)) as running:
            status, text = running.ready().chat()
            want(200, status, f"a chat with CA_FILE ({text})")


def it_finds_authorities_anywhere(bench: Bench) -> None:
    """In a root without /usr/lib/ssl it verifies HTTPS by the distribution's authorities, wherever they lie, else by its own."""
    if not LINUX:
        raise NotMeant("the system judges certificates")
    if shutil.which("unshare") is None or shutil.which("openssl") is None:
        raise CannotShow("unshare and openssl are needed")
    root = bench.folder / "root"
    bare_root(bench, root)
    command = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--root", str(root)]
    if subprocess.run(
        [*command, f"/place/{bench.program.name}", "--version"], check=False, capture_output=True
    ).returncode:
        raise CannotShow("this machine lets nobody make a root of its own")
    authority, certificate = certificates(bench.folder)
    with upstream(certificate) as port:
        start = partial(
            bench.running,
            prefix=command,
            program=f"/place/{bench.program.name}",
            TMPDIR="/tmp",
            **account(port, "https"),
        )
        with start() as running:
            status, text = running.ready().chat()
            want(502, status, f"a chat with an authority that nobody knows ({text})")
            want_in("set CA_FILE", text, "the error")
        known = root / ELSEWHERE
        known.parent.mkdir(parents=True)
        shutil.copy(authority, known)
        with start() as running:
            status, text = running.ready().chat()
            want(200, status, f"a chat with an authority of the distribution ({text})")
        shutil.rmtree(root / "etc" / "pki")
        shutil.copy(authority, root / "ca.pem")
        with start(CA_FILE="/ca.pem") as running:
            status, text = running.ready().chat()
            want(200, status, f"a chat with CA_FILE ({text})")


def bare_root(bench: Bench, root: Path) -> None:
    """A root with the program, the libraries of C, and nothing else."""
    shutil.copytree(bench.place, root / "place", symlinks=True)
    for made in ("tmp", "etc"):
        (root / made).mkdir()
    (root / "etc" / "hosts").write_text("127.0.0.1 localhost\n")
    listed = subprocess.run(["ldd", bench.program], check=True, capture_output=True, text=True)
    needed = [word for word in listed.stdout.split() if word.startswith("/")]
    nearby = Path(next(path for path in needed if "libc.so" in path)).parent
    # What the bundled libraries ask glibc for, and the name service that it loads by itself.
    others = (
        "libm.so.6",
        "libutil.so.1",
        "librt.so.1",
        "libpthread.so.0",
        "libdl.so.2",
        "libnss_files.so.2",
        "libresolv.so.2",
    )
    for path in {*map(Path, needed), *(nearby / name for name in others)}:
        if path.exists():
            place = root / str(path).lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


CHECKS: Final[Sequence[Callable[[Bench], None]]] = (
    it_says_its_version,
    it_answers_in_demo_mode,
    a_file_of_settings_beside_it_counts,
    a_port_in_use_is_said,
    a_missing_token_is_said,
    a_terminal_of_its_own_stays_open,
    a_signal_ends_it,
    no_orphan_keeps_the_port,
    a_temporary_folder_that_cannot_be_used,
    a_temporary_folder_that_runs_nothing,
    it_trusts_whom_it_is_told_to,
    it_finds_authorities_anywhere,
)


def main() -> int:
    """Check one file; the exit code says whether all holds."""
    parser = argparse.ArgumentParser(description="Prove a built executable.")
    parser.add_argument("program", type=Path)
    options = parser.parse_args()
    program = options.program.resolve()
    failed = 0
    for check in CHECKS:
        with tempfile.TemporaryDirectory(prefix="self-test-", ignore_cleanup_errors=True) as folder:
            outcome = verdict(check, Bench(program, Path(folder).resolve()))
        failed += outcome.startswith("FAILED")
        print(f"{outcome}: {(check.__doc__ or '').strip()}", flush=True)
    if not failed and (LINUX or WINDOWS):
        print(measures.report(program), flush=True)
    print(f"{program.name}: {'all well' if not failed else f'{failed} failed'}", flush=True)
    return 1 if failed else 0


def verdict(check: Callable[[Bench], None], bench: Bench) -> str:
    """What a check says of a program, in one word or with what went wrong."""
    try:
        check(bench)
    except NotMeant as reason:
        return f"not meant here ({reason})"
    except CannotShow as reason:
        return f"{'FAILED' if PROVE_ALL else 'not shown here'} ({reason})"
    except (Failed, OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        return f"FAILED ({type(error).__name__}: {error})"
    return "ok"


if __name__ == "__main__":
    sys.exit(main())
