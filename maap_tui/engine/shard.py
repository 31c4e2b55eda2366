"""Shard: one of several stable parts of all granules, for jobs that share the work of one command."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.missions import MISSIONS, parse_name
from maap_tui.engine.model import Granule

MAX_SHARDS = 100_000
_HINT = "Give I/N with I from 1 to N, such as 2/16, or slurm, or k8s/N."


@dataclass(frozen=True, slots=True)
class Shard:
    """The granules of one job among `count`; `index` counts from 1.

    Every URL is in exactly one of the parts, whoever asks and whenever: all files of a granule, and all of
    its versions, are in the same one. The parts are about equal in granules, not in bytes.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count > MAX_SHARDS:
            raise InvalidRequestError(
                f"There cannot be {self.count} parts",
                f"Give at most {MAX_SHARDS}, or make a plan and split it.",
            )
        if not 1 <= self.index <= self.count:
            raise InvalidRequestError(f"There is no part {self.index} of {self.count}", _HINT)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def __contains__(self, url: object) -> bool:
        """Whether a file belongs to it, known by its URL, name or path."""
        if self.count == 1:
            return True
        digest = hashlib.blake2b(_identity_of(str(url)).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.index - 1

    def has(self, granule: Granule) -> bool:
        """Whether a granule belongs to it, with all of its files."""
        # By a file of the product, as a registry knows it: previews may have names of their own.
        return next((asset.href for asset in granule.assets if asset.format), granule.id) in self


def _identity_of(url: str) -> str:
    """What the files and the versions of a granule have in common."""
    last = url.split("?", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    stem = last.split(".", 1)[0]
    name = parse_name(url) or parse_name(stem)
    if name is None:
        return stem
    what, _ = MISSIONS[name.mission].version_of(name)
    return "|".join(map(str, what))


def read_shard(text: str, environ: Mapping[str, str]) -> Shard:
    """The part that a word means.

    Args:
        text: `I/N`; `slurm` takes the task of a job array, `k8s/N` the index of an indexed Job of N
            completions.
        environ: the variables that Slurm and Kubernetes set.

    Raises:
        InvalidRequestError: when it means none, or its variables are not set.
    """
    word = text.strip().lower()
    if found := re.fullmatch(r"(\d{1,9})/(\d{1,9})", word):
        return Shard(int(found[1]), int(found[2]))
    if word == "slurm":
        names = [f"SLURM_ARRAY_TASK_{end}" for end in ("ID", "MIN", "MAX")]
        task, first, last = (_number(environ, name, text) for name in names)
        step = 1
        if environ.get("SLURM_ARRAY_TASK_STEP"):
            step = max(1, _number(environ, "SLURM_ARRAY_TASK_STEP", text))
        index, count = (task - first) // step + 1, (last - first) // step + 1
        tasks = environ.get("SLURM_ARRAY_TASK_COUNT", "")
        if (tasks.isdecimal() and int(tasks) != count) or (task - first) % step:
            raise InvalidRequestError(
                f"The tasks of this job array ({first} to {last}) are not evenly spaced, so --shard slurm "
                "does not know their parts",
                "Submit the array as --array=1-N, or give --shard I/N.",
            )
        return Shard(index, count)
    if found := re.fullmatch(r"k8s(?:/(\d{1,9}))?", word):
        index = _number(environ, "JOB_COMPLETION_INDEX", text) + 1
        if not found[1]:
            raise InvalidRequestError(
                "--shard k8s does not say of how many: Kubernetes sets JOB_COMPLETION_INDEX only",
                "Give the completions of the Job as well: --shard k8s/N.",
            )
        return Shard(index, int(found[1]))
    raise InvalidRequestError(f"--shard {text[:40]!r} names no part", _HINT)


def _number(environ: Mapping[str, str], name: str, word: str) -> int:
    text = environ.get(name, "")
    if not re.fullmatch(r"\d{1,9}", text):
        seen = f"is {text[:40]!r}, not a number" if text else "is not set"
        raise InvalidRequestError(
            f"--shard {word} needs {name}, which {seen}", "Outside of such a job give --shard I/N."
        )
    return int(text)
