"""TextWorld's context-sensitive grammar, read once instead of at every step.

The stock grammar runs a parser over the same ~160 texts for every command of every step and copies the whole
context for every symbol. Parsing is a pure function of the text, and deriving never writes to a context, so
both can be left out without changing a letter of the output. The rules of derivation are those of
`textworld.envs.pddl.textgen` 1.7.0, in the same order.
"""

import ast
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from types import CodeType
from typing import Any

from textworld.envs.pddl import logic as stock_logic
from textworld.envs.pddl import textgen as stock
from textworld.logic import Rule

from memp.errors import EnvironmentFailed

_BLOCK = re.compile(r'"""(?:.|\n)*?"""')
_HARMLESS = (
    *(ast.Expression, ast.Name, ast.Load, ast.Attribute, ast.Constant),
    *(ast.BinOp, ast.Add, ast.BoolOp, ast.boolop, ast.UnaryOp, ast.Not, ast.IfExp, ast.Compare, ast.cmpop),
)
_SYMBOLS = 4096  # distinct texts kept; ALFWorld has 156

Rules = tuple[tuple[str, tuple[Any, ...]], ...]
"""The alternatives of one left-hand side: condition (or an empty string) and the symbols."""


@lru_cache(_SYMBOLS)
def symbols(text: str) -> tuple[Any, ...]:
    """The parsed symbols of a right-hand side or a template. Shared: never written to.

    Raises:
        EnvironmentFailed: an expression in it would run code.
    """
    parsed = tuple(stock._parse_and_convert(text, rule_name="symbols"))
    for symbol in parsed:
        inner = symbol.symbol if isinstance(symbol, stock.ListSymbol) else symbol
        inner = inner.expression if isinstance(inner, stock.ConditionalSymbol) else inner
        if isinstance(inner, stock.EvalSymbol):
            expression(inner.expression)
    return parsed


@lru_cache(_SYMBOLS)
def query(expression: str) -> Any:
    """A parsed condition such as `holds(a:agent, o:object)`."""
    return Rule.parse_conjunctive_query(expression)


@lru_cache(_SYMBOLS)
def expression(text: str) -> CodeType:
    """A compiled `{...}` expression.

    Raises:
        EnvironmentFailed: it does more than join, choose and compare attributes and texts. A game file is data and
            may not run code.
    """
    tree = ast.parse(text.strip(), "<grammar>", "eval")
    for node in ast.walk(tree):
        hidden = isinstance(node, ast.Attribute) and node.attr.startswith("_")
        if hidden or not isinstance(node, _HARMLESS):
            raise EnvironmentFailed(f"the grammar's expression {text!r} does more than join, choose and compare names")
    return compile(tree, "<grammar>", "eval")


class Context:
    """What a symbol may refer to. A grown context is a new one; none is ever changed."""

    __slots__ = ("entities", "mapping", "state", "variables")

    def __init__(
        self, state: Any, variables: Mapping[str, Any], mapping: Mapping[Any, Any], entities: Mapping[str, Any]
    ) -> None:
        self.state = state
        self.variables = variables
        self.mapping = mapping
        self.entities = entities

    def matches(self, condition: str) -> "list[Context]":
        """One context for each way in which `condition` holds, in the engine's (sorted) order."""
        found = []
        for assignment in self.state.all_assignments(query(condition), self.mapping):
            variables = {hole.name: self.entities[value.name] for hole, value in assignment.items()}
            found.append(
                Context(self.state, {**self.variables, **variables}, {**self.mapping, **assignment}, self.entities)
            )
        return found

    def holds(self, condition: str) -> bool:
        """Whether `condition` holds in at least one way."""
        return next(iter(self.state.all_assignments(query(condition), self.mapping)), None) is not None


class FastGrammar:
    """Does what `textgen.ContextSensitiveGrammar` does, from parsed rules."""

    def __init__(self, rules: Mapping[str, Rules]) -> None:
        self._rules = rules

    def derive(self, start: str, context: Mapping[str, Any]) -> str:
        """The text that `start` derives in `context` (a mapping, as the stock engine passes it)."""
        where = Context(context["state"], context["variables"], context["mapping"], context["entity_infos"])
        return "".join(self._text(symbol, where) for symbol in symbols(start))

    def _text(self, symbol: Any, where: Context) -> str:
        if isinstance(symbol, stock.TerminalSymbol):
            return str(symbol.symbol)
        if isinstance(symbol, stock.NonterminalSymbol):
            return self._rule(symbol, where)
        if isinstance(symbol, stock.EvalSymbol):
            return str(eval(expression(symbol.expression), {"__builtins__": {}}, dict(where.variables)))
        if isinstance(symbol, stock.ListSymbol):
            return self._list(symbol.symbol, where)
        if isinstance(symbol, stock.ConditionalSymbol):
            return "".join(self._text(symbol.expression, found) for found in self._branches(symbol, where))
        raise NotImplementedError(f"unknown symbol {type(symbol).__name__}")

    def _rule(self, symbol: Any, where: Context) -> str:
        rules = self._rules.get(str(symbol))
        if not rules:
            raise stock.CSGUnknownSymbolError(symbol)
        chosen = next(rhs for condition, rhs in rules if not condition or where.holds(condition))
        return "".join(self._text(part, where) for part in chosen)

    def _branches(self, symbol: Any, where: Context) -> "list[Context]":
        return where.matches(symbol.given) if symbol.given else [where]

    def _list(self, inner: Any, where: Context) -> str:
        items = [self._text(inner.expression, found) for found in self._branches(inner, where)]
        if not items:
            return self._rule(stock.NonterminalSymbol("list_empty"), where)
        if len(items) == 1:
            return items[0]
        comma = self._rule(stock.NonterminalSymbol("list_separator"), where)
        last = self._rule(stock.NonterminalSymbol("list_last_separator"), where)
        return comma.join(items[:-1]) + last + items[-1]


@lru_cache(64)
def _skeleton(text: str) -> Any:
    return stock_logic._PARSER.parse(text, rule_name="pddlStart")


def parse_document(text: str) -> tuple[dict[str, Any], FastGrammar]:
    """The actions and the grammar of a `.twl2` document.

    Quoted blocks are literals to the parser. They are taken out first, so that the games of a benchmark, which
    differ by the task sentence in one block, share one parse.
    """
    blocks = _BLOCK.findall(text)
    numbers = iter(range(len(blocks)))
    model = _skeleton(_BLOCK.sub(lambda _: f'"""{next(numbers)}"""', text))
    converter = stock_logic._ModelConverter()

    def block(node: Any) -> str:
        return str(converter._unescape_block(blocks[int(node.code.strip('"'))]))

    actions: dict[str, Any] = {}
    sources: list[Mapping[str, Sequence[Mapping[str, Any]]]] = []
    for part in model.parts:
        if isinstance(part, stock_logic.model.ActionTypeNode):
            action = stock_logic.Action(
                name=part.name,
                template=converter._unescape(part.template.template),
                feedback_rule=converter._unescape(part.feedback.name),
                pddl=block(part.pddl) if part.pddl else "",
                grammar=block(part.grammar) if part.grammar else "{}",
            )
            symbols(action.template)
            symbols(action.feedback_rule)
            actions[action.name.lower()] = action
            lines = action.grammar.split("\n")
            sources.append(json.loads("\n".join(line for line in lines if not line.lstrip().startswith("#"))))
        elif isinstance(part, stock_logic.model.ActionGrammarNode):
            sources.append(json.loads(block(part)))
    return actions, FastGrammar(dict(chain.from_iterable(map(_rules, sources))))


def _rules(source: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[tuple[str, Rules]]:
    return [
        (name, tuple((rule.get("condition", ""), symbols(rule["rhs"])) for rule in rules))
        for name, rules in source.items()
    ]
