"""The front door."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import memp
from memp import errors


def test_all_is_complete_and_loads():
    assert sorted(memp.__all__) == memp.__all__ == dir(memp)
    for name in memp.__all__:
        assert getattr(memp, name) is not None
    assert set(memp._HOMES) | {"__version__"} == set(memp.__all__)


def test_type_checkers_see_what_runs():
    """The names under TYPE_CHECKING are those that are loaded on first use, from the same modules."""
    tree = ast.parse(Path(memp.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in block.body for alias in node.names}
    assert told == memp._HOMES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Memory'"):
        memp.Memory  # noqa: B018


def test_every_error_is_in_the_tree_of_the_docstring():
    drawn = set(re.findall(r"── (\w+)", errors.__doc__)) | {"MempError"}
    defined = {
        name for name, thing in vars(errors).items() if inspect.isclass(thing) and issubclass(thing, errors.MempError)
    }
    assert drawn == defined


def test_every_public_thing_says_what_it_is():
    for name in memp.__all__:
        thing = getattr(memp, name)
        if not inspect.isclass(thing):
            continue
        assert inspect.getdoc(thing), name
        for attribute, member in inspect.getmembers(thing):
            if not attribute.startswith("_") and getattr(member, "__module__", "").startswith("memp"):
                assert inspect.getdoc(member), f"{name}.{attribute}"


def test_the_two_faces_offer_the_same():
    def offered(cls):
        return {name for name, member in inspect.getmembers(cls) if not name.startswith("_") and callable(member)}

    assert offered(memp.AsyncProceduralMemory) <= offered(memp.ProceduralMemory)


def test_the_sync_face_shows_the_arguments_of_the_async_one():
    for name in ("__init__", "retrieve", "record"):
        asynchronous = getattr(memp.AsyncProceduralMemory, name)
        assert inspect.signature(getattr(memp.ProceduralMemory, name)) == inspect.signature(asynchronous)
    assert "task" in inspect.getdoc(memp.ProceduralMemory.retrieve)
