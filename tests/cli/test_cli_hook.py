"""`--hook`: run after a file, a day or a set, and owed until it has."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from maap_tui.demo import Archive

L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
HOUR = ("-s", "2025-12-01T00:00", "-e", "2025-12-01T00:59")


@pytest.fixture
def ran(tmp_path: Path) -> Callable[[], list[str]]:
    """The lines that hooks wrote."""
    return lambda: (tmp_path / "ran").read_text().splitlines() if (tmp_path / "ran").exists() else []


@pytest.fixture
def hook(tmp_path: Path) -> Callable[..., str]:
    """A command of a shell; it writes a line with `say`."""

    def make(text: str, *words: str) -> str:
        say = f'say() {{ echo "$*" >> {shlex.quote(str(tmp_path / "ran"))}; }}; '
        return shlex.join(["sh", "-c", say + text, "hook", *words])

    return make


def owed(home: Path) -> list[str]:
    return [line for file in (home / "state/hooks").glob("*") for line in file.read_text().splitlines()]


def downloaded(home: Path) -> list[str]:
    return sorted(str(path) for path in (home / "data").rglob("*.h5"))


def test_after_each_file_and_once(maap: Callable, home: Path, hook: Callable, ran: Callable) -> None:
    words = ("sync", *CLD, *HOUR, "--hook", hook('say "$1" "$MAAP_HOOK_ORBIT"; echo and more', "{path}"))
    ended = maap(*words)
    assert ended.code == 0 and "and more" not in ended.err
    paths = downloaded(home)
    assert sorted(line.split()[0] for line in ran()) == paths and len(paths) > 3
    assert all(f"_{line.split()[1]}" in line.split()[0] for line in ran())
    assert maap("runs", "last").out.count(": and more") == len(paths)
    assert maap(*words).code == 0 and len(ran()) == len(paths)


def test_a_failure_is_an_exit_code_and_a_retry(
    maap: Callable, home: Path, hook: Callable, ran: Callable
) -> None:
    failed = maap("sync", *CLD, *HOUR, "--hook", hook("exit 5"))
    assert failed.code == 3
    assert failed.err.count("Hook failed: ") == 3 and "exit code 5; the next run" in failed.err
    assert "3 hooks failed in a row; the others are left for the next run" in failed.err
    # Whatever the range and the command of the next run are, what is owed of the same baseline is run.
    again = maap("sync", *CLD, "--date", "2025-12-03", "-n", "1", "--hook", hook('say "$1"', "{path}"))
    assert again.code == 0
    assert sorted(ran()) == downloaded(home)


@pytest.mark.parametrize(
    ("command", "per", "place", "bad"),
    [
        (("sync", *CLD), "file", "{path}", ("08574E", "08574F", "08574G")),
        (("sync", *CLD), "day", "{day}", ("2025-12-01", "2025-12-02", "2025-12-03")),
        (("set", "sync", "clouds"), "set", "{orbit}{frame}", ("08574E", "08574F", "08574G")),
    ],
    ids=["file", "day", "set"],
)
def test_what_fails_for_ever_holds_nothing_else_up(
    maap: Callable, hook: Callable, ran: Callable,
    command: tuple[str, ...], per: str, place: str, bad: tuple[str, ...],
) -> None:  # fmt: skip
    assert maap("config", "set", "sets.clouds", "CPR_CLD_2A:BC,MSI_COP_2A:BC").code == 0
    span = ("-s", "2025-12-01", "-e", "2025-12-05", "--frame", "D") if per == "day" else HOUR
    text = f'case "$1" in {"|".join(f"*{one}*" for one in bad)}) exit 1;; esac; say "$1"'
    words = (*command, *span, "--hook-per", per, "--hook", hook(text, place))
    first = maap(*words)
    assert first.code == 3
    again = maap(*words)
    assert again.code == 3 and again.err.count("Hook failed: ") == 3
    assert not any(one in line for line in ran() for one in bad)
    good = ran()
    assert len(good) == len(set(good)) >= 2
    # What is new does not wait behind it either.
    later = ("-s", "2025-12-06", "-e", "2025-12-06T00:59")
    assert maap(*command, *later, *words[len(command) + len(span) :]).code == 3
    assert len(ran()) > len(good)
    assert maap(*command, *HOUR, "--hook-per", per, "--hook", hook('say "$1"', place)).code == 0
    assert all(any(one in line for line in ran()) for one in bad)


def test_a_hook_that_hangs_is_ended(maap: Callable, hook: Callable, ran: Callable) -> None:
    words = ("sync", *CLD, "-s", "2025-12-01T00:00", "-e", "2025-12-01T00:05", "--hook")
    hanging = maap(*words, hook("exec sleep 1000"), "--hook-timeout", "0.2")
    assert hanging.code == 3 and "it was ended after 0.2 s" in hanging.err
    assert maap(*words, hook("say once")).code == 0 and ran() == ["once"]


def test_after_a_day_that_is_whole(
    maap: Callable, home: Path, archive: Archive, hook: Callable, ran: Callable
) -> None:
    command = hook('say "$1" "$(grep -c /)" "$#"', "{day}", "{paths}")
    words = ("sync", *CLD, "-s", "2025-11-30T23:00", "-e", "2025-12-01T00:59")
    archive.faults.add(target="data", status=503, match="/2025/12/01/")
    assert maap(*words, "--hook", command, "--hook-per", "day").code == 3
    days = [path.split("/")[-2] for path in downloaded(home)]
    assert ran() == [f"2025-11-30 {len(days)} {len(days) + 1}"]
    archive.faults.clear()
    assert maap(*words, "--hook", command, "--hook-per", "day").code == 0
    assert [line.split()[0] for line in ran()] == ["2025-11-30", "2025-12-01"]


def test_a_day_waits_for_what_may_still_come_of_it(
    maap: Callable, home: Path, archive: Archive, hook: Callable, ran: Callable
) -> None:
    command = hook('say "$1" "$(grep -c /)"', "{day}")
    words = ("sync", *CLD, *HOUR, "--hook", command, "--hook-per", "day")
    names = [line.rpartition("/")[2] for line in maap("search", *CLD, *HOUR).lines]
    archive.faults.add(target="data", status=404, match=names[0])
    archive.faults.add(target="data", status=503, match=names[1])
    assert maap(*words).code == 3
    # One file is gone for good and is not waited for; the other one is.
    assert ran() == []
    archive.faults.clear()
    archive.faults.add(target="data", status=404, match=names[0])
    assert maap(*words).code == 4
    assert ran() == [f"2025-12-01 {len(names) - 1}"]


def test_a_day_waits_for_a_file_that_is_refused(
    maap: Callable, home: Path, archive: Archive, hook: Callable, ran: Callable
) -> None:
    """The archive has it, and may give it another day."""
    words = ("sync", *CLD, *HOUR, "--hook", hook('say "$1" "$(grep -c /)"', "{day}"), "--hook-per", "day")
    names = [line.rpartition("/")[2] for line in maap("search", *CLD, *HOUR).lines]
    archive.faults.add(target="data", status=403, match=names[0])
    assert maap(*words).code == 4 and ran() == []
    archive.faults.clear()
    assert maap(*words).code == 0 and ran() == [f"2025-12-01 {len(names)}"]


@pytest.mark.fault("P14")
def test_a_kill_between_the_finish_and_the_hook_loses_nothing(
    maap: Callable, home: Path, start: Callable, hook: Callable, ran: Callable
) -> None:
    words = ("sync", *CLD, *HOUR, "--hook")
    process = start(*words, hook('say killed "$1"; kill -9 $PPID', "{path}"))
    assert process.wait() == -signal.SIGKILL
    (first,) = ran()
    assert maap(*words, hook('say "$1"', "{path}")).code == 0
    rest = ran()[1:]
    assert sorted(rest) == downloaded(home)  # that of the kill again, every one of the others once
    assert first.removeprefix("killed ") in rest


def test_once_for_each_complete_set(maap: Callable, home: Path, hook: Callable, ran: Callable) -> None:
    assert maap("config", "set", "sets.clouds", "CPR_CLD_2A,MSI_COP_2A").code == 0
    hour = ("-s", "2025-03-14T00:00", "-e", "2025-03-14T00:59")
    words = ("set", "sync", "clouds", "--hook", hook('say "$@"', "{set}", "{orbit}{frame}", "{paths}"))
    # Both in AB are here before a hook is given; the archive has BA and BB.
    for product in ("CPR_CLD_2A", "MSI_COP_2A"):
        assert maap("sync", L2, product, "AB", *hour, "--quiet").code == 0
    ended = maap(*words, *hour)
    assert ended.code == 0, ended.err
    lines = ran()
    assert len(lines) == len({line.split()[1] for line in lines}) > 3
    for line in lines:
        name, _, cld, cop = line.split()
        assert name == "clouds" and "_CPR_CLD_2A_" in cld and "_MSI_COP_2A_" in cop
        assert "ECA_EXBB_" in cld and "ECA_EXBA_" in cop  # never those that were here first
    assert maap(*words, *hour).code == 0 and ran() == lines
    # A set that is declared again with other baselines is another combination.
    assert maap("config", "set", "sets.clouds.baseline", "AB").code == 0
    assert maap(*words, *hour).code == 0
    assert len(ran()) == 2 * len(lines) and "ECA_EXAB_CPR_CLD_2A" in ran()[-1]


def test_a_set_is_owed_beyond_the_range_of_the_next_run(
    maap: Callable, home: Path, archive: Archive, hook: Callable, ran: Callable
) -> None:
    assert maap("config", "set", "sets.clouds", "CPR_CLD_2A,MSI_COP_2A").code == 0
    words = ("set", "sync", "clouds", "--hook")
    archive.faults.add(target="data", status=503, match="MSI_COP_2A")
    assert maap(*words, hook("say never"), *HOUR).code == 3 and ran() == []
    archive.faults.clear()
    failed = maap(*words, hook("exit 1"), "--date", "2025-12-03", "-n", "1")
    assert failed.code == 3 and "Hook failed: clouds 0857" in failed.err
    later = ("-s", "2025-12-05T00:00", "-e", "2025-12-05T00:05")
    assert maap(*words, hook("say {orbit}{frame}"), *later).code == 0
    assert len(ran()) == len(set(ran())) >= 6


def test_what_cannot_be_run_is_refused_before_anything_is_done(
    maap: Callable, asked: Callable[[str], int], home: Path
) -> None:
    for words in (
        ("--hook", "no-such-program-here"),
        ("--hook", "sh {orbit}", "--hook-per", "day"),
        ("--hook-per", "day"),
        ("--hook-timeout", "5"),
        ("--hook", "sh", "--hook-timeout", "0"),
    ):
        ended = maap("sync", *CLD, *HOUR, *words)
        assert ended.code == 4 and "Error: " in ended.err, words
    assert asked("search") == 0 and downloaded(home) == [] and owed(home) == []


def test_a_file_that_is_gone_is_not_owed_for_ever(
    maap: Callable, home: Path, hook: Callable, ran: Callable
) -> None:
    words = ("sync", *CLD, *HOUR, "--hook")
    assert maap(*words, hook("exit 1")).code == 3
    gone, *left = downloaded(home)
    Path(gone).unlink()
    ended = maap(*words, hook('say "$1"', "{path}"))
    assert ended.code == 0 and "is left out: 1 of its files is gone" in ended.err
    assert sorted(ran()) == left
    assert maap(*words, hook("say more")).code == 0 and sorted(ran()) == left
