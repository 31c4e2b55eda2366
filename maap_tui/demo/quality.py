"""The sheets of gaps and disclaimers that the archive serves: rows of our own, none of the real mission."""

from __future__ import annotations

DISCLAIMERS = """\
id;start;stop;first_frame;last_frame;products;baseline;text;link
DEMO-1;2025-12-01T00:13:14Z;2025-12-01T00:47:42Z;08574E;08574G;CPR_CLD_2A;BC;"Pointing was off:
liquid water paths are too low";https://earth.esa.int/
DEMO-2;;;08590A;08590H;C-CLD, C-TC;all;Calibration manoeuvre;
DEMO-3;2026-01-10T00:00:00Z;2026-01-11T12:00:00Z;;;MSI_*;BC;Stray light in the visible channels;
"""

GAPS = """\
start,stop,products,baseline,text
2025-12-02T03:00:00Z,2025-12-02T03:04:10Z,CPR_CLD_2A,all,Instrument in standby
2024-05-28,2024-06-11,"CPR_CLD_2A, CPR_CD__2A",all,"Commissioning: not in operation, no data"
"""

SHEETS = {"/quality/disclaimers.csv": DISCLAIMERS, "/quality/gaps.csv": GAPS}
"""Path -> text."""
