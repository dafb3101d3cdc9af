//! Expressions: operators by how tightly they bind, then what stands between them.

use nom::Parser as _;
use nom::branch::alt;
use nom::combinator::opt;

use crate::syntax::ast::{
    Argument, Binary, Body, Expr, ExprKind, Index, Name, Pipeline, Scan, Slice, Statement, StatementKind,
    Unary,
};
use crate::syntax::parser::{Failure, Parsed, Tokens, listed, must, name, name_as, text, token, word};
use crate::syntax::stage::stages;
use crate::syntax::statement::body;
use crate::syntax::token::Kind;
use crate::syntax::types::annotation;

/// One level of precedence may chain this many operators; a sum of more is written in parts.
const LONGEST_CHAIN: usize = 256;

/// `source as label: type -> stage -> stage`
pub(super) fn expression(input: Tokens<'_>) -> Parsed<'_, Expr> {
    input.deeper(|input| {
        let (rest, source) = condition(input)?;
        let (rest, label) = opt(label).parse_complete(rest)?;
        let (rest, ty) = if label.is_some() { opt(annotation).parse_complete(rest)? } else { (rest, None) };
        let (rest, stages) = stages(rest)?;
        if label.is_none() && stages.is_empty() {
            return Ok((rest, source));
        }
        let pipeline = Pipeline { source, label, ty, stages };
        let kind = ExprKind::Pipeline(Box::new(pipeline));
        Ok((rest, Expr { kind, span: rest.span_since(input) }))
    })
}

/// An expression and nothing after it.
pub(super) fn whole(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, value) = expression(input)?;
    let (rest, _) = must(token(Kind::End))(rest)?;
    Ok((rest, value))
}

/// `as name`
pub(super) fn label(input: Tokens<'_>) -> Parsed<'_, Name> {
    let (rest, _) = token(Kind::As)(input)?;
    must(name_as("a label"))(rest)
}

/// How tightly operators bind, the loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Or,
    And,
    Not,
    Comparison,
    Range,
    Sum,
    Product,
    Minus,
    Power,
}

/// What an operator makes of its two sides.
#[derive(Clone, Copy)]
enum Infix {
    Binary(Binary),
    Range,
}

/// The operator that a token of kind `kind` is, and the loosest operators that its right side may hold.
fn infix(kind: Kind) -> Option<(Level, Infix, Level)> {
    let (level, operator, right) = match kind {
        Kind::Or => (Level::Or, Binary::Or, Level::And),
        Kind::And => (Level::And, Binary::And, Level::Not),
        Kind::Equal => (Level::Comparison, Binary::Equal, Level::Range),
        Kind::Unequal => (Level::Comparison, Binary::Unequal, Level::Range),
        Kind::AtMost => (Level::Comparison, Binary::AtMost, Level::Range),
        Kind::AtLeast => (Level::Comparison, Binary::AtLeast, Level::Range),
        Kind::Less => (Level::Comparison, Binary::Less, Level::Range),
        Kind::Greater => (Level::Comparison, Binary::Greater, Level::Range),
        Kind::Range => return Some((Level::Range, Infix::Range, Level::Sum)),
        Kind::Plus => (Level::Sum, Binary::Add, Level::Product),
        Kind::Minus => (Level::Sum, Binary::Subtract, Level::Product),
        Kind::Times => (Level::Product, Binary::Multiply, Level::Minus),
        Kind::Divide => (Level::Product, Binary::Divide, Level::Minus),
        Kind::FloorDivide => (Level::Product, Binary::FloorDivide, Level::Minus),
        Kind::Remainder => (Level::Product, Binary::Remainder, Level::Minus),
        Kind::At => (Level::Product, Binary::MatrixProduct, Level::Minus),
        Kind::Power => (Level::Power, Binary::Power, Level::Minus),
        _ => return None,
    };
    Some((level, Infix::Binary(operator), right))
}

/// An expression without arrows, as after `if`, `repeat` and `where`.
pub(super) fn condition(input: Tokens<'_>) -> Parsed<'_, Expr> {
    operators(input, Level::Or)
}

/// `a..b`, or what binds tighter.
pub(super) fn range(input: Tokens<'_>) -> Parsed<'_, Expr> {
    operators(input, Level::Range)
}

/// `a + b`, or what binds tighter.
pub(super) fn sum(input: Tokens<'_>) -> Parsed<'_, Expr> {
    operators(input, Level::Sum)
}

/// Operators from `loosest` on, grouped from the left; comparisons and ranges do not chain.
fn operators(input: Tokens<'_>, loosest: Level) -> Parsed<'_, Expr> {
    let (mut rest, mut left) = match input.kind() {
        Kind::Not if loosest <= Level::Not => prefixed(input, Unary::Not, Level::Not)?,
        Kind::Minus if loosest <= Level::Minus => prefixed(input, Unary::Negate, Level::Minus)?,
        _ => postfix(input)?,
    };
    let mut length = 0;
    let mut tightest = Level::Power;
    while let Some((level, infix, right)) = infix(rest.kind()) {
        if level < loosest || level > tightest {
            break;
        }
        length += 1;
        if length > LONGEST_CHAIN {
            return Err(too_long(rest));
        }
        let place = rest.peek(0).span;
        let (after, second) = rest.skip(1).deeper(|input| must(|input| operators(input, right))(input))?;
        let (left_side, right_side) = (Box::new(left), Box::new(second));
        let kind = match infix {
            Infix::Binary(operator) => {
                ExprKind::Binary { operator, place, left: left_side, right: right_side }
            }
            Infix::Range => ExprKind::Range(left_side, right_side),
        };
        left = Expr { kind, span: after.span_since(input) };
        rest = after;
        tightest = match level {
            Level::Comparison => Level::And,
            Level::Range => Level::Comparison,
            other => other,
        };
    }
    Ok((rest, left))
}

fn prefixed(input: Tokens<'_>, operator: Unary, loosest: Level) -> Parsed<'_, Expr> {
    let (rest, operand) = input.skip(1).deeper(|input| must(|input| operators(input, loosest))(input))?;
    let kind = ExprKind::Unary(operator, Box::new(operand));
    Ok((rest, Expr { kind, span: rest.span_since(input) }))
}

fn too_long(input: Tokens<'_>) -> nom::Err<Failure> {
    nom::Err::Failure(Failure { place: input.place(), wanted: vec!["less nesting"] })
}

fn postfix(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (mut rest, mut value) = atom(input)?;
    let mut length = 0;
    loop {
        length += 1;
        if length > LONGEST_CHAIN {
            return Err(too_long(rest));
        }
        let (after, kind) = match rest.kind() {
            Kind::OpenParen => {
                let (after, arguments) = arguments(rest)?;
                (after, ExprKind::Call { callee: Box::new(value), arguments })
            }
            Kind::Dot => {
                let (after, field) = must(name)(rest.skip(1))?;
                (after, ExprKind::Field(Box::new(value), field))
            }
            Kind::OpenBracket => {
                let (after, indices) = listed(Kind::OpenBracket, Kind::CloseBracket, index)(rest)?;
                (after, ExprKind::Index(Box::new(value), indices))
            }
            _ => return Ok((rest, value)),
        };
        value = Expr { kind, span: after.span_since(input) };
        rest = after;
    }
}

/// `(value, name = value)`
pub(super) fn arguments(input: Tokens<'_>) -> Parsed<'_, Vec<Argument>> {
    listed(Kind::OpenParen, Kind::CloseParen, argument)(input)
}

fn argument(input: Tokens<'_>) -> Parsed<'_, Argument> {
    let named = input.kind() == Kind::Name && input.peek(1).kind == Kind::Assign;
    let (rest, name) = if named {
        let (rest, name) = name(input)?;
        (rest.skip(1), Some(name))
    } else {
        (input, None)
    };
    let (rest, value) = must(expression)(rest)?;
    Ok((rest, Argument { name, value, span: rest.span_since(input) }))
}

/// `..`, `2`, `from:to:step`
fn index(input: Tokens<'_>) -> Parsed<'_, Index> {
    if input.kind() == Kind::Range {
        return Ok((input.skip(1), Index::Rest(input.peek(0).span)));
    }
    let (rest, from) =
        if input.kind() == Kind::Colon { (input, None) } else { opt(sum).parse_complete(input)? };
    if rest.kind() != Kind::Colon {
        return match from {
            Some(value) => Ok((rest, Index::At(value))),
            None => input.wants("an index"),
        };
    }
    let (rest, to) = bound(rest.skip(1))?;
    let (rest, step) = if rest.kind() == Kind::Colon { bound(rest.skip(1))? } else { (rest, None) };
    Ok((rest, Index::Slice(Box::new(Slice { from, to, step, span: rest.span_since(input) }))))
}

/// The end or the step of a slice, when there is one.
fn bound(input: Tokens<'_>) -> Parsed<'_, Option<Expr>> {
    match input.kind() {
        Kind::Colon | Kind::Comma | Kind::CloseBracket => Ok((input, None)),
        _ => sum(input).map(|(rest, value)| (rest, Some(value))),
    }
}

fn atom(input: Tokens<'_>) -> Parsed<'_, Expr> {
    match input.kind() {
        Kind::OpenParen => tuple(input),
        Kind::OpenBracket => {
            let (rest, values) = listed(Kind::OpenBracket, Kind::CloseBracket, expression)(input)?;
            Ok((rest, Expr { kind: ExprKind::List(values), span: rest.span_since(input) }))
        }
        Kind::If => choice(input),
        Kind::Name if at_scan(input) => scan(input),
        _ => alt((number, literal)).parse_complete(input),
    }
}

fn literal(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, kind) = match input.kind() {
        Kind::Text => {
            let (rest, text) = text(input)?;
            (rest, ExprKind::Text(text))
        }
        Kind::True => (input.skip(1), ExprKind::Bool(true)),
        Kind::False => (input.skip(1), ExprKind::Bool(false)),
        Kind::Name => (input.skip(1), ExprKind::Name(input.peek(0).text.clone())),
        _ => return input.wants("a value"),
    };
    Ok((rest, Expr { kind, span: rest.span_since(input) }))
}

/// `64`, `0.5`, `512 MiB`
fn number(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let digits = input.peek(0).text.replace('_', "");
    let kind = match input.kind() {
        Kind::Integer => match digits.parse() {
            Ok(value) => ExprKind::Int(value),
            Err(_) => return input.wants("an integer below 2 ** 63"),
        },
        Kind::Float => match digits.parse() {
            Ok(value) => ExprKind::Float(value),
            Err(_) => return input.wants("a number"),
        },
        _ => return input.wants("a value"),
    };
    let rest = input.skip(1);
    let bytes = ["KiB", "MiB", "GiB"].iter().position(|unit| rest.at_word(unit));
    match (kind, bytes) {
        (ExprKind::Int(count), Some(order)) => match count.checked_mul(1 << (10 * (order + 1))) {
            Some(value) => {
                let rest = rest.skip(1);
                Ok((rest, Expr { kind: ExprKind::Int(value), span: rest.span_since(input) }))
            }
            None => input.wants("an integer below 2 ** 63"),
        },
        (kind, _) => Ok((rest, Expr { kind, span: rest.span_since(input) })),
    }
}

/// `(a, b)`; `(a)` is `a`.
fn tuple(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, mut values) = listed(Kind::OpenParen, Kind::CloseParen, expression)(input)?;
    let span = rest.span_since(input);
    if values.len() == 1
        && let Some(value) = values.pop()
    {
        return Ok((rest, Expr { span, ..value }));
    }
    Ok((rest, Expr { kind: ExprKind::Tuple(values), span }))
}

/// `if condition { a } else { b }`
fn choice(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, condition) = must(condition)(input.skip(1))?;
    let (rest, then) = must(body)(rest)?;
    let (rest, otherwise) = if rest.kind() == Kind::Else {
        let (rest, otherwise) = rest.skip(1).deeper(|input| must(alternative)(input))?;
        (rest, Some(otherwise))
    } else {
        (rest, None)
    };
    let kind = ExprKind::If { condition: Box::new(condition), then, otherwise };
    Ok((rest, Expr { kind, span: rest.span_since(input) }))
}

/// What stands after `else`: a body, or one value such as another `if`.
fn alternative(input: Tokens<'_>) -> Parsed<'_, Body> {
    if input.kind() == Kind::OpenBrace {
        return body(input);
    }
    let (rest, value) = atom(input)?;
    let span = value.span;
    let kind = StatementKind::Value(vec![value]);
    let statements = vec![Statement { docs: Vec::new(), attributes: Vec::new(), kind, span }];
    Ok((rest, Body { statements, span }))
}

/// `scan` is a word only before `name in`.
fn at_scan(input: Tokens<'_>) -> bool {
    input.at_word("scan") && input.peek(1).kind == Kind::Name && input.peek(2).kind == Kind::In
}

/// `scan row in reverse x with h = a, c = b { ... }`
fn scan(input: Tokens<'_>) -> Parsed<'_, Expr> {
    let (rest, row) = must(name)(input.skip(1))?;
    let mut rest = rest.skip(1);
    let reverse = rest.at_word("reverse") && rest.peek(1).kind == Kind::Name && rest.peek(1).text != "with";
    if reverse {
        rest = rest.skip(1);
    }
    let (rest, over) = must(condition)(rest)?;
    let (mut rest, _) = must(word("with", "`with`"))(rest)?;
    let mut carried = Vec::new();
    loop {
        let (after, name) = must(name)(rest)?;
        let (after, _) = must(token(Kind::Assign))(after)?;
        let (after, value) = must(condition)(after)?;
        carried.push((name, value));
        rest = after;
        if rest.kind() != Kind::Comma {
            break;
        }
        rest = rest.skip(1);
    }
    let (rest, body) = must(body)(rest)?;
    let kind = ExprKind::Scan(Box::new(Scan { row, reverse, over, carried, body }));
    Ok((rest, Expr { kind, span: rest.span_since(input) }))
}
