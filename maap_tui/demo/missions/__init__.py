"""What the archive holds, one file a mission; another mission is another file and one more name here."""

from __future__ import annotations

from maap_tui.demo.missions.aeolus import Aeolus
from maap_tui.demo.missions.base import Mission
from maap_tui.demo.missions.biomass import Biomass
from maap_tui.demo.missions.cryosat import CryoSat
from maap_tui.demo.missions.earthcare import EarthCare
from maap_tui.demo.missions.flex import Flex

MISSIONS: tuple[Mission, ...] = (EarthCare(), Aeolus(), Biomass(), CryoSat(), Flex())
"""In the order that their collections are listed."""
