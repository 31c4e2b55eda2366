"""How a setting is declared: a descriptor in a section, with its variable, type, default, range and help."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Generic, Literal, Self, cast, overload

from maap_tui.engine.config.toml_file import shown
from maap_tui.engine.config.types import NUMBER, WHOLE, Kind, T
from maap_tui.engine.errors import SettingsError

Applies = Literal["now", "next run", "next start"]
"""When a setting that is changed takes effect: at once, also in what runs; with the next search, sync or
queued file; or when the app is started again."""


class Setting(Generic[T]):
    """One setting; read through its section it gives the value, read through the class it gives itself."""

    name: str
    """Last part of the key, such as `parallel`."""
    key: str
    """Section and name, such as `downloads.parallel`."""

    def __init__(
        self,
        variable: str,
        kind: Kind[T],
        default: T,
        help: str,
        *,
        unset: str = "",
        flag: str = "",
        unit: str = "",
        minimum: float | None = None,
        maximum: float | None = None,
        choices: tuple[T, ...] = (),
        applies: Applies = "next start",
    ) -> None:
        """Declare a setting.

        Args:
            variable: Environment variable.
            kind: How it is read and written.
            default: The value when nothing sets it.
            help: One sentence, also what None, 0 or empty means.
            unset: Words for the default in tables where its text says nothing.
            flag: Global option of the command line that sets it; empty for none.
            unit: Unit of a number; empty for a count.
            minimum: Smallest number allowed; None for no bound.
            maximum: Largest number allowed; None for no bound.
            choices: The only values allowed; empty for any.
            applies: When a change made while the app runs takes effect.
        """
        self.variable = variable
        self.kind = kind
        self.default = default
        self.help = help
        self.unset = unset
        self.flag = flag
        self.unit = unit
        self.minimum = minimum
        self.maximum = maximum
        self.choices = choices
        self.applies = applies

    def __set_name__(self, owner: type[Section], name: str) -> None:
        self.name = name
        self.key = f"{owner.section}.{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: Section, owner: type) -> T: ...
    def __get__(self, instance: Section | None, owner: type) -> Setting[T] | T:
        return self if instance is None else cast(T, instance._values[self.name])

    def __set__(self, instance: Section, value: T) -> None:
        raise AttributeError(
            f"settings are read only; {self.key} is set by flag, {self.variable} or the file"
        )

    @property
    def default_text(self) -> str:
        """The default as a user would type it, or words for it."""
        return self.unset or self.kind.to_text(self.default)

    @property
    def expected(self) -> str:
        """What a right value is, bounds and choices included, for `must be ...`."""
        if self.choices:
            return "one of " + ", ".join(self.kind.to_text(choice) for choice in self.choices)
        if self.kind not in (WHOLE, NUMBER):
            return self.kind.expected
        unit = f" of {self.unit}" if self.unit else ""
        if self.minimum is not None and self.maximum is not None:
            return f"{self.kind.expected}{unit} from {self.minimum:g} to {self.maximum:g}"
        if self.minimum is not None:
            return f"{self.kind.expected}{unit}, {self.minimum:g} or more"
        return self.kind.expected + unit

    @property
    def highest(self) -> float:
        """The largest number allowed; infinity for no bound."""
        return math.inf if self.maximum is None else self.maximum

    def clamp(self, value: float) -> float:
        """The number nearest to `value` that is allowed."""
        return min(self.highest, value if self.minimum is None else max(self.minimum, value))

    def read(self, value: object, environ: Mapping[str, str], where: str = "", *, typed: bool = False) -> T:
        """Turn a value into its type.

        Args:
            value: What the source holds.
            environ: For `~` and `$NAME` in paths.
            where: The source, as the error names it; empty when the key is enough.
            typed: Whether text must be read as a user types it, where TOML would have a type of its own.

        Raises:
            SettingsError: The value is of another type or out of bounds.
        """
        reason = ""
        try:
            if typed and isinstance(value, str):
                result = self.kind.from_text(value, environ)
            else:
                result = self.kind.from_value(value, environ)
            if self._allows(result):
                return result
        except (ValueError, OverflowError) as error:
            reason = str(error) if str(error).endswith("is not set") else ""
        got = reason or shown(value)
        raise SettingsError(
            f"{where}{': ' if where else ''}{self.key} must be {self.expected}, got {got}",
            hint=f"{self.help} Default: {self.default_text}.",
        )

    def _allows(self, value: T) -> bool:
        if self.choices:
            return value in self.choices
        if isinstance(value, int | float):
            return not (
                (self.minimum is not None and value < self.minimum)
                or (self.maximum is not None and value > self.maximum)
            )
        return True


class Section:
    """The values of one table of the file, read only."""

    section: ClassVar[str]
    """Name of the table."""
    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = dict(values)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._values == self._values

    __hash__ = None  # type: ignore[assignment]

    def having(self, name: str, value: object) -> Self:
        """The same values but for one."""
        return type(self)({**self._values, name: value})

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._values.items())})"
        )
