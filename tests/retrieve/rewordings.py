"""Household tasks in other words, for `test_structure.py`: the policy was tuned with lists like these (docs/recall.md).

Two sets, "near" (one synonym away) and "far" (other verbs, loose phrasing). Objects and places as (near, far).
"""

OBJECTS = {
    "AlarmClock": ("alarm clock", "clock radio"),
    "Apple": ("apple", "fruit"),
    "Book": ("novel", "volume"),
    "Bowl": ("bowl", "soup bowl"),
    "Bread": ("loaf of bread", "slice of toast"),
    "ButterKnife": ("butter knife", "table knife"),
    "CD": ("cd", "music disc"),
    "CellPhone": ("phone", "smartphone"),
    "Cloth": ("cloth", "piece of fabric"),
    "CreditCard": ("credit card", "bank card"),
    "DishSponge": ("sponge", "kitchen sponge"),
    "HandTowel": ("hand towel", "small towel"),
    "KeyChain": ("key chain", "set of keys"),
    "Mug": ("mug", "coffee mug"),
    "Newspaper": ("newspaper", "daily paper"),
    "Pan": ("pan", "frying pan"),
    "PepperShaker": ("pepper shaker", "pepper pot"),
    "Pillow": ("pillow", "cushion"),
    "Plate": ("plate", "dinner plate"),
    "Pot": ("pot", "cooking pot"),
    "RemoteControl": ("remote", "tv remote"),
    "SaltShaker": ("salt shaker", "salt"),
    "SoapBar": ("bar of soap", "cake of soap"),
    "SoapBottle": ("soap bottle", "bottle of soap"),
    "SprayBottle": ("spray bottle", "sprayer"),
    "Statue": ("sculpture", "statuette"),
    "TissueBox": ("box of tissues", "tissues"),
    "ToiletPaper": ("toilet paper", "toilet roll"),
    "Watch": ("wristwatch", "wrist watch"),
}
PLACES = {
    "ArmChair": ("arm chair", "chair"),
    "Cabinet": ("cupboard", "kitchen cupboard"),
    "Cart": ("cart", "trolley"),
    "CoffeeMachine": ("coffee maker", "coffee brewer"),
    "CoffeeTable": ("coffee table", "low table"),
    "CounterTop": ("counter", "worktop"),
    "DeskLamp": ("lamp", "light"),
    "DiningTable": ("dining table", "dinner table"),
    "Dresser": ("dresser", "chest of drawers"),
    "Fridge": ("refrigerator", "freezer"),
    "GarbageCan": ("trash can", "rubbish bin"),
    "Microwave": ("microwave oven", "oven"),
    "Safe": ("safe", "vault"),
    "SideTable": ("side table", "end table"),
    "Sofa": ("couch", "loveseat"),
    "StoveBurner": ("stove", "cooker"),
    "ToiletPaperHanger": ("toilet paper holder", "roll holder"),
}
NEAR = {
    "put": ("place a {o} on the {r}", "set a {o} down in the {r}"),
    "clean": ("wash a {o} and place it on the {r}", "place a washed {o} in the {r}"),
    "heat": ("warm up a {o} and place it in the {r}", "place a warm {o} on the {r}"),
    "cool": ("chill a {o} and place it in the {r}", "place a cold {o} on the {r}"),
    "examine": ("inspect the {o} by the light of the {r}", "study a {o} beneath the {r}"),
    "put_two": ("place a pair of {o}s on the {r}", "gather a couple of {o}s and place them in the {r}"),
}
FAR = {
    "put": ("take the {o} to the {r}", "the {o} belongs on the {r}, so bring it there"),
    "clean": ("scrub the {o} in the sink and store it in the {r}", "deposit a freshly cleaned {o} onto the {r}"),
    "heat": ("heat up the {o} and bring it to the {r}", "deposit a piping hot {o} onto the {r}"),
    "cool": ("let the {o} get cold and bring it to the {r}", "deposit an ice cold {o} onto the {r}"),
    "examine": ("turn on the {r} and look closely at the {o}", "hold the {o} up to the {r} to see it better"),
    "put_two": ("bring two {o}s, one after the other, to the {r}", "deposit a couple of {o}s onto the {r}"),
}


def reworded(family: str, thing: str, place: str, number: int, *, far: bool) -> str:
    """The task in other words; `number` chooses between two phrasings."""
    phrasing = (FAR if far else NEAR)[family][number % 2]
    return phrasing.format(
        o=OBJECTS.get(thing, (thing.lower(),) * 2)[far], r=PLACES.get(place, (place.lower(),) * 2)[far]
    )
