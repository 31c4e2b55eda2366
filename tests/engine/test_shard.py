"""Shards: every file is in exactly one part, with its granule; the scheduler of a job says which."""

from collections import Counter

import pytest

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Asset, Granule, parse_zulu
from maap_tui.engine.shard import Shard, read_shard

CLD = "https://a/ECA_EXBC_CPR_CLD_2A_20251201T{:02}{:02}26Z_20251201T180000Z_{:05}D"


def stems(count: int) -> list[str]:
    return [CLD.format(number // 60, number % 60, number) for number in range(count)]


def test_every_file_is_in_one_part_and_the_parts_are_about_equal() -> None:
    urls = [stem + ".h5" for stem in stems(1200)]
    parts = [Shard(index, 8) for index in range(1, 9)]
    owners = {url: [part for part in parts if url in part] for url in urls}
    assert all(len(found) == 1 for found in owners.values())
    counts = Counter(str(found[0]) for found in owners.values())
    assert len(counts) == 8 and min(counts.values()) > 100


def test_the_part_of_a_file_does_not_change_between_versions_of_the_program() -> None:
    assert [number for number, stem in enumerate(stems(12)) if f"{stem}.h5" in Shard(1, 3)] == [5, 7, 10, 11]


@pytest.mark.parametrize(
    "stem",
    [
        CLD.format(1, 2, 8574),
        "https://b/bio/S1_SCS__1S_20251212T061245_20251212T061306_T_G03_M03_C03_T014_F192_01_DFYCJ0",
        "https://other.example/data/unknown_granule_7",
    ],
)
def test_files_of_a_granule_stay_together_wherever_they_are(stem: str) -> None:
    names = [f"{stem}.h5", f"{stem}.HDR", stem.rpartition("/")[2] + ".zip", f"{stem}.h5?token=x/y"]
    names += [f"{stem}.BID_1.jpeg", f"{stem}?httpAccept=application/gml"]
    for count in (2, 3, 16):
        assert (
            len({tuple(name in Shard(index, count) for index in range(1, count + 1)) for name in names}) == 1
        )


def test_versions_of_a_granule_stay_together() -> None:
    early = "https://a/ECA_EXBC_AUX_MET_1D_20251201T000126Z_20251201T050000Z_08574D.h5"
    late = early.replace("T050000Z", "T230000Z")
    for index in range(1, 17):
        assert (early in Shard(index, 16)) == (late in Shard(index, 16))


def test_a_granule_goes_where_its_files_go() -> None:
    url = CLD.format(1, 2, 8574) + ".h5"
    granule = Granule(
        "x",
        "C",
        "EarthCARE",
        "CPR_CLD_2A",
        "BC",
        parse_zulu("2025-12-01T01:02:26Z"),
        assets=(
            Asset("quicklook", "https://a/public/quicklook.jpeg", "quicklook.jpeg", ""),
            Asset("product", url, "x.h5", "h5"),
        ),
    )
    for index in range(1, 6):
        assert Shard(index, 5).has(granule) == (url in Shard(index, 5))


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("2/16", {}, (2, 16)),
        (" 1/1 ", {}, (1, 1)),
        ("slurm", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "15"},
         (1, 16)),
        ("Slurm", {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "11",
                   "SLURM_ARRAY_TASK_STEP": "4", "SLURM_ARRAY_TASK_COUNT": "3"}, (2, 3)),
        ("k8s/8", {"JOB_COMPLETION_INDEX": "0"}, (1, 8)),
    ],
)  # fmt: skip
def test_reads_a_part(text: str, environ: dict[str, str], expected: tuple[int, int]) -> None:
    shard = read_shard(text, environ)
    assert (shard.index, shard.count) == expected
    assert read_shard(str(shard), {}) == shard


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        ("0/4", {}, "no part 0 of 4"),
        ("5/4", {}, "no part 5 of 4"),
        ("1/200000", {}, "There cannot be 200000 parts"),
        ("half", {}, "names no part"),
        ("slurm", {}, "SLURM_ARRAY_TASK_ID, which is not set"),
        ("slurm", {"SLURM_ARRAY_TASK_ID": "x"}, "is 'x', not a number"),
        ("slurm", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "9",
                   "SLURM_ARRAY_TASK_COUNT": "3"}, "not evenly spaced"),
        ("k8s", {"JOB_COMPLETION_INDEX": "1"}, "does not say of how many"),
        ("k8s/4", {}, "JOB_COMPLETION_INDEX, which is not set"),
        ("k8s/4", {"JOB_COMPLETION_INDEX": "4"}, "no part 5 of 4"),
    ],
)  # fmt: skip
def test_refuses_what_is_no_part(text: str, environ: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_shard(text, environ)
    assert words in caught.value.message and caught.value.hint
