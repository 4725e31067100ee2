"""What the generated houses are made of: kinds of receptacles and objects, rooms, and where things are kept.

Kinds carry ALFRED's names (`CounterTop`, `SoapBar`); the engine shows them in lower case with a number
(`countertop 1`). The weights are ours, in the spirit of AI2-THOR's rooms: an object has one to three usual
places and a few rare ones, and they are the same in every house and split, so that what was learned in one house
helps in the next.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

Room = Literal["kitchen", "bedroom", "bathroom", "livingroom"]

LAMP = "DeskLamp"
"""The only light that can be switched on, as in ALFWorld's games."""

OPENABLE = frozenset({"Cabinet", "Drawer", "Fridge", "Microwave", "Safe"})
"""Receptacles that are closed at the start and hide what is in them."""

ROOMS: Mapping[Room, Mapping[str, tuple[int, int]]] = {
    "kitchen": {
        "CounterTop": (1, 2),
        "Cabinet": (4, 6),
        "Drawer": (3, 4),
        "DiningTable": (0, 1),
        "SideTable": (0, 1),
        "Shelf": (0, 1),
        "StoveBurner": (1, 2),
        "Fridge": (1, 1),
        "Microwave": (1, 1),
        "SinkBasin": (1, 1),
        "CoffeeMachine": (1, 1),
        "GarbageCan": (1, 1),
    },
    "bedroom": {
        "Bed": (1, 1),
        "Desk": (1, 2),
        "Dresser": (0, 1),
        "Drawer": (5, 8),
        "SideTable": (1, 2),
        "Shelf": (2, 4),
        "ArmChair": (0, 1),
        "Safe": (0, 1),
        "GarbageCan": (1, 1),
    },
    "bathroom": {
        "CounterTop": (1, 1),
        "Cabinet": (4, 6),
        "Drawer": (2, 4),
        "SinkBasin": (1, 2),
        "Toilet": (1, 1),
        "BathtubBasin": (0, 1),
        "Shelf": (0, 2),
        "Cart": (0, 1),
        "HandTowelHolder": (1, 2),
        "ToiletPaperHanger": (1, 1),
        "GarbageCan": (1, 1),
    },
    "livingroom": {
        "Sofa": (1, 1),
        "ArmChair": (1, 2),
        "CoffeeTable": (1, 1),
        "SideTable": (1, 2),
        "DiningTable": (0, 1),
        "Dresser": (0, 1),
        "Drawer": (4, 6),
        "Cabinet": (1, 3),
        "Shelf": (2, 4),
        "Ottoman": (0, 1),
        "GarbageCan": (1, 1),
    },
}
"""Receptacles of a room: the least and the most of each kind."""


class Kind(NamedTuple):
    """One kind of object."""

    rooms: str
    """Initials of the rooms it occurs in: (k)itchen, (b)edroom, bath (t), (l)iving room."""
    kept: Mapping[str, int]
    """Receptacle kind -> weight of finding it there at the start."""
    fits: str = ""
    """Further receptacle kinds it may be put into, but is not kept in."""
    can: str = ""
    """What may be done with it: h(eat), c(ool), w(ash), s(lice); o = things may lie in it."""
    most: int = 2
    """Most instances of it in one house."""


def _kept(text: str) -> dict[str, int]:
    """`"Fridge 4, CounterTop 3"` as a mapping."""
    pairs = (part.split() for part in text.split(","))
    return {name: int(weight) for name, weight in pairs}


OBJECTS: Mapping[str, Kind] = {
    # food
    "Apple": Kind(
        "k", _kept("Fridge 5, CounterTop 2, DiningTable 2, SinkBasin 1"), "Microwave GarbageCan SideTable", "hcws"
    ),
    "Tomato": Kind(
        "k", _kept("Fridge 5, CounterTop 3, SinkBasin 1"), "Microwave GarbageCan DiningTable SideTable", "hcws"
    ),
    "Potato": Kind(
        "k", _kept("Fridge 3, SinkBasin 3, GarbageCan 1"), "Microwave CounterTop DiningTable SideTable", "hcws"
    ),
    "Lettuce": Kind("k", _kept("Fridge 5, CounterTop 2, DiningTable 1"), "SinkBasin GarbageCan SideTable", "cws"),
    "Egg": Kind(
        "k", _kept("Fridge 5, SinkBasin 1, GarbageCan 1"), "Microwave CounterTop DiningTable SideTable", "hcws"
    ),
    "Bread": Kind("k", _kept("CounterTop 4, DiningTable 2, Fridge 1"), "Microwave GarbageCan SideTable", "hcs", 1),
    # crockery and cutlery
    "Mug": Kind(
        "kb",
        _kept("CoffeeMachine 3, Cabinet 4, Desk 4, Shelf 1, SinkBasin 1"),
        "Microwave Fridge CounterTop DiningTable SideTable Dresser",
        "hcwo",
    ),
    "Cup": Kind(
        "k", _kept("Cabinet 5, Microwave 1, SinkBasin 1"), "Fridge CounterTop DiningTable SideTable Shelf", "hcwo"
    ),
    "Plate": Kind(
        "k", _kept("Cabinet 5, DiningTable 1, Shelf 1"), "Microwave Fridge CounterTop SideTable SinkBasin", "hcwo"
    ),
    "Bowl": Kind(
        "kb",
        _kept("Cabinet 5, Shelf 2, Fridge 1, Desk 1"),
        "Microwave CounterTop DiningTable SideTable SinkBasin Dresser",
        "cwo",
    ),
    "Fork": Kind("k", _kept("Drawer 5, SinkBasin 1"), "CounterTop DiningTable SideTable", "w"),
    "Spoon": Kind("k", _kept("Drawer 5, SinkBasin 1, DiningTable 1"), "CounterTop SideTable", "w"),
    "Knife": Kind("k", _kept("Drawer 4, CounterTop 2"), "DiningTable SideTable SinkBasin", "w"),
    "ButterKnife": Kind("k", _kept("Drawer 4, CounterTop 1, DiningTable 1"), "SideTable SinkBasin", "w"),
    "Spatula": Kind("k", _kept("Drawer 4, CounterTop 2"), "DiningTable SideTable SinkBasin", "w"),
    "Ladle": Kind("k", _kept("Drawer 2, Cabinet 3"), "CounterTop DiningTable SinkBasin", "w"),
    "Pan": Kind("k", _kept("StoveBurner 4, Cabinet 2"), "Fridge CounterTop DiningTable SinkBasin", "cwo"),
    "Pot": Kind("k", _kept("StoveBurner 4, Cabinet 1"), "Fridge CounterTop DiningTable SinkBasin Shelf", "cwo"),
    "Kettle": Kind("k", _kept("StoveBurner 2, Cabinet 3"), "CounterTop DiningTable Shelf SinkBasin", "w", 1),
    "SaltShaker": Kind("k", _kept("Cabinet 4, Drawer 2, DiningTable 1"), "CounterTop SideTable Shelf"),
    "PepperShaker": Kind("k", _kept("Cabinet 4, Drawer 2, CounterTop 1"), "DiningTable SideTable Shelf"),
    "WineBottle": Kind("k", _kept("Cabinet 3, Fridge 2, GarbageCan 1"), "CounterTop DiningTable SideTable Shelf", "c"),
    # washing
    "DishSponge": Kind(
        "kt", _kept("SinkBasin 3, Cabinet 2, Drawer 1, Cart 1"), "CounterTop GarbageCan Toilet BathtubBasin Shelf", "w"
    ),
    "SoapBottle": Kind("kt", _kept("Cabinet 4, Toilet 2, GarbageCan 1"), "CounterTop Drawer Shelf Cart"),
    "SoapBar": Kind(
        "t", _kept("SinkBasin 2, BathtubBasin 3, Cabinet 2, Drawer 1"), "CounterTop Toilet GarbageCan Shelf Cart", "w"
    ),
    "Cloth": Kind(
        "t", _kept("BathtubBasin 2, Cabinet 3, Drawer 2"), "CounterTop Toilet SinkBasin Shelf Cart GarbageCan", "w"
    ),
    "HandTowel": Kind(
        "t", _kept("HandTowelHolder 8, Cabinet 1"), "CounterTop Toilet SinkBasin Shelf Cart BathtubBasin"
    ),
    "ToiletPaper": Kind(
        "t", _kept("Cabinet 3, Toilet 2, Drawer 1, GarbageCan 1"), "ToiletPaperHanger CounterTop Shelf Cart"
    ),
    "SprayBottle": Kind("t", _kept("Cabinet 4, Toilet 1, Shelf 1"), "CounterTop Drawer GarbageCan Cart"),
    "Candle": Kind("t", _kept("Toilet 2, Drawer 2, Cabinet 2"), "CounterTop Shelf Cart"),
    # bedroom and living room
    "AlarmClock": Kind("b", _kept("Desk 2, SideTable 3, Dresser 1"), "Shelf"),
    "Book": Kind(
        "bl", _kept("Bed 3, Shelf 2, Desk 1, Drawer 1, CoffeeTable 1"), "SideTable Dresser DiningTable Sofa ArmChair"
    ),
    "CD": Kind("b", _kept("Drawer 4, Shelf 1, GarbageCan 1"), "Desk SideTable Dresser Safe"),
    "CellPhone": Kind(
        "bl", _kept("Bed 2, Drawer 3, ArmChair 1, Sofa 1"), "Desk SideTable Dresser Shelf Safe CoffeeTable DiningTable"
    ),
    "CreditCard": Kind(
        "bl", _kept("Drawer 4, Safe 1, ArmChair 1, Sofa 1"), "Desk SideTable Dresser Shelf CoffeeTable DiningTable"
    ),
    "KeyChain": Kind(
        "bl", _kept("Drawer 3, Safe 2, Sofa 2"), "Desk SideTable Dresser Shelf CoffeeTable ArmChair Ottoman"
    ),
    "Laptop": Kind(
        "bl", _kept("Bed 3, Desk 1, Sofa 2, CoffeeTable 1"), "SideTable Dresser ArmChair DiningTable Ottoman", "", 1
    ),
    "Pen": Kind("b", _kept("Desk 2, Drawer 3, Shelf 1"), "SideTable Dresser GarbageCan"),
    "Pencil": Kind("b", _kept("Drawer 3, Shelf 2, Desk 1"), "SideTable Dresser GarbageCan"),
    "Pillow": Kind("bl", _kept("Bed 4, Sofa 3, ArmChair 1"), "Ottoman"),
    "TissueBox": Kind("bl", _kept("Shelf 3, Drawer 2, SideTable 1"), "Desk Dresser CoffeeTable DiningTable GarbageCan"),
    "Box": Kind(
        "l", _kept("Sofa 2, Cabinet 2, CoffeeTable 1, DiningTable 1"), "SideTable Dresser Shelf ArmChair Ottoman", "o"
    ),
    "Newspaper": Kind(
        "l", _kept("Drawer 2, Sofa 2, ArmChair 1"), "CoffeeTable SideTable Dresser Shelf DiningTable Ottoman GarbageCan"
    ),
    "RemoteControl": Kind(
        "l", _kept("Sofa 3, Drawer 2, ArmChair 1"), "CoffeeTable SideTable Dresser Shelf DiningTable Ottoman"
    ),
    "Statue": Kind("l", _kept("Shelf 3, Dresser 1, CoffeeTable 1"), "SideTable DiningTable"),
    "Vase": Kind("l", _kept("Shelf 3, Cabinet 2"), "SideTable CoffeeTable DiningTable Dresser"),
    "Watch": Kind("l", _kept("Drawer 3, CoffeeTable 1, Shelf 1"), "SideTable Dresser DiningTable"),
}
"""Everything that can be carried."""

LAMP_KEPT: Mapping[str, int] = _kept("Desk 3, SideTable 2, Dresser 2, Shelf 1")
"""Where the lamp stands; it cannot be carried."""

INITIALS: Mapping[Room, str] = {"kitchen": "k", "bedroom": "b", "bathroom": "t", "livingroom": "l"}


def can_contain(receptacle: str, obj: str) -> bool:
    """Whether things of kind `obj` may be put into receptacles of kind `receptacle`."""
    kind = OBJECTS[obj]
    return receptacle in kind.kept or receptacle in kind.fits.split()


def in_room(obj: str, room: Room) -> bool:
    """Whether things of kind `obj` occur in that room."""
    return INITIALS[room] in OBJECTS[obj].rooms
