"""The public names of a library and their parameters, as data; runs in the library's own interpreter."""

import importlib
import inspect
import json
import sys

MODULES = ("", "config", "constants", "exceptions", "paths", "tracker", "types", "utils")
"""Modules that scripts import from; '' is the top level."""

OWN = ("constants", "exceptions", "paths")
"""Those of them whose constants are their own."""


def parameters(function):
    """[name, whether it has to be given] of each, without self; * and ** are left out."""
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [
        [one.name, one.default is one.empty] for one in found if one.name != "self" and one.kind not in kinds
    ]


def members(owner):
    """Public methods and properties of a class by name; a property has no parameters."""
    found = {}
    for name, value in inspect.getmembers(owner):
        if name.startswith("_"):
            continue
        if inspect.isfunction(value) or inspect.ismethod(value):
            found[name] = parameters(value)
        elif isinstance(value, property) or inspect.isdatadescriptor(value):
            found[name] = "property"
    return found


def describe(value):
    if inspect.isclass(value):
        made = issubclass(value, BaseException) and value.__init__ is Exception.__init__
        return {"init": None if made else parameters(value), "members": members(value)}
    return parameters(value) if callable(value) else type(value).__name__


def surface(library, more):
    """What there is at `module:name`, for every public name of the modules and for further classes."""
    table = {}
    for name in MODULES:
        module = importlib.import_module(f"{library}.{name}" if name else library)
        names = getattr(module, "__all__", None) or [
            one
            for one, value in vars(module).items()
            if not one.startswith("_")
            and (getattr(value, "__module__", None) == module.__name__ or (one.isupper() and name in OWN))
        ]
        names = [*names, *(["__version__"] if name == "constants" else [])]
        table.update({f"{name}:{one}": describe(getattr(module, one)) for one in names})
    for place in more:
        module, _, name = place.partition(":")
        table[place] = describe(getattr(importlib.import_module(f"{library}.{module}"), name))
    return table


if __name__ == "__main__":
    rows = surface(sys.argv[1], sys.argv[2:]).items()
    print(
        "{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(rows)) + "\n}"
    )
