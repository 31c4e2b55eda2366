"""What a command of the user's gets to know of a granule that was found."""

from __future__ import annotations

from maap_tui.engine.user_commands import values_of_file
from maap_tui.engine.workflows.filing import Filing
from maap_tui.tui.screens.search.results import Result


def values_of(filing: Filing, result: Result) -> dict[str, str]:
    """The values of a granule; its file is the first of those wanted that is here."""
    granule = result.granule
    requests = filing.requests_of(granule, result.files, refuse=lambda asset, error: None)
    found = [values_of_file(str(one.place), one.url, granule.collection) for one in requests]
    values = next((one for one in found if "file" in one), found[0] if found else {})
    return {
        **values,
        "id": granule.id,
        "collection": granule.collection,
        "product": granule.product_type,
        "baseline": granule.baseline or "",
        "day": f"{granule.day}",
        "orbit": f"{granule.orbit:05d}" if granule.orbit is not None else "",
        "frame": granule.frame or "",
    }
