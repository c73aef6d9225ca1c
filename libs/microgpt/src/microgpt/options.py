"""Options as the fields of a dataclass, set by several sources and joined into one object.

A field holds everything about an option: its default, its help, and the options that it excludes or
requires. An object records which of its options are set, and by which source.
"""

from collections.abc import Collection, Iterator, Mapping
from copy import copy
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Self, TypeVar

from microgpt.errors import ConfigError

AnyOptions = TypeVar("AnyOptions", bound="Options")
Config = TypeVar("Config")
KEY = "setting"  # of the metadata of a dataclass field


@dataclass(frozen=True)
class Setting:
    """The properties of an option besides its name, type and default.

    Lists of other options are separated by spaces; an entry can include a value: "text=stream".
    """

    help: str
    panel: str = ""  # section of the help; an option without one cannot be typed
    flags: tuple[str, ...] = ()  # by default, the name of the field
    short: bool = False  # also listed by --help, not by --help-all only
    metavar: str | None = None
    excludes: str = ""
    requires: str = ""  # one of them is enough
    allows: str = ""  # if not empty, only these and harmless options can be set, too
    harmless: bool = False  # does not change the result
    is_record: bool = False  # names a record with all options, so that none is required


def setting(default: object, help: str, *flags: str, **facts: Any) -> Any:
    """Return the dataclass field of an option; see `Setting` for the arguments."""
    return field(default=default, metadata={KEY: Setting(help, flags=flags, **facts)})


def borrowed(kind: "type[Options]", name: str, **changes: Any) -> Any:
    """Return a copy of another command's option, without its rules about other options.

    Args:
        changes: a different default, or different fields of the `Setting`.
    """
    rule = replace(kind.setting(name), excludes="", requires="", allows="")
    default = changes.pop("default", kind.__dataclass_fields__[name].default)
    return field(default=default, metadata={KEY: replace(rule, **changes)})


class Options:
    """Base class of frozen dataclasses whose fields are options, all made by `setting`."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    given: Mapping[str, str]  # who set each option that is set: "" for the caller, else a source

    def __new__(cls, **given: object) -> Self:
        """Create options; the given ones are set, and the others have their defaults."""
        options = super().__new__(cls)
        object.__setattr__(options, "given", dict.fromkeys(given, ""))
        return options

    def __contains__(self, name: str) -> bool:
        """Return whether an option is set."""
        return name in self.given

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the options that are set."""
        return iter(self.given)

    @classmethod
    def of(cls, facts: Mapping[str, object], who: str = "") -> Self:
        """Return options set by a source; values of None and unknown names are ignored."""
        known = facts.keys() & cls.__dataclass_fields__.keys()
        found = {name: facts[name] for name in facts if name in known and facts[name] is not None}
        return cls(**found).by(who)

    @classmethod
    def setting(cls, name: str) -> Setting:
        """Return the properties of an option."""
        found: Setting = cls.__dataclass_fields__[name].metadata[KEY]
        return found

    @classmethod
    def flag(cls, term: str) -> str:
        """Return an option as it is typed, such as --n-embd for n_embd, with its value if any."""
        name, _, value = term.partition("=")
        flags = cls.setting(name).flags or (f"--{name.replace('_', '-')}",)
        return f"{flags[0]} {value}".rstrip()

    def by(self, who: str) -> Self:
        """Return the same options with a new source."""
        return self._by(dict.fromkeys(self, who))

    def _by(self, given: Mapping[str, str]) -> Self:
        found = copy(self)
        object.__setattr__(found, "given", given)
        return found

    def values(self) -> dict[str, object]:
        """Return the values of the options that are set, by name."""
        return {name: getattr(self, name) for name in self}

    def only(self, *names: str) -> Self:
        """Return only the options with these names, if they are set."""
        return type(self)(**{name: getattr(self, name) for name in names if name in self})

    def without(self, name: str) -> Self:
        """Return the options except for one."""
        values, given = self.values(), {**self.given}
        del values[name], given[name]
        return type(self)(**values)._by(given)

    def over(self, base: Self) -> Self:
        """Return the options that are set here, completed by the options of `base`."""
        values = {name: getattr(each, name) for each in (base, self) for name in each}
        return type(self)(**values)._by({**base.given, **self.given})

    def applied_to(self, config: Config) -> Config:
        """Return a configuration with its fields replaced by the options that are set."""
        known = (each.name for each in fields(config))  # type: ignore[arg-type]
        found = {name: getattr(self, name) for name in known if name in self}
        return replace(config, **found)  # type: ignore[type-var]

    def holds(self, term: str) -> bool:
        """Return whether an option is set to the value in `term` or, without a value, is true."""
        name, _, value = term.partition("=")
        found = getattr(self, name)
        return name in self and (found == value if value else bool(found))

    def said(self, term: str) -> str:
        """Return an option as it is typed; with value and source if the caller did not set it."""
        name, _, value = term.partition("=")
        who, found = self.given.get(name), getattr(self, name)
        if not who:
            return self.flag(term)
        shown = "" if isinstance(found, bool) or value else f" {found}"
        return f"{self.flag(term)}{shown} ({who})"

    def check(self, latest: Collection[str] | None = None) -> None:
        """Raise ConfigError if an option excludes one that is set, or requires one that is not.

        Args:
            latest: options to check (default: all); those of a recipe may contradict one another.
        """
        latest = self.given if latest is None else latest
        self.check_conflicts(latest)
        if any(self.setting(name).is_record for name in self):
            return
        for name in filter(self.holds, latest):
            terms = self.setting(name).requires.split()
            if terms and not any(map(self.holds, terms)):
                flags = [*map(self.flag, terms)]
                add = flags[0] if len(flags) == 1 else "one of them"
                needed = f"{self.said(name)} requires {' or '.join(flags)}"
                raise ConfigError(f"{needed}; add {add} or omit {self.flag(name)}")

    def check_conflicts(self, latest: Collection[str]) -> None:
        """Raise ConfigError if one of the options excludes another, or is excluded by it."""
        for name in filter(self.holds, self):
            rule = self.setting(name)
            pairs = [(name, other) for other in rule.excludes.split() if self.holds(other)]
            if rule.allows:
                rest = (each for each in self if each not in (name, *rule.allows.split()))
                pairs += [(each, name) for each in rest if not self.setting(each).harmless]
            for one, other in pairs:
                if one in latest or other.partition("=")[0] in latest:
                    both = f"{self.said(one)} cannot be used with {self.said(other)}"
                    raise ConfigError(f"{both}; omit one of them")


def join(recipe: AnyOptions, options: AnyOptions) -> AnyOptions:
    """Return the options, completed by those of a recipe.

    Raises:
        ConfigError: an option contradicts another one; the message names the source of an option
            that the caller did not set.
    """
    joined = options.over(recipe)
    joined.check(options.given)
    return joined
