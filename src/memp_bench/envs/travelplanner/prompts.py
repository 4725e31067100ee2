"""What the models are told, in our own words: rules and formats, and no hint at what the evaluator checks."""

from typing import Final

_FORMAT: Final = """\
Write the plan day by day, in exactly this layout:

Day 1:
Current City: from Springfield to Riverton
Transportation: Flight Number: F0000001, from Springfield to Riverton, Departure Time: 08:10, Arrival Time: 09:55
Breakfast: -
Attraction: Riverton Town Hall, Riverton;
Lunch: The Blue Spoon, Riverton
Dinner: Harbour Grill, Riverton
Accommodation: Sunny Room by the River, Riverton

Day 2:
Current City: Riverton
Transportation: -
Breakfast: Corner Bakery, Riverton
Attraction: Museum of Glass, Riverton;Old Mill Park, Riverton;
Lunch: Noodle Bar, Riverton
Dinner: Casa Lina, Riverton
Accommodation: Sunny Room by the River, Riverton

Day 3:
Current City: from Riverton to Springfield
Transportation: Self-driving, from Riverton to Springfield, Duration: 3 hours 5 mins, Distance: 290 km
Breakfast: Toast House, Riverton
Attraction: -
Lunch: -
Dinner: -
Accommodation: -

(The places and the flight of this example do not exist: take none of them over.)
A day on which you travel from A to B has `from A to B` as its Current City. A dash stands for what a day does not
need."""

_TASK: Final = """\
You plan trips. From the query of a traveller and the information given with it you write a plan with everything the
traveller has to know: flight numbers, the names of restaurants, attractions and lodgings. Use what the information
holds and nothing else, and let the plan make sense to a sensible person."""

PLANNER: Final = f"{_TASK}\n\n{_FORMAT}"
"""Two-stage planner, and sole-planning `direct`."""

PLANNER_COT: Final = f"""{_TASK}

Think first: before the plan, write down step by step how you come to it. Then write a line `Travel Plan:` and the plan.

{_FORMAT}"""
"""Sole-planning with a chain of thought."""

PLANNER_REACT: Final = f"""{_TASK}

You work in rounds of one thought and one action. Reply with

Thought: what you consider
Action: one of the two actions below

Then you are shown an observation, and the next round begins. The actions are:

CostEnquiry[day]: asks what one day of your plan costs. `day` is a JSON object on one line with the keys people_number,
day, current_city, transportation, breakfast, attraction, lunch, dinner and accommodation, for example
CostEnquiry[{{"people_number": 2, "day": 1, "current_city": "from Springfield to Riverton", \
"transportation": "Flight Number: F0000001, from Springfield to Riverton", "breakfast": "-", \
"attraction": "Riverton Town Hall, Riverton;", "lunch": "The Blue Spoon, Riverton", \
 "dinner": "Harbour Grill, Riverton", "accommodation": "Sunny Room by the River, Riverton"}}]
Finish[plan]: hands in the whole plan and ends the work.

{_FORMAT}"""
"""Sole-planning with ReAct."""

AGENT: Final = """\
You collect the information for a trip with tools, then have a planner write the plan. Work in rounds of one thought and
one action. Reply with two lines:

Thought: what you know, what is missing, what to do next
Action: one call of a tool

Then you are shown an observation, and the next round begins. The tools are:

FlightSearch[departure city, destination city, date]: flights of that day. The date is written YYYY-MM-DD.
  Example: FlightSearch[Boston, Denver, 2022-03-04]
GoogleDistanceMatrix[origin, destination, mode]: distance, time and cost by road. The mode is self-driving or taxi.
  Example: GoogleDistanceMatrix[Boston, Albany, self-driving]
AccommodationSearch[city]: lodgings in a city. Example: AccommodationSearch[Denver]
RestaurantSearch[city]: restaurants in a city. Example: RestaurantSearch[Denver]
AttractionSearch[city]: attractions in a city. Example: AttractionSearch[Denver]
CitySearch[state]: the cities of a state. Example: CitySearch[Colorado]
NotebookWrite[short description]: puts the result you were shown last into the notebook, under that description.
  Example: NotebookWrite[Flights from Boston to Denver on 2022-03-04]
Planner[query]: hands the notebook and your query to the planner and ends the work. The planner sees nothing but these
  two, so the query must say everything the traveller wants.
  Example: Planner[A 3-day trip for two people from Boston to Denver, March 4th to 6th, 2022, with a budget of $1,900]

A search result is shown until your next call; then it is masked, so write what will be needed into the notebook at
once. The notebook takes one result at a time. A call must be alone on its line and in exactly the form above, without
quotation marks. The same action three times in a row ends the work without a plan, and so do repeated calls that cannot
be carried out. A round takes one action."""
"""Two-stage agent: tools, formats and the rules of the loop."""

READER: Final = """\
You turn the text of a travel plan into JSON. Answer with a JSON list and nothing else: one object a day, with the keys
"days" (the number of the day), "current_city", "transportation", "breakfast", "attraction", "lunch", "dinner" and
"accommodation". All but the first hold a string.

Copy what the text says and add nothing; "-" stands for whatever the text does not give. Leave out costs, cuisines and
remarks.
- current_city: "from A to B" on a day of travel, else the city.
- transportation: "Flight Number: F0000001, from A to B, Departure Time: 08:10, Arrival Time: 09:55", or
  "Self-driving, from A to B, Duration: ..., Distance: ...", or "Taxi, from A to B, ...".
- breakfast, lunch, dinner, accommodation: "name, city".
- attraction: each as "name, city" with a semicolon after it, the last one too:
  "Museum of Glass, Riverton;Old Mill, Riverton;"
If the text holds no plan, answer []."""
"""For a model that reads plans in place of the rules."""


def planner_request(information: str, query: str) -> str:
    """The planner's input: what is known, and what is wanted."""
    return f"Given information: {information}\n\nQuery: {query}\n\nTravel Plan:"
