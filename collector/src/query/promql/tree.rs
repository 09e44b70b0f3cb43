//! An expression as JSON, as Prometheus' `parse_query` shows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use promql_parser::label::Matcher;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinaryExpr, Call, Expr, LabelModifier, Offset, VectorMatchCardinality, VectorSelector,
};
use serde_json::{Value, json};

use crate::store::sample::NAME;

pub(super) fn of(expr: &Expr) -> Value {
    match expr {
        Expr::Aggregate(aggregate) => aggregation(aggregate),
        Expr::Binary(binary) => operation(binary),
        Expr::Call(call) => function(call),
        Expr::Unary(unary) => json!({"type": "unaryExpr", "op": "-", "expr": of(&unary.expr)}),
        Expr::Paren(paren) => json!({"type": "parenExpr", "expr": of(&paren.expr)}),
        Expr::NumberLiteral(number) => json!({"type": "numberLiteral", "val": numeral(number.val)}),
        Expr::StringLiteral(text) => json!({"type": "stringLiteral", "val": text.val}),
        Expr::VectorSelector(selector) => selection(selector, None),
        Expr::MatrixSelector(matrix) => selection(&matrix.vs, Some(matrix.range)),
        Expr::Subquery(subquery) => json!({
            "type": "subquery",
            "expr": of(&subquery.expr),
            "range": millis(subquery.range),
            "offset": offset(subquery.offset.as_ref()),
            "step": subquery.step.map_or(0, millis),
            "timestamp": timestamp(subquery.at.as_ref()),
            "startOrEnd": start_or_end(subquery.at.as_ref()),
        }),
        Expr::Extension(_) => Value::Null,
    }
}

fn aggregation(aggregate: &AggregateExpr) -> Value {
    let grouping: &[String] = aggregate.modifier.as_ref().map_or(&[], |modifier| &modifier.labels().labels);
    json!({
        "type": "aggregation",
        "op": aggregate.op.to_string(),
        "expr": of(&aggregate.expr),
        "param": aggregate.param.as_ref().map(|param| of(param)),
        "grouping": grouping,
        "without": matches!(aggregate.modifier, Some(LabelModifier::Exclude(_))),
    })
}

/// Two vectors are matched; a scalar needs no matching.
fn operation(binary: &BinaryExpr) -> Value {
    let is_vector = |side: &Expr| side.value_type() == ValueType::Vector;
    let modifier = binary.modifier.clone().unwrap_or_default();
    let matching = (is_vector(&binary.lhs) && is_vector(&binary.rhs)).then(|| {
        let (card, include): (&str, &[String]) = match &modifier.card {
            VectorMatchCardinality::OneToOne => ("one-to-one", &[]),
            VectorMatchCardinality::ManyToOne(labels) => ("many-to-one", &labels.labels),
            VectorMatchCardinality::OneToMany(labels) => ("one-to-many", &labels.labels),
            VectorMatchCardinality::ManyToMany => ("many-to-many", &[]),
        };
        let labels: &[String] = modifier.matching.as_ref().map_or(&[], |matching| &matching.labels().labels);
        let on = matches!(modifier.matching, Some(LabelModifier::Include(_)));
        json!({"card": card, "labels": labels, "on": on, "include": include})
    });
    json!({
        "type": "binaryExpr",
        "op": binary.op.to_string(),
        "lhs": of(&binary.lhs),
        "rhs": of(&binary.rhs),
        "matching": matching,
        "bool": modifier.return_bool,
    })
}

fn function(call: &Call) -> Value {
    let kinds: Vec<&str> = call.func.arg_types.iter().map(|kind| kind_name(*kind)).collect();
    let func = json!({
        "name": call.func.name,
        "argTypes": kinds,
        "variadic": call.func.variadic,
        "returnType": kind_name(call.func.return_type),
    });
    let args: Vec<Value> = call.args.args.iter().map(|arg| of(arg)).collect();
    json!({"type": "call", "func": func, "args": args})
}

fn selection(selector: &VectorSelector, range: Option<Duration>) -> Value {
    let mut matchers: Vec<Value> = selector.matchers.matchers.iter().map(matcher).collect();
    if let Some(name) = &selector.name {
        matchers.push(json!({"name": NAME, "value": name, "type": "="}));
    }
    let mut tree = json!({
        "type": "vectorSelector",
        "name": selector.name.clone().unwrap_or_default(),
        "offset": offset(selector.offset.as_ref()),
        "matchers": matchers,
        "timestamp": timestamp(selector.at.as_ref()),
        "startOrEnd": start_or_end(selector.at.as_ref()),
    });
    if let Some(range) = range {
        tree["type"] = json!("matrixSelector");
        tree["range"] = json!(millis(range));
    }
    tree
}

fn matcher(matcher: &Matcher) -> Value {
    json!({"name": matcher.name, "value": matcher.value, "type": matcher.op.to_string()})
}

fn kind_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
    }
}

fn numeral(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

fn offset(offset: Option<&Offset>) -> i64 {
    match offset {
        None => 0,
        Some(Offset::Pos(by)) => millis(*by),
        Some(Offset::Neg(by)) => -millis(*by),
    }
}

fn timestamp(at: Option<&AtModifier>) -> Option<i64> {
    let Some(AtModifier::At(time)) = at else { return None };
    Some(unix_ms(*time))
}

fn unix_ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    }
}

fn start_or_end(at: Option<&AtModifier>) -> Option<&'static str> {
    match at {
        Some(AtModifier::Start) => Some("start"),
        Some(AtModifier::End) => Some("end"),
        Some(AtModifier::At(_)) | None => None,
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
