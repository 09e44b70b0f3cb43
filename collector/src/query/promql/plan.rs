//! From the text of a question to a tree of ours, and to the list of what has to be read for it.

use promql_parser::label::{MatchOp as ParsedOp, Matcher as ParsedMatcher};
use promql_parser::parser::token::TokenType;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinaryExpr, Call, Expr, Function, LabelModifier, Offset, SubqueryExpr, VectorMatchCardinality,
    VectorSelector,
};

use super::series::{Grid, keep};
use super::{DEPTH_MAX, EXPRESSION_BYTES_MAX, OPERATORS_MAX, QueryError, Times};
use crate::store::sample::matcher::{MatchOp, Matcher};
use crate::store::sample::{Labels, NAME};

/// Series to be read, over a closed stretch of time.
#[derive(Clone, Debug)]
pub struct Select {
    pub matchers: Vec<Matcher>,
    pub from_ms: i64,
    pub to_ms: i64,
}

/// A question that has been understood.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) root: Node,
    pub(super) times: Times,
    selects: Vec<Select>,
}

impl Plan {
    /// What has to be read.
    pub fn selects(&self) -> &[Select] {
        &self.selects
    }

    pub(super) fn grid(&self) -> Grid {
        let times = &self.times;
        if times.is_instant() {
            return Grid { start_ms: times.start_ms, step_ms: 1, steps: 1 };
        }
        let steps = times.end_ms.saturating_sub(times.start_ms) / times.step_ms + 1;
        Grid { start_ms: times.start_ms, step_ms: times.step_ms, steps: usize::try_from(steps).unwrap_or(0) }
    }
}

/// Moves the time at which something is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    pub at_ms: Option<i64>,
    pub offset_ms: i64,
}

impl Shift {
    pub fn apply(&self, t_ms: i64) -> i64 {
        self.at_ms.unwrap_or(t_ms).saturating_sub(self.offset_ms)
    }
}

/// One node; windows stand only where a function takes one, and at the root.
#[derive(Debug)]
pub(super) enum Node {
    Number(f64),
    Text(String),
    Instant { select: usize, shift: Shift, lookback_ms: i64 },
    Window { from: WindowOf, range_ms: i64, shift: Shift },
    Call { name: &'static str, args: Vec<Node> },
    Aggregate { op: TokenType, grouping: Grouping, param: Option<Box<Node>>, of: Box<Node> },
    Binary(Box<Binary>),
    Negative(Box<Node>),
}

#[derive(Debug)]
pub(super) enum WindowOf {
    Select(usize),
    Subquery { of: Box<Node>, step_ms: i64 },
}

#[derive(Debug)]
pub(super) struct Binary {
    pub op: TokenType,
    pub left: Node,
    pub right: Node,
    pub is_bool: bool,
    pub card: VectorMatchCardinality,
    pub matching: Grouping,
}

/// Labels that are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

impl Grouping {
    /// Those of the labels that count.
    pub fn of(&self, labels: &Labels) -> Labels {
        match self {
            Self::By(names) => keep(labels, |name| names.iter().any(|wanted| wanted == name)),
            Self::Without(names) => keep(labels, |name| name != NAME && !names.iter().any(|unwanted| unwanted == name)),
        }
    }
}

/// # Errors
/// When the text is no PromQL, or nested too deeply.
pub(super) fn plan(text: &str, times: Times) -> Result<Plan, QueryError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(QueryError::BadData(format!("an expression may have {EXPRESSION_BYTES_MAX} bytes")));
    }
    let parsed = parse(text)?;
    let mut planning = Planning { times, selects: Vec::new() };
    let root = planning.node(&parsed, Reach { from_ms: times.start_ms, to_ms: times.end_ms })?;
    if !times.is_instant() && !matches!(parsed.value_type(), ValueType::Vector | ValueType::Scalar) {
        let message = format!(
            "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
            type_name(parsed.value_type())
        );
        return Err(QueryError::BadData(message));
    }
    Ok(Plan { root, times, selects: planning.selects })
}

/// # Errors
/// When the text is no PromQL, or nested too deeply.
pub(super) fn formatted(text: &str) -> Result<String, QueryError> {
    Ok(parse(text)?.prettify())
}

/// # Errors
/// When the text is no PromQL, or nested too deeply.
pub(super) fn tree(text: &str) -> Result<serde_json::Value, QueryError> {
    Ok(super::tree::of(&parse(text)?))
}

/// # Errors
/// When the text is no PromQL, or nested too deeply.
pub(super) fn one_line(text: &str) -> Result<String, QueryError> {
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(QueryError::BadData(format!("an expression may have {EXPRESSION_BYTES_MAX} bytes")));
    }
    Ok(parse(text)?.to_string())
}

fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Vector => "instant vector",
        ValueType::Matrix => "range vector",
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
    }
}

/// Functions that Prometheus 2 has and the parser's newer grammar calls otherwise.
fn parse(text: &str) -> Result<Expr, QueryError> {
    static OLDER: std::sync::Once = std::sync::Once::new();
    OLDER.call_once(|| {
        let matrix = vec![ValueType::Matrix, ValueType::Scalar, ValueType::Scalar];
        // Fails only when the parser knows the function by itself.
        let _ = promql_parser::parser::register_extra_functions(vec![Function::new(
            "holt_winters",
            matrix,
            0,
            ValueType::Vector,
            false,
        )]);
    });
    let text = Prepared::of(text);
    text.check()?;
    promql_parser::parser::parse(&text.whole).map_err(|error| QueryError::BadData(format!("parse error: {error}")))
}

/// A question as the parser is given it.
struct Prepared {
    /// Raw strings are quoted ones: the parser sees escapes in both.
    whole: String,
    /// Without strings and remarks.
    code: String,
}

/// Where in a question a letter stands.
#[derive(Clone, Copy)]
enum Place {
    Code,
    Remark,
    Raw,
    Quoted(char),
    /// Behind a backslash.
    Escaped(char),
}

impl Prepared {
    fn of(text: &str) -> Self {
        let mut prepared = Self { whole: String::with_capacity(text.len()), code: String::with_capacity(text.len()) };
        let mut place = Place::Code;
        for c in text.chars() {
            match (place, c) {
                (Place::Code, '`') | (Place::Raw, '`') => prepared.whole.push('"'),
                (Place::Raw, '\\' | '"') => prepared.whole.extend(['\\', c]),
                _ => prepared.whole.push(c),
            }
            prepared.code.push(if matches!(place, Place::Code) { c } else { ' ' });
            place = match (place, c) {
                (Place::Code, '#') => Place::Remark,
                (Place::Code, '`') => Place::Raw,
                (Place::Code, '"' | '\'') => Place::Quoted(c),
                (Place::Remark, '\n' | '\r') | (Place::Raw, '`') => Place::Code,
                (Place::Quoted(quote), '\\') => Place::Escaped(quote),
                (Place::Quoted(quote), _) if c == quote => Place::Code,
                (Place::Escaped(quote), _) => Place::Quoted(quote),
                (same, _) => same,
            };
        }
        prepared
    }

    /// The parser works on the stack, as we do: what is nested too deeply must not reach it. Operators of one level nest too.
    fn check(&self) -> Result<(), QueryError> {
        let (mut depth, mut deepest) = (0usize, 0usize);
        for c in self.code.chars() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        if deepest > DEPTH_MAX {
            return Err(QueryError::BadData(format!("an expression may be nested {DEPTH_MAX} levels deep")));
        }
        let words = self.code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let signs = self.code.matches(['+', '-', '*', '/', '%', '^', '=', '!', '<', '>']);
        let operators = signs.count() + words.filter(|word| is_operator(word)).count();
        if operators > OPERATORS_MAX {
            return Err(QueryError::BadData(format!(
                "an expression may have {OPERATORS_MAX} operators; this one has {operators}"
            )));
        }
        Ok(())
    }
}

fn is_operator(word: &str) -> bool {
    ["and", "or", "unless", "atan2"].iter().any(|operator| word.eq_ignore_ascii_case(operator))
}

/// The times at which a node is asked.
#[derive(Clone, Copy)]
struct Reach {
    from_ms: i64,
    to_ms: i64,
}

impl Reach {
    fn shifted(self, shift: Shift) -> Self {
        Self { from_ms: shift.apply(self.from_ms), to_ms: shift.apply(self.to_ms) }
    }

    fn longer_by(self, range_ms: i64) -> Self {
        Self { from_ms: self.from_ms.saturating_sub(range_ms), ..self }
    }
}

struct Planning {
    times: Times,
    selects: Vec<Select>,
}

impl Planning {
    fn node(&mut self, expr: &Expr, reach: Reach) -> Result<Node, QueryError> {
        Ok(match expr {
            Expr::NumberLiteral(number) => Node::Number(number.val),
            Expr::StringLiteral(text) => Node::Text(text.val.clone()),
            Expr::Paren(paren) => self.node(&paren.expr, reach)?,
            Expr::Unary(unary) => Node::Negative(Box::new(self.node(&unary.expr, reach)?)),
            Expr::VectorSelector(selector) => {
                let (shift, lookback_ms) = (self.shift(selector.at.as_ref(), selector.offset.as_ref())?, self.times.lookback_ms);
                let select = self.select(selector, reach.shifted(shift).longer_by(lookback_ms))?;
                Node::Instant { select, shift, lookback_ms }
            }
            Expr::MatrixSelector(matrix) => {
                let shift = self.shift(matrix.vs.at.as_ref(), matrix.vs.offset.as_ref())?;
                let range_ms = millis(matrix.range.as_millis());
                let select = self.select(&matrix.vs, reach.shifted(shift).longer_by(range_ms))?;
                Node::Window { from: WindowOf::Select(select), range_ms, shift }
            }
            Expr::Subquery(subquery) => self.subquery(subquery, reach)?,
            Expr::Call(call) => self.call(call, reach)?,
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, reach)?,
            Expr::Binary(binary) => Node::Binary(Box::new(self.binary(binary, reach)?)),
            Expr::Extension(_) => return Err(QueryError::BadData("extensions of the language are not known".to_owned())),
        })
    }

    fn shift(&self, at: Option<&AtModifier>, offset: Option<&Offset>) -> Result<Shift, QueryError> {
        let at_ms = match at {
            None => None,
            Some(AtModifier::Start) => Some(self.times.start_ms),
            Some(AtModifier::End) => Some(self.times.end_ms),
            Some(AtModifier::At(time)) => Some(match time.duration_since(std::time::UNIX_EPOCH) {
                Ok(since) => millis(since.as_millis()),
                Err(before) => -millis(before.duration().as_millis()),
            }),
        };
        let offset_ms = match offset {
            None => 0,
            Some(Offset::Pos(by)) => millis(by.as_millis()),
            Some(Offset::Neg(by)) => -millis(by.as_millis()),
        };
        Ok(Shift { at_ms, offset_ms })
    }

    fn select(&mut self, selector: &VectorSelector, reach: Reach) -> Result<usize, QueryError> {
        if !selector.matchers.or_matchers.is_empty() {
            return Err(QueryError::BadData("`or` between matchers is not known".to_owned()));
        }
        let mut matchers = Vec::with_capacity(selector.matchers.matchers.len() + 1);
        if let Some(name) = &selector.name {
            matchers.push(Matcher::equal(NAME, name));
        }
        for parsed in &selector.matchers.matchers {
            matchers.push(matcher(parsed)?);
        }
        self.selects.push(Select { matchers, from_ms: reach.from_ms, to_ms: reach.to_ms });
        Ok(self.selects.len() - 1)
    }

    fn subquery(&mut self, subquery: &SubqueryExpr, reach: Reach) -> Result<Node, QueryError> {
        let shift = self.shift(subquery.at.as_ref(), subquery.offset.as_ref())?;
        let range_ms = millis(subquery.range.as_millis());
        let step_ms = subquery.step.map_or(self.times.default_step_ms, |step| millis(step.as_millis())).max(1);
        let of = self.node(&subquery.expr, reach.shifted(shift).longer_by(range_ms))?;
        Ok(Node::Window { from: WindowOf::Subquery { of: Box::new(of), step_ms }, range_ms, shift })
    }

    fn call(&mut self, call: &Call, reach: Reach) -> Result<Node, QueryError> {
        let args = call.args.args.iter().map(|arg| self.node(arg, reach)).collect::<Result<_, _>>()?;
        Ok(Node::Call { name: call.func.name, args })
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr, reach: Reach) -> Result<Node, QueryError> {
        let param = match &aggregate.param {
            Some(param) => Some(Box::new(self.node(param, reach)?)),
            None => None,
        };
        let grouping = match &aggregate.modifier {
            None => Grouping::By(Vec::new()),
            Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
        };
        Ok(Node::Aggregate { op: aggregate.op, grouping, param, of: Box::new(self.node(&aggregate.expr, reach)?) })
    }

    fn binary(&mut self, binary: &BinaryExpr, reach: Reach) -> Result<Binary, QueryError> {
        let modifier = binary.modifier.clone().unwrap_or_default();
        if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
            return Err(QueryError::BadData("`fill` is not known".to_owned()));
        }
        let matching = match modifier.matching {
            None => Grouping::Without(Vec::new()),
            Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels),
            Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels),
        };
        Ok(Binary {
            op: binary.op,
            left: self.node(&binary.lhs, reach)?,
            right: self.node(&binary.rhs, reach)?,
            is_bool: modifier.return_bool,
            card: modifier.card,
            matching,
        })
    }
}

fn matcher(parsed: &ParsedMatcher) -> Result<Matcher, QueryError> {
    let op = match parsed.op {
        ParsedOp::Equal => MatchOp::Equal,
        ParsedOp::NotEqual => MatchOp::NotEqual,
        ParsedOp::Re(_) => MatchOp::Matches,
        ParsedOp::NotRe(_) => MatchOp::NotMatches,
    };
    Matcher::new(parsed.name.clone(), op, parsed.value.clone()).map_err(|error| QueryError::BadData(error.to_string()))
}

fn millis(ms: u128) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX / 4)
}
