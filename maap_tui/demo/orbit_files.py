"""Orbit files in the form of ESA's: the states at the ascending nodes, and the orbit that is planned.

The states are those of a circular orbit through the nodes of the demo's ground tracks. The tracks themselves
follow no force: between two nodes an orbit that does leaves them by some kilometres.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from maap_tui.demo.missions.base import Granule, iso
from maap_tui.demo.orbit import DAY, EarthcareFrames

GRAVITY = 3.986004418e14
ROTATION = 7.292115e-5
FLATTENING_OF_FIELD = 1.0826357e-3
RADIUS = 6_378_136.3
TAI_MINUS_UTC = 37

_NAMESPACE = 'xmlns="http://eop-cfi.esa.int/CFI" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def predicted(granule: Granule, generation: int, size: int) -> bytes:
    """The states at each ascending node within the validity of a predicted orbit, padded with blanks."""
    frames = EarthcareFrames()
    to_node = frames.offsets[1] / 2
    orbit = math.ceil((granule.start - frames.epoch - to_node) / frames.period)
    states = []
    while (moment := frames.epoch + to_node + orbit * frames.period) < granule.end:
        states.append(_state(frames, orbit, moment))
        orbit += 1
    body = f'<List_of_OSVs count="{len(states)}">\n{"".join(states)}</List_of_OSVs>\n'
    head = "<Ref_Frame>EARTH_FIXED</Ref_Frame><Time_Reference>UTC</Time_Reference>"
    return _file(granule, "Predicted Orbit File", head, body, generation, size)


def scenario(granule: Granule, generation: int, size: int) -> bytes:
    """The orbit that is planned: one change, at the first node of the mission, padded with blanks."""
    frames = EarthcareFrames()
    orbit = math.ceil((granule.start - frames.epoch) / frames.period)
    moment = frames.epoch + frames.offsets[1] / 2 + orbit * frames.period
    body = (
        '<List_of_Orbit_Changes count="1">\n<Orbit_Change>\n'
        f"<Orbit><Absolute_Orbit>{orbit}</Absolute_Orbit><Relative_Orbit>1</Relative_Orbit>"
        "<Cycle_Number>1</Cycle_Number><Phase_Number>1</Phase_Number></Orbit>\n"
        f'<Cycle><Repeat_Cycle unit="day">{frames.days}</Repeat_Cycle>'
        f'<Cycle_Length unit="orbit">{frames.orbits}</Cycle_Length>'
        f'<ANX_Longitude unit="deg">{_node_longitude(frames, moment) % 360:.6f}</ANX_Longitude>'
        "<MLST>02:00:00.000000</MLST>"
        '<MLST_Drift unit="s/day">0.000000</MLST_Drift></Cycle>\n'
        f"<Time_of_ANX>{_times(moment)}</Time_of_ANX>\n</Orbit_Change>\n</List_of_Orbit_Changes>\n"
    )
    head = "<Time_Reference>UT1</Time_Reference>"
    return _file(granule, "Reference Orbit Scenario File", head, body, generation, size)


def _state(frames: EarthcareFrames, orbit: int, moment: float) -> str:
    angle = math.radians(_node_longitude(frames, moment))
    tilt = math.radians(frames.inclination)
    # The node comes again sooner than the satellite is as far from its perigee, by the bulge of the Earth.
    axis = (GRAVITY * (frames.period / math.tau) ** 2) ** (1 / 3)
    factor = 1.5 * FLATTENING_OF_FIELD * (RADIUS / axis) ** 2
    axis *= 1 + factor * (4 * math.cos(tilt) ** 2 - 1) * 2 / 3
    speed = math.sqrt(GRAVITY / axis * (1 + factor))
    east, north = speed * math.cos(tilt) - ROTATION * axis, speed * math.sin(tilt)
    values = {
        "X": axis * math.cos(angle),
        "Y": axis * math.sin(angle),
        "Z": 0.0,
        "VX": -east * math.sin(angle),
        "VY": east * math.cos(angle),
        "VZ": north,
    }
    lines = [
        f'<{name} unit="{"m/s" if name[0] == "V" else "m"}">'
        f"{f'{value:+012.6f}' if name[0] == 'V' else f'{value:+012.3f}'}</{name}>\n"
        for name, value in values.items()
    ]
    return (
        f"<OSV>\n{_times(moment)}<Absolute_Orbit>{orbit:+06d}</Absolute_Orbit>\n{''.join(lines)}"
        "<Quality>0000000000000</Quality>\n</OSV>\n"
    )


def _node_longitude(frames: EarthcareFrames, moment: float) -> float:
    return (frames.node_hour - moment % DAY / 3600) * 15


def _times(moment: float) -> str:
    utc = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
    tai = utc + timedelta(seconds=TAI_MINUS_UTC)
    form = "%Y-%m-%dT%H:%M:%S.%f"
    return (
        f"<TAI>TAI={tai.strftime(form)}</TAI>\n<UTC>UTC={utc.strftime(form)}</UTC>\n"
        f"<UT1>UT1={utc.strftime(form)}</UT1>\n"
    )


def _file(granule: Granule, words: str, head: str, body: str, generation: int, size: int) -> bytes:
    end = "9999-99-99T99:99:99" if granule.end > 1e11 else iso(granule.end)[:19]
    text = (
        f'<?xml version="1.0"?>\n<Earth_Explorer_File {_NAMESPACE} schemaVersion="2.4">\n'
        f"<Earth_Explorer_Header>\n<Fixed_Header>\n<File_Name>{granule.id}</File_Name>\n"
        f"<File_Description>{words}</File_Description>\n<Notes/>\n<Mission>EarthCARE</Mission>\n"
        f"<File_Class>OPER</File_Class>\n<File_Type>{granule.series.product}</File_Type>\n"
        f"<Validity_Period><Validity_Start>UTC={iso(granule.start)[:19]}</Validity_Start>"
        f"<Validity_Stop>UTC={end}</Validity_Stop></Validity_Period>\n"
        f"<File_Version>{generation + 1:04d}</File_Version>\n</Fixed_Header>\n"
        f"<Variable_Header>{head}</Variable_Header>\n"
        f'</Earth_Explorer_Header>\n<Data_Block type="xml">\n{body}</Data_Block>\n</Earth_Explorer_File>\n'
    )
    return text.encode().ljust(size, b"\n")
