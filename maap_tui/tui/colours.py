"""The two themes of the app's own; every colour is named here, the rules of style use the names alone."""

from __future__ import annotations

from collections.abc import Mapping

from textual.theme import Theme

DARK = Theme(
    name="maap-dark",
    dark=True,
    background="#0e141b",
    surface="#151d27",
    panel="#1e2935",
    foreground="#d5dde6",
    primary="#56c8d8",
    secondary="#82aaff",
    accent="#ffd166",
    success="#7ed491",
    warning="#f4a261",
    error="#ff7b86",
    variables={
        "text-muted": "#8b9bad",
        "primary-muted": "#1a3a4d",
        "border-blurred": "#2c3a49",
        "scrollbar": "#33465a",
        "scrollbar-hover": "#46607b",
        "scrollbar-active": "#56c8d8",
        "scrollbar-background": "#121a23",
        "scrollbar-background-hover": "#121a23",
        "scrollbar-background-active": "#121a23",
        "scrollbar-corner-color": "#121a23",
        "block-cursor-background": "#1a3a4d",
        "block-cursor-foreground": "#ffffff",
    },
)
LIGHT = Theme(
    name="maap-light",
    dark=False,
    background="#fafbfc",
    surface="#f1f4f7",
    panel="#e0e7ed",
    foreground="#1c2630",
    primary="#0b6b7d",
    secondary="#3557b8",
    accent="#8a4b00",
    success="#1b7336",
    warning="#a04a06",
    error="#b81d36",
    variables={
        "text-muted": "#566371",
        "primary-muted": "#c3e6ec",
        "border-blurred": "#c3ced8",
        "scrollbar": "#b3c1cd",
        "scrollbar-hover": "#94a7b7",
        "scrollbar-active": "#0b6b7d",
        "scrollbar-background": "#edf1f4",
        "scrollbar-background-hover": "#edf1f4",
        "scrollbar-background-active": "#edf1f4",
        "scrollbar-corner-color": "#edf1f4",
        "block-cursor-background": "#c3e6ec",
        "block-cursor-foreground": "#000000",
    },
)


def own_theme(environ: Mapping[str, str]) -> str:
    """The name of the theme that fits the terminal's background, where COLORFGBG says it; dark otherwise.

    It holds the numbers of foreground and background, as rxvt began it: "15;0", or "0;default;15".
    """
    ground = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if ground in ("7", "15") else DARK.name
