"""The workflows of GitHub Actions do what the Makefile does, with nothing that somebody else could change, and no right too many.

Strategy: they are read line by line, in the one style that they are written in; what is in another style fails here, too. Whether they
are workflows at all is seen with the linters that docs/releasing.md names.
"""

import re
from pathlib import Path

import pytest

import names

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / ".github" / "workflows"
WORKFLOWS = {path.stem: path.read_text("utf-8") for path in FOLDER.iterdir()}
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (PROJECT / "Makefile").read_text("utf-8"), re.MULTILINE))

# What a step may run beside targets of the Makefile, and why.
EXCEPTIONS = {
    # What `make base` and the proofs of the image ask for; a Makefile that installs packages as root would be no friend.
    "sudo apt-get update && sudo apt-get install --yes bubblewrap debootstrap debian-archive-keyring dpkg-dev",
    # The proofs run the program in roots of its own, which Ubuntu allows to nobody but root unless it is told.
    "sudo sysctl --write kernel.apparmor_restrict_unprivileged_userns=0",
}
# What may stand in an expression: nothing that whoever opens a pull request, an issue or a branch can choose the characters of, but
# for the name of a ref, and that only names a group of runs.
EXPRESSIONS = {"github.ref", "github.token", "matrix.python", "matrix.runner"}
ACTIONS = {
    "actions/attest", "actions/checkout", "actions/download-artifact", "actions/setup-python", "actions/upload-artifact",
    "pypa/gh-action-pypi-publish",
}  # fmt: skip
# Every right beyond reading the source.
WRITES = {
    ("release", "draft", "contents"),
    ("release", "draft", "id-token"),
    ("release", "draft", "attestations"),
    ("release", "pypi", "id-token"),
}


def jobs(name: str) -> dict[str, str]:
    """The text of every job of a workflow."""
    parts = re.split(r"^  ([a-z]+):\n", WORKFLOWS[name].partition("\njobs:\n")[2], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def runs(text: str) -> list[str]:
    return re.findall(r"\brun: (?!$)(.*)$", text, re.MULTILINE)


EVERY_JOB = [(workflow, job) for workflow in WORKFLOWS for job in jobs(workflow)]
each_workflow = pytest.mark.parametrize("workflow", sorted(WORKFLOWS))
each_job = pytest.mark.parametrize(("workflow", "job"), EVERY_JOB)


def test_there_are_these_workflows() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == ["ci.yml", "release.yml"]
    assert list(jobs("release")) == ["package", "linux", "desktop", "draft", "pypi"]
    assert list(jobs("ci")) == ["lint", "test", "binary"]


@each_workflow
def test_every_action_is_pinned_by_its_commit(workflow: str) -> None:
    used = re.findall(r"\buses:(.*)", WORKFLOWS[workflow])
    pinned = [re.fullmatch(r" ([\w-]+/[\w-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in used]
    assert len(used) > 5
    assert {found[1] for found in pinned if found} <= ACTIONS
    assert None not in pinned


def test_an_action_has_one_version() -> None:
    used = {line for text in WORKFLOWS.values() for line in re.findall(r"uses: (.*)", text)}
    assert len(used) == len({line.partition("@")[0] for line in used}) == len(ACTIONS)


@each_workflow
def test_every_step_is_a_target_of_the_makefile(workflow: str) -> None:
    commands = [command for command in runs(WORKFLOWS[workflow]) if command not in EXCEPTIONS]
    assert len(commands) > 2
    for command in commands:
        program, *words = command.split()
        assert program == "make", command
        targets = [word for word in words if "=" not in word]
        assert targets, command
        assert set(targets) <= TARGETS, command


def test_every_exception_is_needed() -> None:
    used = {command for text in WORKFLOWS.values() for command in runs(text)}
    assert used >= EXCEPTIONS


@each_workflow
def test_no_expression_carries_what_a_stranger_wrote(workflow: str) -> None:
    text = WORKFLOWS[workflow]
    assert {expression.strip() for expression in re.findall(r"\$\{\{(.*?)\}\}", text)} <= EXPRESSIONS
    assert text.count("github.ref }}") == len(re.findall(r"^  group: .*github\.ref \}\}$", text, re.MULTILINE))
    assert [command for command in runs(text) if "${{" in command] == []
    assert re.search(r"pull_request_target|workflow_run|issue_comment|self-hosted|secrets\.", text) is None


@each_workflow
def test_nothing_is_kept_from_run_to_run(workflow: str) -> None:
    assert re.findall(r"^[^#\n]*\bcache\b", WORKFLOWS[workflow], re.MULTILINE) == []


@each_workflow
def test_without_a_word_there_is_no_right(workflow: str) -> None:
    assert re.findall(r"^permissions:(.*)$", WORKFLOWS[workflow], re.MULTILINE) == [" {}"]


@each_job
def test_a_job_has_the_rights_that_it_needs_and_says_for_what(workflow: str, job: str) -> None:
    text = jobs(workflow)[job]
    (block,) = re.findall(r"^    permissions:\n((?:      .*\n)+)", text, re.MULTILINE)
    rights = re.findall(r"^      ([a-z-]+): (read|write) # to .+$", block, re.MULTILINE)
    assert len(rights) == len(block.splitlines())
    assert {(workflow, job, right) for right, kind in rights if kind == "write"} == {
        write for write in WRITES if write[:2] == (workflow, job)
    }
    assert [right for right, kind in rights if kind == "read" and right != "contents"] == []


@each_job
def test_a_job_is_bounded_and_keeps_no_credentials(workflow: str, job: str) -> None:
    text = jobs(workflow)[job]
    assert len(re.findall(r"^    timeout-minutes: \d+$", text, re.MULTILINE)) == 1
    careful = re.findall(r"uses: actions/checkout@.*\n        with:\n          persist-credentials: false\n", text)
    assert len(careful) == text.count("actions/checkout@")


def test_a_release_begins_with_a_tag_alone() -> None:
    begins = WORKFLOWS["release"].partition("\non:\n")[2].partition("\n\n")[0]
    assert begins == '  push:\n    tags: ["v*"]'


def test_what_may_sign_and_publish_builds_nothing() -> None:
    assert runs(jobs("release")["draft"]) == ["make complete sums", "make draft"]
    pypi = jobs("release")["pypi"]
    assert runs(pypi) == []
    assert "actions/checkout" not in pypi
    assert "    environment: release\n" in pypi
    assert "    needs: draft\n" in pypi


def test_every_machine_has_its_runner() -> None:
    runners = {
        "ubuntu-24.04": ("linux", "x86_64"),
        "ubuntu-24.04-arm": ("linux", "aarch64"),
        "windows-2025": ("win32", "amd64"),
        "windows-11-arm": ("win32", "arm64"),
        "macos-15": ("darwin", "arm64"),
        "macos-15-intel": ("darwin", "x86_64"),
    }
    listed = re.findall(r"^        runner: \[(.*)\]$", WORKFLOWS["release"], re.MULTILINE)
    assert sorted(", ".join(listed).split(", ")) == sorted(runners)
    machines = {(system, machine) for system, several in names.MACHINES.items() for machine in several}
    assert set(runners.values()) == machines
